"""raw_sitniks_orders: reads the orders of the days from the list, and a few others by ID.

With transactions as the source, an order only contributes to the comment of a payment: orders that cannot be read stay
as last known and are reported; they hold up no payment. With orders as the source, days that cannot be read fail.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date, datetime

import duckdb

from sitniks_finmap.clients.answers import ApiError, KeyRefused, Unreachable
from sitniks_finmap.clients.sitniks_list import Row
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.figures import counted
from sitniks_finmap.pipeline.reading import UnreadDays, mark_unread, read_windows, store_rows
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.progress import Progress
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import rows_as

log = logging.getLogger(__name__)

BUDGET = 50  # orders re-read by ID in one run
SHARE = 3  # with orders as the source: of those that may have moved, at least so many of the due ones
DOWN_AFTER = 3  # consecutive unreadable orders after which the problem is not the orders
# Never request an ID that no order has: for a malformed URL a server answers with a web page.
# No repetition count, which takes RE2 50 ms to compile.
ORDER_ID = r"[\p{L}\p{N}_-][\p{L}\p{N}_.:-]*"
LONGEST_ORDER_ID = 64
FEW = 50  # asked for by ID between two transactions


@dataclass
class Try:
    """What became of asking for one order."""

    order_id: str
    found: bool = False
    missing: bool = False
    reason: str = ""


@dataclass
class Batch:
    """What became of asking for a few orders."""

    failed: int  # in a row, at its end
    found: list[Row] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    refused: KeyRefused | None = None


def read_orders(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Read the orders of these days, and by ID those of transactions and operations that are due.

    Raises only WarehouseError: what Sitniks does not return is recorded in unread_days and order_tries.
    """
    begun = run.now()
    try:
        read_windows(run, "orders", first_day, last_day, _tell(run), lambda: failpoint("orders_committed"))
        fetch_orders(run, orders_due(run, first_day, last_day, begun), first_day)
    except KeyRefused as refused:
        # The same key has just read the transactions: it lacks the right to orders.
        mark_unread(run, "orders", first_day, last_day, refused)
        log.warning("%s: orders cannot be read, their statuses stay as last known: %s", run.connection.name, refused)


def read_orders_as_source(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Read the orders of these days, and by ID those that may have moved or that the list no longer shows.

    Before the first day of the import, also those of the weeks before it: they may be paid after it. Raises UnreadDays
    after storing all other days, KeyRefused, WarehouseError.
    """
    begun = run.now()
    if first_day == run.connection.start_date:
        first_day = run.connection.first_read_day
    unread = read_windows(run, "orders", first_day, last_day, _tell(run), lambda: failpoint("window_committed"))
    fetch_orders(run, orders_due(run, first_day, last_day, begun), first_day)
    if unread:
        raise UnreadDays(unread)


def _tell(run: ConnectionRun) -> Callable[[duckdb.DuckDBPyConnection, list[Row], date, date], None]:
    """What to do with a window that was read: log how many orders it has."""

    def tell(con: duckdb.DuckDBPyConnection, rows: list[Row], first: date, last: date) -> None:
        log.info("%s: %s from %s to %s", run.connection.name, counted(len(rows), "order"), first, last)

    return tell


def orders_due(run: ConnectionRun, first_day: date, last_day: date, begun: datetime) -> list[str]:
    """The IDs of the orders to read now, never-read ones first; none that was read since `begun`."""
    which = {
        "first": first_day,
        "last": last_day,
        "final": run.connection.final_order_statuses,
        "begun": begun,
        "now": run.now(),
        "budget": BUDGET,
        "pattern": ORDER_ID,
        "longest": LONGEST_ORDER_ID,
    }
    with run.warehouse.transaction() as con:
        if run.connection.source == "orders":
            rows = con.execute(sql("orders_to_read_again"), which | {"share": SHARE}).fetchall()
        else:
            rows = con.execute(sql("orders_due"), which | {"zone": run.connection.timezone}).fetchall()
    return [order_id for (order_id,) in rows]


def fetch_orders(run: ConnectionRun, order_ids: list[str], day: date) -> None:
    """Read orders by ID, saving a few at a time. Raises KeyRefused if the key lacks the right."""
    failed = 0  # in a row
    with Progress(run.connection.name, "orders read by ID") as progress:
        for start in range(0, len(order_ids), FEW):
            progress.report(start, len(order_ids))
            batch = fetch_batch(run, order_ids[start : start + FEW], failed)
            save_tries(run, batch, day)
            if batch.refused:
                raise batch.refused
            failed = batch.failed
            if failed == DOWN_AFTER:
                log.warning("%s: this run reads no more orders", run.connection.name)
                return


def fetch_batch(run: ConnectionRun, order_ids: list[str], failed: int) -> Batch:
    """Ask for these orders one by one, until too many in a row fail; `failed` did just before."""
    batch = Batch(failed)
    for order_id in order_ids:
        try:
            row = run.sitniks.order(order_id)
        except KeyRefused as refused:
            batch.refused = refused
            break
        except Unreachable:
            batch.failed = DOWN_AFTER  # nothing is known about any order: the next run retries all of them
            break
        except ApiError as error:
            batch.failed += 1
            batch.tries.append(Try(order_id, reason=str(error)))
            if batch.failed == DOWN_AFTER:
                break
            continue
        batch.failed = 0
        if row:
            batch.found.append(row)
            batch.tries.append(Try(order_id, found=True))
        else:
            batch.tries.append(Try(order_id, missing=True, reason="Sitniks has no such order"))
    return batch


def save_tries(run: ConnectionRun, batch: Batch, day: date) -> None:
    """Save the orders that were read, and record the failed tries of the others."""
    if not batch.tries:
        return
    now = run.now()
    tries = {column.name: [getattr(one, column.name) for one in batch.tries] for column in fields(Try)}
    with run.warehouse.transaction() as con:
        store_rows(con, run, "orders", batch.found, day, day, now)
        con.execute("create or replace temp table this_try as select $1::timestamptz as tried_at", [now])
        with rows_as(con, "asked", tries):
            con.execute(sql("order_tries"))
    failpoint("orders_committed")
