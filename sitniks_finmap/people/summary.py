"""A connection in numbers: what exists, is delivered and is pending; and what one run did."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse


@dataclass(frozen=True)
class Sums:
    """Operations of one side: how many, and exact sums in the account's currency."""

    operations: int
    income: Decimal
    expense: Decimal


@dataclass(frozen=True)
class Summary:
    """One connection over some days. Each operation is done, failed, refused, backlog, pending or left out."""

    records: int  # transactions, or orders, live in Sitniks
    wanted: Sums  # the operations that they make
    delivered: Sums  # of these operations, as they were written
    still_there: Sums  # in Finmap, although Sitniks no longer makes them
    left_out: dict[str, int]  # why people keep operations out of Finmap → how many
    unbooked: dict[str, int]  # why orders make no operation → how many
    unbooked_total: Decimal  # what these orders cost
    unbooked_parts: dict[str, int]  # why parts of other orders make none → how many
    operations: int  # all that should be in Finmap, or taken out of it
    done: int  # delivered, and nothing is to be done about them
    failed: int
    backlog: int  # left for the next run
    refused: int  # by Finmap
    rejected: int  # by us: transactions or orders
    pending: int  # a person must decide about their changes
    last_read: datetime | None


@dataclass(frozen=True)
class Done:
    """What some runs did themselves. Counts operations unless noted."""

    days_read: int
    records_read: int  # transactions or orders, live ones of these days
    new_versions: int  # those that were new or had changed
    created: int
    changed: int  # includes a changed sign, which recreates the operation
    withdrawn: int
    found: int  # in Finmap already
    failed: int
    refused: int


def summarize(
    con: duckdb.DuckDBPyConnection, first_day: date | None = None, last_day: date | None = None
) -> Summary | None:
    """The numbers of these days (default: all), or None if nothing was read yet. Needs the table `planned`."""
    if not _row(con, "select exists (from complete_reads)", {})[0]:
        return None
    days = {"first": first_day or date.min, "last": last_day or date.max}
    records, *numbers, last_read = _row(con, sql("summary"), days)
    sides, (operations, done, failed, backlog, refused, rejected, pending) = numbers[:6], numbers[6:]
    left_out = dict(con.execute(sql("left_out"), days).fetchall())
    whole: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    cost = Decimal(0)
    for part, reason, _, orders, total, _ in con.execute(sql("unbooked_by_reason"), days).fetchall():
        (parts if part else whole)[reason] += orders
        cost += total
    return Summary(
        records,
        Sums(*sides[:3]),
        Sums(*sides[3:]),
        Sums(*_row(con, sql("still_there"), days)),
        left_out,
        dict(whole),
        cost,
        dict(parts),
        operations,
        done,
        failed,
        backlog,
        refused,
        rejected,
        pending,
        last_read,
    )


def done_by(warehouse: Warehouse, run_ids: list[str], days: tuple[date, date], begun: datetime) -> Done:
    """What these runs, the first begun at `begun`, did over these days. Raises WarehouseError."""
    with warehouse.transaction() as con:
        return Done(
            *_row(con, sql("done_by_runs"), {"runs": run_ids, "first": days[0], "last": days[1], "begun": begun})
        )


def _row(con: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> tuple[Any, ...]:
    return con.execute(query, values).fetchone() or ()
