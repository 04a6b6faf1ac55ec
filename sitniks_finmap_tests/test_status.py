"""`status` and `sync` tell the truth: whatever keeps money from Finmap is said with its remedy, by exit code 1."""

import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from tenacity import wait_none

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.failpoint import VARIABLE
from sitniks_finmap.people.summary import done_by
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.last_runs import LastRun, last_runs, record_ends, record_start
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.warehouses import begun

pytestmark = pytest.mark.runs

SOLD_AT = datetime.now(ZoneInfo("Europe/Kyiv")) - timedelta(minutes=5)  # the shop sells at any hour of the day
TODAY = SOLD_AT.date()
Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def impatient(home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two attempts."""
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())


@pytest.fixture
def connection(connect: Connect) -> Connection:
    return connect(start_date=TODAY - timedelta(days=30))


def transaction(number: int, amount: Any = "1500.00", days_ago: int = 2, **more: Any) -> dict[str, Any]:
    at = SOLD_AT - timedelta(days=days_ago)
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"id": f"tx_{number}", "createdAt": stamp, "amount": amount, "description": f"Оплата {number}", **more}


def command(*arguments: str, answer: str | None = None) -> tuple[int, str]:
    """Exit code and output; no command says "well"."""
    result = CliRunner().invoke(cli, arguments, input=answer)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert "well" not in result.output.split()
    return result.exit_code, result.output


def status() -> tuple[int, str, str]:
    """Exit code, the verdict of the first connection, and all that is said."""
    code, said = command("status")
    return code, said.splitlines()[1].split()[-1], said


def synced(connection: Connection) -> Warehouse:
    """A whole sync without Dagster, as of now."""
    run = ConnectionRun(connection, begun(open_warehouse(connection)), str(uuid.uuid4()))
    days = (connection.start_date, TODAY)
    sync(run, *days)
    return run.warehouse


def change(warehouse: Warehouse, query: str) -> None:
    with warehouse.transaction() as con:
        con.execute(query)


def hours_pass(connection: Connection) -> None:
    """Since the last look at either side; a second one proves what is gone."""
    change(
        open_warehouse(connection),
        """
        update raw_sitniks_transactions set missing_at = missing_at - interval 3 hour;
        update finmap_upload set
            missing_since = missing_since - interval 3 hour, next_attempt_at = next_attempt_at - interval 3 hour
        """,
    )


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> None:
    """`status` is asked so much later."""
    monkeypatch.setattr("sitniks_finmap.cli.reading_commands.utc_now", lambda: datetime.now(UTC) + timedelta(**by))


# -- All is ok ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sales", [0, 3])
def test_a_shop_that_is_all_in_finmap_is_ok(connection: Connection, shop: Shop, sales: int) -> None:
    shop.put_transactions([transaction(n, days_ago=n % 2) for n in range(sales)])
    code, said = command("sync")
    assert code == 0, said
    assert "state      ok" in said
    assert f"{sales} of {sales} operations delivered" in said
    assert status()[:2] == (0, "ok")


def test_a_command_prints_its_own_progress_only(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    command("doctor")
    logging.getLogger("sitniks_finmap").info("said after the command has ended")
    assert "said after" not in capsys.readouterr().err


def test_status_asks_neither_api(connection: Connection, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transaction(transaction(1))
    synced(connection)
    sandbox.forget_requests()
    assert status()[:2] == (0, "ok")
    assert sandbox.requests() == []


def test_what_a_person_decided_is_ok(connect: Connect, shop: Shop) -> None:
    connection = connect(start_date=TODAY - timedelta(days=30), on_change="ask")
    shop.put_transactions([transaction(1), transaction(2), transaction(3)])
    synced(connection)
    shop.put_transaction(transaction(1, "9.00"))
    shop.delete_transaction("tx_2")
    shop.delete_operation("u1:tx_3")
    synced(connection)
    hours_pass(connection)
    synced(connection)
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "pending changes: 3" in said
    command("dismiss", answer="y")
    command("dismiss", "--transaction", "tx_3", answer="y")
    assert status()[:2] == (0, "ok")
    code, said = command("sync", "--from", str(TODAY), "--to", str(TODAY))  # the plan is about these days alone
    assert code == 0, said
    assert status()[:2] == (0, "ok")


def test_history_that_was_skipped_is_ok(connection: Connection, shop: Shop) -> None:
    shop.put_transactions([transaction(1, days_ago=9), transaction(2)])
    assert command("catch-up", "--until", str(TODAY - timedelta(days=5)))[0] == 0
    assert status()[:2] == (1, "error")  # the preview that it takes delivers nothing
    assert command("sync")[0] == 0
    assert status()[:2] == (0, "ok")


def test_a_start_date_in_the_future_is_a_warning(connect: Connect) -> None:
    connect(start_date=TODAY + timedelta(days=2))
    code, verdict, said = status()
    assert (code, verdict) == (0, "warning")
    assert "is in the future: nothing is read before that day" in said


def test_a_shop_with_data_that_begins_in_the_future_is_an_error(connect: Connect, shop: Shop) -> None:
    shop.put_transaction(transaction(1))
    synced(connect(start_date=TODAY - timedelta(days=30)))
    connect(start_date=TODAY + timedelta(days=300))
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "Correct start_date in connections.toml" in said


def test_what_rename_set_aside_is_no_connection(connection: Connection) -> None:
    path = synced(connection).path
    path.with_name("u1.before-rename-20261126-020000-000000.duckdb").write_bytes(path.read_bytes())
    assert status()[:2] == (0, "ok")
    assert "before-rename" not in status()[2]


# -- Nothing goes over -------------------------------------------------------------------------------------------


def test_a_shop_that_was_never_synced_is_an_error(connection: Connection) -> None:
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "u1: never synced: run `sitniks-finmap sync`" in said


def unavailable(api: Any, path: str | None = None, method: str | None = None, code: int = 503) -> Any:
    def fail(sandbox: Sandbox, shop: Shop, connect: Connect) -> None:
        sandbox.fault(Fault("status", api, path=path, method=method, status=code, times=None))

    return fail


def incomplete(sandbox: Sandbox, shop: Shop, connect: Connect) -> None:
    sandbox.fault(Fault("count_lies", "sitniks", path="/transactions", times=None))


def renamed(sandbox: Sandbox, shop: Shop, connect: Connect) -> None:
    connect(start_date=TODAY - timedelta(days=30), finmap_account="Сейф")


FAILURES: dict[str, tuple[Any, str]] = {
    "Sitniks key revoked": (lambda sandbox, shop, connect: shop.revoke("sitniks"), "Sitniks refused the key (401)"),
    "Finmap key revoked": (lambda sandbox, shop, connect: shop.revoke("finmap"), "Finmap refused the key (401)"),
    "Sitniks down": (unavailable("sitniks"), "Sitniks answered 503"),
    "Finmap down": (unavailable("finmap"), "Finmap answered 503"),
    "Sitniks list never whole": (incomplete, "never complete"),
    "account renamed": (renamed, 'Finmap account "Сейф" is not among the accounts'),
    "no read-back": (unavailable("finmap", "/operations/list"), "Finmap answered 503"),
    "no right to write": (unavailable("finmap", "/operations/income", code=403), "Finmap refused the key (403)"),
    "no write": (unavailable("finmap", "/operations/income"), "failed"),
    "writes refused": (unavailable("finmap", "/operations/income", code=400), "refused by Finmap: 1"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_side_that_fails_is_said_by_sync_and_by_status(
    connection: Connection, shop: Shop, sandbox: Sandbox, connect: Connect, failure: str
) -> None:
    shop.put_transactions([transaction(n) for n in (1, 2, 3)])
    synced(connection)
    fail, reason = FAILURES[failure]
    shop.put_transaction(transaction(4, days_ago=0))
    fail(sandbox, shop, connect)
    code, said = command("sync")
    assert code == (2 if failure == "account renamed" else 1), said
    assert reason in said
    assert failure == "account renamed" or "state      error" in said
    assert failure == "no read-back" or "4 of 4" not in said
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert reason in said


@pytest.mark.parametrize("failure", ["Sitniks key revoked", "Finmap key revoked", "account renamed"])
def test_a_first_sync_that_fails_is_known_to_status(
    connection: Connection, shop: Shop, sandbox: Sandbox, connect: Connect, failure: str
) -> None:
    shop.put_transaction(transaction(1))
    fail, reason = FAILURES[failure]
    fail(sandbox, shop, connect)
    code, said = command("sync")
    assert (code, reason in said) == (2 if failure == "account renamed" else 1, True), said
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert f"u1: the last sync failed at {datetime.now(connection.zone):%Y-%m-%d}" in said
    assert reason in said


def test_a_key_that_is_not_set_is_an_error(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    synced(connection)
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    assert command("sync")[0] == 2
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "U1_FINMAP_API_KEY is not set; put it into .env" in said


def test_a_failed_sync_does_not_print_old_numbers_as_its_own(connection: Connection, shop: Shop) -> None:
    shop.put_transactions([transaction(n) for n in (1, 2, 3)])
    synced(connection)
    shop.revoke("sitniks")
    said = command("sync")[1]
    assert "read       nothing" in said
    assert "delivered  nothing" in said
    assert "3 of 3 operations delivered" in said


def test_a_sync_tells_what_it_did_itself(connection: Connection, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transactions([transaction(n) for n in range(1, 6)])
    sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations/income"))  # it is created all the same
    assert "delivered  5 created\n" in command("sync")[1]
    shop.put_transactions([transaction(1, "7.00"), transaction(2, "-1500.00"), transaction(6), transaction(7, "сто")])
    shop.delete_transaction("tx_3")
    said = command("sync")[1]
    assert "6 transactions of 8 days, 4 new or changed" in said
    assert "delivered  1 created, 2 changed\n" in said
    hours_pass(connection)
    command("sync")
    command("approve", answer="y")
    assert "delivered  1 withdrawn\n" in command("sync")[1]
    said = command("sync")[1]
    assert "6 transactions of 8 days, 0 new or changed" in said
    assert "delivered  nothing\n" in said


def test_a_range_is_judged_by_its_own_days(connection: Connection, shop: Shop) -> None:
    shop.put_transactions([transaction(1, days_ago=20), transaction(2, "сто", days_ago=9)])
    day = str(TODAY - timedelta(days=20))
    code, said = command("sync", "--from", day, "--to", day)
    assert code == 0, said
    assert "these days 1 of 1 operation delivered" in said
    assert "state      ok on these days; `sitniks-finmap status` covers all" in said
    assert "days never read completely: " not in said
    assert status()[:2] == (1, "error")
    day = str(TODAY - timedelta(days=9))
    assert command("sync", "--from", day, "--to", day)[0] == 1


def test_once_all_went_through_nothing_is_said_any_more(connection: Connection, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transaction(transaction(1))
    synced(connection)
    shop.put_transaction(transaction(2, days_ago=1))
    sandbox.fault(Fault("status", "finmap", path="/operations", status=503, times=None))
    assert command("sync")[0] == 1
    assert status()[:2] == (1, "error")
    sandbox.clear_faults()
    assert command("sync")[0] == 0
    assert status()[:2] == (0, "ok")


def test_a_stopped_daemon_is_an_error(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    synced(connection)
    later(monkeypatch, hours=1)
    assert status()[:2] == (0, "ok")
    later(monkeypatch, hours=3)
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "Is `dagster dev` or the daemon running?" in said


def test_rereading_old_months_does_not_hide_unread_recent_days(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = synced(connection)
    later(monkeypatch, hours=3)
    change(warehouse, "update complete_reads set read_at = read_at + interval 3 hour where day < current_date - 10")
    assert "recent days should be read every 1h, but " in status()[2]


def test_a_killed_sync_is_an_error_until_the_next_ends(connection: Connection, shop: Shop, project: Path) -> None:
    shop.put_transactions([transaction(n) for n in (1, 2, 3)])
    killed = subprocess.run(
        [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()", "sync"], cwd=project, check=False,
        env=os.environ | {VARIABLE: "operations_derived:1"}, capture_output=True,
    )  # fmt: skip
    assert killed.returncode not in (0, 1)
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "was killed. Nothing is lost" in said
    assert command("sync")[0] == 0
    assert status()[:2] == (0, "ok")


def test_a_run_that_is_going_on_is_not_called_killed(connection: Connection) -> None:
    warehouse = synced(connection)
    record_start(warehouse, "sync", "now", datetime.now(UTC))
    with warehouse.run(wait=0):
        assert status()[:2] == (0, "ok")
    assert status()[:2] == (1, "error")


def test_while_a_sync_runs_the_failure_before_it_is_still_said(connection: Connection) -> None:
    warehouse = synced(connection)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    record_ends(warehouse, [LastRun("sync", "before", hour_ago, hour_ago, "u1: Finmap answered 503")])
    record_start(warehouse, "sync", "now", datetime.now(UTC))
    with warehouse.run(wait=0):
        assert "Finmap answered 503" in status()[2]


def test_a_sync_that_never_got_its_turn_is_an_error(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = synced(connection)
    monkeypatch.setattr("sitniks_finmap.pipeline.run.LOCK_WAIT", 0.0)
    with warehouse.run(wait=0):
        assert command("sync")[0] == 1
    assert "another run is still in progress" in status()[2]


def test_runs_that_cannot_be_kept_are_an_error(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    from sitniks_finmap.defs.storage import RunsUnavailable

    def unusable() -> Any:
        raise RunsUnavailable("Dagster's database of runs cannot be used")

    synced(connection)
    monkeypatch.setattr("sitniks_finmap.defs.launch.instance", unusable)
    assert command("sync")[0] == 1
    assert "Dagster's database of runs cannot be used" in status()[2]


def test_what_nobody_expected_is_recorded_without_its_words(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*what: object) -> None:
        raise RuntimeError("Іваненко, sandbox-finmap-key")

    monkeypatch.setattr("sitniks_finmap.defs.assets.transform.derive_operations", fail)
    assert command("sync")[0] == 1
    said = status()[2]
    assert "stopped by an unexpected RuntimeError" in said
    with open_warehouse(connection).transaction() as con:
        assert {run.what for run in last_runs(con) if run.error} == {"sync", "operations"}
    assert "Іваненко" not in said + open_warehouse(connection).path.read_bytes().decode("utf-8", "ignore")


def test_each_operation_is_in_one_column_of_status(connect: Connect, shop: Shop, sandbox: Sandbox) -> None:
    connection = connect(start_date=TODAY - timedelta(days=30), on_change="ask", max_change_share=1.0)
    shop.put_transactions([transaction(n) for n in range(1, 6)])
    synced(connection)
    shop.put_transaction(transaction(1, "9.00"))  # pending, and in Finmap
    shop.delete_transaction("tx_2")  # pending, and no longer made
    shop.put_transaction(transaction(6, "сто"))  # rejected
    synced(connection)
    hours_pass(connection)
    synced(connection)
    shop.put_transaction(transaction(7))  # left
    run = ConnectionRun(connection, open_warehouse(connection), "reads")
    read_transactions(run, connection.start_date, TODAY)
    derive_operations(run, connection.start_date, TODAY)
    change(open_warehouse(connection), "update finmap_upload set state = 'failed' where transaction_id = 'tx_3'")
    change(open_warehouse(connection), "update finmap_upload set state = 'refused' where transaction_id = 'tx_4'")
    head, line = command("status")[1].splitlines()[:2]
    assert head.split()[4:] == ["delivered", "today", "failing", "left", "pending", "rejected", "state"]
    assert line.split()[-9:] == ["1", "of", "6", "3", "2", "1", "2", "1", "error"]


# -- Records that are not where they should be -------------------------------------------------------------------


@pytest.fixture
def delivered(connection: Connection, shop: Shop) -> Warehouse:
    """Three operations that Finmap has; status is ok."""
    shop.put_transactions([transaction(n) for n in (1, 2, 3)])
    return synced(connection)


BROKEN: dict[str, tuple[str, str]] = {
    "neither operation nor rejected": (
        "delete from operations where transaction_id = 'tx_1'",
        "live transactions that should be either an operation or rejected, but are not: 1 (neither)",
    ),
    "both": (
        "insert into rejected_transactions by name select transaction_id, day, 'a reason' as reason, '{}' as payload, "
        "1 as raw_version from operations where transaction_id = 'tx_1'",
        "live transactions that should be either an operation or rejected, but are not: 1 (both",
    ),
    "two operations of one transaction": (
        "insert into operations select * from operations where transaction_id = 'tx_1'",
        "check transaction_ids_are_unique failed: 1",
    ),
    "another amount than Sitniks": (
        "update operations set amount = 1 where transaction_id = 'tx_1'",
        "check sign_and_type_agree failed: 1",
    ),
    "a day never read": (
        "delete from complete_reads where day = current_date - 9",
        "days never read completely: 1",
    ),
    "a day read before it ended": (
        "update complete_reads set read_at = timezone('Europe/Kyiv', day + interval 23 hour) "
        "where day = current_date - 9",
        "days never read completely: 1",
    ),
    "days long not read again": (
        "update complete_reads set read_at = read_at - interval 15 day where day < current_date - 20",
        "days overdue for the full re-read: ",
    ),
    "accepted and never seen": (
        "update finmap_upload set state = 'sent', verified_at = null, sent_at = sent_at - interval 1 day "
        "where transaction_id = 'tx_1'",
        "accepted by Finmap but not seen there since: 1",
    ),
    "never sent": ("delete from finmap_upload where transaction_id = 'tx_1'", "not in Finmap: 1"),
    "never sent, and nothing is": (
        "delete from finmap_upload where transaction_id = 'tx_1'; "
        "update finmap_upload set sent_at = sent_at - interval 9 day",
        "not in Finmap: 1. Delivered within 15m",
    ),
    "failed": (
        "update finmap_upload set state = 'failed', last_error = 'Finmap did not answer' where transaction_id = 'tx_1'",
        "failed: 1 (Finmap did not answer). Retried every 15m",
    ),
    "a withdrawal that failed": (
        "update finmap_upload set state = 'failed', last_error = '500' where transaction_id = 'tx_1'; "
        "update raw_sitniks_transactions set gone_at = now() where transaction_id = 'tx_1'; "
        "delete from operations where transaction_id = 'tx_1'; "
        "insert into decisions select transaction_id, action, occasion, 'approve', now() from plan",
        "failed: 1 (500)",
    ),
    "half done by a killed run": (
        "update finmap_upload set deleting = 'withdraw', deleting_at = now() where transaction_id = 'tx_1'",
        "not up to date in Finmap: 1",
    ),
    "gone and still in Finmap": (
        "update raw_sitniks_transactions set gone_at = now() where transaction_id = 'tx_1'; "
        "delete from operations where transaction_id = 'tx_1'",
        "pending changes: 1 (gone from Sitniks, and on_delete is ask)",
    ),
    "another comment than was delivered": (
        "update operations set comment = 'another' where transaction_id = 'tx_1'",
        "not up to date in Finmap: 1",
    ),
    "deleted by a person": (
        "update finmap_upload set state = 'deleted' where transaction_id = 'tx_1'",
        "pending changes: 1 (a person deleted it in Finmap)",
    ),
    "two differences": (
        "insert into differences values (current_date, 'tx_1', 'u1:tx_1', 'missing', false, null), "
        "(current_date, 'tx_2', 'u1:tx_2', 'amount', false, 'amount')",
        "unexplained differences between Sitniks and Finmap: 2 (amount (1); missing (1))",
    ),
}  # fmt: skip


def test_status_tells_records_that_are_not_where_they_should_be(delivered: Warehouse) -> None:
    assert status()[:2] == (0, "ok")
    sound = delivered.path.read_bytes()
    silent = {}
    for broken, (query, reason) in BROKEN.items():
        delivered.path.write_bytes(sound)
        change(delivered, query)
        code, verdict, said = status()
        if (code, verdict) != (1, "error") or reason not in said:
            silent[broken] = said
    assert silent == {}


def test_what_is_left_is_an_error_unless_a_run_is_at_work(delivered: Warehouse) -> None:
    change(delivered, "delete from finmap_upload where transaction_id = 'tx_1'")
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "not in Finmap: 1. Delivered within 15m" in said
    with delivered.run(wait=0):
        code, verdict, said = status()
    assert (code, verdict) == (0, "warning")
    assert "not in Finmap yet: 1; a run is in progress" in said


def test_rejected_transactions_are_an_error_until_corrected(connection: Connection, shop: Shop) -> None:
    shop.put_transactions([transaction(1), transaction(2, "сто від Іваненко")])
    code, said = command("sync")
    assert code == 1
    assert "rejected: 1 (unreadable amount). Correct them in Sitniks, or" in said
    assert "Іваненко" not in said
    assert status()[:2] == (1, "error")
    shop.put_transaction(transaction(2, "100"))
    assert command("sync")[0] == 0
    assert status()[:2] == (0, "ok")


def test_unmapped_accounts_and_unused_mappings_are_a_warning(connect: Connect, shop: Shop) -> None:
    connect(start_date=TODAY - timedelta(days=30), accounts={"ФОП Mono": "ФОП", "LiqPay": "ФОП"})
    shop.put_transactions([transaction(1, settlementAccount="LiqPay"), transaction(2, settlementAccount="ФОП  mono")])
    assert command("sync")[0] == 0
    assert status()[:2] == (0, "ok")
    shop.put_transactions([transaction(n, settlementAccount="Monobank") for n in (2, 3)])
    code, said = command("sync")
    assert code == 0, said
    code, verdict, said = status()
    assert (code, verdict) == (0, "warning")
    assert "payments from settlement accounts not mapped in [u1.accounts]: 2 (Monobank)" in said
    assert "mappings in [u1.accounts] that match no payment: 1 (ФОП Mono)" in said


def test_orders_that_may_not_be_read_are_a_warning(connection: Connection, shop: Shop) -> None:
    shop.put_transaction(transaction(1))
    shop.forbid("sitniks", "/orders")
    code, said = command("sync")
    assert code == 0, said
    code, verdict, said = status()
    assert (code, verdict) == (0, "warning")
    assert "days whose orders could not be read: " in said
    assert "Sitniks refused the key (403)" in said


def test_operations_that_nobody_knows_are_an_error(delivered: Warehouse, connection: Connection, shop: Shop) -> None:
    api = ConnectionRun(connection, delivered).finmap.api
    at = round((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000)
    for name in ("u1:strange_1", "u1:strange_2"):
        body = {"externalId": name, "amount": 5, "date": at, "accountToId": shop.accounts[0]["id"]}
        assert api.write("POST", "/operations/income", json.dumps(body).encode()).status == 201
    code, said = command("sync")
    assert code == 1
    assert "unexplained differences between Sitniks and Finmap: 2 (unexpected)" in said
    assert status()[:2] == (1, "error")


def test_a_pending_change_of_an_old_day_is_still_reported(connect: Connect, shop: Shop) -> None:
    connection = connect(start_date=TODAY - timedelta(days=30), on_change="ask")
    shop.put_transactions([transaction(1, days_ago=20), transaction(2)])
    synced(connection)
    shop.put_transaction(transaction(1, "9.00", days_ago=20))
    assert command("sync", "--full")[0] == 1
    assert command("sync")[0] == 1
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "pending changes: 1" in said or "not up to date in Finmap: 1" in said


def test_a_preview_that_nobody_followed_by_a_sync_is_not_ok(
    delivered: Warehouse, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put_transactions([transaction(1, "9.00"), transaction(4)])
    assert command("preview")[0] == 0
    later(monkeypatch, minutes=100)
    code, verdict, said = status()
    assert (code, verdict) == (1, "error")
    assert "not in Finmap: 1" in said
    assert "not up to date in Finmap: 1" in said


def test_what_a_run_is_at_is_no_error_but_what_persists_is(
    shop: Shop, connection: Connection, warehouse: Warehouse
) -> None:
    """Read but not evaluated, and sent without an answer yet: while a run goes on, both are on their way."""
    shop.put_transactions([transaction(1), transaction(2)])
    assert command("sync")[0] == 0
    with warehouse.transaction() as con:
        con.execute("delete from operations where transaction_id = 'tx_1'")
        con.execute("update finmap_upload set state = 'failed', last_error = $1 where transaction_id = 'tx_2'", [BEGUN])
    with warehouse.run(wait=0):
        said = command("status")[1]
        assert "read, but not evaluated yet: 1; a run is in progress" in said
        assert "being sent to Finmap: 1; a run is in progress" in said
        assert "failed: 1" not in said
        assert "that should be either" not in said
        with warehouse.transaction() as con:
            con.execute("update finmap_upload set last_error = 'too many' where transaction_id = 'tx_2'")
        assert "failed: 1 (too many)" in command("status")[1]
    said = command("status")[1]
    assert "that should be either an operation or rejected, but are not: 1 (neither)" in said


BEGUN = "creation started, outcome not recorded"


def test_a_run_that_ends_while_it_is_looked_at_leaves_no_error(
    shop: Shop, connection: Connection, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data is read in the middle of a run, and when it is asked whether one goes on, it has just ended."""
    shop.put_transactions([transaction(1)])
    run = ConnectionRun(connection, warehouse, "run-1")
    record_start(warehouse, "sync", "run-1", run.now())
    read_transactions(run, connection.start_date, TODAY)

    def ends(asked: Warehouse) -> bool:
        if any(one.unfinished for one in runs_of(asked)):
            sync(run, connection.start_date, TODAY)
            record_ends(asked, [LastRun("sync", "run-1", SOLD_AT, run.now(), None)])
        return False

    monkeypatch.setattr(Warehouse, "is_running", ends)
    code, said = command("status")
    assert code == 0, said
    assert "1 of 1" in said


def runs_of(warehouse: Warehouse) -> list[LastRun]:
    with warehouse.transaction() as con:
        return last_runs(con)


def test_never_more_is_delivered_than_there_are_operations(
    delivered: Warehouse, connection: Connection, shop: Shop
) -> None:
    """What was delivered once, and is created a second time now, counts once; so does what waits for a person."""
    shop.put_transactions([transaction(1, "сто"), transaction(2, "-1500.00")])
    shop.delete_transaction("tx_3")
    command("sync")
    hours_pass(connection)
    said = command("sync")[1]
    assert "1 of 3 operations delivered; 2 wait for your decision" in said
    line = status()[2].splitlines()[1].split()
    assert line[-9:-6] == ["1", "of", "3"]


# -- The files themselves ----------------------------------------------------------------------------------------


def test_a_damaged_file_is_reported_and_the_others_are_shown(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.add_shop("other")
    for name, tenant in (("u1", "demo"), ("u2", "other")):
        synced(connect(name, tenant, start_date=TODAY - timedelta(days=30)))
    (open_warehouse(connect("u1")).path).write_bytes(b"no database" * 1000)
    connect("u1", start_date=TODAY - timedelta(days=30))
    code, said = command("status")
    assert code == 1
    assert "was damaged and is kept as" in said
    assert [line.split()[-1] for line in said.splitlines()[1:3]] == ["error", "ok"]


def test_a_misconfigured_connection_is_an_error_beside_others(connection: Connection, project: Path) -> None:
    synced(connection)
    with (project / "connections.toml").open("a", encoding="utf-8") as file:
        file.write("\n[u2]\nstart_date = 2025-01-15\n")
    code, said = command("status")
    assert code == 1
    assert "✗ u2: finmap_account is missing" in said
    assert [line.split()[-1] for line in said.splitlines()[1:3]] == ["error", "ok"]


def test_data_of_a_removed_connection_is_shown(connect: Connect, shop: Shop, project: Path) -> None:
    shop.put_transaction(transaction(1))
    synced(connect("u1", start_date=TODAY - timedelta(days=30)))
    text = (project / "connections.toml").read_text("utf-8")
    (project / "connections.toml").write_text(text.replace("[u1]", "[u3]"), "utf-8")
    said = command("status")[1]
    assert "! u1: has data, but is no longer in connections.toml" in said
    assert "run `sitniks-finmap rename u1 NEW`" in said


def test_a_leftover_file_without_data_is_not_shown(connect: Connect, project: Path) -> None:
    connection = connect("u1", start_date=TODAY - timedelta(days=30))
    with open_warehouse(connection).transaction():
        pass
    text = (project / "connections.toml").read_text("utf-8")
    (project / "connections.toml").write_text(text.replace("[u1]", "[u3]"), "utf-8")
    assert "u1" not in command("status")[1]


def test_days_that_another_run_read_again_meanwhile_still_count(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = datetime.now(UTC)
    warehouse = synced(connection)
    change(warehouse, "update complete_reads set run_id = 'of the run that waited'")
    days = (connection.start_date, TODAY)
    done = done_by(warehouse, ["the first run"], days, begun)
    with warehouse.transaction() as con:
        assert con.execute("select count(*) from complete_reads where resource = 'transactions'").fetchone() == (
            done.days_read,
        )
    assert done_by(warehouse, ["the first run"], days, datetime.now(UTC)).days_read == 0


def test_a_file_without_a_connection_is_wrong_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sitniks_finmap.cli.commands import main

    (project / "connections.toml").write_text("", "utf-8")
    monkeypatch.setattr("sys.argv", ["sitniks-finmap", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "has no connection" in capsys.readouterr().err


def test_a_copy_for_people_that_is_old_is_a_warning(connection: Connection) -> None:
    assert command("sync")[0] == 0
    copy = open_warehouse(connection).read_path
    os.utime(copy, (0, 0))
    code, verdict, said = status()
    assert (code, verdict) == (0, "warning")
    assert "is older than the last sync" in said
