"""What a person decides: approve and dismiss, recreate, catch up, roll back."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sitniks_finmap.pipeline.decisions import RolledBack, catch_up, plan_rollback, roll_back, undo_catch_up
from sitniks_finmap.pipeline.due import days_due
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import DAY, START, TODAY, Books, days_ago

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
DISMISSED = "dismissed by a person"


@pytest.fixture
def asking(keep_books: Keep) -> Books:
    """Three operations, two of yesterday and one of the day before, and every change waits for a person."""
    books = keep_books(on_change="ask", on_delete="ask")
    books.sell_many(2)
    books.sell(3, at=days_ago(2))
    books.sync()
    books.written()
    return books


def change(books: Books, amount: str, *numbers: int) -> None:
    for number in numbers:
        books.sell(number, amount, at=days_ago(2) if number == 3 else None)
    books.read()


def standing(books: Books, number: int) -> str | None:
    return {transaction: standing for transaction, _, standing in books.plan()}.get(f"tx_{number}")


def planned_rollback(books: Books, **which: Any) -> list[RolledBack]:
    with books.warehouse.transaction() as con:
        return plan_rollback(con, **which)


def carry_out(books: Books) -> None:
    """The rest of a sync, when nothing changed in Sitniks since."""
    books.deliver()
    books.look()
    books.clock.forward(3600)


# -- Approve, dismiss --------------------------------------------------------------------------------------------


def test_one_transaction_a_day_or_all_that_waits_is_approved(asking: Books) -> None:
    change(asking, "1.00", 1, 2, 3)
    assert asking.decide("approve", transaction="tx_9") == 0
    assert asking.decide("approve", day=TODAY) == 0
    assert asking.decide("approve", transaction="tx_2") == 1
    assert asking.plan() == [("tx_1", "update", "pending"), ("tx_2", "update", "go"), ("tx_3", "update", "pending")]
    assert asking.decide("approve", day=DAY) == 1
    assert standing(asking, 3) == "pending"
    assert asking.decide("approve") == 1
    assert asking.written() == []  # a decision writes nothing; the next sync does
    carry_out(asking)
    assert [json.loads(one.body) for one in asking.written()] == [{"amount": 1.0}] * 3
    assert asking.plan() == []


def test_a_dismissed_change_stays_dismissed_until_it_changes(asking: Books) -> None:
    change(asking, "1.00", 1, 2)
    asking.unsell(3)
    asking.read()
    assert asking.decide("dismiss", transaction="tx_1") == 1
    assert asking.decide("dismiss") == 2
    for _ in range(2):
        asking.sync()
        assert {(standing, why) for _, _, standing, why in asking.reasons()} == {("kept", DISMISSED)}
    assert asking.written() == []
    assert days_due(asking.warehouse, asking.clock()) is None
    assert {kind for _, kind, _ in asking.differences()} == {"kept"}

    change(asking, "2.00", 1)
    assert [standing(asking, n) for n in (1, 2, 3)] == ["pending", "kept", "kept"]


def test_a_decision_is_about_the_change_as_it_was_then(asking: Books) -> None:
    change(asking, "1.00", 1)
    asking.decide("approve")
    change(asking, "2.00", 1)
    assert asking.deliver().planned == 0
    assert standing(asking, 1) == "pending"
    change(asking, "-1.00", 1)
    assert asking.plan() == [("tx_1", "replace", "pending")]
    assert asking.deliver().planned == 0
    change(asking, "1.00", 1)  # what was approved then is gone with its occasion
    assert asking.plan() == [("tx_1", "update", "pending")]


def test_the_last_of_two_decisions_holds(asking: Books) -> None:
    change(asking, "1.00", 1, 2)
    assert asking.decide("approve") == 2
    assert asking.decide("dismiss", transaction="tx_1") == 1
    assert asking.decide("approve") == 0  # it is not asked about any more; who names it changes his mind
    assert (standing(asking, 1), standing(asking, 2)) == ("kept", "go")
    carry_out(asking)
    assert [one.path[-1] for one in asking.written()] == ["2"]
    assert asking.decide("approve", transaction="tx_1") == 1
    carry_out(asking)
    assert [one.path[-1] for one in asking.written()] == ["1"]


def test_an_approval_is_spent_when_it_is_carried_out(asking: Books) -> None:
    change(asking, "1.00", 1)
    asking.decide("approve")
    carry_out(asking)
    change(asking, "100.00", 1)
    asking.decide("approve")
    carry_out(asking)
    change(asking, "1.00", 1)
    assert asking.plan() == [("tx_1", "update", "pending")]

    asking.unsell(2)
    asking.read()
    asking.decide("approve")
    carry_out(asking)
    asking.sell(2)
    asking.sync()
    asking.unsell(2)
    asking.read()
    assert standing(asking, 2) == "pending"
    assert "tx_2:2" in asking.finmap()


def test_an_approved_change_happens_once_despite_faults(asking: Books) -> None:
    change(asking, "1.00", 1, 2)
    change(asking, "-1.00", 3)
    asking.decide("approve")
    asking.sandbox.fault(Fault("drop_after", "finmap", method="PATCH"))
    asking.sandbox.fault(Fault("status", "finmap", method="PATCH"))
    asking.sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations/expense"))
    asking.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=400, after=3, times=1))
    for _ in range(3):
        carry_out(asking)
    assert sorted((name, str(amount)) for name, amount in asking.sums().items()) == [
        ("tx_1", "1"), ("tx_2", "1"), ("tx_3:2", "-1"),
    ]  # fmt: skip
    assert (asking.plan(), asking.differences()) == ([], [])


def test_an_approval_survives_a_kill_before_results_are_stored(asking: Books) -> None:
    """Finmap has applied the changes, and the ledger does not know yet."""
    change(asking, "1.00", 1)
    change(asking, "-1.00", 2)
    asking.decide("approve")
    asking.be_killed_delivering("reply_received:3")  # a change, a deletion, and what takes its place
    assert len(asking.written()) == 3
    carry_out(asking)
    assert sorted(asking.finmap()) == ["tx_1", "tx_2:2", "tx_3"]
    assert {one.method for one in asking.written()} <= {"POST"}  # which Finmap answers with 409, and it is settled
    for _ in range(3):
        carry_out(asking)  # two looks, two hours apart, prove that the one before is gone
    assert (asking.plan(), asking.differences()) == ([], [])


def test_a_dismissed_change_no_longer_shows_as_pending(asking: Books) -> None:
    change(asking, "1.00", 1)
    asking.sync()
    waiting = "select count(*) from plan where standing = 'pending'"
    assert asking.rows(waiting) == [(1,)]
    asking.decide("dismiss")
    assert asking.rows(waiting) == [(0,)]


# -- Deleted by a person -----------------------------------------------------------------------------------------


def test_a_deleted_operation_returns_only_by_approve_recreate(asking: Books) -> None:
    asking.throw_out_and_be_believed(1)
    assert asking.reasons() == [("tx_1", "recreate", "pending", "a person deleted it in Finmap")]
    assert asking.decide("approve") == 0
    assert asking.decide("approve", transaction="tx_1") == 0
    assert asking.decide("dismiss") == 0
    assert asking.decide("approve", recreate=True) == 1
    assert asking.written() == []
    carry_out(asking)
    assert sorted(asking.finmap()) == ["tx_1:2", "tx_2", "tx_3"]
    assert asking.differences() == []

    asking.throw_out_and_be_believed(1, generation=2)  # and a person deletes it again
    assert asking.plan() == [("tx_1", "recreate", "pending")]
    asking.sync()
    assert sorted(asking.finmap()) == ["tx_2", "tx_3"]
    assert asking.decide("approve", recreate=True, transaction="tx_1") == 1
    carry_out(asking)
    assert "tx_1:3" in asking.finmap()


def test_a_deletion_is_accepted_by_naming_the_transaction(asking: Books) -> None:
    asking.throw_out_and_be_believed(1, 2)
    asking.written()
    assert asking.decide("dismiss", transaction="tx_1") == 1
    assert [standing(asking, n) for n in (1, 2)] == ["kept", "pending"]
    asking.sync()
    assert asking.written() == []
    assert asking.differences() == [(f"tx_{n}", "deleted by a person", True) for n in (1, 2)]
    assert asking.decide("approve", recreate=True, transaction="tx_1") == 1  # he changed his mind
    carry_out(asking)
    assert sorted(asking.finmap()) == ["tx_1:2", "tx_3"]


# -- Catch up ----------------------------------------------------------------------------------------------------


def test_catch_up_posts_nothing_up_to_its_day_and_undo_posts_all(books: Books) -> None:
    for number in range(1, 6):
        books.sell(number, at=days_ago(number))
    books.read()
    assert catch_up(books.warehouse, TODAY - timedelta(days=3)) == 3
    books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]
    assert books.differences() == [(f"tx_{n}", "skipped", True) for n in (3, 4, 5)]
    assert catch_up(books.warehouse, TODAY) == 3  # what was sent is not skipped

    # Corrections of what was not posted are not posted either, nor asked about.
    books.sell(3, "-7.00", at=days_ago(3))
    books.unsell(4)
    books.sync()
    assert (books.plan(), sorted(books.finmap())) == ([], ["tx_1", "tx_2"])

    assert undo_catch_up(books.warehouse) == 2
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {
        "tx_1": "100", "tx_2": "100", "tx_3": "-7", "tx_5": "100",
    }  # fmt: skip
    assert books.differences() == []


def test_catch_up_after_a_lost_file_still_finds_what_finmap_has(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.warehouse.lose()
    books.sell(3)
    books.read()
    assert catch_up(books.warehouse, TODAY) == 3
    books.written()
    books.sync()
    assert books.written() == []
    assert books.states() == {"tx_1": "verified", "tx_2": "verified"}
    assert books.differences() == [("tx_3", "skipped", True)]


# -- Roll back ---------------------------------------------------------------------------------------------------


def test_a_rolled_back_run_is_not_sent_again(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.run.run_id = "another-run"
    books.sell(1, "50.00")
    books.sell(3)
    books.sell(4, "-30.00")
    books.sync()
    books.written()

    planned = planned_rollback(books, run_id="another")
    assert [(one.standing, one.external_id) for one in planned] == [("go", "u1:tx_3"), ("go", "u1:tx_4")]
    assert books.written() == []  # a plan writes nothing
    assert roll_back(books.run, planned).states == {"rolled_back": 2}
    assert sorted((one.method, one.path[-4:]) for one in books.written()) == [("DELETE", "tx_3"), ("DELETE", "tx_4")]
    books.sell(3, "1.00")
    books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]
    taken_out = ("recreate", "kept", "removed by a rollback")
    assert books.reasons() == [("tx_3", *taken_out), ("tx_4", *taken_out)]
    assert books.differences() == [("tx_3", "rolled back", True), ("tx_4", "rolled back", True)]

    assert books.decide("approve", recreate=True, transaction="tx_3") == 1
    carry_out(books)
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "50", "tx_2": "100", "tx_3:2": "1"}
    # Rolled back once more, it stays out: the approval was for once.
    planned = planned_rollback(books, first_day=START, last_day=TODAY)
    assert roll_back(books.run, planned).states == {"rolled_back": 3}
    books.sync()
    assert (books.finmap(), undo_catch_up(books.warehouse)) == ({}, 0)


def test_a_rollback_of_days_spares_edits_unless_forced(keep_books: Keep) -> None:
    books = keep_books(source_as_tag=True)
    for number in range(1, 5):
        books.sell(number, at=days_ago(number), source="Instagram")
    books.sync()
    books.edit(2, comment="перевірено")
    books.look()

    planned = planned_rollback(books, first_day=TODAY - timedelta(days=3), last_day=DAY)
    assert [(one.standing, one.why, one.external_id) for one in planned] == [
        ("go", None, "u1:tx_1"),
        ("pending", "a person edited it in Finmap", "u1:tx_2"),
        ("go", None, "u1:tx_3"),
    ]
    books.edit(3, comment="перевірено щойно")  # after Finmap was read: noticed by the look before the deletion
    assert roll_back(books.run, planned).states == {"rolled_back": 1, "verified": 1}
    assert sorted(books.finmap()) == ["tx_2", "tx_3", "tx_4"]

    planned = planned_rollback(books, first_day=TODAY - timedelta(days=3), last_day=DAY, force=True)
    assert roll_back(books.run, planned).states == {"rolled_back": 2}
    books.sync()
    assert sorted(books.finmap()) == ["tx_4"]


def test_an_interrupted_rollback_is_finished_by_the_next_sync(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.sandbox.fault(Fault("status", "finmap", method="DELETE", status=500))
    books.sandbox.fault(Fault("drop_after", "finmap", method="DELETE"))
    planned = planned_rollback(books, first_day=START, last_day=TODAY)
    # The answer of one deletion was lost: that it is not shown once is no proof.
    assert roll_back(books.run, planned).states == {"rolled_back": 1, "sent": 1, "failed": 1}
    books.clock.forward(7200)
    books.sync()
    assert (books.finmap(), set(books.states().values())) == ({}, {"rolled_back"})
    assert books.differences() == [(f"tx_{n}", "rolled back", True) for n in (1, 2, 3)]
