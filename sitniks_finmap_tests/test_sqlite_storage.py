"""Dagster's storage in SQLite: the same files and rows as its own, whoever else writes, deletes or replaces them."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.runs import SqliteRunStorage
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sitniks_finmap.defs.launch import prepare_home
from sitniks_finmap.defs.sqlite_storage import Events, KeptConnection, Runs, Schedules
from sitniks_finmap_tests.dagster_runs import QUIET

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-02")
RANGE = {"dagster/asset_partition_range_start": "2026-01-05", "dagster/asset_partition_range_end": "2026-02-23"}
STORED = {
    "event_logs": "dagster_event_type, step_key, asset_key, partition",
    "asset_event_tags": "asset_key, key, event_id",
    "asset_check_executions": "asset_key, check_name, execution_status, evaluation_event_storage_id",
}


def a_range(*, failing: bool = False) -> dg.JobDefinition:
    """Two tables of days, one with a check. Their runs carry out a range at once."""

    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def sales(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        for key in context.partition_keys:
            context.add_asset_metadata({"day": key}, partition_key=key)
        return dg.MaterializeResult(data_version=dg.DataVersion("7"))

    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[sales])
    def totals() -> None:
        if failing:
            raise dg.Failure("no totals today")

    @dg.asset_check(asset=sales)
    def sold() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    job = dg.define_asset_job("shop_sync")
    return dg.Definitions([sales, totals], asset_checks=[sold], jobs=[job]).resolve_job_def("shop_sync")


@pytest.fixture
def dagster(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


def sync(dagster: dg.DagsterInstance, *, failing: bool = False) -> dg.ExecuteInProcessResult:
    return a_range(failing=failing).execute_in_process(
        instance=dagster, run_config=QUIET, tags=RANGE, raise_on_error=False
    )


def stored(dagster: dg.DagsterInstance, run_id: str) -> dict[str, list[tuple[object, ...]]]:
    """What is in the run's file and in that of all runs, without times, with numbers counted from the first."""
    events = Path(str(dagster.root_directory), "history", "runs")
    found = {}
    for name in (run_id, "index"):
        with sqlite3.connect(events / f"{name}.db") as con:
            first = con.execute("select coalesce(min(id), 0) from event_logs where run_id = ?", [run_id]).fetchone()[0]
            for table, columns in STORED.items():
                theirs = "event_id in (select id from event_logs where run_id = ?)"
                query = f"select {columns} from {table} where {theirs if 'tags' in table else 'run_id = ?'}"
                found[f"{table} in {name.replace(run_id, 'its file')}"] = sorted(
                    (
                        tuple(one - first if isinstance(one, int) else one for one in row)
                        for row in con.execute(query, [run_id])
                    ),
                    key=str,
                )
    return found


