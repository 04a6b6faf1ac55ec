"""The promises that every run checks: each holds after a sync, and is seen to fail when its table is tampered with."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from sitniks_finmap.defs.checks import asset_checks, result_of
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.checks import CHECKS, CheckFailed, checks_of
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.deliveries import stage

DAY = date(2025, 1, 15)
TRANSACTIONS: list[dict[str, Any]] = [
    {"id": "tx_1", "date": "2025-01-15 10:30:00", "amount": 1500, "description": "Оплата"},
    {"id": "tx_2", "date": "2025-01-15 11:05:00", "amount": "-100.50", "description": "Комісія"},
    {"id": "tx_3", "date": "2025-01-14 11:05:00", "amount": "1 200,10", "description": "Оплата"},
    {"id": "tx_4", "date": "2025-01-14 11:05:00", "amount": "сто", "description": "Оплата"},
]
ROW = "from operations where transaction_id = 'tx_1'"
TAMPERED = {
    "every_day_was_read": [
        "insert into unread_days values ('transactions', '2025-01-14', now(), now(), false, 'Sitniks answered 500')",
    ],
    "every_order_was_read": [
        "insert into unread_days values ('orders', '2025-01-14', now(), now(), true, 'no right to orders')",
        "insert into order_tries values ('5003', false, now(), now(), 'Sitniks answered 500')",
    ],
    "transaction_ids_are_unique": [
        f"insert into operations {ROW}",
        f"insert into operations by name select * replace ('u1:other' as external_id) {ROW}",
        f"insert into operations by name select * replace ('tx_5' as transaction_id) {ROW}",
    ],
    "sign_and_type_agree": [
        "update operations set type = 'expense' where transaction_id = 'tx_1'",
        "update operations set type = 'income' where transaction_id = 'tx_2'",
        "update operations set amount = amount + 0.01 where transaction_id = 'tx_2'",
        "update operations set amount = amount - 0.01 where transaction_id = 'tx_3'",
        "update operations set amount = -amount, type = 'expense' where transaction_id = 'tx_1'",
        "update operations set amount = 0 where transaction_id = 'tx_1'",
    ],
    "every_live_transaction_is_accounted_for": [
        "delete from operations where transaction_id = 'tx_1'",
        "delete from rejected_transactions",
        "insert into rejected_transactions by name select transaction_id, day, 'why' as reason, '{}' as payload, "
        f"raw_version {ROW}",
    ],
    "nothing_is_left_undelivered": [
        "update finmap_upload set state = 'failed' where transaction_id = 'tx_1'",
        "update finmap_upload set state = 'refused' where transaction_id = 'tx_1'",
    ],
    "no_unexplained_difference": [
        "insert into differences values ('2025-01-15', 'tx_1', 'u1:tx_1', 'amount', false, 'amount')",
    ],
    "nothing_else_is_posted_here": ["insert into other_operations values (now(), 3, 1)"],
    "no_changes_are_pending": [
        "update settings set on_change = 'ask'; update operations set amount = amount + 1 where transaction_id = 'tx_1'"
    ],
}

TAMPERED_ORDERS = {
    "every_live_order_is_accounted_for": [
        "delete from unbooked_orders",
        "delete from operations",
        "insert into operations by name select * replace ('u1:other' as external_id) from operations",
        "insert into unbooked_orders (order_id, part, reason) select order_key, 'sale', '' from operations",
        "insert into unbooked_orders (order_id, reason) select order_key, '' from operations",
    ],
}


@pytest.fixture
def synced(run: ConnectionRun, shop: Shop) -> ConnectionRun:
    shop.put_transactions(TRANSACTIONS)
    stage(run, DAY - timedelta(days=1), DAY)
    courier = Courier(run.warehouse, run.finmap, retry_every=timedelta(minutes=15))
    assert courier.deliver(DAY - timedelta(days=1), DAY).states == {"sent": 3}
    return run


def results(run: ConnectionRun) -> dict[str, dg.AssetCheckResult]:
    """Every check of the connection, as Dagster runs it."""
    found = []
    for checks in asset_checks(run.connection):
        found += checks(dg.build_asset_check_context(resources={"u1": run}))  # type: ignore[operator]
    return {result.check_name: result for result in found}


def test_every_check_passes_after_a_sync_with_a_rejection(synced: ConnectionRun) -> None:
    assert {name: result.passed for name, result in results(synced).items()} == dict.fromkeys(TAMPERED, True)


def test_every_check_passes_before_the_first_sync(run: ConnectionRun) -> None:
    assert all(result.passed for result in results(run).values())


def test_every_check_is_tampered_with_here() -> None:
    assert TAMPERED.keys() | TAMPERED_ORDERS.keys() == {check.name for check in CHECKS}


def test_each_check_fails_when_its_promise_is_broken(synced: ConnectionRun) -> None:
    with synced.warehouse.transaction() as con:
        for check in checks_of("transactions"):
            for statement in TAMPERED[check.name]:
                assert wrong(con, check.wrong) == 0
                con.execute(statement)
                assert wrong(con, check.wrong) > 0, statement
                con.rollback()
                con.begin()


def test_each_check_of_orders_fails_when_it_is_broken(keep_books: Callable[..., Books]) -> None:
    books = keep_books(source="orders", first_import="post", orders={"paid": ["Виконано"]})
    books.order(1, "Виконано")
    books.order(2, "Новий")
    books.sync()
    checks = {check.name: check for check in checks_of("orders")}
    with books.warehouse.transaction() as con:
        assert [name for name, check in checks.items() if wrong(con, check.wrong)] == []
        for name, statements in TAMPERED_ORDERS.items():
            for statement in statements:
                con.execute(statement)
                assert wrong(con, checks[name].wrong) > 0, statement
                con.rollback()
                con.begin()


def wrong(con: duckdb.DuckDBPyConnection, query: str) -> int:
    rows = con.execute(query)
    names = [column[0] for column in rows.description]
    return dict(zip(names, rows.fetchone() or (), strict=True))["wrong"]


def test_what_guards_delivery_is_an_error_and_says_how_many(synced: ConnectionRun) -> None:
    with synced.warehouse.transaction() as con:
        con.execute(TAMPERED["sign_and_type_agree"][0])
        con.execute(TAMPERED["no_unexplained_difference"][0])
    found = results(synced)
    assert found["sign_and_type_agree"].severity is dg.AssetCheckSeverity.ERROR
    assert found["sign_and_type_agree"].metadata["contradictions"].value == 1
    assert found["no_unexplained_difference"].severity is dg.AssetCheckSeverity.WARN
    assert found["no_unexplained_difference"].metadata["unexplained"].value == 1


def test_what_a_run_had_no_time_for_is_backlog_and_no_failure(synced: ConnectionRun) -> None:
    with synced.warehouse.transaction() as con:
        con.execute("delete from finmap_upload where transaction_id = 'tx_1'")
    found = results(synced)
    assert all(result.passed for result in found.values())
    assert found["nothing_is_left_undelivered"].metadata["backlog"].value == 1


def test_a_broken_promise_about_operations_stops_the_delivery(
    connection: Connection, synced: ConnectionRun, warehouse: Warehouse, shop: Shop, sandbox: Sandbox,
    dagster: dg.DagsterInstance,
) -> None:  # fmt: skip
    with warehouse.transaction() as con:
        con.execute(f"insert into operations {ROW}")
    shop.put_transaction({"id": "tx_9", "date": "2025-01-16 10:00:00", "amount": 5})
    sandbox.forget_requests()
    ended = run_job(dagster, connection, "sync", DAY + timedelta(days=1), DAY + timedelta(days=1))
    assert not ended.success
    assert sandbox.requests("finmap", path="/operations") == []


def test_what_a_blocking_check_stopped_no_other_way_posts(
    connection: Connection, synced: ConnectionRun, warehouse: Warehouse, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    """The job that retries has no checks before it, nor has one asset materialized alone."""
    with warehouse.transaction() as con:
        con.execute(f"insert into operations {ROW}")
        con.execute("delete from finmap_upload where transaction_id = 'tx_1'")
    sandbox.forget_requests()
    ended = run_job(dagster, connection, "deliver", DAY, DAY)
    assert not ended.success
    assert "u1: Operations that share a transaction or an externalId with another one: 1 of" in ended.why
    assert "Nothing was delivered" in ended.why
    with pytest.raises(CheckFailed, match="sitniks-finmap sync --full"):
        deliver(synced, DAY, DAY)
    assert [one for one in sandbox.requests("finmap") if one.method != "GET"] == []


def test_a_failed_check_says_what_is_wrong_and_what_to_do(synced: ConnectionRun) -> None:
    for name, statements in TAMPERED.items():
        with synced.warehouse.transaction() as con:
            con.execute(statements[0])
            check = next(one for one in CHECKS if one.name == name)
            result = result_of(con, synced.connection, check)
            con.rollback()
            con.begin()
        said = {key: str(getattr(value, "value", value)) for key, value in result.metadata.items()}
        assert not result.passed
        assert re.search(r": [1-9]", said["problem"])
        assert "`sitniks-finmap " in said["what_to_do"]
        assert "u1" in said["what_to_do"]
        assert "{" not in f"{said['problem']}{said['what_to_do']}"
        assert result.description == f"{said['problem']} {said['what_to_do']}"
        assert "wrong" not in said
        assert "nan" not in said.values()
        if "finmap explain" in said["what_to_do"]:
            assert f"explain {said['for_example']} --connection u1" in said["what_to_do"]


def test_a_check_tells_beforehand_what_to_do(connection: Connection) -> None:
    for definition in asset_checks(connection):
        for spec in definition.check_specs:
            assert "If this fails: " in str(spec.description)


def test_one_check_can_be_run_alone(connection: Connection) -> None:
    assert all(definition.can_subset for definition in asset_checks(connection))


@pytest.fixture
def put(synced: ConnectionRun, shop: Shop) -> Callable[..., None]:
    """A manager edits tx_1, and the days are staged again."""

    def put(**fields: Any) -> None:
        shop.put_transaction({**TRANSACTIONS[0], **fields})
        stage(synced, DAY - timedelta(days=1), DAY)

    return put
