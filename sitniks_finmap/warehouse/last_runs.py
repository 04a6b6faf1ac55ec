"""How the last run of each kind, and of each step, ended: what `status` knows without asking either API."""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime

import duckdb

from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError, insert_rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastRun:
    """One row of `last_runs`. `error` is about the last end, and stays while the next run is going on."""

    what: str  # sync, deliver, preview, partial; or the step: the name of its table
    run_id: str | None
    started_at: datetime
    ended_at: datetime | None
    error: str | None

    @property
    def unfinished(self) -> bool:
        """Started and not ended: it is going on, or its process was killed."""
        return self.ended_at is None or self.started_at > self.ended_at


def record_start(warehouse: Warehouse, what: str, run_id: str | None, at: datetime) -> None:
    """Writes down that a run begins; how the one before ended is kept. Raises WarehouseError."""
    with warehouse.transaction() as con:
        con.execute(sql("run_started"), {"what": what, "run_id": run_id, "at": at})


def record_ends(warehouse: Warehouse, ended: list[LastRun]) -> None:
    """Writes down how a run and its steps ended. Never raises: how a run ended is not changed by this."""
    try:
        with warehouse.transaction() as con:
            insert_rows(con, "last_runs", [asdict(one) for one in ended], replacing=True)
    except (WarehouseError, duckdb.Error) as error:
        log.error("%s: how this run ended could not be recorded: %s", warehouse.connection, error)


def last_runs(con: duckdb.DuckDBPyConnection) -> list[LastRun]:
    """The last run of each kind and the last of each step, by name."""
    return [LastRun(*row) for row in con.execute("from last_runs order by what").fetchall()]
