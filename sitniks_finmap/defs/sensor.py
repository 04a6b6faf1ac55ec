"""What launches the jobs of a connection."""

from datetime import UTC, date, datetime

import dagster as dg

from sitniks_finmap.connections import Connection, spoken
from sitniks_finmap.days import Clock, utc_now
from sitniks_finmap.defs.assets.deliver import DeliverConfig
from sitniks_finmap.defs.housekeeping import report_killed_runs
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.pipeline.due import days_due, days_to_read_again, days_to_sync
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def connection_sensors(connection: Connection, *, now: Clock = utc_now) -> list[dg.SensorDefinition]:
    warehouse = open_warehouse(connection)

    @dg.sensor(
        name=f"{connection.name}_sync_sensor",
        job_name=f"{connection.name}_sync",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Syncs recent days every {spoken(connection.sync_every)}, and what was never read before.",
    )
    def sync_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        _must_be_able_to_run(connection)
        moment = now()
        due = datetime.fromisoformat(context.cursor) + connection.sync_every if context.cursor else moment
        # A cursor ahead of the clock was written before the clock was set back: it must not stop the syncs.
        if moment < due <= moment + connection.sync_every:
            return dg.SkipReason(f"The next sync is due at {_local(connection, due)}.")
        if busy := _busy(context.instance, connection, warehouse, moment):
            return dg.SkipReason(f"{busy}; the sync that is due follows it.")
        first_day, last_day = days_to_sync(connection, warehouse, moment)
        if first_day > last_day:
            return dg.SkipReason(f"The import begins on {connection.start_date}.")
        failpoint("cursor_advanced")
        return dg.SensorResult(
            run_requests=[_request(connection, "sync", first_day, last_day, moment)],
            cursor=moment.isoformat(),
        )

    @dg.sensor(
        name=f"{connection.name}_retry_sensor",
        job_name=f"{connection.name}_deliver",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Every {spoken(connection.retry_every)} delivers what failed, what to verify, and backlog.",
    )
    def retry_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        _must_be_able_to_run(connection)
        moment = now()
        due = datetime.fromisoformat(context.cursor) + connection.retry_every if context.cursor else moment
        if moment < due <= moment + connection.retry_every:
            return dg.SkipReason(f"The next look is due at {_local(connection, due)}.")
        if busy := _busy(context.instance, connection, warehouse, moment):
            return dg.SkipReason(f"{busy}; nothing else is delivered meanwhile.")
        if _sync_is_due(context.instance, connection, moment):
            return dg.SkipReason("A sync is due and goes first: it brings what is new.")
        days = days_due(warehouse, moment)
        if days is None:
            return dg.SensorResult(
                skip_reason=dg.SkipReason("Nothing failed, nothing waits."), cursor=moment.isoformat()
            )
        failpoint("cursor_advanced")
        return dg.SensorResult(run_requests=[_request(connection, "deliver", *days, moment)], cursor=moment.isoformat())

    @dg.sensor(
        name=f"{connection.name}_full_sync_sensor",
        job_name=f"{connection.name}_sync",
        minimum_interval_seconds=300,  # between two months, so that the hourly sync gets its turn
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Reads the whole history again every {spoken(connection.full_resync_every)}, a month at a time.",
    )
    def full_sync_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        _must_be_able_to_run(connection)
        moment = now()
        if busy := _busy(context.instance, connection, warehouse, moment):
            return dg.SkipReason(f"{busy}; the history can wait.")
        days = days_to_read_again(connection, warehouse, moment)
        if days is None:
            return dg.SkipReason(f"All of the history was read within {spoken(connection.full_resync_every)}.")
        return dg.SensorResult(run_requests=[_request(connection, "full sync", *days, moment)])

    return [sync_sensor, retry_sensor, full_sync_sensor]


def _request(connection: Connection, what: str, first: date, last: date, moment: datetime) -> dg.RunRequest:
    op = f"{connection.name}__finmap_upload"
    return dg.RunRequest(
        # With the offset, so that the hour that comes twice in October is two keys.
        run_key=f"{what} {moment.astimezone(connection.zone).isoformat(timespec='seconds')}",
        run_config=dg.RunConfig(ops={op: DeliverConfig(minutes=connection.deliver_minutes)}),
        tags={"connection": connection.name, **range_tags(first, last)},
    )


def _must_be_able_to_run(connection: Connection) -> None:
    """A connection without its keys shows as a failed tick, with the reason, and launches nothing."""
    if problem := connection.problem():
        raise dg.Failure(problem)


def _sync_is_due(instance: dg.DagsterInstance, connection: Connection, now: datetime) -> bool:
    """Whether the last sync that was launched is longer ago than `sync_every`; a backlog must not keep it waiting."""
    syncs = instance.get_run_records(dg.RunsFilter(job_name=f"{connection.name}_sync"), limit=1)
    return bool(syncs) and now - syncs[0].create_timestamp.replace(tzinfo=UTC) > connection.sync_every


def _busy(instance: dg.DagsterInstance, connection: Connection, warehouse: Warehouse, now: datetime) -> str | None:
    """Who is at work on the connection, or None. Runs whose process was killed are reported as failed first."""
    if warehouse.is_running():
        return "A run is in progress"
    report_killed_runs(instance, connection, now)
    waiting = instance.get_run_records(
        dg.RunsFilter(tags={"connection": connection.name}, statuses=UNFINISHED), limit=1
    )
    return f"Run {waiting[0].dagster_run.run_id[:8]} is in progress" if waiting else None


def _local(connection: Connection, moment: datetime) -> str:
    return moment.astimezone(connection.zone).strftime("%Y-%m-%d %H:%M:%S")
