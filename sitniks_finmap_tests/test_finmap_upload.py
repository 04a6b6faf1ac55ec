"""The asset finmap_upload as Dagster runs it: numbers for each day, backlog, previews without personal data."""

from datetime import timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from sitniks_finmap.defs.connection_definitions import connection_definitions
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.dagster_runs import QUIET
from sitniks_finmap_tests.deliveries import ledger, live, writes
from sitniks_finmap_tests.records import DAY, transaction

pytestmark = pytest.mark.runs

BEFORE = DAY - timedelta(days=1)


def metadata_by_day(instance: dg.DagsterInstance, run_id: str, table: str) -> dict[str, dict[str, Any]]:
    """What Dagster shows for each day of one table."""
    found = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        assert entry.dagster_event
        materialization = entry.dagster_event.step_materialization_data.materialization
        if materialization.asset_key.path[-1] == table:
            assert materialization.partition
            found[materialization.partition] = {name: one.value for name, one in materialization.metadata.items()}
    return found


def results(instance: dg.DagsterInstance, run_id: str) -> dict[str, bool]:
    found = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        assert entry.dagster_event
        evaluation = entry.dagster_event.asset_check_evaluation_data
        found[evaluation.check_name] = evaluation.passed
    return found


def test_a_sync_shows_each_days_numbers_without_personal_data(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    shop.put_transactions([transaction(1), transaction(2, amount="-40.10"), transaction(3, BEFORE, amount="1 000,05")])
    shop.put_transactions([transaction(4, amount="сто"), transaction(5), transaction(6)])
    sandbox.fault(Fault("error_201", "finmap", times=1))

    ended = run_job(dagster, connection, "sync", BEFORE, DAY)

    assert ended.success
    days = metadata_by_day(dagster, ended.run_id, "finmap_upload")
    assert {day: {name: days[day][name] for name in ("delivered", "failed", "backlog")} for day in days} == {
        "2025-01-14": {"delivered": 1, "failed": 0, "backlog": 0},
        "2025-01-15": {"delivered": 3, "failed": 1, "backlog": 0},
    }
    assert "| create | go |" in days["2025-01-15"]["plan"]
    assert days["2025-01-15"]["pending"] == 0
    assert (days["2025-01-14"]["income_sum"], days["2025-01-14"]["expense_sum"]) == (1000.05, 0)
    assert metadata_by_day(dagster, ended.run_id, "operations")["2025-01-15"]["rejected"] == 1
    assert "tx_3" in days["2025-01-14"]["preview"]
    assert not any("880088" in str(shown) or "Клієнт" in str(shown) for shown in days.values())
    # Rejected: it has no externalId, and its own id is the example.
    assert (
        "| rejected | yes | 1 | tx_4 |"
        in metadata_by_day(dagster, ended.run_id, "reconciliation")["2025-01-15"]["preview"]
    )
    failing = {name for name, passed in results(dagster, ended.run_id).items() if not passed}
    assert failing == {"nothing_is_left_undelivered"}
    assert {row["run_id"] for row in ledger(warehouse).values()} == {ended.run_id}

    with duckdb.connect(warehouse.read_path, read_only=True) as con:  # what people open
        assert con.execute("select state, count(*) from finmap_upload group by all order by all").fetchall() == [
            ("failed", 1),
            ("verified", 4),
        ]

    # A run that a person starts takes up what failed, at once; then nothing is left to do.
    again = run_job(dagster, connection, "deliver", BEFORE, DAY)
    assert again.success
    assert all(results(dagster, again.run_id).values())
    assert sorted(live(shop).values()) == [1] * 5
    assert len(writes(sandbox)) == 6


def test_a_sensor_run_out_of_time_leaves_the_rest_as_backlog(
    project: Any, connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance,
    warehouse: Warehouse,
) -> None:  # fmt: skip
    shop.put_transactions([transaction(n) for n in range(20)])
    assert run_job(dagster, connection, "preview", DAY, DAY).success
    sandbox.fault(Fault("slow", "finmap", method="POST", seconds=0.05, times=None))
    result = connection_definitions(connection).resolve_job_def("u1_deliver").execute_in_process(
        instance=dagster,
        tags={"connection": "u1", **range_tags(DAY, DAY)},
        run_config={
            "ops": {"u1__finmap_upload": {"config": {"minutes": 0}}},
            **QUIET,
        },
    )  # fmt: skip

    assert result.success
    shown = metadata_by_day(dagster, result.run_id, "finmap_upload")[str(DAY)]
    assert shown["delivered"] <= 8  # those that were already on their way
    assert (shown["backlog"], shown["failed"]) == (20 - shown["delivered"], 0)
    assert results(dagster, result.run_id)["nothing_is_left_undelivered"]


def test_a_refused_finmap_key_fails_the_run_with_one_message(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    shop.put_transactions([transaction(n) for n in range(1, 30)])
    sandbox.fault(Fault("status", "finmap", path="/operations", status=403, times=None))

    ended = run_job(dagster, connection, "sync", DAY, DAY)

    assert not ended.success
    assert ended.why == (
        'u1: Finmap refused the key (403): "sandbox fault"; give it the missing rights, or create a new one '
        "and put it into U1_FINMAP_API_KEY in .env"
    )
    assert len(sandbox.requests("finmap", path="/operations")) <= 4
    assert ledger(warehouse) == {}
