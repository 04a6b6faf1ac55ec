"""What a person was shown is what an approval covers: not an edit that one answer hid, and none that came since."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from sitniks_finmap.pipeline.decisions import plan_rollback
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.sandbox.spelling import SPELLINGS
from sitniks_finmap_tests.books import Books, days_ago
from sitniks_finmap_tests.fake_lists import show_no_operations

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
EDIT = "перевірено бухгалтером"
NO_PATCH = Fault("status", "finmap", method="PATCH", path="/operations", status=500)


def look_blindly(books: Books) -> None:
    """One look in which Finmap shows nothing."""
    show_no_operations(books)
    books.look()
    books.sandbox.clear_faults()


def comment(books: Books, number: int = 1) -> str:
    return books.finmap()[f"tx_{number}"]["comment"]


def test_an_edited_operation_one_look_missed_is_not_deleted(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.edit(1, comment=EDIT)
    books.sync()
    books.unsell(1)
    books.sync()
    books.sync()
    look_blindly(books)
    books.decide("approve")  # of a deletion: that she had edited it, nobody was shown
    books.sync()
    books.sync()
    assert comment(books) == EDIT
    assert [row[:3] for row in books.reasons()] == [("tx_1", "withdraw", "pending")]


def test_an_edited_older_operation_one_look_missed_stays(books: Books) -> None:
    books.have_an_older_one_restored(comment=EDIT)
    books.look()
    look_blindly(books)
    books.clock.forward(3600)
    for _ in range(3):
        books.sync()
    assert comment(books) == EDIT
    assert ("tx_1", "withdraw", "pending") in books.plan()


@pytest.mark.parametrize("amount", ["120.00", "-100.00"])
def test_an_amount_of_hers_stays_when_one_look_did_not_show_it(keep_books: Keep, amount: str) -> None:
    books = keep_books(on_change="ask")
    books.sell_many(2)
    books.sync()
    books.edit(1, amount="77.00")
    books.sync()
    books.sell(1, amount)
    books.sync()
    look_blindly(books)
    books.decide("approve")
    books.clock.forward(3 * 3600)
    for _ in range(3):
        books.sync()
    assert books.sums()["tx_1"] == 77


def test_an_edit_after_an_approved_change_failed_stays(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell_many(2)
    books.sync()
    books.sell(1, "110.00")
    books.sync()
    books.decide("approve")
    books.sandbox.fault(NO_PATCH)
    books.read()
    books.deliver()
    books.edit(1, amount="77.00")
    books.look()
    books.clock.forward(3600)
    for _ in range(2):
        books.sync()
    assert books.sums()["tx_1"] == 77
    assert [row[:3] for row in books.reasons()] == [("tx_1", "update", "pending")]


def test_an_edit_during_an_unclear_change_is_not_deleted(books: Books) -> None:
    """Not even by an approval of all pending deletions."""
    books.sell_many(2)
    books.sync()
    books.sell(1, "110.00")
    books.sandbox.fault(NO_PATCH)
    books.sync()
    books.edit(1, comment=EDIT)
    books.unsell(1)
    books.sync()
    books.sync()
    books.decide("approve")
    books.sync()
    books.sync()
    assert comment(books) == EDIT


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_edited_amount_survives_the_approval_of_a_rounded_one(books: Books, when: str) -> None:
    books.shop.ledger.spelling = SPELLINGS["whole hryvnias"]
    books.sell(1, "100.40")
    books.sync()
    if when == "before":
        books.edit(1, amount="77.00")
        books.sync()
    books.decide("approve")
    if when == "after":
        books.edit(1, amount="77.00")
    books.sync()
    books.sync()
    assert books.sums()["tx_1"] == 77


def test_an_unanswered_deletion_is_not_believed_at_once(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.sell(1, "-100.00")
    sandbox = books.sandbox
    sandbox.fault(Fault("status", "finmap", method="DELETE", status=500))
    sandbox.fault(Fault("status", "finmap", path="/operations/details", status=404, after=2, times=None))
    body = json.dumps({"list": [], "total": 0})
    sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=body, times=None))
    books.sync()
    books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]


def test_labels_survive_a_replacement_that_drops_the_category(books: Books) -> None:
    """Her category is for income, and the replacement is an expense."""
    project = books.shop.add_project("Салон")["id"]
    category = books.shop.add_category("income", "Її")["id"]
    books.sell(1)
    books.sync()
    books.edit(1, projectId=project, categoryId=category)
    books.sync()
    books.sell(1, "-100.00")
    for _ in range(3):
        books.sync()
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]


def test_a_label_that_she_took_off_again_does_not_come_back(books: Books) -> None:
    project = books.shop.add_project("Салон")["id"]
    books.sell(1)
    books.sync()
    books.edit(1, projectId=project)
    books.sync()
    books.sell(1, "-100.00")
    for _ in range(3):
        books.sync()
    assert books.finmap()["tx_1:2"]["projectIds"] == [project]
    books.edit(1, generation=2, projectId="")
    books.sync()
    books.sell(1, "100.00")
    for _ in range(3):
        books.sync()
    assert not books.finmap()["tx_1:3"].get("projectIds")


def test_after_the_file_was_lost_a_project_is_still_hers(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    project = books.shop.add_project("Салон")["id"]
    books.sell_many(2)
    books.sync()
    books.edit(1, projectId=project)
    books.edit(2, projectId=project)
    books.sync()
    books.warehouse.lose()
    books.sync()
    books.sell(1, "-100.00")
    books.unsell(2)
    for _ in range(4):
        books.sync()
    assert books.finmap()["tx_2"]["projectIds"] == [project]
    assert ("tx_2", "withdraw", "pending") in books.plan()
    assert [row.get("projectIds") for name, row in books.finmap().items() if name != "tx_2"] == [[project]]


@pytest.mark.parametrize("who", ["an answer was lost", "both moved it"])
def test_a_moved_operation_counts_on_its_new_day_on_both_sides(books: Books, who: str) -> None:
    books.sell(1)
    books.sync()
    books.sell(1, at=days_ago(3))
    if who == "both moved it":
        books.edit(1, date=round(days_ago(3).timestamp() * 1000))
    else:
        books.sandbox.fault(Fault("drop_after", "finmap", method="PATCH", path="/operations"))
    for _ in range(3):
        books.sync()
    rows = books.rows("select sitniks_income_sum - finmap_income_sum from reconciliation")
    assert {row[0] for row in rows} == {Decimal(0)}


def test_another_day_in_the_shop_waits_for_a_person(books: Books) -> None:
    books.shop.ledger.spelling = SPELLINGS["days"]
    books.sell(1, at=datetime(2026, 3, 8, 22, 30, tzinfo=UTC))  # the ninth in Kyiv
    books.sync()
    books.sync()
    assert books.plan() == [("tx_1", "update", "pending")]


def test_a_rollback_covers_creations_whose_answer_was_lost(books: Books) -> None:
    books.sell_many(2)
    books.sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations/income"))
    books.sync()
    with books.warehouse.transaction() as con:
        assert len(plan_rollback(con, run_id=books.run.run_id)) == 2


def test_our_deletion_is_not_a_persons_after_a_failed_lookup(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(2)
    books.sync()
    books.unsell(1)
    for _ in range(3):
        books.sync()
    assert books.states() == {"tx_1": "withdrawn", "tx_2": "verified"}
    books.sell(1)
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=500, times=None))
    books.read()
    books.deliver()
    books.sandbox.clear_faults()
    books.look()
    books.clock.forward(3600)
    assert books.states()["tx_1"] == "withdrawn"
    for _ in range(4):
        books.sync()
    assert (sorted(books.finmap()), books.plan()) == (["tx_1:2", "tx_2"], [])


def test_an_edit_beside_an_approved_change_stays_after_a_loss(books: Books) -> None:
    """The ledger was rebuilt, and the approved change had an unknown outcome."""
    books.sell(1, "10.00")
    books.sync()
    books.sell(1, "11.00")
    books.warehouse.lose()
    books.sync()
    assert books.decide("approve", conflicts=True) == 1
    books.sandbox.fault(Fault("drop_after", "finmap", method="PATCH", path="/operations"))
    books.read()
    books.deliver()  # it is carried out, and nobody knows
    books.edit(1, comment=EDIT)
    for _ in range(2):
        books.sync()
    books.sell(1, "11.00", description="інше")
    for _ in range(2):
        books.sync()
    assert comment(books) == EDIT
    assert [row[:3] for row in books.reasons()] == [("tx_1", "update", "pending")]


def test_a_rollback_of_a_run_spares_what_another_run_created(books: Books) -> None:
    books.sell(1)
    books.sandbox.fault(Fault("drop_before", "finmap", method="POST", path="/operations/income"))
    books.sync()
    first = books.run.run_id
    books.run = ConnectionRun(books.run.connection, books.warehouse, "another-run", now=books.clock)
    books.sync()
    with books.warehouse.transaction() as con:
        assert plan_rollback(con, run_id=first) == []
        assert len(plan_rollback(con, run_id="another-run")) == 1
