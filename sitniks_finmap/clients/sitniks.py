"""The Sitniks client: complete paged reads of transactions and orders, each row verbatim."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sitniks_finmap.clients.answers import KeyRefused, Refused, Reply, Unavailable
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import limiter_for
from sitniks_finmap.clients.reasons import said
from sitniks_finmap.clients.sitniks_list import PAGE_SIZE, IncompleteRead, Page, Pass, Row
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.figures import counted
from sitniks_finmap.progress import Progress
from sitniks_finmap.settings.connections import Connection

log = logging.getLogger(__name__)

READ_ATTEMPTS = 3
SHORTEST_WINDOW = timedelta(seconds=1)
EMPTY_DAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC))
LARGEST_RECORD = 100_000  # characters; a transaction has a thousand
LONGEST_ID = 1000
ARRAY_NAMES = ("data", "transactions", "orders", "items")


class Written(str):
    """A JSON number as it was written, digit for digit."""

    __slots__ = ()


class Sitniks:
    """The Open API of one Sitniks company."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def transactions(self, start: datetime, end: datetime) -> list[Row]:
        """Read the transactions created from `start` to `end` (aware), each once. Raises IncompleteRead, ApiError."""
        return self._read_whole("/transactions", start, end)

    def orders(self, start: datetime, end: datetime) -> list[Row]:
        """Read the orders created from `start` to `end` (aware), each once. Raises IncompleteRead, ApiError."""
        return self._read_whole("/orders", start, end)

    def order(self, order_id: str) -> Row | None:
        """Read one order; None if it does not exist (404) or Sitniks rejects the id (400, 422)."""
        reply = self.api.read("GET", f"/orders/{quote(order_id, safe='')}")
        if reply.status in (400, 404, 422):
            return None
        if reply.status != 200 or not isinstance(reply.body, dict):
            raise Refused(said("Sitniks", reply, "to one order"))
        return _row(*_whole_object(reply.text))

    def page(self, path: str, start: datetime, end: datetime, skip: int = 0) -> Page:
        """Read one page of a list, in Sitniks' own order."""
        # Sitniks ignores the UTC offset in a bound: only UTC with Z works as written.
        window = {"createdAtFrom": _utc(start), "createdAtTo": _utc(end)}
        reply = self.api.read("GET", path, params={"limit": PAGE_SIZE, "skip": skip, **window})
        if reply.status != 200:
            raise Refused(said("Sitniks", reply, f"to {path}"), reply.status)
        failpoint("page_fetched")
        return read_page(reply)

    def settlement_accounts(self) -> list[dict[str, Any]] | None:
        """Read the company's settlement accounts, each with an `id` and perhaps a `title`; None if Sitniks does not
        return them: this list is undocumented.
        """
        try:
            reply = self.api.read("GET", "/settlement-accounts")
        except (KeyRefused, Unavailable):
            return None
        rows = reply.body.get("data") if isinstance(reply.body, dict) else reply.body
        if reply.status != 200 or not isinstance(rows, list):
            return None
        return [row for row in rows if isinstance(row, dict)]

    def order_statuses(self) -> list[dict[str, str]]:
        """Read the company's order statuses: `id` and `title` of each. Raises ApiError."""
        reply = self.api.read("GET", "/orders/statuses")
        rows = reply.body.get("data") if isinstance(reply.body, dict) else reply.body
        if reply.status != 200 or not isinstance(rows, list):
            raise Refused(said("Sitniks", reply, "to /orders/statuses"))
        return [{name: str(row.get(name) or "") for name in ("id", "title")} for row in rows if isinstance(row, dict)]

    def ignores_updates(self) -> bool:
        """Whether the list of orders shows rows for an `updatedAtFrom` in the far future. Raises ApiError."""
        reply = self.api.read("GET", "/orders", params={"limit": 1, "updatedAtFrom": _utc(EMPTY_DAYS[1])})
        if reply.status != 200:
            raise Refused(said("Sitniks", reply, "to /orders with updatedAtFrom"))
        return bool(read_page(reply).rows)

    def supply(self) -> dict[str, Any] | None:
        """Read one supply, whose fields are unknown; None if Sitniks shows none."""
        try:
            reply = self.api.read("GET", "/supplies", params={"limit": 1})
        except (KeyRefused, Unavailable):
            return None
        rows = reply.body.get("data") if isinstance(reply.body, dict) else reply.body
        if reply.status != 200 or not isinstance(rows, list) or not rows:
            return None
        return rows[0] if isinstance(rows[0], dict) else None

    def ignores_dates(self, path: str) -> bool:
        """Whether a list shows rows for windows that must be empty: one long ago, one in the future."""
        return any(self.page(path, day, day + timedelta(days=1)).rows for day in EMPTY_DAYS)

    def _read_whole(self, path: str, start: datetime, end: datetime) -> list[Row]:
        read = self._read_until_sure(path, start, end)
        rows = self._by_halves(path, start, end, read.rows) if read.may_be_cut else read.rows
        return list(rows.values())

    def _read_until_sure(self, path: str, start: datetime, end: datetime) -> Pass:
        read = before = None
        for _ in range(READ_ATTEMPTS):
            read, before = self._collect(path, start, end), read
            agree = before is not None and before.rows.keys() == read.rows.keys()
            if read.counts == {read.size} and (agree or not read.doubtful):
                return read
            # Without a count nothing proves the read complete; two reads that agree are the next best proof.
            if read.counts == {None} and agree:
                return read
            log.info("%s: %d of %s read; reading again", self._name(path), read.size, read.counted or "?")
        seen = (
            f"{counted(read.size, 'distinct row')}, but it counts {read.counted}"
            if read and read.counted
            else "no count"
        )
        raise IncompleteRead(f"Sitniks' list {path} was read {READ_ATTEMPTS} times and was never complete: {seen}")

    def _by_halves(self, path: str, start: datetime, end: datetime, rows: dict[str, Row]) -> dict[str, Row]:
        """Re-read in two halves a list that the server may truncate, so that truncated rows show up."""
        if end - start <= SHORTEST_WINDOW:
            raise IncompleteRead(
                f"Sitniks' list {path} gives no count and may be truncated: it stops at {counted(len(rows), 'row')} "
                "even for one second; tell Sitniks' support"
            )
        middle = start + (end - start) / 2
        windows = [(start, middle), (middle - timedelta(milliseconds=1), end)]
        halves = [self._read_until_sure(path, *window) for window in windows]
        if halves[0].rows.keys() == halves[1].rows.keys() >= rows.keys():
            raise IncompleteRead(ignored_filter(path))
        found: dict[str, Row] = {}
        for half, window in zip(halves, windows, strict=True):
            found |= self._by_halves(path, *window, half.rows) if half.may_be_cut else half.rows
        if not rows.keys() <= found.keys():
            raise IncompleteRead(f"Sitniks' list {path} gives no count, and its halves lack rows that the whole had")
        return found

    def _name(self, path: str) -> str:
        """A list's name for log lines, with the connection."""
        return f"{self.api.connection}: {path}" if self.api.connection else path

    def _collect(self, path: str, start: datetime, end: datetime) -> Pass:
        """Make one pass over the list, up to a page with nothing new. A full page is never the last, whatever its
        count. Each page overlaps the previous one by a row: if it does not, the list has shifted, which the count
        does not reveal when one row was deleted and another added.
        """
        read = Pass()
        skip = 0
        before: list[str] = []
        with Progress(self._name(path), "read") as progress:
            while True:
                page = self.page(path, start, end, skip)
                texts = [row.text for row in page.rows]
                new = read.add(page)
                seen = skip + len(texts)
                progress.report(seen, page.count)
                if not new or read.ended(page, skip) or texts == before:
                    return read
                skip, before = seen - 1, texts


