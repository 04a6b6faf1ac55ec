"""The nine rules that no change may break (section 5 of the design), each from end to end over real HTTP."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from tenacity import wait_none

from sitniks_finmap.clients.answers import Unavailable
from sitniks_finmap.clients.sitniks import IncompleteRead
from sitniks_finmap.defs.launch import instance, run_job
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, FaultKind, Sandbox, Shop, seed_shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse
from sitniks_finmap_tests.deliveries import (
    count_waits,
    courier_of,
    key_in,
    ledger,
    live,
    once_each,
    run_of,
    stage,
    want,
    writes,
)
from sitniks_finmap_tests.leak_search import as_text
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.records import DAY, put_many, transaction

pytestmark = pytest.mark.runs

MARCH = date(2026, 3, 10)


def sync(dagster: dg.DagsterInstance, connection: Connection) -> Any:
    return run_job(dagster, connection, "sync", DAY - timedelta(days=2), DAY)


# -- 1. At most one live operation per transaction in Finmap, whatever happens -----------------------------------


def test_rule_1_a_killed_run_is_finished_without_duplicates(
    connect: Callable[..., Connection], project: Path, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    put_many(shop, 40)
    warehouse = open_warehouse(connect(finmap_requests_per_second=25))
    command = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()", "sync"]
    days = ["--from", str(DAY - timedelta(days=2)), "--to", str(DAY)]
    with subprocess.Popen(  # noqa: S603
        [*command, *days], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        until(lambda: len(writes(sandbox)) >= 8, seconds=60)
        assert warehouse.is_running()
        os.kill(child.pid, signal.SIGKILL)
    assert 8 <= len(live(shop)) < 40
    assert not warehouse.is_running()  # the kill released the connection

    assert sync(dagster, connect()).success
    assert live(shop) == once_each(40)
    assert len(ledger(warehouse)) == 40


def test_rule_1_an_import_after_a_lost_file_duplicates_nothing(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    put_many(shop, 12)
    import_all(run)
    before = shop.operations()
    run.warehouse.path.unlink()
    sandbox.forget_requests()

    import_all(run)

    assert shop.operations() == before
    assert {(request.method, request.status) for request in writes(sandbox)} == {("POST", 409)}
    assert {row["state"] for row in ledger(run.warehouse).values()} == {"verified"}


def import_all(run: ConnectionRun) -> None:
    stage(run, DAY - timedelta(days=2), DAY)
    courier_of(run).deliver(DAY - timedelta(days=2), DAY)


def test_rule_1_two_machines_at_once_create_each_operation_once(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock file joins them: the key alone must hold."""
    runs = []
    for machine in ("first", "second"):
        monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / machine))
        runs.append(run_of(connect()))
        want(runs[-1].warehouse, shop, *({"transaction_id": f"tx_{n}"} for n in range(12)))
    sandbox.fault(Fault("slow", "finmap", method="POST", seconds=0.05, times=None))

    at_once([lambda run=run: courier_of(run).deliver(MARCH, MARCH) for run in runs])

    assert live(shop) == once_each(12)
    states = [row["state"] for run in runs for row in ledger(run.warehouse).values()]
    assert sorted(states) == ["sent"] * 12 + ["verified"] * 12


