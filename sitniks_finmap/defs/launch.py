"""Runs the Dagster jobs of a connection from the command line, on the instance that the UI shows."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import execute_run_iterator
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.interrupts import capture_interrupts
from filelock import FileLock
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from sitniks_finmap.days import utc_now
from sitniks_finmap.defs.connection_definitions import connection_definitions
from sitniks_finmap.defs.failed_checks import failed_checks
from sitniks_finmap.defs.housekeeping import report_killed_runs
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.defs.resources import SOURCES, WRONG_CONFIGURATION, ConnectionResource
from sitniks_finmap.defs.storage import RunsUnavailable as RunsUnavailable
from sitniks_finmap.defs.storage import explained, warn_of_another_version
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.hosts import name_here
from sitniks_finmap.settings.last_good import load_running
from sitniks_finmap.settings.private_files import data_folder, private_folder
from sitniks_finmap.warehouse.store import open_warehouse

# Dagster would start four processes per run to copy its output into files; on Ctrl-C, each prints a traceback. Log
# messages are in the run's events anyway.
NO_CAPTURE = {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}
PACKAGE = Path(__file__).parents[1]
CHECKS_FAILED = "DagsterAssetCheckFailedError"  # Dagster only names the checks; we print their texts
FAILURE = f"{dg.Failure.__module__}.{dg.Failure.__name__}"  # Dagster prefixes its message with this
DEFINITIONS = "sitniks_finmap.definitions"
INTERRUPTIONS = (DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
LOCATION = "sitniks_finmap"  # the code location's name in workspace.yaml, until Dagster has told another
REPOSITORY = "__repository__"  # the name that Dagster gives to a Definitions object


@dataclass(frozen=True)
class Run:
    """How a run ended; `why` says what failed, `misconfigured` whether settings or keys are the cause."""

    run_id: str
    success: bool
    why: str
    misconfigured: bool = False


def prepare_home() -> Path:
    """DAGSTER_HOME, or `<data>/dagster` if unset: created if missing, with our dagster.yaml in it.

    Raises ConfigurationError for a path that Dagster cannot use, and OSError.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster").expanduser()
    if not home.is_absolute():
        raise ConfigurationError(f"DAGSTER_HOME is {home}: Dagster needs an absolute path, such as {home.absolute()}")
    if make_url(f"sqlite:///{home}").database != str(home):  # Dagster builds this URL
        raise ConfigurationError(f'Dagster cannot keep runs in {home}: set DAGSTER_HOME to a path without "?" and "%"')
    os.environ["DAGSTER_HOME"] = str(home)
    private_folder(home)
    settings = home / "dagster.yaml"
    if not settings.exists():
        # Beside the package in a wheel, in the folder above in a checkout.
        ours = next(f / "dagster.yaml" for f in (PACKAGE, PACKAGE.parent) if (f / "dagster.yaml").exists())
        whole = settings.with_suffix(f".{os.getpid()}")
        shutil.copyfile(ours, whole)
        whole.replace(settings)  # a process starting at the same time sees the whole file or none
    return home


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the UI shows. Raises RunsUnavailable, ConfigurationError."""
    home = prepare_home()
    with explained(home), opened(home) as found:
        warn_of_another_version(found, home)
        yield found


def opened(home: Path) -> dg.DagsterInstance:
    """Opens the instance. Dagster creates its tables without a lock: of two processes starting in a new home, one
    failed with "table runs already exists". Commands wait for each other, and retry if `dagster dev` is starting.
    """
    patience = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, DBAPIError) and "locked" not in str(error)),
        stop=stop_after_attempt(3),
        wait=wait_fixed(1),
        reraise=True,
    )

    def opened() -> dg.DagsterInstance:
        found = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"compute_logs": NO_CAPTURE}))
        _ = found.run_storage, found.event_log_storage, found.schedule_storage  # accessing them creates their tables
        return found

    with FileLock(home / "opening.lock", mode=0o600):
        return patience(opened)


def run_job(
    dagster: dg.DagsterInstance,
    connection: Connection,
    what: Literal["sync", "preview", "deliver"],
    first_day: date,
    last_day: date,
) -> Run:
    """Runs a job over these days in this process; `preview` is a sync up to `operations`."""
    if not open_warehouse(connection).is_running():
        report_killed_runs(dagster, connection, utc_now())
    job = _job(connection, f"{connection.name}_{'deliver' if what == 'deliver' else 'sync'}")
    with capture_interrupts():  # Ctrl-C waits until there is a step to interrupt: no run stays unfinished
        run = dagster.create_run_for_job(
            job,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={**job.run_tags, "connection": connection.name, **range_tags(first_day, last_day)},
            asset_selection=_previewed(connection) if what == "preview" else None,
            remote_job_origin=job_origin(job.name),
        )
        interrupted = False
        for event in execute_run_iterator(InMemoryJob(job), run, dagster):
            if _is_interrupt(event):
                interrupted = True
                if event.is_step_failure:  # the run ends next, as canceled instead of failed
                    dagster.report_run_canceling(run, "Interrupted from the keyboard.")
    if interrupted:
        raise KeyboardInterrupt
    ended = dagster.get_run_by_id(run.run_id)
    success = ended is not None and ended.status is dg.DagsterRunStatus.SUCCESS
    return Run(run.run_id, True, "") if success else _failed(dagster, run.run_id)


def _previewed(connection: Connection) -> set[dg.AssetKey]:
    """The assets of a sync up to `operations`."""
    tables = (
        *SOURCES[connection.source],
        "operations",
        *(["unbooked_orders"] if connection.source == "orders" else []),
    )
    return {dg.AssetKey([connection.name, table]) for table in tables}


def _job(connection: Connection, name: str) -> dg.JobDefinition:
    """The job as the code location has it, with the resources of all connections: if the snapshot differed, the UI
    would warn before re-executing a run.
    """
    others = {
        one.name: ConnectionResource(connection=one.name)
        for one in load_running().connections
        if one.name != connection.name
    }
    return dg.Definitions.merge(connection_definitions(connection), dg.Definitions(resources=others)).resolve_job_def(
        name
    )


def job_origin(job_name: str) -> RemoteJobOrigin:
    """The origin of the job in the code location of workspace.yaml: with it, a run is listed in Timeline and Jobs and
    can be re-executed, like a run launched in the UI.
    """
    target = LoadableTargetOrigin(
        executable_path=sys.executable, module_name=DEFINITIONS, working_directory=str(Path.cwd())
    )
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, name_here() or LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), job_name)


def _is_interrupt(event: dg.DagsterEvent) -> bool:
    """Whether Ctrl-C or SIGTERM ended a step, or the wait for the connection's lock."""
    error = getattr(event.event_specific_data, "error", None)
    return error is not None and error.cls_name in INTERRUPTIONS


def _failed(dagster: dg.DagsterInstance, run_id: str) -> Run:
    """Why a run failed, from its failed steps or its resource (another run holds the connection)."""
    reasons = []
    misconfigured = False
    failures = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RESOURCE_INIT_FAILURE}
    for entry in dagster.all_logs(run_id, of_type=failures):
        failure: Any = entry.dagster_event.event_specific_data if entry.dagster_event else None
        told = getattr(failure, "user_failure_data", None)
        said = told.description if told else None
        misconfigured |= bool(told and WRONG_CONFIGURATION in told.metadata)
        if not said and failure.error and CHECKS_FAILED in failure.error.message:
            run = dagster.get_run_by_id(run_id)
            if run:
                shop = run.tags.get("connection", "")
                reasons += [f"{shop}: {one.problem} {one.what_to_do}" for one in failed_checks(dagster, run)]
        elif said or failure.error:
            reasons.append(said or failure.error.message.strip().removeprefix(f"{FAILURE}: "))
    why = "; ".join(dict.fromkeys(reasons)) or "see the run in the Dagster UI"
    return Run(run_id, False, why, misconfigured)
