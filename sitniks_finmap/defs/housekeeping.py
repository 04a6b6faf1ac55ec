"""Cleans up Dagster's own records: reports killed runs as failed, deletes old runs."""

import os
import re
import time
from datetime import UTC, datetime, timedelta

import dagster as dg
from sqlalchemy.exc import DBAPIError

from sitniks_finmap.defs.hosts import other_hosts
from sitniks_finmap.defs.leftovers import delete_files, delete_orphans, shrink_databases, size_on_disk
from sitniks_finmap.figures import counted
from sitniks_finmap.settings.connections import Connection

ALIVE_UNTIL_NOW = timedelta(minutes=2)  # a run takes seconds from its start to the lock
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
LONGEST = 3600.0  # seconds per night; a large backlog takes several nights


def report_killed_runs(instance: dg.DagsterInstance, connection: Connection, now: datetime) -> None:
    """Reports as failed the "started" runs of this connection, whose process is gone: nobody holds the lock.

    Call it only while the lock is free. Without it, such a run would block the connection forever. A run of another
    host that has the shop, too, may well live: its lock is there.
    """
    started = dg.RunsFilter(
        tags={"connection": connection.name},
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING],
    )
    records = instance.get_run_records(started)
    elsewhere = {host.name for host in other_hosts(instance) if connection.name in host.shops} if records else set()
    for record in records:
        origin = record.dagster_run.remote_job_origin
        if origin and origin.location_name in elsewhere:
            continue
        begun = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
        if now - begun > ALIVE_UNTIL_NOW:
            instance.report_run_failed(
                record.dagster_run, "The process of this run was killed. Nothing is lost: the next run continues."
            )


@dg.op(description="Deletes old runs with everything that belongs to them, and frees their disk space.")
def delete_old_runs(context: dg.OpExecutionContext) -> int:
    instance, now, keep = context.instance, datetime.now(UTC), kept_for()
    before = size_on_disk(instance)
    deleted = _delete_runs(context, now - keep)
    delete_orphans(instance, now, keep)
    shrink_databases(instance)
    freed = max(before - size_on_disk(instance), 0)
    context.log.info(
        f"Deleted {counted(deleted, 'run')} older than {counted(keep.days, 'day')}; freed {freed / 1_000_000:.1f} MB."
    )
    context.add_output_metadata({"deleted_runs": deleted, "freed_bytes": freed})
    return deleted


def kept_for() -> timedelta:
    """How long runs are kept: SITNIKS_FINMAP_KEEP_RUNS_DAYS. Raises Failure if it is not a number of days."""
    written = os.environ.get("SITNIKS_FINMAP_KEEP_RUNS_DAYS", "").strip() or "30"
    if not re.fullmatch(r"[1-9][0-9]{0,3}", written):
        raise dg.Failure(
            f'SITNIKS_FINMAP_KEEP_RUNS_DAYS is "{written}"; write a number of days from 1 to 9999, such as 30',
            allow_retries=False,
        )
    return timedelta(days=int(written))


def _delete_runs(context: dg.OpExecutionContext, before: datetime) -> int:
    """Deletes the runs that finished and were created before this moment; returns how many."""
    deleted = 0
    end = time.monotonic() + LONGEST
    for run_id in context.instance.get_run_ids(dg.RunsFilter(statuses=FINISHED, created_before=before)):
        if time.monotonic() > end:
            context.log.info("The remaining old runs will be deleted the next night.")
            break
        try:
            context.instance.delete_run(run_id)
        except DBAPIError as error:
            # A damaged event file must not stop the rest: without its run, it is deleted as an orphan.
            context.log.warning(f"Run {run_id} was not deleted completely: {error.orig}")
        delete_files(context.instance, run_id)
        deleted += 1
    return deleted


@dg.job(
    description="Deletes runs that finished more than SITNIKS_FINMAP_KEEP_RUNS_DAYS days ago (default 30), with their "
    "events and logs. Dagster itself keeps runs forever.",
    tags={"housekeeping": "one at a time"},
)
def housekeeping() -> None:
    delete_old_runs()


housekeeping_schedule = dg.ScheduleDefinition(
    job=housekeeping,
    cron_schedule="30 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 03:30 UTC: deletes old runs and frees their disk space.",
)
