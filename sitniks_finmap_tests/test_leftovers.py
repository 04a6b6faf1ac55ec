"""Disk space: what deleted and old runs took is really free afterwards, by the bytes of a DAGSTER_HOME on this disk."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from sitniks_finmap.defs import leftovers
from sitniks_finmap.defs.launch import prepare_home
from sitniks_finmap.defs.leftovers import shrink_databases
from sitniks_finmap_tests.dagster_runs import clean, status_of
from sitniks_finmap_tests.small_job import CHECKS, sync

pytestmark = pytest.mark.runs

MONTHS_AGO = timedelta(days=90)


SYNC_TWICE = """
import dagster as dg
from sitniks_finmap_tests.small_job import sync
with dg.DagsterInstance.get() as instance:
    for _ in range(2):
        sync(instance)
"""


@pytest.fixture
def home(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    return prepare_home()


@pytest.fixture
def dagster(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def files_of(home: Path, run_id: str) -> list[Path]:
    return [path for path in home.rglob("*") if run_id in str(path.relative_to(home))]


def rows_of(home: Path, run_id: str) -> int:
    with sqlite3.connect(home / "history" / "runs" / "index.db") as con:
        return sum(
            con.execute(f"select count(*) from {table} where run_id = ?", [run_id]).fetchone()[0]
            for table in ("event_logs", "asset_check_executions")
        )


def age(paths: list[Path], ago: timedelta = timedelta(hours=2)) -> None:
    then = (datetime.now(UTC) - ago).timestamp()
    for path in paths:
        os.utime(path, (then, then))


def test_old_runs_give_back_all_of_their_disk_space(dagster: dg.DagsterInstance, home: Path) -> None:
    sync(dagster)
    clean(dagster)
    before = bytes_of(home)
    old = [sync(dagster, MONTHS_AGO) for _ in range(3)]
    young = sync(dagster)
    of_one = sum(path.stat().st_size for path in files_of(home, young) if path.is_file())
    grown = bytes_of(home) - before
    assert grown > 4 * 300_000

    assert clean(dagster) == 3

    assert [files_of(home, run_id) for run_id in old] == [[]] * 3
    assert [rows_of(home, run_id) for run_id in old] == [0] * 3
    # What is left: the young run, the housekeeping's own, and a little that the databases keep for what comes next.
    assert bytes_of(home) - before < 1.6 * of_one + leftovers.WORTH_A_VACUUM
    assert status_of(dagster, young) is dg.DagsterRunStatus.SUCCESS
    assert rows_of(home, young) > 0
    assert dagster.all_logs(young)
    assert dagster.get_latest_materialization_event(dg.AssetKey("shop"))


def test_what_earlier_versions_left_of_deleted_runs_goes(dagster: dg.DagsterInstance, home: Path) -> None:
    deleted, kept = sync(dagster), sync(dagster)
    dagster.delete_run(deleted)  # all that was done about it until now, and what the UI's button does
    assert len([path for path in files_of(home, deleted) if path.is_file()]) > 2
    assert rows_of(home, deleted) == CHECKS
    killed = [home / "history" / "runs" / f"{deleted}.db{end}" for end in ("-wal", "-shm")]
    for path in killed:
        path.write_bytes(b"left by a process that was killed")
    age(files_of(home, deleted))
    files, rows = files_of(home, kept), rows_of(home, kept)
    age(files)

    clean(dagster)

    assert files_of(home, deleted) == []
    assert rows_of(home, deleted) == 0
    assert (files_of(home, kept), rows_of(home, kept)) == (files, rows)


def test_a_run_that_begins_meanwhile_keeps_its_files(dagster: dg.DagsterInstance, home: Path) -> None:
    """Its first files may be there a moment before housekeeping sees the run."""
    begun = make_new_run_id()
    paths = [home / "history" / "runs" / f"{begun}.db", home / "storage" / begun]
    paths[0].write_bytes(b"")
    paths[1].mkdir(parents=True)
    clean(dagster)
    assert all(path.exists() for path in paths)


@pytest.mark.timeout(300)
def test_runs_that_go_on_are_not_disturbed(dagster: dg.DagsterInstance, home: Path) -> None:
    for _ in range(2):
        sync(dagster, MONTHS_AGO)
    other = subprocess.Popen([sys.executable, "-c", SYNC_TWICE], stdout=subprocess.DEVNULL)  # noqa: S603
    cleaned = 0
    while other.poll() is None:
        clean(dagster)
        cleaned += 1
    assert (other.returncode, cleaned > 1) == (0, True)
    syncs = dagster.get_run_records(dg.RunsFilter(job_name="shop_sync"))
    assert [record.dagster_run.status for record in syncs] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert all(dagster.all_logs(record.dagster_run.run_id) for record in syncs)


def test_logs_of_old_ticks_go_and_others_stay(dagster: dg.DagsterInstance, home: Path) -> None:
    folder = home / "storage" / "__repository__" / "u1_sensor"
    silent = home / "storage" / "__repository__" / "u2_sensor"
    output = home / "storage" / "u1" / "operations"
    for one in (folder, silent, output):
        one.mkdir(parents=True)
    old, young, older, result = folder / "1.err", folder / "2.err", silent / "1.err", output / "2025-01-15"
    for path in (old, young, older, result):
        path.write_text("said")
    age([old, older, result], timedelta(days=31))
    clean(dagster)
    assert [path.exists() for path in (old, young, older, silent, result)] == [False, True, False, False, True]


def test_a_run_whose_events_are_damaged_is_deleted_too(dagster: dg.DagsterInstance, home: Path) -> None:
    damaged, other = sync(dagster, MONTHS_AGO), sync(dagster, MONTHS_AGO)
    (home / "history" / "runs" / f"{damaged}.db").write_bytes(b"no database" * 1000)
    assert clean(dagster) == 2
    assert [status_of(dagster, run_id) for run_id in (damaged, other)] == [None, None]
    assert files_of(home, damaged) == []


def test_a_database_that_is_held_is_left_to_the_next_night(
    dagster: dg.DagsterInstance, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = home / "history" / "runs" / "index.db"
    with sqlite3.connect(index) as con:
        for table in ("kept", "deleted"):
            con.execute(
                f"create table {table} as with recursive n(i) as (select 1 union all select i + 1 from n limit 20000) "
                "select hex(randomblob(50)) from n"
            )
        con.execute("drop table deleted")
    before = index.stat().st_size
    monkeypatch.setattr(leftovers, "BUSY", 0.0)
    holder = sqlite3.connect(index, isolation_level=None)
    holder.execute("begin immediate")
    shrink_databases(dagster)
    assert "index.db could not be shrunk" in caplog.text
    holder.close()
    monkeypatch.setattr(leftovers, "LONGEST_VACUUM", -1.0)  # it would keep others waiting for too long
    shrink_databases(dagster)
    assert index.stat().st_size >= before
    monkeypatch.undo()
    shrink_databases(dagster)
    assert index.stat().st_size < before * 0.6
