"""Runs in Dagster's own records: made up, carried out quietly, cleaned up, told by alerts."""

from datetime import datetime

import dagster as dg
from dagster._core.utils import make_new_run_id

from sitniks_finmap.defs.alerts import checks_alert, failed_run_alert
from sitniks_finmap.defs.housekeeping import housekeeping
from sitniks_finmap.defs.launch import Run

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def add_run(
    instance: dg.DagsterInstance, connection: str, status: dg.DagsterRunStatus, at: datetime | None = None
) -> str:
    run = dg.DagsterRun(f"{connection}_sync", make_new_run_id(), status=status, tags={"connection": connection})
    if at:
        instance.run_storage.add_historical_run(run, at)
    else:
        instance.add_run(run)
    return run.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus | None:
    run = instance.get_run_by_id(run_id)
    return run.status if run else None


def clean(instance: dg.DagsterInstance) -> int:
    """Carries out the housekeeping; how many runs it deleted."""
    return housekeeping.execute_in_process(instance=instance, run_config=QUIET).output_for_node("delete_old_runs")


def told_by_alerts(dagster: dg.DagsterInstance, run: Run) -> None:
    """Lets the alert sensors look at a run, as the daemon does; they log what they send."""
    found = dagster.get_run_by_id(run.run_id)
    kind = dg.DagsterEventType.RUN_SUCCESS if run.success else dg.DagsterEventType.RUN_FAILURE
    (entry,) = dagster.all_logs(run.run_id, of_type=kind)
    assert found
    assert entry.dagster_event
    context = dg.build_run_status_sensor_context("alert", entry.dagster_event, dagster, found)
    if run.success:
        checks_alert(context)
    else:
        failed_run_alert(context.for_run_failure())
