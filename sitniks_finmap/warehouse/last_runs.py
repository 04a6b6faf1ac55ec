"""Records how the last run of each kind and each step ended, so that `status` needs no API."""

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import duckdb

from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError, insert_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastRun:
    """One row of `last_runs`. `error` is that of the last end, and stays while the next run is in progress."""

    what: str  # sync, deliver, preview, partial; or the step: the name of its table
    run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    succeeded_at: datetime | None = None  # the last end without an error

    @property
    def unfinished(self) -> bool:
        """Whether it started and did not end: it is in progress, or its process was killed."""
        return self.ended_at is None or self.started_at > self.ended_at


def record_start(warehouse: Warehouse, what: str, run_id: str | None, at: datetime) -> None:
    """Record the start of a run; how the previous one ended is kept. Raises WarehouseError."""
    with warehouse.transaction() as con:
        con.execute(sql("run_started"), {"what": what, "run_id": run_id, "at": at})


def record_ends(warehouse: Warehouse, ended: list[LastRun]) -> None:
    """Record how a run and its steps ended. Never raises, so as not to change that."""
    try:
        with warehouse.transaction() as con:
            before = {one.what: one.succeeded_at for one in last_runs(con)}
            rows = [replace(one, succeeded_at=before.get(one.what) if one.error else one.ended_at) for one in ended]
            insert_rows(con, "last_runs", [asdict(one) for one in rows], replacing=True)
    except (WarehouseError, duckdb.Error) as error:
        log.error("%s: how this run ended could not be recorded: %s", warehouse.connection, error)


def last_runs(con: duckdb.DuckDBPyConnection) -> list[LastRun]:
    """The last run of each kind and the last of each step, by name."""
    return [LastRun(*row) for row in con.execute("from last_runs order by what").fetchall()]
