"""An older operation that a person takes out of the bin in place of a newer one: it is the operation from then on."""

from collections.abc import Callable

import pytest

from sitniks_finmap.pipeline.decisions import plan_rollback, roll_back
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import START, TODAY, Books

pytestmark = pytest.mark.runs
Keep = Callable[..., Books]


def recreated(books: Books) -> None:
    """A person deletes the first, and then wants it again."""
    books.sell(1)
    books.sync()
    books.throw_out_and_be_believed(1)
    assert books.decide("approve", recreate=True) == 1
    books.sync()


def turned(books: Books) -> None:
    """The sign turns in Sitniks: the first gives way to the second."""
    books.sell(1)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.sync()


def rolled_back(books: Books) -> None:
    turned(books)
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=TODAY)
    assert roll_back(books.run, planned).states == {"rolled_back": 1}
    books.sync()


def test_it_is_the_operation_again_and_follows_sitniks(books: Books) -> None:
    recreated(books)
    books.throw_out_and_be_believed(1, generation=2)
    books.shop.restore_operation("u1:tx_1")
    for _ in range(3):
        books.sync()
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1"], [], [])
    books.sell(1, "150.00")
    books.sync()
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "150"}
    assert (books.plan(), books.differences()) == ([], [])


@pytest.mark.parametrize("before", [recreated, turned])
def test_a_restored_operation_stays_once_the_newer_is_deleted(books: Books, before: Callable[[Books], None]) -> None:
    """A person deletes the newer and restores the older within one hour: nothing is written."""
    before(books)
    books.throw_out(1, generation=2)
    books.shop.restore_operation("u1:tx_1")
    books.written()
    for _ in range(5):
        books.sync()
    assert (books.written(), list(books.finmap())) == ([], ["tx_1"])
    assert {row[2] for row in books.reasons()} <= {"pending"}


def test_what_replaced_it_is_not_created_anew_unasked(books: Books) -> None:
    turned(books)
    books.throw_out_and_be_believed(1, generation=2)
    books.shop.restore_operation("u1:tx_1")
    for _ in range(3):
        books.sync()
    why = "a person restored it in Finmap in place of a newer operation"
    assert books.reasons() == [("tx_1", "replace", "pending", why)]
    assert books.decide("approve", transaction="tx_1") == 1
    books.sync()
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1:3": "-100"}
    assert (books.plan(), books.differences()) == ([], [])


def test_after_a_rollback_it_stays(books: Books) -> None:
    rolled_back(books)
    books.shop.restore_operation("u1:tx_1")
    books.written()
    for _ in range(3):
        books.sync()
    assert (books.written(), list(books.finmap())) == ([], ["tx_1"])


@pytest.mark.parametrize("generation", [1, 2])
def test_when_the_transaction_is_gone_a_person_is_asked(books: Books, generation: int) -> None:
    books.sell(2)
    turned(books)
    books.unsell(1)
    books.sync()
    assert books.decide("approve") == 1
    books.sync()
    books.sync()
    assert list(books.finmap()) == ["tx_2"]
    books.shop.restore_operation("u1:tx_1" if generation == 1 else "u1:tx_1:2")
    books.written()
    for _ in range(3):
        books.sync()
    assert books.written() == []
    assert books.reasons() == [("tx_1", "withdraw", "pending", "gone from Sitniks, and on_delete is ask")]


def test_when_both_are_put_back_the_newer_is_the_operation(books: Books) -> None:
    recreated(books)
    books.throw_out_and_be_believed(1, generation=2)
    books.shop.restore_operation("u1:tx_1")
    books.sync()
    books.shop.restore_operation("u1:tx_1:2")
    for _ in range(3):
        books.sync()
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1:2"], [], [])


def test_what_she_edits_on_it_afterwards_is_not_lost(books: Books) -> None:
    """The first project went over to the newer operation; the second did not."""
    first, second = (books.shop.add_project(name)["id"] for name in ("A", "B"))
    books.sell(1)
    books.sync()
    books.edit(1, projectId=first)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.sync()
    books.shop.restore_operation("u1:tx_1")
    books.edit(1, projectId=second)
    for _ in range(3):
        books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_1:2"]
    assert [row[2:] for row in books.reasons()] == [
        ("pending", "a person edited an older operation of the same transaction: project")
    ]


def test_a_dismissal_outlives_changes_of_other_transactions(books: Books) -> None:
    recreated(books)
    books.throw_out_and_be_believed(1, generation=2)
    assert books.decide("dismiss", transaction="tx_1") == 1
    books.sell(2)
    for _ in range(2):
        books.sync()
    assert books.reasons() == [("tx_1", "recreate", "kept", "dismissed by a person")]


# -- A newer operation that was planned and never came to be --


