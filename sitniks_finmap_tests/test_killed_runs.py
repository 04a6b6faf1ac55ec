"""Real runs that are killed: the command, and what the sensor launches, each a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from sitniks_finmap.failpoint import KILLED, VARIABLE
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.deliveries import live, once_each
from sitniks_finmap_tests.records import DAY, put_many, transaction

pytestmark = [pytest.mark.kill, pytest.mark.timeout(300)]

COMMAND = "from sitniks_finmap.cli.entry import main; main()"
TICK = """
import sys
from datetime import UTC, date, datetime, timedelta
import dagster as dg
from sitniks_finmap.settings.connections_file import choose
from sitniks_finmap.defs.connection_definitions import connection_definitions
from sitniks_finmap.defs.jobs import RANGE_END, RANGE_START
from sitniks_finmap.defs.launch import instance, run_job

now = datetime.now(UTC) + timedelta(hours=int(sys.argv[1]))
(connection,) = choose("u1")
with instance() as dagster:
    kept = dagster.daemon_cursor_storage.get_cursor_values({"sensor"})
    repository = connection_definitions(connection, now=lambda: now).get_repository_def()
    with dg.build_sensor_context(dagster, cursor=kept.get("sensor"), repository_def=repository) as context:
        answer = repository.get_sensor_def("u1_sensor").evaluate_tick(context)
    if not answer.run_requests:
        sys.exit(answer.skip_message)
    (request,) = answer.run_requests
    assert request.job_name == "u1_sync"
    dagster.daemon_cursor_storage.set_cursor_values({"sensor": answer.cursor})
    days = (date.fromisoformat(request.tags[name]) for name in (RANGE_START, RANGE_END))
    run = run_job(dagster, connection, "sync", *days)
    sys.exit(run.why or 0)
"""


def process(code: str, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments], env=os.environ | {VARIABLE: failpoint}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("failpoint", "fault"),
    [
        ("window_committed:1", Fault("drop_after", "finmap", method="POST", path="/operations/income", times=2)),
        ("request_ready:5", Fault("drop_after", "finmap", method="POST", path="/operations/income", times=2)),
        ("reply_received:5", Fault("stored", "finmap", times=3, seconds=1)),
        ("results_committed:1", Fault("status_after", "finmap", method="POST", path="/operations/income", times=2)),
    ],
)
def test_a_killed_sync_command_is_finished_by_the_next(
    connection: Connection, shop: Shop, sandbox: Sandbox, project: Path, failpoint: str, fault: Fault
) -> None:
    put_many(shop, 12)
    sandbox.fault(fault)
    days = ["sync", "--from", str(DAY - timedelta(days=2)), "--to", str(DAY)]

    assert process(COMMAND, *days, failpoint=failpoint).returncode == KILLED
    again = process(COMMAND, *days)

    assert again.returncode == 0, again.stderr + again.stdout
    assert live(shop) == once_each(12)
    with duckdb.connect(project / "data" / "read" / "u1.duckdb", read_only=True) as con:
        assert con.execute("from differences where not explained").fetchall() == []


@pytest.mark.parametrize("failpoint", ["cursor_advanced:1", "plan_written:1"])
def test_a_sync_by_the_sensor_that_is_killed_is_launched_again(
    connect: Callable[..., Connection], shop: Shop, failpoint: str
) -> None:
    """Before its cursor is kept, by the next tick; in the run after it, when the next sync is due."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    connect(start_date=yesterday)
    shop.put_transactions([transaction(n, yesterday) for n in range(6)])

    assert process(TICK, "0", failpoint=failpoint).returncode == KILLED
    assert live(shop) == {}
    next_tick = process(TICK, "0")
    if failpoint.startswith("plan_written"):
        assert "Next sync at" in next_tick.stderr
        next_tick = process(TICK, "1")

    assert next_tick.returncode == 0, next_tick.stderr
    assert live(shop) == once_each(6)