def ignored_filter(path: str) -> str:
    return (
        f"Sitniks' list {path} ignores its date filter: most of its rows are outside the requested days; tell "
        "Sitniks' support"
    )


def connect(connection: Connection, *, patience: float | None = None, **options: Any) -> Sitniks:
    """Create the client of a connection. Raises MissingKey."""
    key = connection.key("sitniks")
    limiter = limiter_for(key, connection.sitniks_requests_per_second, patience)
    headers = {"Authorization": f"Bearer {key}"}
    api = Api(
        "Sitniks", connection.sitniks_url, headers, limiter, connection=connection.name,
        key_env=connection.sitniks_key_env, secrets=connection.known_keys(), **options,
    )  # fmt: skip
    return Sitniks(api)


def read_page(reply: Reply) -> Page:
    """Parse a list response: its rows, whatever the array is called, and its `count` or `total`."""
    body = reply.body
    if isinstance(body, list):
        return Page([_row(text, row) for text, row in _array_elements(reply.text, 0)])
    if not isinstance(body, dict):
        raise Unavailable("Sitniks answered with something other than a list")
    name = next((n for n in ARRAY_NAMES if isinstance(body.get(n), list)), None)
    if name is None:
        fields = f"no list; the fields are {', '.join(sorted(body)) or 'none'}"
        raise Unavailable(said("Sitniks", reply, fields))
    counts = tuple(count for n in ("count", "total") if (count := _count(body.get(n))) is not None)
    at = _position_of(reply.text, name)
    return Page([_row(text, row) for text, row in _array_elements(reply.text, at)], counts)


