"""Keeps Dagster's own records tidy: runs whose process was killed, runs that nobody asks about any more."""

import os
from datetime import UTC, datetime, timedelta

import dagster as dg

from sitniks_finmap.connections import Connection

ALIVE_UNTIL_NOW = timedelta(minutes=2)  # a run takes seconds from its start to the lock
DELETED_AT_ONCE = 500


def report_killed_runs(instance: dg.DagsterInstance, connection: Connection, now: datetime) -> None:
    """Runs of this connection that are "started" while nobody holds its lock: their process is gone.

    Call it only when the lock is free. Without it such a run would stop the connection for ever.
    """
    started = dg.RunsFilter(
        tags={"connection": connection.name},
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING],
    )
    for record in instance.get_run_records(started):
        begun = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
        if now - begun > ALIVE_UNTIL_NOW:
            instance.report_run_failed(
                record.dagster_run, "The process of this run was killed. Nothing is lost: the next run goes on."
            )


@dg.op(description="Deletes the runs that finished longer ago than SITNIKS_FINMAP_KEEP_RUNS_DAYS (default 30).")
def delete_old_runs(context: dg.OpExecutionContext) -> int:
    keep = timedelta(days=int(os.environ.get("SITNIKS_FINMAP_KEEP_RUNS_DAYS") or 30))
    finished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        created_before=datetime.now(UTC) - keep,
    )
    deleted = 0
    while records := context.instance.get_run_records(finished, limit=DELETED_AT_ONCE, ascending=True):
        for record in records:
            context.instance.delete_run(record.dagster_run.run_id)
        deleted += len(records)
    context.log.info(f"deleted {deleted} runs that were older than {keep.days} days")
    return deleted


@dg.job(description="Dagster keeps runs for ever; this deletes old ones.")
def housekeeping() -> None:
    delete_old_runs()


housekeeping_schedule = dg.ScheduleDefinition(
    job=housekeeping, cron_schedule="30 3 * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
