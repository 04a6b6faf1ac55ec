"""Recognises English sentences by the texts of the catalogue.

Errors, findings and reasons are data: they are stored, logged and compared in English. Only when a person reads them
are they said in another language. A text such as "rejected: {count} ({why})" recognises the sentence and its values. A
value whose name begins with "why" or "what" is a sentence of ours, and is said in that language, too; any other value,
such as the name of an account, stays as it is.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

FIELD = re.compile(r"\{(\w+)\}")
LETTERS = 6  # with fewer letters of its own a text recognises only counts: "{what}: {why}" would recognise everything
NUMBER = r"[-\d][\d,]*"  # as English writes counts


@dataclass(frozen=True)
class Pattern:
    """A text with values. `one` is its key in the catalogue; `many` is its plural, or empty."""

    text: str
    one: str
    many: str

    @cached_property
    def chunks(self) -> list[str]:
        """What stands between the values."""
        return FIELD.split(self.text)[::2]

    @property
    def letters(self) -> int:
        return sum(sign.isalpha() for chunk in self.chunks for sign in chunk)

    @cached_property
    def shape(self) -> re.Pattern[str]:
        seen: set[str] = set()

        def group(name: str) -> str:
            if name in seen:
                return f"(?P={name})"
            seen.add(name)
            return f"(?P<{name}>{NUMBER if name.startswith('count') else '.+?'})"

        parts = FIELD.split(self.text)
        return re.compile("".join(group(part) if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.DOTALL)

    def values_in(self, sentence: str) -> dict[str, str] | None:
        """The values, if the sentence is of this text."""
        if not all(chunk in sentence for chunk in self.chunks):
            return None
        found = self.shape.fullmatch(sentence)
        return found.groupdict() if found else None


class Phrasebook:
    """Finds the text that a sentence was made of. Prefers the text with the most letters of its own."""

    def __init__(self, texts: Iterable[str | tuple[str, str]]) -> None:
        self.patterns = sorted(_patterns(texts), key=lambda pattern: -pattern.letters)

    def find(self, sentence: str) -> tuple[Pattern, dict[str, str]] | None:
        for pattern in self.patterns:
            if (values := pattern.values_in(sentence)) is not None:
                return pattern, values
        return None


def _patterns(texts: Iterable[str | tuple[str, str]]) -> Iterator[Pattern]:
    for text in texts:
        one, many = (text, "") if isinstance(text, str) else text
        for form in filter(None, (one, many)):
            pattern = Pattern(form, one, many)
            counts = all(name.startswith("count") for name in FIELD.findall(form))
            if len(pattern.chunks) > 1 and pattern.letters >= (1 if counts else LETTERS):
                yield pattern
