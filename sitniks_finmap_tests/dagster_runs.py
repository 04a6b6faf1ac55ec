"""Runs in Dagster's own records: made up, carried out quietly, cleaned up, told by alerts."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.defs.housekeeping import housekeeping

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


def told_by_alerts() -> list[str]:
    """Looks as the daemon's sensor does, now and when every patience has run out; all that the messages say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALERT_URLS", "json://127.0.0.1:1/")
        for hours in (0, 0.2, 4, 30):
            look_around("itself", lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours))
    with memory() as kept:
        return [f"{title}\n{body}" for title, body in kept.con.execute("select title, body from outbox").fetchall()]
