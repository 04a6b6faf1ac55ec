"""Plan and apply: what is sent to Finmap, in which order and how fast, and that it is there once whatever happens."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.finmap import Write
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.books import days_ago
from sitniks_finmap_tests.deliveries import (
    APPLIED,
    NOON,
    NOT_APPLIED,
    NUMBERS,
    audit,
    count_waits,
    courier_of,
    deliver_all,
    forget,
    key_in,
    ledger,
    live,
    only_row,
    run_of,
    want,
    writes,
)
from sitniks_finmap_tests.sandbox.clients import Clock

pytestmark = pytest.mark.runs

DAY = date(2026, 3, 10)


# -- The plan ----------------------------------------------------------------------------------------------------


def test_an_operation_that_finmap_was_never_told_of_is_created(
    courier: Courier, warehouse: Warehouse, shop: Shop, clock: Clock
) -> None:
    expense = {"transaction_id": "tx_2", "type": "expense", "amount": Decimal("95.50"), "comment": "Доставка"}
    want(warehouse, shop, {"transaction_id": "tx_1"}, expense)

    delivery = deliver_all(courier)

    assert (delivery.planned, delivery.states, delivery.backlog) == (2, {"sent": 2}, 0)
    has = {row["externalId"]: (row["type"], row["sum"], row["comment"], row["date"]) for row in shop.operations()}
    at = round(NOON.timestamp() * 1000)
    assert has == {
        "u1:tx_1": ("income", Decimal("1500"), "Оплата за замовлення #123", at),
        "u1:tx_2": ("expense", Decimal("95.5"), "Доставка", at),
    }
    row = ledger(warehouse)["tx_1"]
    assert (row["state"], row["attempts"], row["sent_at"], row["next_attempt_at"]) == ("sent", 1, clock.now, None)


def test_a_delivered_operation_is_neither_sent_nor_read_again(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {}, {}, {})
    deliver_all(courier)
    sandbox.forget_requests()

    assert str(deliver_all(courier)) == "nothing to deliver"
    assert sandbox.requests() == []


def test_only_the_days_that_were_asked_for_are_delivered(courier: Courier, warehouse: Warehouse, shop: Shop) -> None:
    want(warehouse, shop, *({"transaction_id": f"tx_{n}", "occurred_at": days_ago(n)} for n in range(5)))
    courier.deliver(DAY - timedelta(days=3), DAY - timedelta(days=2))
    assert set(live(shop)) == {"u1:tx_2", "u1:tx_3"}


def test_the_newest_day_comes_first(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sitniks_finmap.pipeline.courier.IN_FLIGHT", 1
    )  # so that the order of arrival is the order of sending
    want(warehouse, shop, *({"transaction_id": f"tx_{n % 7}{n}", "occurred_at": days_ago(n % 7)} for n in range(14)))

    deliver_all(courier)

    days = [int(key_in(request.body).removeprefix("u1:tx_")[0]) for request in writes(sandbox)]
    assert days == sorted(days)
    assert len(days) == 14


def test_a_run_out_of_time_leaves_the_oldest_as_backlog(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, *({"transaction_id": f"tx_{n:02}", "occurred_at": days_ago(n)} for n in range(30)))
    sandbox.fault(Fault("slow", "finmap", method="POST", seconds=0.05, times=None))

    delivery = deliver_all(courier, minutes=0)

    assert 0 < delivery.done <= 8
    assert delivery.backlog == 30 - delivery.done
    assert delivery.states == {"sent": delivery.done}
    assert f"{delivery.backlog} left for the next run" in str(delivery)
    # What was begun is finished and kept, and it is the newest.
    assert sorted(ledger(warehouse)) == [f"tx_{n:02}" for n in range(delivery.done)]
    assert set(live(shop)) == {f"u1:tx_{n:02}" for n in range(delivery.done)}

    sandbox.clear_faults()
    assert deliver_all(courier).backlog == 0
    assert set(live(shop).values()) == {1}
    assert len(live(shop)) == 30


def test_more_operations_than_one_chunk_are_all_delivered(
    courier: Courier, warehouse: Warehouse, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.CHUNK", 7)
    want(warehouse, shop, *({} for _ in range(21)))
    assert deliver_all(courier).states == {"sent": 21}
    assert len(live(shop)) == 21


# -- How fast ----------------------------------------------------------------------------------------------------


def test_every_request_waits_for_the_rate_of_the_connection(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox
) -> None:
    run = run_of(connect(finmap_requests_per_second=50))
    want(run.warehouse, shop, *({} for _ in range(12)))
    assert run.finmap.api.limiter.interval == 1 / 50
    waits = count_waits(run.finmap.api)
    sandbox.forget_requests()

    deliver_all(courier_of(run, now=Clock()))

    assert len(waits) == len(sandbox.requests("finmap")) == 12


def test_four_requests_are_in_flight_and_never_more(
    courier: Courier, warehouse: Warehouse, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    want(warehouse, shop, *({} for _ in range(9)))
    create, begun = courier.finmap.create, count(1)
    four, fifth = threading.Barrier(4), threading.Event()

    def held(*what: Any) -> Write:
        if next(begun) > 4:
            fifth.set()
        else:
            four.wait(30)  # none of four waits for another ...
            assert not fifth.wait(0.3)  # ... and the fifth waits for one of them
        return create(*what)

    monkeypatch.setattr(courier.finmap, "create", held)
    assert deliver_all(courier).states == {"sent": 9}


@pytest.mark.parametrize(("retry_after", "least", "most"), [("7", 7, 20), (None, 60, 80)])
def test_a_429_pauses_the_key_and_is_no_failure(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox,
    retry_after: str | None, least: float, most: float,
) -> None:  # fmt: skip
    slept = without_waiting(courier)
    want(warehouse, shop, {})
    headers = {"Retry-After": retry_after} if retry_after else {}
    sandbox.fault(Fault("status", "finmap", method="POST", status=429, headers=headers))

    assert deliver_all(courier).states == {"sent": 1}

    assert least <= sum(slept) <= most
    assert [request.status for request in writes(sandbox)] == [429, 201]
    assert (only_row(warehouse)["attempts"], only_row(warehouse)["last_error"]) == (1, None)


def test_a_429_holds_back_the_requests_waiting_beside_it(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    """The limit belongs to the key: the sandbox blocks it for a minute, and whoever asks on is blocked on."""
    without_waiting(courier, clock)
    shop.limit("finmap", 3, per_seconds=10, block_seconds=60)
    want(warehouse, shop, *({} for _ in range(5)))

    assert deliver_all(courier).states == {"sent": 5}
    refused = [request for request in writes(sandbox) if request.status == 429]
    assert 1 <= len(refused) <= 4


def without_waiting(courier: Courier, clock: Clock | None = None) -> list[float]:
    """The key's limiter passes its waits by; returns what it waited."""
    limiter, slept, lock = courier.finmap.api.limiter, [], threading.Lock()
    clock = clock or Clock()

    def sleep(seconds: float) -> None:
        with lock:
            slept.append(seconds)
            clock.forward(seconds)

    limiter.clock, limiter.sleep = lambda: clock.now.timestamp(), sleep
    return slept


