"""What is pending, waits or was shown is the same wherever it is told, and what nobody was shown nobody agreed to."""

from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from sitniks_finmap.cli.decision_commands import dismiss
from sitniks_finmap.people.preview import plan_json, print_plan
from sitniks_finmap.people.status import Status, status_of
from sitniks_finmap.pipeline.decisions import (
    only_shown,
    only_shown_unbooked,
    pending,
    plan_rollback,
    roll_back,
    unbooked,
)
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago
from sitniks_finmap_tests.order_books import KeepOrders, move

pytestmark = pytest.mark.runs


def status(books: Books) -> Status:
    return status_of(books.run.connection, books.clock())


def preview(books: Books, **days: Any) -> None:
    print_plan(Console(quiet=True), books.run.connection, days.get("first", START), days.get("last", TODAY))


# -- Pending --


def test_an_older_operation_and_a_conflict_are_two_everywhere(books: Books) -> None:
    books.have_an_older_one_restored(comment="мій")
    books.edit(1, 2, comment="мій")
    books.look()
    books.sell(1, "-120.00", description="інше")
    books.read()
    with books.warehouse.transaction() as con:
        (checked, _) = con.execute(sql("checks/no_changes_are_pending")).fetchone() or (0, None)
        everywhere = {"check": checked, "approve": len(pending(con, "approve", conflicts=True))}
    everywhere["preview"] = sum(one["standing"] == "pending" for one in plan_json(books.run.connection, START, TODAY))
    found = status(books)
    assert found.summary
    everywhere["status"] = found.summary.pending
    everywhere["finding"] = sum(one.count for one in found.findings if one.problem == "pending")
    assert everywhere == {"check": 2, "approve": 2, "preview": 2, "status": 2, "finding": 2}


# -- Waiting --


def test_a_refund_that_waits_is_left_and_not_left_out(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "Виконано")
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", times=None, status=422))
    books.sync()
    books.clock.forward(86400)
    move(books, "Повернено")
    found = status(books)
    assert found.summary
    assert found.summary.left_out == {}
    assert found.summary.refused == 1
    assert {one.problem: one.count for one in found.findings if one.problem in ("refused", "waiting")} == {
        "refused": 1, "waiting": found.summary.backlog,
    }  # fmt: skip
    assert found.verdict == "error"


def test_what_waits_for_the_next_read_too_long_is_backlog(books: Books) -> None:
    """Which messages tell; of what waits for another part of its order, they tell that part."""
    books.sell(1, at=days_ago(9))
    books.sell(2)
    books.read()
    assert books.shop.delete_transaction("tx_1")
    books.clock.forward(3600)
    books.read()
    books.deliver()
    assert "backlog" not in {one.problem for one in status(books).findings}
    books.clock.forward(25 * 3600)
    assert books.plan() == [("tx_1", "create", "waiting")]
    assert {one.problem: one.count for one in status(books).findings if one.problem in ("backlog", "waiting")} == {
        "backlog": 1
    }


# -- Whose edit it is --


def test_our_own_unconfirmed_change_is_no_edit_of_a_person(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.sell(1, description="інше")
    books.read()
    books.be_killed_delivering("reply_received:1")
    with books.warehouse.transaction() as con:
        con.execute("update finmap_operations set comment = (select comment from operations)")
        [planned] = plan_rollback(con, first_day=START, last_day=TODAY)
    assert (planned.standing, planned.edited) == ("go", [])
    assert roll_back(books.run, [planned]).states == {"rolled_back": 1}


def test_an_edit_beside_our_unconfirmed_change_stays(books: Books) -> None:
    """The plan cannot tell; the look before the deletion does."""
    books.sell(1)
    books.sync()
    books.sell(1, description="інше")
    books.read()
    books.be_killed_delivering("reply_received:1")
    books.edit(1, amount="777.00")
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=TODAY)
    roll_back(books.run, planned)
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "777"}


# -- Which run --


def test_a_run_is_rolled_back_only_if_it_alone_is_meant(books: Books) -> None:
    for number, run_id in enumerate(("1a2b-old", "1a3c-new", "1a3c"), 1):
        books.run.run_id = run_id
        books.sell(number)
        books.sync()
    with books.warehouse.transaction() as con:
        with pytest.raises(ConfigurationError, match=r"u1: several runs begin with 1a: 1a3c \(.*1a3c-new .*1a2b-old"):
            plan_rollback(con, run_id="1a")
        named = {run: [one.external_id for one in plan_rollback(con, run_id=run)] for run in ("1a2", "1a3c", "2")}
    assert named == {"1a2": ["u1:tx_1"], "1a3c": ["u1:tx_3"], "2": []}


# -- What was shown --


def test_only_what_was_printed_was_shown(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations that a rollback removed are kept out; a preview of other days does not print them."""
    books.sell_many(3)
    books.sync()
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=TODAY)
    roll_back(books.run, planned)
    books.sync()
    days_before = {"first": START, "last": TODAY - timedelta(days=3)}
    for days, shown in ((days_before, 0), ({}, 3)):
        preview(books, **days)
        with books.warehouse.transaction() as con:
            changes = [one for n in (1, 2, 3) for one in pending(con, "approve", recreate=True, transaction=f"tx_{n}")]
            assert (len(changes), len(only_shown(con, changes))) == (3, shown)
    monkeypatch.setattr("sitniks_finmap.people.preview.SHOWN", 2)
    preview(books)
    with books.warehouse.transaction() as con:
        assert len(only_shown(con, changes)) == 2


def test_a_warning_that_no_preview_counted_is_not_dismissed(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "Повернено")
    books.sync()
    with books.warehouse.transaction() as con:
        assert only_shown_unbooked(con, unbooked(con)) == []
    preview(books)
    books.order(2, "Повернено")
    books.sync()
    with books.warehouse.transaction() as con:
        chosen = unbooked(con)
        assert sorted(one.transaction_id for one in chosen) == ["order-1", "order-2"]
        assert [one.transaction_id for one in only_shown_unbooked(con, chosen)] == ["order-1"]
    assert "--unbooked" in [name for option in dismiss.params for name in option.opts]
