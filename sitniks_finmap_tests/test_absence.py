"""One look is no proof of absence: what Finmap or Sitniks does not show once is neither gone nor created again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sitniks_finmap.clients.sitniks import IncompleteRead
from sitniks_finmap.pipeline.readback import rebuild_ledger
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago
from sitniks_finmap_tests.fake_lists import show_no_operations

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]


def many(books: Books, count: int = 30) -> None:
    for number in range(1, count + 1):
        books.sell(number, at=days_ago(1 + number % 3))
    books.sync()
    assert set(books.states().values()) == {"verified"}


# -- Finmap --


def test_an_empty_answer_makes_nobody_a_deleter(keep_books: Keep) -> None:
    """28 operations, one sync in which Finmap shows none: nothing is deleted, and nothing is ever posted again."""
    books = keep_books()
    many(books, 28)
    show_no_operations(books)
    books.sync()
    books.sandbox.clear_faults()
    assert set(books.states().values()) == {"verified"}
    assert {row[2:] for row in books.reasons()} == {("pending", "Finmap no longer shows 28 of 28 operations")}
    books.written()
    assert books.decide("approve", recreate=True) == 0
    books.sync()
    assert (books.written(), books.plan(), books.differences(), len(books.finmap())) == ([], [], [], 28)


def test_a_mass_disappearance_is_held_on_every_sync(keep_books: Keep) -> None:
    books = keep_books()
    many(books)
    show_no_operations(books)
    for _ in range(6):
        books.sync()
    assert {row[1:] for row in books.reasons()} == {("verify", "pending", "Finmap no longer shows 30 of 30 operations")}
    assert set(books.states().values()) == {"verified"}
    books.sandbox.clear_faults()
    books.sync()
    assert (books.plan(), books.differences(), len(books.finmap())) == ([], [], 30)


def test_a_real_mass_deletion_is_accepted_on_approval(keep_books: Keep) -> None:
    books = keep_books()
    many(books)
    for number in range(1, 31):
        books.throw_out(number)
    for _ in range(4):
        books.sync()
    assert books.decide("approve") == 30
    books.sync()
    assert set(books.states().values()) == {"deleted"}
    assert {row[1:3] for row in books.reasons()} == {("recreate", "pending")}
    assert books.decide("approve", recreate=True) == 30
    books.sync()
    assert sorted(books.finmap()) == sorted(f"tx_{n}:2" for n in range(1, 31))


def test_what_is_put_back_from_the_bin_is_verified_again(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.throw_out_and_be_believed(1)
    assert books.states()["tx_1"] == "deleted"
    books.shop.restore_operation("u1:tx_1")
    books.written()
    books.sync()
    assert (books.states()["tx_1"], books.plan(), books.differences()) == ("verified", [], [])
    books.sell(1, "5.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "5"


def test_an_older_approval_does_not_double_a_restored_operation(books: Books) -> None:
    """A person approves to create it again, and another one takes it out of the bin meanwhile."""
    books.sell(1)
    books.sync()
    books.throw_out_and_be_believed(1)
    assert books.decide("approve", recreate=True) == 1
    books.shop.restore_operation("u1:tx_1")
    books.deliver()
    assert list(books.finmap()) == ["tx_1"]
    books.sync()
    assert (list(books.finmap()), books.states(), books.plan()) == (["tx_1"], {"tx_1": "verified"}, [])


def test_what_finmap_stored_may_take_three_hours_to_show(books: Books) -> None:
    books.sell(1)
    books.sandbox.fault(Fault("stored", "finmap", seconds=3 * 3600))
    for _ in range(18):
        books.read()
        books.deliver()
        books.look()
        books.clock.forward(660)
    assert books.states() == {"tx_1": "verified"}
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1"], [], [])


def test_hours_count_and_not_how_often_a_person_presses_sync(books: Books) -> None:
    books.sell(1)
    books.sandbox.fault(Fault("stored", "finmap", seconds=1800))
    for _ in range(9):
        books.read()
        books.deliver()
        books.look()
        books.clock.forward(130)
    assert books.states() == {"tx_1": "sent"}
    books.clock.forward(1800)
    books.sync()
    assert books.states() == {"tx_1": "verified"}


@pytest.mark.parametrize("answer", ["status", "drop_before", "drop_after"])
def test_an_unclear_deletion_and_a_false_404_double_nothing(keep_books: Keep, answer: Any) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell(1)
    books.sync()
    books.sell(1, "-100.00")
    books.sandbox.fault(Fault(answer, "finmap", method="DELETE", status=500))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=404, after=2))
    for _ in range(4):
        books.sync()
        assert len(books.finmap()) <= 1
    assert ({n: str(a) for n, a in books.sums().items()}, books.plan()) == ({"tx_1:2": "-100"}, [])


@pytest.mark.parametrize("fault", ["stored_delete", "stored_delete_lost"])
def test_the_next_generation_waits_until_the_old_one_is_gone(keep_books: Keep, fault: Any) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(2)
    books.sync()
    books.sell(1, "-100.00")
    books.unsell(2)
    books.sandbox.fault(Fault(fault, "finmap", seconds=5400, times=2))
    for _ in range(6):
        books.sync()
        assert len([name for name in books.finmap() if name.startswith("tx_1")]) == 1
    assert {n: str(a) for n, a in books.sums().items()} == {"tx_1:2": "-100"}
    assert (books.states()["tx_2"], books.plan(), books.differences()) == ("withdrawn", [], [])


def test_an_older_generation_that_finmap_shows_is_deleted(keep_books: Keep) -> None:
    books = keep_books()
    books.sell(1)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.shop.restore_operation("u1:tx_1")
    books.look()
    assert books.reasons() == [
        ("tx_1", "withdraw", "go", "an older operation of the same transaction is still in Finmap")
    ]
    assert ("tx_1", "u1:tx_1") in books.rows("select transaction_id, external_id from plan")
    books.sync()
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1:2"], [], [])


def test_what_was_looked_for_longest_ago_is_looked_for_first(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sitniks_finmap.pipeline.readback.LOOK_UPS", 5)
    for number in range(1, 13):
        books.sell(number, at=days_ago(2))
    books.sync()
    for number in range(1, 13):
        books.edit(number, date=days_ago(300))  # the list of these days does not show them any more
    for _ in range(3):
        books.look()
        books.clock.forward(3600)
    assert books.rows("select count(*) from finmap_upload where missing_since is not null") == [(0,)]
    assert books.rows("select count(*) from finmap_operations") == [(12,)]


# -- A lost file --


def test_a_generation_no_list_shows_is_found_before_creating(keep_books: Keep) -> None:
    books = keep_books()
    books.sell_many(3)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.edit(1, generation=2, date=days_ago(900))  # beyond whatever a rebuilt ledger reads
    books.warehouse.lose()
    books.written()
    books.sync()
    books.sync()
    assert sorted(books.finmap()) == ["tx_1:2", "tx_2", "tx_3"]
    assert books.written() == []


def test_an_operation_moved_to_another_month_is_not_recreated(books: Books) -> None:
    """Not even when the warehouse file is lost meanwhile."""
    books.sell_many(2)
    books.sync()
    books.edit(1, date=days_ago(200))
    books.edit(2, date=days_ago(-100))
    books.warehouse.lose()
    books.written()
    books.sync()
    assert (books.written(), sorted(books.finmap())) == ([], ["tx_1", "tx_2"])
    assert {row[2] for row in books.reasons()} == {"pending"}


def rebuild_often(books: Books) -> None:
    for _ in range(20):
        rebuild_ledger(books.run, START, TODAY, books.clock())


def test_a_ledger_is_rebuilt_only_from_two_passes_that_agree(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.warehouse.lose()
    short = '{"list": [], "total": 3}'
    books.sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=short, times=1))
    assert rebuild_ledger(books.run, START, TODAY, books.clock()) == (3, 3)
    books.sandbox.fault(Fault("page_short", "finmap", delta=2, times=None, probability=0.5, seed=3))
    with pytest.raises(IncompleteRead, match="differed every time"):
        rebuild_often(books)


# -- Every operation is read back --


def test_writes_are_read_back_whichever_days_are_synced_next(books: Books) -> None:
    """Finmap died in the middle of a delivery; later syncs delivered the rest, but of other days."""
    for number in range(1, 36):
        books.sell(number, at=days_ago(8))
    books.read()
    books.deliver()  # the run ends here: nothing was read back
    books.clock.forward(3600)
    recent = TODAY - timedelta(days=2)
    books.sync(recent, TODAY)
    assert set(books.states().values()) == {"verified"}
    assert books.rows("select count(*), sum(finmap_income_sum - sitniks_income_sum) from reconciliation") == [(1, 0)]


# -- What the last read did not show is not created: it may be gone, or another company's --


def test_not_when_it_was_refused_before(books: Books) -> None:
    books.sell_many(2)
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=400, times=2))
    books.sync()
    assert books.shop.delete_transaction("tx_1")
    books.sync()
    assert sorted(books.finmap()) == ["tx_2"]


def test_not_when_a_person_approved_that_it_is_created_again(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.throw_out_and_be_believed(1)
    assert books.decide("approve", recreate=True) == 1
    assert books.shop.delete_transaction("tx_1")
    books.sync()
    assert sorted(books.finmap()) == ["tx_2"]


def test_not_while_nothing_was_read_since(books: Books) -> None:
    books.sell(1, at=days_ago(9))
    books.sell(2)
    books.read()
    assert books.shop.delete_transaction("tx_1")
    books.clock.forward(3600)
    books.read()
    for _ in range(3):
        books.deliver(every_failed=False)  # as a sensor does
        books.clock.forward(25 * 3600)
    assert sorted(books.finmap()) == ["tx_2"]
    assert books.plan() == [("tx_1", "create", "waiting")]