def test_a_range_is_stored_together_as_one_at_a_time(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = stored(dagster, sync(dagster).run_id)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    assert together == stored(dagster, sync(dagster).run_id)
    assert len(together["event_logs in index"]) > 4 * 50  # two tables of fifty days, planned and materialized
    assert together["asset_check_executions in index"]


def test_each_day_of_a_range_has_its_own_numbers(dagster: dg.DagsterInstance) -> None:
    sync(dagster)
    sales = dg.AssetKey("sales")
    assert dagster.get_materialized_partitions(sales) == set(DAYS.get_partition_keys()[4:54])
    day = dg.AssetRecordsFilter(sales, asset_partitions=["2026-02-01"])
    [record] = dagster.fetch_materializations(day, limit=1).records
    assert record.asset_materialization
    assert record.asset_materialization.metadata["day"].value == "2026-02-01"
    latest = dagster.get_latest_materialization_event(sales)
    assert latest
    assert latest.get_dagster_event().partition == "2026-02-23"


def test_a_failed_table_of_a_range_has_no_days(dagster: dg.DagsterInstance) -> None:
    sync(dagster, failing=True)
    assert not dagster.get_materialized_partitions(dg.AssetKey("totals"))
    assert len(dagster.get_materialized_partitions(dg.AssetKey("sales"))) == 50


def test_a_range_is_stored_in_a_few_transactions(dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    connect = Events.index_connection
    monkeypatch.setattr(Events, "index_connection", lambda storage: begun.append(1) or connect(storage))
    sync(dagster)
    events = stored(dagster, dagster.get_run_records(limit=1)[0].dagster_run.run_id)["event_logs in index"]
    assert len(begun) < len(events) / 4


def test_files_are_where_dagster_keeps_them_by_default(dagster: dg.DagsterInstance) -> None:
    home = Path(str(dagster.root_directory))
    run_id = sync(dagster).run_id
    assert isinstance(dagster.run_storage, Runs)
    assert isinstance(dagster.event_log_storage, Events)
    assert isinstance(dagster.schedule_storage, Schedules)
    (home / "dagster.yaml").unlink()
    with dg.DagsterInstance.get() as plain:
        assert isinstance(plain.run_storage, SqliteRunStorage)
        assert not isinstance(plain.run_storage, Runs)
        assert plain.get_run_ids() == [run_id]
        assert stored(plain, run_id) == stored(dagster, run_id)
        assert len(plain.all_logs(run_id)) == len(dagster.all_logs(run_id)) > 4 * 50


def test_what_another_process_writes_is_seen(dagster: dg.DagsterInstance) -> None:
    assert dagster.get_run_ids() == []
    with dg.DagsterInstance.get() as another:
        run_id = sync(another).run_id
        assert dagster.get_run_ids() == [run_id]
        assert len(dagster.get_materialized_partitions(dg.AssetKey("sales"))) == 50
        dagster.delete_run(run_id)
        assert another.get_run_ids() == []


def test_threads_write_at_the_same_time(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "said.db") as con:
        con.execute("create table said (word)")
    kept = KeptConnection(f"sqlite:///{tmp_path / 'said.db'}")

    def say(word: int) -> None:
        with kept.transaction() as con:
            con.execute(text("insert into said values (:word)"), {"word": word})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say, range(40)))
    with kept.transaction() as con:
        assert con.execute(text("select word from said order by word")).scalars().all() == list(range(40))
    kept.close()


def test_an_idle_instance_holds_up_nobody(dagster: dg.DagsterInstance) -> None:
    sync(dagster)
    for path in Path(str(dagster.root_directory)).rglob("*.db"):
        with sqlite3.connect(path, timeout=0) as con:
            con.execute("pragma wal_checkpoint(truncate)")
            con.execute("vacuum")


def open_databases(folder: Path) -> list[str]:
    """Of this folder: another test's may be open until they are collected."""
    opened = (path for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [name for name in map(os.readlink, opened) if ".db" in name and name.startswith(str(folder))]


def test_the_files_of_older_runs_are_not_kept_open(dagster: dg.DagsterInstance) -> None:
    events = dagster.event_log_storage
    assert isinstance(events, Events)
    first, second = sync(dagster).run_id, sync(dagster).run_id
    home = Path(str(dagster.root_directory))
    assert events.path_for_shard(second) in open_databases(home)
    assert events.path_for_shard(first) not in open_databases(home)


def test_an_instance_that_has_ended_keeps_no_file_open(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        assert sync(instance).success
        assert instance.all_instigator_state() == []
        assert {Path(name).name for name in open_databases(project)} >= {"runs.db", "index.db", "schedules.db"}
    assert open_databases(project) == []


def test_a_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with sqlite3.connect(tmp_path / name) as con:
            con.execute("create table said (word)")
    path = tmp_path / "old"
    kept = KeptConnection(f"sqlite:///{path}")
    for word in ("one", "two"):
        with kept.transaction() as con:
            con.execute(text("insert into said values (:word)"), {"word": word})
    (tmp_path / "new").replace(path)
    with kept.transaction() as con:
        con.execute(text("insert into said values ('three')"))
    with sqlite3.connect(path) as con:
        assert con.execute("select word from said").fetchall() == [("three",)]
    path.unlink()
    with pytest.raises(OperationalError, match="no such table"), kept.transaction() as con:
        con.execute(text("insert into said values ('four')"))
    kept.close()


def test_a_transaction_that_fails_leaves_nothing(dagster: dg.DagsterInstance) -> None:
    storage = dagster.run_storage
    assert isinstance(storage, Runs)

    def fail() -> None:
        with storage.connect() as con:
            con.execute(text("insert into kvs (key, value) values ('a', 'b')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with storage.connect() as con:
        assert con.execute(text("select count(*) from kvs")).scalar() == 0


def test_a_batch_that_cannot_be_stored_is_stored_in_parts(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(Events, "store_event_batch", refuse)
        sync(dagster)
    assert len(dagster.get_materialized_partitions(dg.AssetKey("sales"))) == 50
