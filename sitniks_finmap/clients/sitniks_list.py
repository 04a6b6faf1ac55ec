"""Rows and pages of a Sitniks list, and whether one pass over the list is complete."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

PAGE_SIZE = 50  # the API maximum; more returns 400
NAMELESS = re.compile(r"\?[0-9a-f]{32}")  # substitute id of a row without one
# A server that limits page sizes itself uses one of these, and then its `count` may be that of the page.
LIKELY_CUTS = frozenset({10, 20, 25, 30, 40})


class IncompleteRead(Exception):
    """A list could not be read completely; no row may be considered absent from it."""


@dataclass(frozen=True)
class Row:
    """One object of a list, verbatim, with the values needed before SQL sees it.

    Oversized records are truncated: `text` is then their beginning, as a JSON string.
    """

    id: str  # Sitniks' id; without one, `?` and a hash of the text
    amount: str | None  # the `amount` as written, if it is a number or a string
    order_id: str | None
    text: str


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    counts: tuple[int, ...] = ()  # the values of `count` and `total`, if present

    @property
    def count(self) -> int | None:
        """The number of rows that the list claims to have.

        Prefers a number that differs from the size of this page; of two such, the larger, so as to miss nothing.
        """
        return max((one for one in self.counts if one != len(self.rows)), default=next(iter(self.counts), None))


@dataclass
class Pass:
    """The result of one pass over a list: rows by key, and the counts that its pages claim.

    Differing counts mean that the list changed meanwhile: a deletion may pull a row across a page boundary, unseen.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    # A page did not continue the previous one, or a row without an id was on two pages: a second pass must agree.
    doubtful: bool = False
    repeated: bool = False  # it ended with rows seen before
    _counted: list[tuple[int | None, int]] = field(default_factory=list)  # count and size of each page
    _ended_with: list[Row] = field(default_factory=list)  # last row of the previous page, and others with its id
    _nameless: Counter[str] = field(default_factory=Counter)
    _records: dict[str, list[Row]] = field(default_factory=dict)  # by id

    @property
    def size(self) -> int:
        return sum(map(len, self._records.values()))

    @property
    def counts(self) -> set[int | None]:
        """The counts that the pages claim; ignored if each of several pages just gives its own size."""
        if len(self._counted) > 1 and all(count == size for count, size in self._counted):
            return {None}
        return {count for count, _ in self._counted}

    @property
    def counted(self) -> str:
        return " and ".join(str(count) for count in sorted(self.counts - {None}, key=str))

    @property
    def may_be_cut(self) -> bool:
        """Whether there is no count and the list ends like a truncated one: at a full page, or with repeated rows."""
        return self.counts == {None} and self.size > 0 and (self.size % PAGE_SIZE == 0 or self.repeated)

    def add(self, page: Page) -> bool:
        """Add a page; return whether it has new rows."""
        known = len(self.rows)
        self._counted.append((page.count, len(page.rows)))
        rows, overlap = page.rows, self._ended_with
        if self._ended_with and rows and rows[0].id == self._ended_with[0].id:
            # The same row on both pages counts once.
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
            if before := [] if overlap and key == overlap[0].id else self._records.get(key, []):
                texts = {known.text for known in before}
                others = [row for row in records if row.text not in texts]
                # Two records share an id, or one changed and moved meanwhile: a second pass tells.
                self.doubtful |= bool(others)
                records = before + others
            self._records[key] = records
            one = _one_of(records)
            self.rows[key] = one if one.id == key else replace(one, id=key)
        new = len(self.rows) > known
        # Past the end, a page is empty or holds only the overlapping last row.
        self.repeated = not new and len(self._counted) > 1 and len(page.rows) > 1
        return new

    def ended(self, page: Page, skip: int) -> bool:
        """Whether the added page is the last by the list's own count. A full page never is."""
        size = len(page.rows)
        if page.count is None or size == PAGE_SIZE or skip + size < page.count:
            return False
        # The count may be that of the page: the next page tells.
        return page.count != size or not (skip or size in LIKELY_CUTS)


def _one_of(records: list[Row]) -> Row:
    """Combine the records that one page shows under one id: unless equal, it is unknown which is valid."""
    if len(records) == 1:
        return records[0]
    return several_records(records[0], [record.text for record in records])


def several_records(first: Row, texts: list[str]) -> Row:
    """Combine records with the same id into one row, independent of their order."""
    different = sorted(set(texts))
    return first if len(different) == 1 else Row(first.id, None, first.order_id, f"[{', '.join(different)}]")
