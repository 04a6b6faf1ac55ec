"""raw_sitniks_transactions or raw_sitniks_orders → operations, rejected_transactions, unbooked_orders."""

import logging
from datetime import UTC, date, datetime

import duckdb

from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.pipeline.directory import read_directory, save_directory
from sitniks_finmap.pipeline.order_statuses import check_statuses, save_statuses
from sitniks_finmap.pipeline.reading import read_fields
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import main_source, sql

log = logging.getLogger(__name__)

STEPS = {
    "transactions": ("live_records", "derived_transactions", "operations", "rejected_transactions"),
    "orders": (
        "live_records",
        "order_stages",
        "stages_from_finmap",
        "derived_orders",
        "operations",
        "rejected_transactions",
        "unbooked_orders",
    ),
}


def derive_operations(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Read Finmap's accounts and categories, and derive these days and anything else that changed since."""
    lists = check_statuses(run)
    directory, run.directory = run.directory or read_directory(run.finmap, run.connection), None
    with run.warehouse.transaction() as con:
        if lists is not None:
            save_statuses(con, lists)
        save_directory(con, run.connection, directory)
        derive(con, first_day, last_day, run.now())
    failpoint("operations_derived")


def derive(con: duckdb.DuckDBPyConnection, first_day: date, last_day: date, now: datetime | None = None) -> None:
    """Derive the operations of these days, and any others whose source or configuration changed since."""
    con.execute(sql("chosen_days"), {"first": first_day, "last": last_day, "now": now or datetime.now(UTC)})
    source = main_source(con)
    if source == "orders":
        read_fields(con)  # of orders that an earlier version stored
    for step in STEPS[source]:
        con.execute(sql(step))
