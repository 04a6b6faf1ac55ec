"""Sitniks → raw_sitniks_transactions."""

import logging
from datetime import date

import duckdb

from sitniks_finmap.clients.sitniks_list import Row
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.figures import counted
from sitniks_finmap.pipeline.reading import UnreadDays, read_windows
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql

log = logging.getLogger(__name__)


def read_transactions(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Read the transactions of these days a month at a time, storing each month once it is complete.

    Raises UnreadDays after storing all other days, KeyRefused, WarehouseError.
    """

    def keep(con: duckdb.DuckDBPyConnection, rows: list[Row], first: date, last: date) -> None:
        con.execute(sql("absent_transactions"))
        (missing,) = con.execute("select count(*) from absent").fetchone() or (0,)
        absent = f", {missing:,} no longer there" if missing else ""
        log.info("%s: %s from %s to %s%s", run.connection.name, counted(len(rows), "record"), first, last, absent)

    unread = read_windows(run, "transactions", first_day, last_day, keep, lambda: failpoint("window_committed"))
    if unread:
        raise UnreadDays(unread)
