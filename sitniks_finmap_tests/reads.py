"""Reads from Sitniks without Dagster, and which days the warehouse then knows completely."""

from datetime import date, datetime, timedelta
from typing import Any

from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.orders import read_orders
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.sandbox import Shop
from sitniks_finmap.warehouse.store import Warehouse, insert_rows
from sitniks_finmap_tests.deliveries import NOON, want

FIRST, LAST = date(2025, 1, 31), date(2025, 3, 2)  # three windows


def extract(run: ConnectionRun, first: date, last: date, *, orders: bool = False) -> str | None:
    """Reads the transactions of these days, with `orders` also the orders. What a failure says, or None."""
    try:
        with run.explained():
            read_transactions(run, first, last)
            if orders:
                read_orders(run, first, last)
    except StepFailed as failure:
        return str(failure)
    return None


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.transaction() as con:
        return con.execute(query).fetchall()


def complete(warehouse: Warehouse, resource: str) -> list[tuple[date, date, int]]:
    """First and last day that were read completely, and how many."""
    return rows(warehouse, f"select min(day), max(day), count(*) from complete_reads where resource = '{resource}'")


def mark_read(warehouse: Warehouse, first: date, last: date, at: datetime = NOON) -> None:
    """Both resources of these days count as read completely at that moment."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = [
        {"resource": resource, "day": day, "read_at": at, "run_id": "r"}
        for resource in ("transactions", "orders")
        for day in days
    ]
    with warehouse.transaction() as con:
        insert_rows(con, "complete_reads", rows, replacing=True)


def everything_due(warehouse: Warehouse, shop: Shop) -> None:
    """One operation to deliver, and a history that was read so long ago that it is due even 40 days earlier."""
    long_ago = NOON - timedelta(days=60)
    want(warehouse, shop, {"occurred_at": long_ago})
    mark_read(warehouse, date(2025, 1, 10), date(2026, 1, 8), long_ago)
