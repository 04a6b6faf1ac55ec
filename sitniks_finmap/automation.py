"""When things run: the jobs of a connection and the sensors that launch them."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from sitniks_finmap.assets.deliver import DeliverConfig
from sitniks_finmap.connections import Connection, spoken
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.housekeeping import report_killed_runs
from sitniks_finmap.run import open_warehouse, today
from sitniks_finmap.schema import sql
from sitniks_finmap.warehouse import Warehouse

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
DELIVERY = ("operations", "finmap_upload", "finmap_operations", "reconciliation")
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def connection_jobs(connection: Connection, assets: Sequence[dg.AssetsDefinition]) -> list[Any]:
    """`<connection>_sync`, the whole way, and `<connection>_deliver`, its second half."""
    tags = {"connection": connection.name}
    delivery = [asset for asset in assets if asset.key.path[-1] in DELIVERY]
    return [
        dg.define_asset_job(
            f"{connection.name}_sync",
            selection=dg.AssetSelection.assets(*assets),
            description="Sitniks → DuckDB → Finmap for a range of days.",
            tags=tags,
        ),
        dg.define_asset_job(
            f"{connection.name}_deliver",
            selection=dg.AssetSelection.assets(*delivery),
            description="Derives and delivers what is due of a range of days; reads nothing from Sitniks.",
            tags=tags,
        ),
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


def days_to_sync(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date]:
    """The days that a sync reads: from `lookback_days` before today, or from the first day never read before.

    Days at either end that failed before are left out, so that they stop no others: they are tried on their own. When
    all of them failed, they are tried.
    """
    last_day = today(connection, now)
    first_day = min(first_unread_day(connection, warehouse, last_day), last_day - timedelta(connection.lookback_days))
    first_day = max(first_day, connection.start_date)
    if not warehouse.exists():
        return first_day, last_day
    with warehouse.transaction() as con:
        readable = con.execute(
            """
            select min(day)::date, max(day)::date
            from generate_series($1::date, $2::date, interval 1 day) days(day)
            where day not in (select day from unread_days where resource = 'transactions')
            """,
            [first_day, last_day],
        ).fetchone()
    return readable if readable and readable[0] else (first_day, last_day)


def first_unread_day(connection: Connection, warehouse: Warehouse, last_day: date) -> date:
    """The first day since start_date that was neither read completely nor tried; a first import goes on there.

    A day that was read before it ended is not: what came after is read when the machine has been off, too.
    """
    if not warehouse.exists():
        return connection.start_date
    with warehouse.transaction() as con:
        row = con.execute(
            sql("first_unread_day"), {"first": connection.start_date, "last": last_day, "zone": connection.timezone}
        ).fetchone()
    return row[0] if row and row[0] else last_day


def days_to_read_again(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """The month that was tried longest ago of those that are due to be read again, or None.

    Only of days that were read or tried before: a first import is the sync's.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        row = con.execute(
            sql("months_to_read_again"),
            {
                "first": connection.start_date,
                "today": today(connection, now),
                "recent": today(connection, now) - timedelta(connection.lookback_days),
                "zone": connection.timezone,
                "now": now,
                "every": connection.full_resync_every,
                "soon": connection.sync_every,
            },
        ).fetchone()
    return (row[0], row[1]) if row else None


def days_to_try_again(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """The same, but only what failed or misses a transaction; the command tries it where no sensor does."""
    return days_to_read_again(connection.model_copy(update={"full_resync_every": timedelta(36500)}), warehouse, now)


def unread_since(warehouse: Warehouse, moment: datetime) -> bool:
    """Whether days of transactions could not be read since then."""
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        query = "select count(*) from unread_days where resource = 'transactions' and tried_at >= $1"
        return (con.execute(query, [moment]).fetchone() or (0,))[0] > 0


def days_due(warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """First and last day with something that can be delivered now: failed, to be verified, changed, or backlog.

    Also what a run read and could not derive, because it died or some days of it could not be read.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        row = con.execute(
            """
            select min(day), max(day)
            from (
                select day from plan where standing = 'go' and (due_at is null or due_at <= $1)
                union all
                select day from underived_transactions
            ), settings
            where day between start_date and timezone(timezone, $1::timestamptz)::date
            """,
            [now],
        ).fetchone()
    return (row[0], row[1]) if row and row[0] else None


def range_tags(first_day: date, last_day: date) -> dict[str, str]:
    """The tags that make one run of a range of partitions."""
    return {RANGE_START: first_day.isoformat(), RANGE_END: last_day.isoformat()}


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
