"""Cuts API keys out of whatever an API says, before anything else sees it."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import Any

CUT = "[key]"
SHORTEST = 8  # characters of a secret; a shorter one would be found in ordinary words
PART = 8  # characters of a secret in a row that count as a quotation of it, where an API reports an error
MASKS = r"(?:…|[*•.]{2,})+"  # how a vendor abbreviates a key that it quotes: sk_l****ab1


class Redaction:
    """Cuts some secrets out of texts: as they are, escaped in JSON or a URL, and in base64."""

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
        """Data, without whole secrets. What only resembles one stays: records are kept verbatim."""
        return self._whole.sub(CUT, text) if self._whole else text

    def error(self, text: str) -> str:
        """What an API says of an error, without whole secrets and without parts of them."""
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
        """The same for everything in the parsed body of an error."""
        match value:
            case str():
                return self.error(value)
            case list():
                return [self.body(one) for one in value]
            case dict():
                return {self.error(str(name)): self.body(one) for name, one in value.items()}
        return value

    def _quoted(self, folded: str) -> Iterator[tuple[int, int]]:
        """Where parts of a secret stand, overlapping ones as one."""
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
    for before in range(3):  # a secret within a longer text has three forms in base64, by its place
        padded = b"\0" * before + secret.encode()
        whole = len(padded) // 3 * 4
        clean = (0, 2, 3)[before]  # the characters that what stands before it shapes
        for encode in (b64encode, urlsafe_b64encode):
            encoded = encode(padded).decode()[clean:whole]
            if len(encoded) >= SHORTEST:
                yield _spelled(encoded)


def _spelled(secret: str) -> str:
    """A pattern for the secret, each of its marks as it is or escaped as JSON, PHP or a URL may do."""
    return "".join(
        letter if letter.isalnum() else rf"(?:\\?{re.escape(letter)}|(?i:\\u{ord(letter):04x}|%{ord(letter):02x}))"
        for letter in secret
    )
