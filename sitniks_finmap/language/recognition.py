"""Recognises English sentences by the texts of the catalogue.

Errors, findings and reasons are data: they are stored, logged and compared in English. Only when a person reads them
are they said in another language. A text such as "rejected: {count} ({why})" recognises the sentence and its values.
The name of a value says what it is:

- why…, what…: a sentence of ours, which is recognised in turn;
- count…: a whole number, money…: an amount, as English writes them;
- names…: names with " and " or with numbers in parentheses between them;
- any other: anything, such as the name of an account. It stays as it is.

If no text is the whole sentence, its parts are recognised: "u1: first; second (12)". Of several readings, the one that
leaves the fewest letters unrecognised is said.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Protocol

FIELD = re.compile(r"\{(\w+)\}")
NO_LETTERS = re.compile(r"[\W\d_]+")
LETTERS = 4  # with fewer letters of its own a text recognises only counts: "{what}: {why}" would recognise everything
NUMBER = r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"  # as English writes it
KINDS = {"count": NUMBER, "money": NUMBER + r"\.[0-9]{2}"}
SENTENCES = ("why", "what")
JOINTS = ("; ", ". ")
OF_PARTS = (*JOINTS, ": ")  # a name with one of these may be more than a name
MOST_JOINTS = 20  # in a longer list of names nothing is to be recognised
COUNTED = re.compile(rf"(.+) \(({NUMBER})\)", re.DOTALL)  # a sentence, and how many records it is about
NUMBERED = re.compile(rf"(?<= \(){NUMBER}(?=\))")
NAMED = re.compile(r"('[^']*'|[^\s:;]+(?: [^\s:;]+){0,4}): (.+)", re.DOTALL)  # about a connection, a setting or a file


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
    def values(self) -> list[str]:
        """The names of its values."""
        return FIELD.findall(self.text)

    @cached_property
    def longest(self) -> str:
        return max(self.chunks, key=len)

    @property
    def letters(self) -> int:
        return _letters("".join(self.chunks))

    @cached_property
    def shape(self) -> re.Pattern[str]:
        seen: set[str] = set()

        def group(name: str) -> str:
            if name in seen:
                return f"(?P={name})"
            seen.add(name)
            kind = next((form for kind, form in KINDS.items() if name.startswith(kind)), ".+?")
            return f"(?P<{name}>{kind})"

        parts = FIELD.split(self.text)
        return re.compile("".join(group(part) if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.DOTALL)

    def values_in(self, sentence: str) -> dict[str, str] | None:
        """The values, if the sentence is of this text."""
        if self.longest not in sentence or not all(chunk in sentence for chunk in self.chunks):
            return None  # before `shape` is compiled
        found = self.shape.fullmatch(sentence)
        return found.groupdict() if found else None


class Phrasebook:
    """The texts that recognise sentences, those with the most letters of their own first."""

    def __init__(self, texts: Iterable[str | tuple[str, str]]) -> None:
        self.patterns = sorted(_patterns(texts), key=lambda pattern: -pattern.letters)

    def find(self, sentence: str) -> Iterator[tuple[Pattern, dict[str, str]]]:
        """Each text that the sentence may be made of, with its values."""
        for pattern in self.patterns:
            if (values := pattern.values_in(sentence)) is not None:
                yield pattern, values


@dataclass(frozen=True)
class Reading:
    """A sentence in the other language, how many of its letters nothing recognised, and whether it is read for sure."""

    said: str
    unknown: int
    sure: bool = True


class Words(Protocol):
    """The other language."""

    def known(self, text: str) -> str | None: ...
    def text(self, text: str, **values: object) -> str: ...
    def counted(self, one: str, many: str, count: int, **values: object) -> str: ...
    def number(self, number: int) -> str: ...
    def amount(self, amount: Decimal) -> str: ...


@dataclass
class Reader:
    """Reads one sentence."""

    phrasebook: Phrasebook
    language: Words
    known: dict[str, Reading] = field(default_factory=dict)

    def read(self, sentence: str) -> Reading:
        if sentence not in self.known:
            self.known[sentence] = self._read(sentence)
        return self.known[sentence]

    def _read(self, sentence: str) -> Reading:
        if not (letters := _letters(sentence)):
            return Reading(sentence, 0)
        if (said := self.language.known(sentence)) is not None:
            return Reading(said, 0)
        best = min(self._wholes(sentence), key=_unknown, default=Reading(sentence, letters, sure=False))
        if best.sure:
            return best
        return min((*self._about(sentence), best, *self._by_parts(sentence)), key=_unknown)

    def _wholes(self, sentence: str) -> Iterator[Reading]:
        for pattern, values in self.phrasebook.find(sentence):
            readings = {name: self._value(name, value) for name, value in values.items()}
            said = {name: reading.said for name, reading in readings.items()}
            if pattern.many:
                del said["count"]
                text = self.language.counted(pattern.one, pattern.many, _whole(values["count"]), **said)
            else:
                text = self.language.text(pattern.one, **said)
            yield Reading(text, sum(map(_unknown, readings.values())), all(one.sure for one in readings.values()))

    def _value(self, name: str, value: str) -> Reading:
        if name.startswith(SENTENCES):
            return self.read(value)
        if name.startswith("money"):
            return Reading(self.language.amount(Decimal(value.replace(",", ""))), 0)
        if name.startswith("count"):
            return Reading(self._number(value), 0)
        said = self._listed(value) if name.startswith("names") else value
        return Reading(said, _letters(value), not any(joint in value for joint in OF_PARTS))

    def _listed(self, names: str) -> str:
        said = NUMBERED.sub(lambda number: self._number(number[0]), names)
        return said.replace('" and "', f'" {self.language.text("and")} "')

    def _number(self, written: str) -> str:
        return self.language.number(_whole(written))

    def _by_parts(self, sentence: str) -> Iterator[Reading]:
        for joint in JOINTS:
            parts = sentence.split(joint)
            for n in range(1, len(parts) if len(parts) <= MOST_JOINTS else 1):
                yield self._together([joint.join(parts[:n]), joint.join(parts[n:])], joint)
        if ", " in sentence and not (listed := self._together(sentence.split(", "), ", ")).unknown:
            yield listed  # each of its words is ours
        if counted := COUNTED.fullmatch(sentence):
            what = self.read(counted[1])
            yield Reading(f"{what.said} ({self._number(counted[2])})", what.unknown, what.sure)

    def _about(self, sentence: str) -> Iterator[Reading]:
        if (named := NAMED.fullmatch(sentence)) and " " in named[2]:
            what = self.read(named[2])
            yield Reading(f"{named[1]}: {what.said}", _letters(named[1]) + what.unknown, what.sure)

    def _together(self, parts: list[str], joint: str) -> Reading:
        readings = [self.read(part) for part in parts]
        said = joint.join(reading.said for reading in readings)
        return Reading(said, sum(map(_unknown, readings)), all(reading.sure for reading in readings))


def _unknown(reading: Reading) -> int:
    return reading.unknown


def _whole(written: str) -> int:
    return int(written.replace(",", ""))


def _letters(text: str) -> int:
    return len(NO_LETTERS.sub("", text))


def _patterns(texts: Iterable[str | tuple[str, str]]) -> Iterator[Pattern]:
    for text in texts:
        one, many = (text, "") if isinstance(text, str) else text
        for form in filter(None, (one, many)):
            pattern = Pattern(form, one, many)
            counts = all(name.startswith("count") for name in pattern.values)
            if many and "count" not in pattern.values:
                continue  # which of its forms it is cannot be told
            if pattern.values and pattern.letters >= (1 if counts else LETTERS):
                yield pattern
