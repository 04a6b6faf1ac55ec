"""Every outcome of a write to Finmap, and how it is settled: at once, by reading, later or by a person."""

from datetime import timedelta
from decimal import Decimal

import pytest

from sitniks_finmap.clients.answers import KeyRefused, Unavailable
from sitniks_finmap.pipeline.courier import IN_FLIGHT, UNANSWERED_IN_A_ROW, Courier
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.deliveries import (
    APPLIED,
    NOON,
    NOT_APPLIED,
    RETRY,
    audit,
    decide,
    deliver_all,
    forget,
    key_in,
    ledger,
    live,
    only_row,
    want,
    writes,
)
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.sandbox.clients import Clock

pytestmark = pytest.mark.runs


def test_stored_or_queued_writes_are_verified_by_reading_later(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    """After ten minutes, and not before, Finmap is read and nothing is written."""
    want(warehouse, shop, {}, {})
    sandbox.fault(Fault("stored", "finmap", seconds=60))
    sandbox.fault(Fault("queued", "finmap", seconds=60))
    assert deliver_all(courier).states == {"sent": 2}
    assert {row["next_attempt_at"] for row in ledger(warehouse).values()} == {clock.now + timedelta(minutes=10)}
    sent_at = clock.now

    clock.forward(599)
    assert deliver_all(courier).planned == 0

    clock.forward(1)
    sandbox.forget_requests()
    assert deliver_all(courier).states == {"verified": 2}
    assert [(request.method, request.path) for request in sandbox.requests()] == [("GET", "/operations/details")] * 2
    for row in ledger(warehouse).values():
        assert (row["sent_at"], row["verified_at"], row["next_attempt_at"]) == (sent_at, clock.now, None)


def test_a_stored_write_that_never_appears_is_sent_again(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    """Under the same key."""
    want(warehouse, shop, {"transaction_id": "tx_1"})
    sandbox.fault(Fault("stored_lost", "finmap"))
    deliver_all(courier)
    assert live(shop) == {}

    clock.forward(600)
    assert deliver_all(courier).states == {"sent": 1}
    assert [key_in(request.body) for request in writes(sandbox)] == ["u1:tx_1", "u1:tx_1"]
    assert live(shop) == {"u1:tx_1": 1}


def test_what_was_stored_and_appears_late_is_not_doubled(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"})
    sandbox.fault(Fault("stored", "finmap", seconds=3000))
    for _ in range(6):
        deliver_all(courier)
        clock.forward(600)
    assert live(shop) == {"u1:tx_1": 1}
    assert only_row(warehouse)["state"] == "verified"


def test_an_error_in_a_201_fails_and_is_retried_in_15_minutes(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    want(warehouse, shop, {})
    sandbox.fault(Fault("error_201", "finmap"))
    assert deliver_all(courier).states == {"failed": 1}
    row = only_row(warehouse)
    assert (row["last_error"], row["attempts"]) == ("Finmap answered Error", 1)
    assert (row["next_attempt_at"], row["sent_at"]) == (clock.now + RETRY, None)

    clock.forward(RETRY.total_seconds() - 1)
    assert deliver_all(courier, every_failed=False).planned == 0
    clock.forward(1)
    assert deliver_all(courier, every_failed=False).states == {"sent": 1}
    row = only_row(warehouse)
    assert (row["attempts"], row["last_error"], row["next_attempt_at"]) == (2, None, None)


def test_a_person_does_not_wait_for_the_15_minutes(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {})
    sandbox.fault(Fault("error_201", "finmap"))
    deliver_all(courier)
    assert deliver_all(courier).states == {"sent": 1}


def test_a_409_for_an_equal_operation_counts_as_delivered(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"})
    deliver_all(courier)
    forget(warehouse)
    sandbox.forget_requests()

    assert deliver_all(courier).states == {"verified": 1}
    assert [(request.method, request.status) for request in writes(sandbox)] == [("POST", 409)]
    assert live(shop) == {"u1:tx_1": 1}


def test_a_409_of_what_we_know_nothing_of_waits_where_it_differs(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    """Nobody knows who wrote what is there: nothing is overwritten, and a person decides."""
    want(warehouse, shop, {"transaction_id": "tx_1"})
    deliver_all(courier)
    shop.edit_operation("u1:tx_1", amount="1499.99", comment="щось інше")
    forget(warehouse)
    sandbox.forget_requests()

    assert deliver_all(courier).states == {"verified": 1}
    assert [request.status for request in writes(sandbox)] == [409]
    assert pending(warehouse) == [("update", "Finmap had it already, with other values: who wrote them is unknown")]

    assert decide(warehouse, "approve", NOON, conflicts=True) == 1
    assert deliver_all(courier).states == {"sent": 1}
    (patch,) = writes(sandbox, "PATCH")
    assert patch.path == "/operations/income/byExternalId/u1%3Atx_1"
    assert patch.body == '{"amount": 1500.00, "comment": "Оплата за замовлення #123"}'
    (operation,) = shop.operations()
    assert (operation["sum"], operation["comment"]) == (Decimal(1500), "Оплата за замовлення #123")


def test_a_409_for_the_other_direction_is_replaced_on_approval(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"})
    deliver_all(courier)
    forget(warehouse)
    want(warehouse, shop, {"transaction_id": "tx_1", "type": "expense"})
    sandbox.forget_requests()

    assert deliver_all(courier).states == {"verified": 1}  # the ledger learns what is there
    assert [request.status for request in writes(sandbox)] == [409]
    assert [action for action, _ in pending(warehouse)] == ["replace"]
    assert decide(warehouse, "approve", NOON, conflicts=True) == 1
    assert deliver_all(courier).states == {"sent": 1}
    assert [(row["externalId"], row["type"]) for row in shop.operations()] == [("u1:tx_1:2", "expense")]


def pending(warehouse: Warehouse) -> list[tuple[str, str]]:
    with warehouse.transaction() as con:
        return con.execute("select action, why from plan where standing = 'pending'").fetchall()


def test_a_409_never_shown_becomes_a_deletion_after_a_day(
    courier: Courier, warehouse: Warehouse, shop: Shop, clock: Clock
) -> None:
    """However often a person presses sync: hours count, not attempts."""
    want(warehouse, shop, {"transaction_id": "tx_1"})
    deliver_all(courier)
    shop.delete_operation("u1:tx_1")
    forget(warehouse)

    for _ in range(12):
        assert deliver_all(courier).states in ({"sent": 1}, {})
        clock.forward(600)
    assert "does not show it" in only_row(warehouse)["last_error"]
    while clock.now < NOON + timedelta(hours=24):
        clock.forward(3600)
        deliver_all(courier)
    assert only_row(warehouse)["state"] == "deleted"
    clock.forward(1000)
    assert deliver_all(courier).planned == 0  # a person decides


def test_a_400_refuses_one_operation_and_stops_no_other(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_bad", "account": "0" * 24}, {"transaction_id": "tx_good"})

    assert deliver_all(courier).states == {"refused": 1, "sent": 1}
    row = ledger(warehouse)["tx_bad"]
    assert (row["last_error"], row["next_attempt_at"]) == ("400 accountToId: not found", clock.now + timedelta(days=1))
    assert live(shop) == {"u1:tx_good": 1}


def test_a_refused_operation_is_retried_on_change_and_daily(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    """And whenever a person starts the delivery."""
    want(warehouse, shop, {"transaction_id": "tx_1", "account": "0" * 24})
    deliver_all(courier)
    clock.forward(86399)
    assert deliver_all(courier, every_failed=False).planned == 0
    clock.forward(1)
    assert deliver_all(courier, every_failed=False).states == {"refused": 1}
    assert deliver_all(courier).states == {"refused": 1}  # a person may have mended the account in Finmap

    want(warehouse, shop, {"transaction_id": "tx_1"})
    assert deliver_all(courier).states == {"sent": 1}
    assert live(shop) == {"u1:tx_1": 1}
    assert only_row(warehouse)["attempts"] == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_delivery_at_once(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, status: int
) -> None:
    want(warehouse, shop, *({} for _ in range(50)))
    sandbox.fault(Fault("status", "finmap", status=status, times=None))

    with pytest.raises(KeyRefused, match=f"Finmap refused the key \\({status}\\)"):
        deliver_all(courier)

    assert len(sandbox.requests()) <= IN_FLIGHT
    assert ledger(warehouse) == {}  # no record failed: the key did
    sandbox.clear_faults()
    assert deliver_all(courier).states == {"sent": 50}


def test_what_was_delivered_before_the_key_was_refused_is_kept(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, *({} for _ in range(30)))
    sandbox.fault(Fault("status", "finmap", method="POST", status=401, times=None, after=10))
    with pytest.raises(KeyRefused):
        deliver_all(courier)
    assert len(ledger(warehouse)) == len(shop.operations()) == 10


def one_operation_each(
    courier: Courier, shop: Shop, sandbox: Sandbox, faults: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many operations as faults, and each meets its own: they are sent one after the other."""
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.IN_FLIGHT", 1)
    monkeypatch.setattr("sitniks_finmap.clients.http.TIMEOUT", (5.0, 0.5))
    want(courier.warehouse, shop, *({"transaction_id": f"tx_{n}"} for n in range(len(faults))))
    for fault in faults:
        sandbox.fault(fault)


def test_writes_applied_without_an_answer_are_found_by_reading(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not sent twice."""
    one_operation_each(courier, shop, sandbox, APPLIED, monkeypatch)

    assert deliver_all(courier).states == {"verified": len(APPLIED)}

    assert [request.method for request in sandbox.requests("finmap")] == ["POST", "GET"] * len(APPLIED)
    until(lambda: [request.fault for request in writes(sandbox)] == [fault.kind for fault in APPLIED])
    assert live(shop) == {f"u1:tx_{n}": 1 for n in range(len(APPLIED))}
    assert {write["outcome"] for write in audit(warehouse)} == {"unknown"}
    assert all(write["error"].startswith("Finmap ") for write in audit(warehouse))


def test_writes_not_applied_fail_and_go_with_the_next_delivery(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_operation_each(courier, shop, sandbox, NOT_APPLIED, monkeypatch)

    assert deliver_all(courier).states == {"failed": len(NOT_APPLIED)}
    assert [one.fault for one in writes(sandbox)] == [fault.kind for fault in NOT_APPLIED]
    for row in ledger(warehouse).values():
        assert row["last_error"].startswith("Finmap ")
        assert row["next_attempt_at"] == clock.now + RETRY

    assert deliver_all(courier).states == {"sent": len(NOT_APPLIED)}
    assert live(shop) == {f"u1:tx_{n}": 1 for n in range(len(NOT_APPLIED))}
    assert {row["attempts"] for row in ledger(warehouse).values()} == {2}


def test_a_write_applied_after_the_lookup_is_not_doubled(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.clients.http.TIMEOUT", (5.0, 0.5))
    want(warehouse, shop, {"transaction_id": "tx_1"})
    sandbox.fault(Fault("slow", "finmap", method="POST", seconds=1.2))
    assert deliver_all(courier).states == {"failed": 1}
    assert live(shop) == {}

    until(lambda: live(shop))
    assert deliver_all(courier).states == {"verified": 1}
    assert live(shop) == {"u1:tx_1": 1}


def test_a_write_overtaken_by_its_own_retry_is_not_doubled(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.clients.http.TIMEOUT", (5.0, 0.5))
    want(warehouse, shop, {"transaction_id": "tx_1"})
    sandbox.fault(Fault("slow", "finmap", method="POST", seconds=1.2))
    deliver_all(courier)
    deliver_all(courier)
    until(lambda: all(request.status for request in writes(sandbox)))
    assert sorted(request.status for request in writes(sandbox)) == [201, 409]
    assert live(shop) == {"u1:tx_1": 1}


def test_an_unknown_outcome_that_cannot_be_read_waits(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    """Within the run it counts as failed and is not sent again."""
    want(warehouse, shop, {"transaction_id": "tx_1"})
    sandbox.fault(Fault("drop_after", "finmap", method="POST"))
    sandbox.fault(Fault("status", "finmap", method="GET", status=503, times=None))

    assert deliver_all(courier).states == {"failed": 1}
    assert only_row(warehouse)["last_error"] == 'the outcome is unknown: Finmap answered 503: "sandbox fault"'
    assert len(writes(sandbox)) == 1

    sandbox.clear_faults()
    assert deliver_all(courier).states == {"verified": 1}
    assert live(shop) == {"u1:tx_1": 1}


def test_a_patch_without_an_answer_is_settled_next_time(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"})
    deliver_all(courier)
    want(warehouse, shop, {"transaction_id": "tx_1", "comment": "Доплата"})
    sandbox.fault(Fault("drop_after", "finmap", method="PATCH"))

    assert deliver_all(courier).states == {"failed": 1}
    assert deliver_all(courier).states == {"verified": 1}
    assert len(writes(sandbox, "PATCH")) == 1
    assert [row["comment"] for row in shop.operations()] == ["Доплата"]


def test_a_delivery_stops_when_finmap_stops_answering(
    courier: Courier, warehouse: Warehouse, shop: Shop, sandbox: Sandbox
) -> None:
    want(warehouse, shop, *({} for _ in range(60)))
    sandbox.fault(Fault("status", "finmap", method="POST", status=503, times=None))

    with pytest.raises(Unavailable, match="stopped answering"):
        deliver_all(courier)

    assert UNANSWERED_IN_A_ROW <= len(writes(sandbox)) <= UNANSWERED_IN_A_ROW + 8
    assert len(ledger(warehouse)) == len(writes(sandbox))
    sandbox.clear_faults()
    assert deliver_all(courier).backlog == 0
    assert sorted(live(shop).values()) == [1] * 60