# -- The audit log -----------------------------------------------------------------------------------------------


def test_every_attempt_to_write_is_recorded(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    want(warehouse, shop, *({} for _ in range(12)))
    for fault in (*APPLIED[:3], *NOT_APPLIED[:3]):
        sandbox.fault(fault)
    sandbox.fault(Fault("error_201", "finmap"))
    sandbox.fault(Fault("stored", "finmap"))
    deliver_all(courier)
    clock.forward(1000)
    deliver_all(courier)

    recorded = audit(warehouse)
    assert Counter(row["external_id"] for row in recorded) == Counter(key_in(one.body) for one in writes(sandbox))
    # The last three are those that never got a status: two connections were dropped, before and after.
    answered = Counter((one.method, one.path, one.status) for one in writes(sandbox) if one.status)
    assert (
        Counter((row["method"], row["path"], row["http_status"]) for row in recorded if row["http_status"]) <= answered
    )
    assert {row["outcome"] for row in recorded} == {"applied", "accepted", "error", "unknown"}
    assert {row["run_id"] for row in recorded} == {"test-run"}
    assert all(row["error"] for row in recorded if row["outcome"] in ("error", "unknown"))


# -- Account, category, tag --------------------------------------------------------------------------------------


def test_finmap_gets_the_account_and_category_of_the_operation(
    courier: Courier, warehouse: Warehouse, shop: Shop
) -> None:
    sales, costs = shop.add_category("income", "Продажі"), shop.add_category("expense", "Доставка")
    till, bank = (account["id"] for account in shop.accounts[:2])
    want(
        warehouse,
        shop,
        {"transaction_id": "tx_1", "account": bank, "category": sales["id"]},
        {"transaction_id": "tx_2", "account": till, "category": costs["id"], "type": "expense"},
        {"transaction_id": "tx_3", "account": till},
    )
    deliver_all(courier)
    has = {row["externalId"]: row for row in shop.operations()}
    assert (has["u1:tx_1"]["accountToId"], has["u1:tx_1"]["categoryName"]) == (bank, "Продажі")
    assert (has["u1:tx_2"]["accountFromId"], has["u1:tx_2"]["categoryName"]) == (till, "Доставка")
    assert (has["u1:tx_3"]["accountToId"], has["u1:tx_3"]["categoryId"]) == (till, "empty")


def test_a_source_becomes_a_tag_that_is_made_once(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    shop.add_tag("Rozetka")
    tags = ["Instagram", "Instagram", "Rozetka", None]
    want(warehouse, shop, *({"transaction_id": f"tx_{n}", "tag": tag} for n, tag in enumerate(tags)))

    deliver_all(courier)
    want(warehouse, shop, {"transaction_id": "tx_4", "tag": "Instagram"})
    deliver_all(courier)

    assert [request.body for request in sandbox.requests("finmap", "demo", "POST", "/tags")] == [
        '{"label": "Instagram"}'
    ]
    has = {row["externalId"]: row["tags"] for row in shop.operations()}
    assert [has[f"u1:tx_{n}"] for n in range(5)] == ["Instagram", "Instagram", "Rozetka", "", "Instagram"]


def test_a_tag_created_by_someone_else_meanwhile_is_used(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {"tag": "Instagram"})
    sandbox.fault(Fault("status_after", "finmap", method="POST", path="/tags", status=409))
    assert deliver_all(courier).states == {"sent": 1}
    assert [row["tags"] for row in shop.operations()] == ["Instagram"]


@pytest.mark.parametrize("status", [400, 403, 503])
def test_a_tag_that_finmap_does_not_make_holds_up_no_money(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock, status: int
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1", "tag": "Instagram"}, {"transaction_id": "tx_2"})
    sandbox.fault(Fault("status", "finmap", method="POST", path="/tags", status=status))
    assert deliver_all(courier).states == {"sent": 2}
    assert live(shop) == {"u1:tx_1": 1, "u1:tx_2": 1}
    assert str(status) in ledger(warehouse)["tx_1"]["last_error"]
    assert deliver_all(courier, every_failed=False).planned == 0

    clock.forward(86400)  # it is added when it can be
    assert deliver_all(courier, every_failed=False).states == {"sent": 1}
    assert {row["externalId"]: row["tags"] for row in shop.operations()}["u1:tx_1"] == "Instagram"
    assert ledger(warehouse)["tx_1"]["last_error"] is None
    assert len(writes(sandbox, "PATCH")) == 1


# -- Whatever happens --------------------------------------------------------------------------------------------


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Anything that may go wrong at an operation and pass again; a 400 is final, and a test of its own."""
    plain = ["status", "drop_before", "html", "status_after", "drop_after", "html_after", "truncated"]
    creations = ["stored", "stored_lost", "queued", "error_201"]
    name: Any = draw(st.sampled_from([*plain, *creations, "not_found"]))
    times, after = draw(st.integers(1, 6)), draw(st.integers(0, 4))
    method = draw(st.sampled_from(["POST", "PATCH", "GET", None]))
    if name == "not_found":
        return Fault("status", "finmap", method="GET", path="/operations/details", status=404, times=times)
    if name in creations:
        return Fault(name, "finmap", seconds=draw(st.integers(0, 3000)), times=times, after=after)
    status = draw(st.sampled_from([401, 403, 500, 502, 503]))
    return Fault(
        name, "finmap", method=method, path="/operations", status=status, times=times, after=after,
        full_length=draw(st.booleans()),
    )  # fmt: skip


@settings(
    max_examples=6, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(rounds=st.lists(st.lists(faults(), max_size=4), min_size=1, max_size=3), forgetful=st.booleans())
def test_random_faults_leave_each_operation_in_finmap_once(
    connect: Callable[..., Connection], sandbox: Sandbox, clock: Clock, rounds: list[list[Fault]], forgetful: bool
) -> None:
    """Once the faults are over, each is there with its own content."""
    name = f"h{next(NUMBERS)}"
    shop = sandbox.add_shop(name)
    run = run_of(connect(name, shop=name))
    courier = courier_of(run, now=clock)
    rows = [
        {"transaction_id": f"tx_{n}", "amount": Decimal(100 + n), "type": "expense" if n % 2 else "income"}
        for n in range(6)
    ]
    want(run.warehouse, shop, *rows)
    for wrong in rounds:
        for fault in wrong:
            sandbox.fault(fault)
        with suppress(ApiError):
            deliver_all(courier)
        clock.forward(700)
        if forgetful:
            forget(run.warehouse)
    sandbox.clear_faults()
    clock.forward(3600)
    deliver_all(courier)

    has = sorted((row["externalId"], row["sum"], row["type"], row["comment"]) for row in shop.operations())
    assert has == [
        (f"{name}:{row['transaction_id']}", row["amount"], row["type"], "Оплата за замовлення #123") for row in rows
    ]
    assert {row["state"] for row in ledger(run.warehouse).values()} <= {"sent", "verified"}
