"""Reads Sitniks in windows: each is stored once complete, and one that cannot be read blocks no other."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import duckdb

from sitniks_finmap.clients.answers import ApiError, KeyRefused, Unreachable
from sitniks_finmap.clients.sitniks import ignored_filter
from sitniks_finmap.clients.sitniks_list import IncompleteRead, Row
from sitniks_finmap.pipeline.doubles import with_doubles
from sitniks_finmap.pipeline.identity import turn_to_source
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import WarehouseError, insert_rows, replace_table, rows_as

log = logging.getLogger(__name__)

Resource = Literal["transactions", "orders"]
DOWN_AFTER = 3  # consecutive unreadable windows after which the problem is not the windows
STRAYS = 5  # rows whose own timestamp may be wrong; a filter on another field yields more


@dataclass(frozen=True)
class Unread:
    """A window that could not be read, and why."""

    first: date
    last: date
    why: str

    @property
    def days(self) -> set[date]:
        return set(days_of(self.first, self.last))


class UnreadDays(ApiError):
    """Some days could not be read; all others were read and stored."""

    def __init__(self, unread: list[Unread]) -> None:
        first_day, last_day = min(one.first for one in unread), max(one.last for one in unread)
        reasons = "; ".join(dict.fromkeys(one.why for one in unread))
        super().__init__(
            f"{reasons} (when reading {first_day} to {last_day}). What could be read is kept; the other days "
            "are read again automatically"
        )
        self.days = set[date]().union(*(one.days for one in unread))


def read_windows(
    run: ConnectionRun,
    resource: Resource,
    first_day: date,
    last_day: date,
    keep: Callable[[duckdb.DuckDBPyConnection, list[Row], date, date], None],
    kept: Callable[[], None],
) -> list[Unread]:
    """Read the lists of these days a month at a time, least recently tried first.

    `keep` is called in the transaction that stores a window, `kept` after it. Raises KeyRefused; any other failure of a
    window is recorded in unread_days and returned.
    """
    unread: list[Unread] = []
    failed, why = 0, ""  # in a row
    for first, last in in_turn(run, resource, first_day, last_day):
        if failed == DOWN_AFTER:
            unread.append(Unread(first, last, why))
            continue
        begun, bounds = run.now(), run.bounds(first, last)
        try:
            rows = read_list(run, resource, *bounds)
            if resource == "transactions":
                rows = with_doubles(run, rows, *bounds)
        except KeyRefused as refused:
            mark_unread(run, resource, first, last, refused)
            raise
        except (ApiError, IncompleteRead) as error:
            failed, why = failed + 1, "Sitniks could not be read several times in a row"
            if isinstance(error, Unreachable):
                failed, why = DOWN_AFTER, str(error)
            mark_unread(run, resource, first, last, error)
            unread.append(Unread(first, last, str(error)))
            log.warning("%s: %s from %s to %s could not be read: %s", run.connection.name, resource, first, last, error)
            continue
        failed = 0
        with run.warehouse.transaction() as con:
            store(con, run, resource, rows, first, last, begun, bounds)
            keep(con, rows, first, last)
        kept()
    return unread


def in_turn(run: ConnectionRun, resource: Resource, first_day: date, last_day: date) -> list[tuple[date, date]]:
    """The windows of these days: first those that have not failed, then by the time of the last failed try."""
    windows = list(months(first_day, last_day))
    if len(windows) == 1 or not run.warehouse.exists():
        return windows
    with run.warehouse.transaction() as con:
        failed: dict[date, datetime] = dict(
            con.execute("select day, tried_at from unread_days where resource = $1", [resource]).fetchall()
        )

    def tried(window: tuple[date, date]) -> float:
        return max((failed[day].timestamp() for day in days_of(*window) if day in failed), default=0.0)

    return sorted(windows, key=tried)


def read_list(run: ConnectionRun, resource: Resource, start: datetime, end: datetime) -> list[Row]:
    """Read the rows of one window. Raises ApiError, and IncompleteRead also if the list ignores its window."""
    rows = getattr(run.sitniks, resource)(start, end)
    if not rows:
        return rows
    with run.warehouse.transaction() as con, rows_as(con, "told", {"text": [row.text for row in rows]}):
        [(by_created_at, outside, told)] = con.execute(
            sql("strays"), {"start": start, "end": end, "zone": run.connection.timezone}
        ).fetchall()
    path = f"/{resource}"
    if by_created_at > told / 2 and by_created_at > STRAYS:
        raise IncompleteRead(ignored_filter(path))
    # Payments of other days may have been entered on these; windows that must be empty tell the difference.
    if outside > told / 2 and run.sitniks.ignores_dates(path):
        raise IncompleteRead(ignored_filter(path))
    return rows


def mark_unread(run: ConnectionRun, resource: Resource, first: date, last: date, why: Exception) -> None:
    """Record that these days could not be read."""
    with run.warehouse.transaction() as con:
        con.execute(
            sql("unread_days"),
            {
                "resource": resource,
                "first": first,
                "last": last,
                "now": run.now(),
                "forbidden": isinstance(why, KeyRefused),
                "reason": str(why),
            },
        )


def store(
    con: duckdb.DuckDBPyConnection,
    run: ConnectionRun,
    resource: Resource,
    rows: list[Row],
    first: date,
    last: date,
    begun: datetime | None = None,
    bounds: tuple[datetime, datetime] | None = None,
) -> None:
    """Store the rows of one complete read of these days, started at `begun`; new or changed rows as a new version.

    `bounds` are the instants requested from the list.
    """
    save_settings(con, run.connection)
    read_at = begun or run.now()
    store_rows(con, run, resource, rows, first, last, read_at, bounds)
    read = {"resource": resource, "read_at": read_at, "run_id": run.run_id}
    insert_rows(con, "complete_reads", [{**read, "day": day} for day in days_of(first, last)], replacing=True)
    con.execute("delete from unread_days where resource = $1 and day between $2 and $3", [resource, first, last])


def store_rows(
    con: duckdb.DuckDBPyConnection,
    run: ConnectionRun,
    resource: Resource,
    rows: list[Row],
    first: date,
    last: date,
    at: datetime,
    bounds: tuple[datetime, datetime] | None = None,
) -> None:
    """Store rows; one without a usable date is filed under `first`."""
    read_from, read_to = bounds or (None, None)
    con.execute(
        sql("this_read"),
        {
            "first": first,
            "last": last,
            "read_at": at,
            "run_id": run.run_id,
            "read_from": read_from,
            "read_to": read_to,
        },
    )
    told = {"id": [r.id for r in rows], "amount": [r.amount for r in rows], "text": [r.text for r in rows]}
    with rows_as(con, "told", told):
        con.execute(sql("incoming"))
        con.execute(sql(f"raw_sitniks_{resource}"))
        con.execute("drop view incoming")
    if resource == "orders" and run.connection.source == "orders":
        read_fields(con)


def read_fields(con: duckdb.DuckDBPyConnection) -> None:
    """Read the fields of stored orders from which operations follow, unless they are read already."""
    if con.execute("select 1 from raw_sitniks_orders where fields is null limit 1").fetchone():
        con.execute(sql("order_fields"))


def save_settings(con: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Save the settings that the SQL needs. Raises WarehouseError if the file belongs to another company."""
    turn_to_source(con, connection)
    kept = con.execute("select sitniks_url, finmap_url, meaning_hash, stock_account from settings").fetchone()
    if kept and kept[:2] != (connection.sitniks_url, connection.finmap_url):
        raise WarehouseError(
            f"{connection.name}: its DuckDB file was filled from {kept[0]} and {kept[1]}; give the new company its own "
            "connection with another name, or move the file away"
        )
    fields = (
        "timezone", "comment_fields", "source_as_tag", "on_change", "on_delete", "max_change_share", "first_import",
        "start_date", "lookback_days", "unmapped_accounts", "sitniks_url", "finmap_url", "key_prefix", "source",
        "first_read_day",
    )  # fmt: skip
    row = {"connection": connection.name, **{name: getattr(connection, name) for name in fields}}
    if connection.orders:
        row |= {name: getattr(connection.orders, name) for name in ("restock_on_refund", "history_date")}
    else:
        row |= {"restock_on_refund": True, "history_date": "created"}
    row |= {"meaning_hash": kept[2] if kept else None, "stock_account": kept[3] if kept else None}
    replace_table(con, "settings", [row])


def days_of(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def months(first_day: date, last_day: date) -> Iterator[tuple[date, date]]:
    """Split the days into calendar months."""
    while first_day <= last_day:
        next_month = (first_day.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first_day, min(last_day, next_month - timedelta(days=1))
        first_day = next_month
