"""Runs the Dagster jobs of a connection from the command line, on the instance that the UI shows."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from sqlalchemy.exc import DBAPIError

from sitniks_finmap.automation import range_tags, utc_now
from sitniks_finmap.connection_definitions import connection_definitions
from sitniks_finmap.connections import Connection, data_folder
from sitniks_finmap.housekeeping import report_killed_runs
from sitniks_finmap.run import open_warehouse
from sitniks_finmap.warehouse import private_folder

STAGED = ("raw_sitniks_transactions", "raw_sitniks_orders", "operations")
PACKAGE = Path(__file__).parent
FAILURE = f"{dg.Failure.__module__}.{dg.Failure.__name__}"  # how Dagster begins the message of one


@dataclass(frozen=True)
class Run:
    """How a run ended; `why` says for people what failed."""

    run_id: str
    success: bool
    why: str


def prepare_home() -> Path:
    """DAGSTER_HOME, or `<data>/dagster` when it is unset: made when missing, with our dagster.yaml in it."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(data_folder() / "dagster")))
    private_folder(home)
    settings = home / "dagster.yaml"
    if not settings.exists():
        # Beside the package in a wheel, in the folder above in a checkout.
        ours = next(f / "dagster.yaml" for f in (PACKAGE, PACKAGE.parent) if (f / "dagster.yaml").exists())
        shutil.copyfile(ours, settings)
    return home


class RunsUnavailable(Exception):
    """Dagster's database of runs cannot be read or written; the message says where it is and what to do."""


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the UI shows. Raises RunsUnavailable."""
    home = prepare_home()
    try:
        with dg.DagsterInstance.get() as found:
            yield found
    except DBAPIError as error:
        raise RunsUnavailable(
            f"Dagster's database of runs in {home} cannot be used: {error.orig}. Stop what holds it, or free the disk, "
            "then run again; what was read and delivered until now is kept"
        ) from None


def run_job(
    dagster: dg.DagsterInstance,
    connection: Connection,
    what: Literal["sync", "stage", "deliver"],
    first_day: date,
    last_day: date,
) -> Run:
    """One run over these days, in this process; `stage` is the sync without its last step."""
    if not open_warehouse(connection).is_running():
        report_killed_runs(dagster, connection, utc_now())
    job = connection_definitions(connection).resolve_job_def(
        f"{connection.name}_{'deliver' if what == 'deliver' else 'sync'}"
    )
    result = job.execute_in_process(
        instance=dagster,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={"connection": connection.name, **range_tags(first_day, last_day)},
        asset_selection=[dg.AssetKey([connection.name, table]) for table in STAGED] if what == "stage" else None,
        raise_on_error=False,
    )
    return Run(result.run_id, result.success, "" if result.success else _why(dagster, result.run_id))


def _why(dagster: dg.DagsterInstance, run_id: str) -> str:
    """What the failed steps of a run say, or its resource: that another run holds the connection."""
    reasons = []
    failures = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RESOURCE_INIT_FAILURE}
    for entry in dagster.all_logs(run_id, of_type=failures):
        failure: Any = entry.dagster_event.event_specific_data if entry.dagster_event else None
        told = getattr(failure, "user_failure_data", None)
        said = told.description if told else None
        if said or failure.error:
            reasons.append(said or failure.error.message.strip().removeprefix(f"{FAILURE}: "))
    return "; ".join(dict.fromkeys(reasons)) or "see the run in the Dagster UI"
