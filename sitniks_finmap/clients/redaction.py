"""Redacts API keys from responses before anything else sees them."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import Any

CUT = "[key]"
SHORTEST = 8  # characters of a secret; a shorter one would match ordinary words
PART = 8  # consecutive characters of a secret that count as a quotation of it in an error
MASKS = r"(?:…|[*•.]{2,})+"  # how a vendor masks a key that it quotes: sk_l****ab1


class Redaction:
    """Redacts secrets from texts: verbatim, escaped in JSON or a URL, and in base64."""

    def __init__(self, secrets: Sequence[str]) -> None:
        usable = {secret for secret in secrets if len(secret) >= SHORTEST}
        forms = sorted({form for secret in usable for form in _forms(secret)}, key=len, reverse=True)
        self._whole = re.compile("|".join(forms)) if forms else None
        masked = [f"{re.escape(secret[:4])}\\w*{MASKS}\\w*" for secret in usable]
        self._in_error = re.compile("|".join([*forms, *masked]), re.IGNORECASE) if forms else None
        self._parts = {
            secret[at : at + PART].lower() for secret in usable for at in range(len(secret) - PART + 1)
        }  # fmt: skip

    def record(self, text: str) -> str:
        """Redact whole secrets from data. Partial matches stay, because records are kept verbatim."""
        return self._whole.sub(CUT, text) if self._whole else text

    def error(self, text: str) -> str:
        """Redact whole secrets and parts of them from an error."""
        if not self._in_error:
            return text
        text = self._in_error.sub(CUT, text)
        folded = re.sub("[A-Z]+", lambda match: match[0].lower(), text)
        kept: list[str] = []
        at = 0
        for start, end in self._quoted(folded):
            kept += [text[at:start], CUT]
            at = end
        return "".join(kept) + text[at:]

    def body(self, value: Any) -> Any:
        """Redact every string in the parsed body of an error."""
        match value:
            case str():
                return self.error(value)
            case list():
                return [self.body(one) for one in value]
            case dict():
                return {self.error(str(name)): self.body(one) for name, one in value.items()}
        return value

    def _quoted(self, folded: str) -> Iterator[tuple[int, int]]:
        """The spans that quote a part of a secret, overlapping ones merged."""
        start = end = -1
        for at in range(len(folded) - PART + 1):
            if folded[at : at + PART] not in self._parts:
                continue
            if at > end:
                if end > 0:
                    yield start, end
                start = at
            end = at + PART
        if end > 0:
            yield start, end


def _forms(secret: str) -> Iterator[str]:
    """Patterns for the spellings of a secret that an API may quote."""
    yield _spelled(secret)
    for before in range(3):  # inside a longer text, base64 encodes a secret in three ways, by its offset
        padded = b"\0" * before + secret.encode()
        whole = len(padded) // 3 * 4
        clean = (0, 2, 3)[before]  # leading characters that depend on the preceding bytes
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(padded).decode()[clean:whole]
            if len(encoded) >= SHORTEST:
                yield _spelled(encoded)


def _spelled(secret: str) -> str:
    """A pattern for the secret whose punctuation may be escaped as in JSON, PHP or a URL."""
    return "".join(
        letter if letter.isalnum() else rf"(?:\\?{re.escape(letter)}|(?i:\\u{ord(letter):04x}|%{ord(letter):02x}))"
        for letter in secret
    )