def killed_before_the_deletion(books: Books) -> None:
    """The sign turned, and the run that should have replaced it died before it sent anything."""
    books.sell_many(2)
    books.sync()
    books.sell(1, "-100.00")
    books.read()
    books.be_killed_delivering("request_ready:1")


@pytest.mark.parametrize("status", [400, 404])
def test_a_restored_operation_stays_while_the_newer_is_refused(books: Books, status: int) -> None:
    books.sell_many(2)
    books.sync()
    books.throw_out_and_be_believed(1)
    assert books.decide("approve", recreate=True) == 1
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=status, times=None))
    books.sync()
    books.shop.restore_operation("u1:tx_1")
    for _ in range(3):
        books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]
    books.sandbox.clear_faults()
    for _ in range(2):
        books.clock.forward(86_400)
        books.sync()
    assert (sorted(books.finmap()), books.plan(), books.differences()) == (["tx_1", "tx_2"], [], [])
    books.throw_out_and_be_believed(1)  # what was never created has no say in it
    assert books.reasons() == [("tx_1", "recreate", "pending", "a person deleted it in Finmap")]


def test_an_approved_recreation_meets_what_she_put_back(books: Books) -> None:
    recreated(books)
    books.throw_out_and_be_believed(1, generation=2)
    assert books.decide("approve", recreate=True) == 1
    books.shop.restore_operation("u1:tx_1")
    for _ in range(3):
        books.sync()
    assert (sorted(books.finmap()), books.plan()) == (["tx_1"], [])


@pytest.mark.parametrize("on_delete", ["keep", "ask"])
def test_an_interrupted_replacement_is_not_deleted_unasked(keep_books: Keep, on_delete: str) -> None:
    """The transaction disappeared from Sitniks meanwhile."""
    books = keep_books(on_delete=on_delete)
    killed_before_the_deletion(books)
    books.unsell(1)
    for _ in range(3):
        books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]
    assert [row[1:3] for row in books.reasons()] == [("withdraw", {"keep": "kept", "ask": "pending"}[on_delete])]


@pytest.mark.parametrize("on_change", ["update", "ask"])
def test_a_sign_that_turns_back_leaves_it_as_it_is(keep_books: Keep, on_change: str) -> None:
    books = keep_books()
    killed_before_the_deletion(books)
    books.edit(1, comment="перевірено")
    books.configure(books.run.connection.model_copy(update={"on_change": on_change}))
    books.sell(1)
    books.written()
    for _ in range(3):
        books.sync()
    assert (books.written(), books.reasons(), sorted(books.finmap())) == ([], [], ["tx_1", "tx_2"])
    books.configure(books.run.connection.model_copy(update={"on_change": "update"}))
    books.sell(1, "130.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "130"


def test_what_was_begun_under_the_next_key_goes_on_under_it(books: Books) -> None:
    killed_before_the_deletion(books)
    for _ in range(3):
        books.sync()
    assert ({name: str(has) for name, has in books.sums().items()}, books.plan(), books.differences()) == (
        {"tx_1:2": "-100", "tx_2": "100"}, [], []
    )  # fmt: skip


@pytest.mark.parametrize("killed", [False, True])
def test_a_rollback_of_what_was_half_replaced_stays_rolled_back(books: Books, killed: bool) -> None:
    if killed:
        killed_before_the_deletion(books)
    else:
        books.sell_many(2)
        books.sync()
        books.sell(1, "-100.00")
        books.read()
        books.sandbox.fault(Fault("status", "finmap", method="DELETE", status=500))
        books.deliver()
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=TODAY)
    roll_back(books.run, planned)
    for _ in range(4):
        books.sync()
    assert books.finmap() == {}


@pytest.mark.parametrize("how", ["recreated", "turned"])
def test_beside_what_was_put_back_nothing_is_created(books: Books, how: str) -> None:
    """The newer was stored and lost, and a person restores the older."""
    books.sell(1)
    books.sync()
    if how == "recreated":
        books.throw_out_and_be_believed(1)
        assert books.decide("approve", recreate=True) == 1
    else:
        books.sell(1, "-100.00")
    books.sandbox.fault(Fault("stored_lost", "finmap"))
    books.sync()
    books.shop.restore_operation("u1:tx_1")
    for _ in range(10):
        books.sync()
        assert len(books.finmap()) <= 1
        books.clock.forward(3 * 3600)
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1:2"], [], [])


def test_a_dismissal_is_not_forgotten_with_an_older_operation(books: Books) -> None:
    books.sell(2)
    turned(books)
    books.unsell(1)
    books.sync()
    assert books.decide("dismiss") == 1
    books.shop.restore_operation("u1:tx_1")
    for _ in range(2):
        books.sync()
    assert [row[1:3] for row in books.reasons()] == [("withdraw", "kept")]
