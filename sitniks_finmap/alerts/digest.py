"""Digests: counts and sums of a day, or of a week, of one shop, as `reconciliation` has them; and when one is due."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import duckdb

from sitniks_finmap.alerts.state import Memory
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

NOON = time(12)  # until then a day that is not reconciled when its digest is due may wait
LAST_HOUR = 23
A_WEEK = 7


@dataclass(frozen=True)
class Days:
    """What a digest is about: a day, or a week; the first week of a shop begins with `start_date`."""

    first: date
    last: date
    is_week: bool = False

    def sent_note(self, shop: str) -> str:
        """The note that says which digest of this kind was sent last, by its last day."""
        return f"weekly digest {shop}" if self.is_week else f"digest {shop}"

    def missing_note(self, shop: str) -> str:
        """The note that says of which one people know that there is none yet."""
        return f"no {self.sent_note(shop)}"


@dataclass(frozen=True)
class Side:
    """What one side has of these days."""

    income_count: int
    income_sum: Decimal
    expense_count: int
    expense_sum: Decimal


@dataclass(frozen=True)
class Sums:
    """What both sides have of these days in one currency. The stock is no income and no expense."""

    currency: str
    sitniks: Side
    finmap: Side


@dataclass(frozen=True)
class Digest:
    """Some days of one shop, on both sides."""

    shop: str
    days: Days
    sums: tuple[Sums, ...] = ()  # of each currency
    is_equal: bool = False  # on each day in every account, the stock included
    differences: int = 0
    rejected: int = 0
    is_read: bool = False  # whether each day was read completely after its end
    is_reconciled: bool = False  # and both sides compared since
    is_readable: bool = True  # whether the file of the shop can be read


def due(kept: Memory, connection: Connection, now: datetime) -> list[Days]:
    """What to report now, each once: yesterday, from `digest_at` on; the week, from `weekly_digest_at` on, for as long
    as it is the last one.
    """
    asked = [_yesterday(connection, now), _week(connection, now)]
    return [one for one in asked if one and one.last >= connection.start_date and not _was_sent(kept, connection, one)]


def _yesterday(connection: Connection, now: datetime) -> Days | None:
    local = now.astimezone(connection.zone)
    if connection.digest_at is None or local.time() < connection.digest_at:
        return None
    day = local.date() - timedelta(days=1)
    return Days(day, day)


def _week(connection: Connection, now: datetime) -> Days | None:
    """The seven days before the last moment that `weekly_digest_at` names."""
    if connection.weekly_digest_at is None:
        return None
    weekday, at = connection.weekly_digest_at
    local = now.astimezone(connection.zone)
    since = (local.weekday() - weekday) % A_WEEK or (A_WEEK if local.time() < at else 0)
    last = local.date() - timedelta(days=since + 1)
    return Days(max(last - timedelta(days=A_WEEK - 1), connection.start_date), last, is_week=True)


def _was_sent(kept: Memory, connection: Connection, days: Days) -> bool:
    return _is_noted(kept, days.sent_note(connection.name), days)


def _is_noted(kept: Memory, name: str, days: Days) -> bool:
    """A clock that was set back repeats nothing; one that was far ahead silences nothing."""
    last = date.fromisoformat(kept.note(name) or date.min.isoformat())
    return days.last <= last <= days.last + timedelta(days=31)


def may_wait(connection: Connection, days: Days, now: datetime) -> bool:
    """Whether days that are not reconciled yet are reported later: until noon, or an hour after they were due."""
    local = now.astimezone(connection.zone)
    weekly = connection.weekly_digest_at
    at = (weekly.time if weekly and days.is_week else connection.digest_at) or time()
    is_first_day = local.date() == days.last + timedelta(days=1)
    return is_first_day and (local.time() < NOON or local.hour < min(at.hour + 1, LAST_HOUR))


def mark_sent(kept: Memory, connection: Connection, days: Days) -> None:
    kept.set_note(days.sent_note(connection.name), days.last.isoformat())


def mark_missing(kept: Memory, connection: Connection, days: Days) -> bool:
    """Notes that people were told that there is no digest of these days yet; False if they knew."""
    name = days.missing_note(connection.name)
    if _is_noted(kept, name, days):
        return False
    kept.set_note(name, days.last.isoformat())
    return True


def digest_of(connection: Connection, warehouse: Warehouse, days: Days) -> Digest:
    """Of a shop that was never read, nothing is reconciled; nor of one whose file cannot be read now."""
    values = {"first": days.first, "last": days.last}
    try:
        if not warehouse.exists():
            return Digest(connection.name, days)
        with warehouse.transaction() as con:
            row = con.execute(sql("digest"), {**values, "zone": connection.timezone}).fetchone() or ()
            sums = con.execute(sql("digest_sums"), values).fetchall()
    except (WarehouseError, duckdb.Error, OSError):
        return Digest(connection.name, days, is_readable=False)
    return Digest(connection.name, days, tuple(Sums(one[0], Side(*one[1:5]), Side(*one[5:])) for one in sums), *row)