def at_once(work: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- 2. An unknown outcome is settled by reading, never by guessing ----------------------------------------------


def test_rule_2_no_write_is_repeated_before_a_lookup(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    put_many(shop, 12)
    stage(run, DAY - timedelta(days=2), DAY)
    for n, kind in enumerate(["drop_after", "drop_before", "html_after", "html", "status_after", "status"]):
        sandbox.fault(Fault(kind, "finmap", method="POST", status=502, after=n))  # type: ignore[arg-type]
    sandbox.forget_requests()
    courier = courier_of(run)
    for _ in range(2):
        courier.deliver(DAY - timedelta(days=2), DAY)

    looked_up: dict[str, bool] = {}
    for request in sandbox.requests("finmap", path="/operations"):
        if request.method == "GET":
            looked_up[request.parameters["externalId"]] = True
        else:
            assert looked_up.get(key_in(request.body), True), f"{key_in(request.body)} was sent again unseen"
            looked_up[key_in(request.body)] = request.status == 201
    assert len([one for one in writes(sandbox) if one.fault]) == 6
    assert live(shop) == once_each(12)
    assert {row["state"] for row in ledger(run.warehouse).values()} == {"sent", "verified"}


# -- 3. A read that was cut short fails; it never looks like "no transactions" -----------------------------------


def test_rule_3_a_read_that_was_cut_short_changes_nothing(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    put_many(shop, 60)
    courier_of(run)
    stage(run, DAY - timedelta(days=2), DAY)
    before = everything(run.warehouse)
    shop.delete_transaction("tx_1")
    cut: dict[FaultKind, type[Exception]] = {
        "page_short": IncompleteRead,
        "count_lies": IncompleteRead,
        "page_repeat": IncompleteRead,
        "truncated": Unavailable,
        "html": Unavailable,
        "drop_before": Unavailable,
    }
    for kind, error in cut.items():
        sandbox.fault(Fault(kind, "sitniks", path="/transactions", times=None))
        with pytest.raises(error):
            stage(run, DAY - timedelta(days=2), DAY)
        sandbox.clear_faults()
    assert everything(run.warehouse) == before


def everything(warehouse: Warehouse) -> list[Any]:
    with warehouse.transaction() as con:
        return [
            con.execute(f"from {table} order by all").fetchall()
            for table in ("latest_transactions", "complete_reads", "operations", "rejected_transactions")
        ]


def test_rule_3_a_run_with_an_incomplete_read_delivers_nothing(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    put_many(shop, 60)
    sandbox.fault(Fault("page_short", "sitniks", path="/transactions", times=None))
    ended = sync(dagster, connection)
    assert not ended.success
    assert "u1: Sitniks' list /transactions was read" in ended.why
    assert writes(sandbox) == []
    with warehouse.transaction() as con:
        assert con.execute("select count(*) from complete_reads where resource = 'transactions'").fetchone() == (0,)


# -- 4. No DuckDB connection is open while the network is awaited ------------------------------------------------

READER = """
import sys, duckdb
for path in sys.stdin:
    try:
        duckdb.connect(path.strip()).close()
        print("free", flush=True)
    except duckdb.IOException as error:
        print("held", flush=True)
"""


@contextmanager
def another_process() -> Iterator[Callable[[Path], bool]]:
    """Asks another process whether it can open a DuckDB file."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdin
        assert one.stdout

        def can_open(path: Path) -> bool:
            print(path, file=one.stdin, flush=True)
            return one.stdout.readline() == "free\n"  # type: ignore[union-attr]

        yield can_open
        one.stdin.close()


def test_rule_4_the_file_can_be_opened_while_an_answer_is_due(
    connection: Connection, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    put_many(shop, 3)
    shop.put_transaction(transaction(9, source=None, orderId=777))
    with warehouse.transaction():
        pass
    paths = ["/transactions", "/orders", "/orders/777", "/accounts", "/operations/income"]
    for path in paths:
        api = "finmap" if path in ("/accounts", "/operations/income") else "sitniks"
        sandbox.fault(Fault("slow", api, path=path, seconds=0.3))
    found: dict[str, bool] = {}
    over = threading.Event()

    def watch() -> None:
        with another_process() as can_open:
            can_open(warehouse.path)
            while not over.wait(0.005):
                for request in sandbox.requests():
                    if request.status is None and request.path not in found:
                        # What another thread commits meanwhile takes milliseconds; the answer takes 300.
                        end = time.monotonic() + 0.2
                        found[request.path] = False
                        while not found[request.path] and time.monotonic() < end:
                            found[request.path] = can_open(warehouse.path)

    watcher = threading.Thread(target=watch)
    watcher.start()
    ended = sync(dagster, connection)
    over.set()
    watcher.join()
    assert ended.success, ended.why
    assert {path: found.get(path) for path in paths} == dict.fromkeys(paths, True)


def test_rule_4_results_are_committed_during_the_delivery(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.COMMIT_EVERY", 0.05)
    run = run_of(connect(finmap_requests_per_second=20))
    want(run.warehouse, shop, *({} for _ in range(12)))
    seen: list[int] = []
    delivery = threading.Thread(target=lambda: courier_of(run).deliver(MARCH, MARCH))
    delivery.start()
    while delivery.is_alive():
        seen.append(sum(row["sent_at"] is not None for row in ledger(run.warehouse).values()))
        delivery.join(0.05)
    assert any(0 < count < 12 for count in seen), seen


# -- 5. One run at a time for each connection, one rate for each key ---------------------------------------------


def test_rule_5_a_second_run_does_nothing_and_says_why(
    connection: Connection, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sitniks_finmap.pipeline.run.LOCK_WAIT", 0.0)
    put_many(shop, 2)
    with warehouse.run(wait=0):
        ended = sync(dagster, connection)
    assert not ended.success
    assert ended.why == "u1: another run is still in progress; see it in the Dagster UI, then try again"
    assert sandbox.requests() == []


def test_rule_5_a_run_of_another_connection_is_not_held_up(connect: Callable[..., Connection], shop: Shop) -> None:
    first, second = open_warehouse(connect("u2")), run_of(connect("u1"))
    put_many(shop, 2)
    with first.run(wait=0), second.warehouse.run(wait=0):
        import_all(second)
    assert live(shop) == once_each(2)


def test_rule_5_two_connections_on_one_key_share_its_rate(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shops of Sitniks that keep their money in one company of Finmap."""
    runs = [run_of(connect(name, finmap_requests_per_second=20)) for name in ("u1", "u2")]
    monkeypatch.setenv("U2_SITNIKS_API_KEY", "key-of-another-shop")
    for run in runs:
        want(run.warehouse, shop, *({} for _ in range(6)))
    limiters = [run.finmap.api.limiter for run in runs]
    assert [one.interval for one in limiters] == [1 / 20] * 2
    assert limiters[0].path == limiters[1].path
    waits = [count_waits(run.finmap.api) for run in runs]
    sandbox.forget_requests()
    at_once([lambda run=run: courier_of(run).deliver(MARCH, MARCH) for run in runs])
    assert len(writes(sandbox)) == 12
    assert sum(map(len, waits)) == len(sandbox.requests("finmap"))


# -- 6. A record that cannot be understood is quarantined with a reason; it stops nothing else -------------------


def test_rule_6_malformed_transactions_are_rejected_with_reasons(run: ConnectionRun, shop: Shop) -> None:
    """The rest is delivered, and so is a rejected one once it is corrected."""
    seeded = seed_shop(shop, days=1, today=MARCH)
    assert seeded.malformed == 7
    stage(run, MARCH - timedelta(days=1), MARCH)
    courier_of(run).deliver(MARCH - timedelta(days=1), MARCH)

    assert len(live(shop)) == seeded.income_count + seeded.expense_count
    assert set(live(shop).values()) == {1}
    with run.warehouse.transaction() as con:
        reasons = dict(con.execute("select transaction_id, reason from rejected_transactions").fetchall())
    assert len(reasons) == 7
    assert reasons["tx_zero"] == "amount is zero"
    assert all(reasons.values())

    # It heals by itself when the source is corrected.
    shop.put_transaction({"id": "tx_zero", "date": f"{MARCH} 10:00:00", "amount": 5})
    stage(run, MARCH - timedelta(days=1), MARCH)
    courier_of(run).deliver(MARCH - timedelta(days=1), MARCH)
    assert live(shop)["u1:tx_zero"] == 1


# -- 7. 401 and 403 stop the connection with one message ---------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_rule_7_a_refused_sitniks_key_fails_after_one_request(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance, status: int
) -> None:
    put_many(shop, 3)
    sandbox.fault(Fault("status", "sitniks", status=status, times=None))
    ended = sync(dagster, connection)
    assert not ended.success
    assert ended.why.startswith(f'u1: Sitniks refused the key ({status}): "sandbox fault"; ')
    assert ended.why.endswith("into U1_SITNIKS_API_KEY in .env")
    assert len(sandbox.requests("sitniks")) == 1


# -- 8. No key and no customer's name in logs, run metadata, errors, tags or Dagster's database ------------------


def test_rule_8_no_key_or_customer_leaves_the_warehouse(
    connect: Callable[..., Connection], project: Path, shop: Shop, sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Runs that go well and wrong; then everything that Dagster and the log wrote is searched, byte by byte.

    Every customer has a number from 880088001 on, whose digits no escaping changes.
    """
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())
    connection = connect(source_as_tag=True)
    shop.put_transactions([transaction(n, DAY - timedelta(days=n % 3)) for n in range(1, 12)])
    shop.put_transaction(transaction(12, amount="сто від Клієнт 880088012"))
    shop.put_transaction(transaction(13, date="вчора, Клієнт 880088013"), datetime(2025, 1, 15, 9, tzinfo=UTC))
    shop.put_transaction(transaction(14, currency="Клієнт 880088014"))
    shop.put_order({"id": 1, "createdAt": "2025-01-15T10:00:00Z", "client": {"id": 5, "fullname": "Клієнт 880088050"}})
    echo = json.dumps({"message": ["comment: Оплата від Клієнт 880088001 is wrong"]})
    kinds: list[FaultKind] = ["drop_after", "drop_before", "html_after", "truncated", "error_201", "stored"]
    for kind in kinds:
        sandbox.fault(Fault(kind, "finmap", method="POST", path="/operations"))
    for status in (400, 404, 409):
        sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=status, body=echo))
    endings = []
    with instance() as dagster, caplog.at_level(logging.DEBUG, "sitniks_finmap"):
        endings.append(sync(dagster, connection))
        for fault in (
            Fault("status", "finmap", path="/operations", status=401, body=echo, times=None),
            Fault("page_short", "sitniks", path="/transactions", times=None),
        ):
            sandbox.fault(fault)
            endings.append(sync(dagster, connection))
            sandbox.clear_faults()
    assert [ended.success for ended in endings] == [True, False, False]

    secrets = [shop.sitniks_key, shop.finmap_key]
    customers = [f"8800880{n:02}" for n in (*range(1, 15), 50)]
    said = caplog.text + "".join(capfd.readouterr()) + "".join(ended.why for ended in endings)
    assert [word for word in secrets + customers if word in said] == []
    home = project / "data" / "dagster"
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert [
        (str(path), word) for path in files for word in secrets + customers if word.encode() in path.read_bytes()
    ] == []
    # The key is in no file at all; the customers are in the warehouse, where they belong.
    everywhere = [path for path in project.rglob("*") if path.is_file()]
    assert [(str(path), word) for path in everywhere for word in secrets if word.encode() in path.read_bytes()] == []
    text = as_text(open_warehouse(connection).path)
    assert not any(word in text for word in secrets)
    assert all(word in text for word in customers)


# -- 9. Running again with nothing new makes no write to Finmap --------------------------------------------------


def test_rule_9_a_second_run_makes_no_write_to_finmap(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    put_many(shop, 12)
    shop.put_transaction(transaction(20, amount="сто"))
    assert sync(dagster, connection).success
    before = shop.operations()
    sandbox.forget_requests()

    assert sync(dagster, connection).success

    assert writes(sandbox) == []
    assert shop.operations() == before
