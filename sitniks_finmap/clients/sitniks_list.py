"""Rows and pages of a Sitniks list, and what one pass over the list proves."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

PAGE_SIZE = 50  # more answers 400
NAMELESS = re.compile(r"\?[0-9a-f]{32}")  # what stands for the id of a row that has none
# A server that shortens a page on its own cuts it at one of these, and then its `count` may be the page's.
LIKELY_CUTS = frozenset({10, 20, 25, 30, 40})


class IncompleteRead(Exception):
    """A list could not be read whole; nothing of it may count as "not there"."""


@dataclass(frozen=True)
class Row:
    """One object of a list, verbatim, with what must be known of it before SQL sees it.

    Of a record of a megabyte, which no memory limit holds a hundred times, the text is the beginning, as a JSON string.
    """

    id: str  # Sitniks' id; `?` and a hash of the text where there is none
    amount: str | None  # the `amount` as written, when it is a number or a text
    order_id: str | None
    text: str


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    counts: tuple[int, ...] = ()  # what `count` and `total` say, whichever there are

    @property
    def count(self) -> int | None:
        """How many rows the whole list has, by its own word.

        Of two numbers the one that is not the size of this page; of two such, the larger: nothing may be missed.
        """
        return max((one for one in self.counts if one != len(self.rows)), default=next(iter(self.counts), None))


@dataclass
class Pass:
    """What one pass over a list brought: rows by key, and what its pages count.

    More than one count says that the list changed meanwhile: a row that is deleted draws another over the edge of a
    page, unseen.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    # A page does not follow on the one before, or a row without an id came on two: then a second pass must agree.
    doubtful: bool = False
    repeated: bool = False  # it ended with rows that had come before
    _counted: list[tuple[int | None, int]] = field(default_factory=list)  # of each page: its count, and its size
    _ended_with: list[Row] = field(default_factory=list)  # the last row of the page before, others with its id
    _nameless: Counter[str] = field(default_factory=Counter)
    _records: dict[str, list[Row]] = field(default_factory=dict)  # those that have this id

    @property
    def size(self) -> int:
        return sum(map(len, self._records.values()))

    @property
    def counts(self) -> set[int | None]:
        """What the pages say of the whole list. A count that is the size of each of several pages says nothing."""
        if len(self._counted) > 1 and all(count == size for count, size in self._counted):
            return {None}
        return {count for count, _ in self._counted}

    @property
    def counted(self) -> str:
        return " and ".join(str(count) for count in sorted(self.counts - {None}, key=str))

    @property
    def may_be_cut(self) -> bool:
        """Nothing counts the list, and it ends as one that the server cuts: at full pages, or with the same again."""
        return self.counts == {None} and self.size > 0 and (self.size % PAGE_SIZE == 0 or self.repeated)

    def add(self, page: Page) -> bool:
        """Takes up a page; whether anything of it is new."""
        known = len(self.rows)
        self._counted.append((page.count, len(page.rows)))
        rows, overlap = page.rows, self._ended_with
        if self._ended_with and rows and rows[0].id == self._ended_with[0].id:
            # What stands on both pages is one row.
            rows = [*([] if NAMELESS.fullmatch(rows[0].id) else self._ended_with), *rows[1:]]
        elif self._ended_with:
            self.doubtful = True
        self._ended_with = [row for row in (rows or page.rows) if row.id == page.rows[-1].id] if page.rows else []
        self.doubtful |= any(row.id in self._nameless for row in rows)
        of_page: dict[str, list[Row]] = {}
        for row in rows:
            key = row.id
            if NAMELESS.fullmatch(row.id):
                self._nameless[row.id] += 1
                number = self._nameless[row.id]
                key = row.id if number == 1 else f"{row.id}-{number}"
            of_page.setdefault(key, []).append(row)
        for key, records in of_page.items():
            before = [] if overlap and key == overlap[0].id else self._records.get(key, [])
            others = [row for row in records if row.text not in {known.text for known in before}]
            # Two records with one id, or one that changed and moved meanwhile: a second pass tells.
            self.doubtful |= bool(before and others)
            self._records[key] = before + others if before else records
            self.rows[key] = replace(_one_of(self._records[key]), id=key)
        new = len(self.rows) > known
        # Past the end of a list there is nothing, or the last row, which is asked for once more.
        self.repeated = not new and len(self._counted) > 1 and len(page.rows) > 1
        return new

    def ended(self, page: Page, skip: int) -> bool:
        """Whether the page that was added is the last by the list's own count. A full page never is."""
        size = len(page.rows)
        if page.count is None or size == PAGE_SIZE or skip + size < page.count:
            return False
        # The count may be that of the page: another page tells.
        return page.count != size or not (skip or size in LIKELY_CUTS)


def _one_of(records: list[Row]) -> Row:
    """The records that one page shows under one id: which of them holds nobody can say, unless they are equal."""
    return several_records(records[0], [record.text for record in records])


def several_records(first: Row, texts: list[str]) -> Row:
    """One row for the records that have its id; the same however they were ordered."""
    different = sorted(set(texts))
    return first if len(different) == 1 else Row(first.id, None, first.order_id, f"[{', '.join(different)}]")
