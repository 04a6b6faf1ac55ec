"""Dagster's own records: runs whose process was killed end as failed, runs that nobody asks about are deleted."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sitniks_finmap.defs.housekeeping import housekeeping_schedule, report_killed_runs
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.dagster_runs import add_run, clean, status_of

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
GOES_ON = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]


def test_only_runs_that_ended_over_30_days_ago_are_deleted(dagster: dg.DagsterInstance) -> None:
    now = datetime.now(UTC)
    old = [add_run(dagster, "u1", status, now - timedelta(days=31)) for status in ENDED]
    young = [add_run(dagster, "u1", status, now - timedelta(days=29)) for status in ENDED]
    unended = [add_run(dagster, "u1", status, now - timedelta(days=31)) for status in GOES_ON]

    assert clean(dagster) == 3

    assert [status_of(dagster, run_id) for run_id in old] == [None] * 3
    assert [status_of(dagster, run_id) for run_id in young] == ENDED
    assert [status_of(dagster, run_id) for run_id in unended] == GOES_ON
    assert clean(dagster) == 0


def test_how_long_runs_are_kept_stands_in_the_environment(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_KEEP_RUNS_DAYS", "3")
    now = datetime.now(UTC)
    old = add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, now - timedelta(days=4))
    young = add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, now - timedelta(days=2))
    assert clean(dagster) == 1
    assert (status_of(dagster, old), status_of(dagster, young)) == (None, dg.DagsterRunStatus.SUCCESS)


@pytest.mark.parametrize("written", ["thirty", "0", "-1", "1.5", "1_0"])
def test_a_number_of_days_that_is_none_is_named(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    old = add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, datetime.now(UTC) - timedelta(days=60))
    monkeypatch.setenv("SITNIKS_FINMAP_KEEP_RUNS_DAYS", written)
    with pytest.raises(dg.Failure, match=f'SITNIKS_FINMAP_KEEP_RUNS_DAYS is "{written}"; write a number of days'):
        clean(dagster)
    assert status_of(dagster, old)


def test_what_a_night_has_no_time_for_is_left_to_the_next(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    runs = [add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, now - timedelta(days=days)) for days in (60, 50, 40)]
    monkeypatch.setattr("sitniks_finmap.defs.housekeeping.LONGEST", -1.0)
    assert clean(dagster) == 0
    monkeypatch.undo()
    assert clean(dagster) == 3
    assert [status_of(dagster, run_id) for run_id in runs] == [None] * 3


def test_housekeeping_runs_every_night_by_itself() -> None:
    assert housekeeping_schedule.cron_schedule == "30 3 * * *"
    assert housekeeping_schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_only_a_run_whose_process_was_killed_is_reported(dagster: dg.DagsterInstance, connection: Connection) -> None:
    """A started run counts as killed once nobody holds the lock of its connection."""
    now = datetime.now(UTC)
    started, minutes = dg.DagsterRunStatus.STARTED, timedelta(minutes=1)
    killed = add_run(dagster, "u1", started, now - 3 * minutes)
    canceling = add_run(dagster, "u1", dg.DagsterRunStatus.CANCELING, now - 3 * minutes)
    beginning = add_run(dagster, "u1", started, now - minutes)
    other = add_run(dagster, "u2", started, now - 60 * minutes)
    done = add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, now - 60 * minutes)

    report_killed_runs(dagster, connection, now)

    failure = dg.DagsterRunStatus.FAILURE
    assert [status_of(dagster, run_id) for run_id in (killed, canceling)] == [failure, failure]
    assert [status_of(dagster, run_id) for run_id in (beginning, other)] == [started, started]
    assert status_of(dagster, done) is dg.DagsterRunStatus.SUCCESS
    said = [entry.dagster_event.message for entry in dagster.all_logs(killed) if entry.dagster_event]
    assert "The process of this run was killed. Nothing is lost: the next run continues." in said
