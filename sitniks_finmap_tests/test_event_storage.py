"""Dagster's events of a range of days: stored together, they are what they would be one at a time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sitniks_finmap.defs.event_storage import BatchingEventStorage
from sitniks_finmap.defs.launch import prepare_home
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
                theirs = "event_id in (select id from event_logs where run_id = $1)"
                query = f"select {columns} from {table} where {theirs if 'tags' in table else 'run_id = $1'}"
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
    connect = BatchingEventStorage.index_connection
    monkeypatch.setattr(BatchingEventStorage, "index_connection", lambda storage: begun.append(1) or connect(storage))
    sync(dagster)
    events = stored(dagster, dagster.get_run_records(limit=1)[0].dagster_run.run_id)["event_logs in index"]
    assert len(begun) < len(events) / 4


def test_events_are_where_dagster_keeps_them_by_default(dagster: dg.DagsterInstance) -> None:
    assert isinstance(dagster.event_log_storage, BatchingEventStorage)
    folder = Path(str(dagster.root_directory), "history", "runs")
    assert dagster.event_log_storage.path_for_shard("index") == str(folder / "index.db")


def test_a_batch_that_cannot_be_stored_is_stored_in_parts(
    dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(BatchingEventStorage, "store_event_batch", refuse)
        sync(dagster)
    assert len(dagster.get_materialized_partitions(dg.AssetKey("sales"))) == 50
