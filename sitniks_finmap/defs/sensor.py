"""The sensor that launches the jobs of a connection."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from sitniks_finmap.days import Clock, format_duration, utc_now
from sitniks_finmap.defs.assets.deliver import DeliverConfig
from sitniks_finmap.defs.housekeeping import report_killed_runs
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.pipeline.due import Memory, NextRun, NoRun, next_run
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def connection_sensor(connection: Connection, jobs: Sequence[Any], *, now: Clock = utc_now) -> dg.SensorDefinition:
    """`<connection>_sensor`, which launches these jobs of the connection."""
    warehouse = open_warehouse(connection)

    @dg.sensor(
        name=f"{connection.name}_sensor",
        jobs=jobs,
        minimum_interval_seconds=seconds_between_ticks(connection),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Every {format_duration(connection.sync_every)}, syncs recent days and any days never read before. "
            f"Every {format_duration(connection.retry_every)}, delivers what failed, is unverified or was left over. "
            f"Every {format_duration(connection.full_resync_every)}, reads the whole history again, a month at a time. "
            "One run at a time, syncs before deliveries."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if problem := connection.problem():
            raise dg.Failure(problem)  # a failed tick that shows the reason
        moment = now()

        def busy() -> str | None:
            return _busy(context.instance, connection, warehouse, moment)

        answer = next_run(connection, warehouse, moment, Memory.from_text(context.cursor), busy)
        if isinstance(answer, NoRun):
            return dg.SensorResult(skip_reason=answer.why, cursor=answer.memory.to_text())
        failpoint("cursor_advanced")
        return dg.SensorResult(run_requests=[_request(connection, answer, moment)], cursor=answer.memory.to_text())

    return sensor


def seconds_between_ticks(connection: Connection) -> int:
    """A tenth of the shortest wait of this connection, from 30 to 90 seconds.

    A tick that finds nothing due costs the daemon and the code server some 50 ms of CPU and Dagster five commits: with
    a hundred shops, looking twice a minute takes a third of a core.
    """
    return round(min(max(min(connection.sync_every, connection.retry_every).total_seconds() / 10, 30), 90))


def _request(connection: Connection, run: NextRun, moment: datetime) -> dg.RunRequest:
    op = f"{connection.name}__finmap_upload"
    job = "deliver" if run.what == "deliver" else "sync"  # a full re-read is a sync of one month
    return dg.RunRequest(
        # With the UTC offset, so that the hour repeated in October has two keys.
        run_key=f"{run.what} {moment.astimezone(connection.zone).isoformat(timespec='seconds')}",
        job_name=f"{connection.name}_{job}",
        run_config=dg.RunConfig(ops={op: DeliverConfig(minutes=connection.deliver_minutes)}),
        tags={"connection": connection.name, **range_tags(run.first_day, run.last_day)},
    )


def _busy(instance: dg.DagsterInstance, connection: Connection, warehouse: Warehouse, now: datetime) -> str | None:
    """Which run is in progress, or None. Reports killed runs as failed first."""
    if warehouse.is_running():
        return "A run is in progress"
    report_killed_runs(instance, connection, now)
    waiting = instance.get_run_records(
        dg.RunsFilter(tags={"connection": connection.name}, statuses=UNFINISHED), limit=1
    )
    return f"Run {waiting[0].dagster_run.run_id[:8]} is in progress" if waiting else None