def _count(value: Any) -> int | None:
    """A row count, given as a number or a string."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# -- Verbatim rows: json.loads would turn 1500.00 into a float and lose the original digits. --

_DECODER = json.JSONDecoder(parse_float=Written, parse_int=Written, parse_constant=Written, strict=False)


def _skip_blank(text: str, at: int) -> int:
    while text[at] in " \t\r\n,":
        at += 1
    return at


def _position_of(text: str, name: str) -> int:
    """The position where the value of a top-level field begins."""
    at = _skip_blank(text, text.index("{") + 1)
    while True:
        field, at = _DECODER.raw_decode(text, at)
        at = _skip_blank(text, text.index(":", at) + 1)
        if field == name:
            return at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip_blank(text, at)


def _array_elements(text: str, at: int) -> Iterator[tuple[str, Any]]:
    at = _skip_blank(text, text.index("[", at) + 1)
    while text[at] != "]":
        element, end = _DECODER.raw_decode(text, at)
        yield text[at:end], element
        at = _skip_blank(text, end)


def _whole_object(text: str) -> tuple[str, Any]:
    return text.strip(), _DECODER.decode(text)


def _row(text: str, row: Any) -> Row:
    if len(text) > LARGEST_RECORD:
        id = _id(row.get("id")) if isinstance(row, dict) else None
        kept = f"{text[:1000]}… ({len(text)} characters, {_nameless(text)})".encode(errors="replace").decode()
        return Row(id or _nameless(text), None, None, json.dumps(kept, ensure_ascii=False))
    if not isinstance(row, dict):
        return Row(_nameless(text), None, None, text)
    order = row.get("order")
    order_id = _id(row.get("orderId")) or (_id(order.get("id")) if isinstance(order, dict) else None)
    amount = row.get("amount")
    written = str(amount) if isinstance(amount, str) else None
    if written is not None and not written.isascii():
        written = written.encode(errors="replace").decode()  # half a surrogate pair
    return Row(_id(row.get("id")) or _nameless(text), written, order_id, text)


def _id(value: Any) -> str | None:
    """A numeric or string id as a string; 12348 and "12348" are the same id."""
    usable = (
        isinstance(value, str)
        and value.strip()
        and len(value) <= LONGEST_ID
        and (value.isascii() or value.encode(errors="ignore").decode() == value)
    )
    return str(value) if usable else None


def _nameless(text: str) -> str:
    return "?" + hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
