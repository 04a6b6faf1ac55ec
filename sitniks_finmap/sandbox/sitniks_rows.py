"""Transactions and orders of Sitniks: JSON text, served byte for byte and filed by date."""

import re
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from .exchange import json_text, parse_json
from .state import State

Row = dict[str, Any]
RowList = Literal["transactions", "orders"]

KYIV = ZoneInfo("Europe/Kyiv")
STAMP = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVER = (-(2**62), 2**62)
CHUNK = 10_000

PUT = """
insert into sitniks_rows (shop, list, id, at, body) values (?, ?, ?, ?, ?)
on conflict (shop, list, id) do update set at = excluded.at, body = excluded.body
"""
# the page is found in the index alone: otherwise a late page of a long list would read every row before it
PAGE = """
select body from sitniks_rows where seq in (
    select seq from sitniks_rows where shop = ? and list = ? and at between ? and ?
    order by at desc, seq desc limit ? offset ?
) order by at desc, seq desc
"""
COUNT = "select count(*) as n from sitniks_rows where shop = ? and list = ? and at between ? and ?"


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // (moment.resolution)


def parse_stamp(value: Any) -> datetime | None:
    """The moment of a timestamp, in Kyiv time if it has no zone, as the vendor shows. None if unreadable."""
    moment = read_stamp(value)
    if moment is None or moment.tzinfo:
        return moment
    return moment.replace(tzinfo=KYIV).astimezone(UTC)


def read_stamp(value: Any) -> datetime | None:
    """The timestamp as written: aware if it has a zone, otherwise naive."""
    if not isinstance(value, str) or not STAMP.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


class SitniksRows:
    """The transactions or the orders of one shop."""

    def __init__(self, state: State, shop: int, name: RowList):
        self._state = state
        self._key = (shop, name)
        self._counts: dict[tuple[int, int], int] = {}

    def put(self, payload: dict[str, Any] | str, at: datetime | None, now: datetime) -> None:
        """Inserts a row, or replaces the one with the same `id`. Text is kept as it is. Raises ValueError."""
        self._write([self._record(payload, at, now)])

    def put_many(self, payloads: list[dict[str, Any] | str], now: datetime) -> None:
        records = [self._record(payload, None, now) for payload in payloads]
        for start in range(0, len(records), CHUNK):  # in chunks, so that clients are still served in between
            self._write(records[start : start + CHUNK])

    def _write(self, records: list[tuple[Any, ...]]) -> None:
        with self._state.lock:
            self._state.write_many(PUT, records)
            self._counts.clear()

    def _record(self, payload: dict[str, Any] | str, at: datetime | None, now: datetime) -> tuple[Any, ...]:
        text = payload if isinstance(payload, str) else json_text(payload)
        row = parse_json(payload) if isinstance(payload, str) else payload
        if not isinstance(row, dict):
            raise ValueError("a row of Sitniks must be a JSON object")
        moment = at or parse_stamp(row.get("createdAt")) or parse_stamp(row.get("date")) or now
        identity = row.get("id")
        return (*self._key, None if identity is None else str(identity), microseconds(moment), text)

    def delete(self, identity: str | int) -> bool:
        """Deletes a row; returns whether there was one."""
        sql = "delete from sitniks_rows where shop = ? and list = ? and id = ?"
        with self._state.lock:
            self._counts.clear()
            return self._state.write(sql, (*self._key, str(identity))) > 0

    def get(self, identity: str) -> str | None:
        sql = "select body from sitniks_rows where shop = ? and list = ? and id = ?"
        row = self._state.row(sql, (*self._key, identity))
        return row["body"] if row else None

    def page(self, limit: int, skip: int, between: tuple[int, int] = EVER) -> list[str]:
        """JSON texts, newest first; both bounds are microseconds and inclusive."""
        return [row["body"] for row in self._state.rows(PAGE, (*self._key, *between, limit, skip))]

    def page_and_count(self, limit: int, skip: int, between: tuple[int, int]) -> tuple[list[str], int]:
        """A page and how many rows there are at the same moment."""
        with self._state.lock:
            return self.page(limit, skip, between), self.count(between)

    def count(self, between: tuple[int, int] = EVER) -> int:
        with self._state.lock:
            known = self._counts.get(between)
            if known is None:
                row = self._state.row(COUNT, (*self._key, *between))
                known = self._counts[between] = row["n"] if row else 0
            return known

    def all(self) -> list[dict[str, Any]]:
        """Every row, newest first, with exact numbers."""
        return [parse_json(text) for text in self.page(-1, 0)]
