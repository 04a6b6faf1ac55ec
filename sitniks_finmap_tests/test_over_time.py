"""What comes together over weeks: corrections, people and decisions in one transaction; settings that change; and what
an hour without news costs."""

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sitniks_finmap.people.status import status_of
from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.decisions import catch_up, undo_catch_up
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import DAY, START, TODAY, Books, days_ago, stamp

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
EDIT = "перевірено бухгалтером"


def broken(books: Books) -> list[str]:
    """The promises about operations and the ledger that do not hold."""
    with books.warehouse.transaction() as con:
        return [check.name for check in CHECKS if (con.execute(check.wrong).fetchone() or (1,))[0]]


# -- An hour without news ----------------------------------------------------------------------------------------


def test_an_hour_without_news_reads_once_and_writes_nothing(keep_books: Keep) -> None:
    """The window is read once on each side."""
    books = keep_books()
    for number in range(1, 121):
        books.put_order(number, "Новий")
        books.sell(number, at=days_ago(number % 3), orderId=number)
    books.sync()
    books.sandbox.forget_requests()

    books.sync(TODAY - timedelta(days=7), TODAY)
    asked = Counter(f"{one.api} {one.method} {one.path}" for one in books.sandbox.requests())
    assert asked == {
        "sitniks GET /transactions": 3,  # 120 in pages of 50
        "sitniks GET /orders": 3,
        "finmap GET /accounts": 1,
        "finmap POST /operations/list": 3,  # the read-back, in pages of 100 to one that shows nothing
    }


def test_edits_and_pending_changes_cost_no_writes_or_lookups(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell_many(4)
    books.sync()
    books.edit(1, comment=EDIT)
    books.sell(3, "1.00")
    books.unsell(4)
    books.throw_out_and_be_believed(2)
    books.sandbox.forget_requests()
    books.sync()
    asked = Counter(f"{one.api} {one.method} {one.path}" for one in books.sandbox.requests())
    assert asked == {
        "sitniks GET /transactions": 1,
        "finmap GET /accounts": 1,
        "finmap POST /operations/list": 2,
    }


# -- One transaction, everything ---------------------------------------------------------------------------------


def test_a_deletion_voids_the_approval_of_a_replacement(keep_books: Keep) -> None:
    """A person edited it, Sitniks turned its sign, the person deleted it: it returns only by approve --recreate."""
    books = keep_books()
    books.sell_many(2)
    books.sync()
    books.edit(1, comment=EDIT)
    books.sell(1, "-100.00")
    books.sync()
    assert books.plan() == [("tx_1", "replace", "pending")]
    books.throw_out(1)
    books.written()
    assert books.decide("approve") == 0  # an edit is no mass of changes: it takes an approval of its own
    assert books.decide("approve", conflicts=True) == 1  # before anybody knew of the deletion
    for _ in range(3):
        books.sync()
    assert books.written() == []
    assert books.plan() == [("tx_1", "recreate", "pending")]
    assert books.differences() == [("tx_1", "deleted by a person", True)]
    assert books.decide("approve", recreate=True) == 1
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1:2": "-100", "tx_2": "100"}
    assert (books.differences(), broken(books)) == ([], [])


def test_a_sign_that_turns_twice_between_two_syncs_is_no_change(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell(1)
    books.sync()
    books.sell(1, "-100.00")
    books.sync()
    books.sell(1)
    books.written()
    books.sync()
    assert (books.plan(), books.written(), books.differences()) == ([], [], [])


def test_a_sign_that_flips_every_sync_leaves_one_operation(books: Books) -> None:
    for amount in ("100.00", "-100.00", "100.00", "-100.00"):
        books.sell(1, amount)
        books.sync()
        assert [str(one) for one in books.sums().values()] == [str(int(float(amount)))]
        assert books.differences() == []
    assert list(books.finmap()) == ["tx_1:4"]


def test_a_replacement_with_a_failed_creation_is_finished_once(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.sell_many(3, amount="-100.00")
    for fault in ("error_201", "drop_after", "drop_before"):
        books.sandbox.fault(Fault(fault, "finmap", method="POST", path="/operations/expense"))  # type: ignore[arg-type]
    books.sync()
    books.sync()
    assert sorted(books.finmap()) == ["tx_1:2", "tx_2:2", "tx_3:2"]
    assert (books.differences(), broken(books)) == ([], [])


def test_a_replacement_with_an_unclear_deletion_is_finished_once(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.sell_many(2, amount="-100.00")
    books.sandbox.fault(Fault("drop_after", "finmap", method="DELETE", times=2))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=400, after=2, times=2))
    for _ in range(5):  # that nobody answered is believed after two looks, two hours apart
        books.sync()
    assert sorted(books.finmap()) == ["tx_1:2", "tx_2:2"]
    assert (books.differences(), broken(books)) == ([], [])


def test_a_transaction_back_before_its_deletion_stays_as_it_was(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.unsell(1)
    books.sync()
    assert books.decide("approve") == 1
    books.sell(1)  # it is back before the approval was carried out
    books.written()
    books.sync()
    assert (books.plan(), books.written(), list(books.finmap())) == ([], [], ["tx_1"])


def test_an_amount_changed_on_both_sides_stays_until_approved(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.edit(1, amount="101.00")
    books.sell(1, "102.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "101"
    assert books.decide("approve", conflicts=True) == 1
    books.edit(1, amount="103.00")  # once more, before the approval was carried out: this edit nobody was shown
    books.sync()
    assert str(books.sums()["tx_1"]) == "103"
    assert books.decide("approve", transaction="tx_1") == 1
    books.sync()
    assert str(books.sums()["tx_1"]) == "102"
    books.edit(1, amount="104.00")
    books.sell(1, "105.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "104"
    assert books.decide("dismiss") == 1
    books.sync()
    books.sell(1, "106.00")
    books.sync()
    assert str(books.sums()["tx_1"]) == "104"
    assert books.plan() == [("tx_1", "update", "pending")]


def test_a_correction_of_what_was_caught_up_with_waits_for_undo(books: Books) -> None:
    books.sell_many(2)
    books.read()
    catch_up(books.warehouse, TODAY)
    books.sell(1, "-5.00")
    books.put_order(2, "Виконано")
    books.sell(2, orderId=2)
    books.sync()
    assert (books.written(), books.plan()) == ([], [])
    undo_catch_up(books.warehouse)
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "-5", "tx_2": "100"}


def test_a_refused_correction_is_retried_when_it_changes(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.sell(1, "2.00")
    books.sandbox.fault(Fault("status", "finmap", method="PATCH", status=400))
    books.sync()
    assert books.states() == {"tx_1": "refused"}
    assert books.rows("select due_at > $1 from plan", books.clock()) == [(True,)]  # tomorrow, unless a person syncs
    assert [kind for _, kind, _ in books.differences()] == ["scheduled"]
    books.sell(1, "3.00")
    books.sync()
    assert (str(books.sums()["tx_1"]), books.states(), books.differences()) == ("3", {"tx_1": "verified"}, [])


def test_a_refusal_is_over_when_the_transaction_is_gone(books: Books) -> None:
    books.sell_many(2)
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=400))
    books.sync()
    found = status_of(books.run.connection, books.clock()).summary
    assert found
    assert found.refused == 1
    (refused,) = (name for name, state in books.states().items() if state == "refused")
    books.unsell(int(refused.removeprefix("tx_")))
    books.sync()
    found = status_of(books.run.connection, books.clock()).summary
    assert found
    assert (found.refused, found.failed, found.backlog, found.pending, found.rejected) == (0, 0, 0, 0, 0)
    assert (books.plan(), books.differences()) == ([], [])


def test_a_read_copy_in_place_of_the_file_works_as_a_warehouse(books: Books) -> None:
    """The documented way back from a backup."""
    books.sell_many(2)
    books.sync()
    books.warehouse.publish()
    books.warehouse.close()
    os.replace(books.warehouse.read_path, books.warehouse.path)
    books.sell(1, "5.00")
    books.sell(3)
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "5", "tx_2": "100", "tx_3": "100"}
    assert (books.plan(), books.differences()) == ([], [])


# -- Settings that change ----------------------------------------------------------------------------------------


def test_a_category_taken_out_of_the_settings_is_taken_off(keep_books: Keep) -> None:
    books = keep_books()
    books.shop.add_category("income", "Продажі")
    books.configure(keep_books(categories={"client_payment": "Продажі"}).run.connection)
    books.sell_many(2)
    books.sync()
    books.configure(keep_books().run.connection)
    books.written()
    books.sync()
    books.sell(1, "5.00")
    books.sync()
    assert [json.loads(one.body) for one in books.written()] == [{"categoryId": ""}] * 2 + [{"amount": 5.0}]
    assert {row["categoryId"] for row in books.finmap().values()} == {"empty"}
    assert (books.plan(), books.differences()) == ([], [])


def test_a_category_configured_later_reaches_all_but_edited_ones(keep_books: Keep) -> None:
    books = keep_books()
    sales, gifts = (books.shop.add_category("income", label)["id"] for label in ("Продажі", "Подарунки"))
    books.sell_many(3)
    books.sync()
    books.edit(3, categoryId=gifts)
    books.configure(keep_books(categories={"client_payment": "Продажі"}).run.connection)
    books.sync()
    has = {name: row["categoryId"] for name, row in books.finmap().items()}
    assert has == {"tx_1": sales, "tx_2": sales, "tx_3": gifts}


def test_settings_that_change_everything_wait_for_a_person(keep_books: Keep) -> None:
    books = keep_books()
    books.sell_many(20)
    books.sync()
    books.configure(keep_books(finmap_account="ФОП").run.connection)
    books.written()
    books.sync()
    assert books.written() == []
    assert Counter(standing for *_, standing in books.plan()) == {"pending": 20}
    books.configure(keep_books().run.connection)  # it was a mistake
    books.sync()
    assert (books.written(), books.plan(), books.differences()) == ([], [], [])


def test_a_start_date_that_is_moved_ahead_withdraws_nothing(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    for days in (1, 8):
        books.sell(days, at=days_ago(days))
    books.sync()
    connection = books.run.connection
    books.configure(connection.model_copy(update={"start_date": DAY}))
    books.written()
    books.sync(DAY, TODAY)
    assert (books.plan(), books.written(), len(books.finmap())) == ([], [], 2)
    assert (books.differences(), broken(books)) == ([], [])


def test_a_start_date_that_is_moved_back_imports_the_days_before(keep_books: Keep) -> None:
    books = keep_books(first_import="review")
    connection = books.run.connection
    books.configure(connection.model_copy(update={"start_date": DAY}))
    for days in (1, 8):
        books.sell(days, at=days_ago(days))
    books.sync(DAY, TODAY)
    assert books.decide("approve") == 1
    books.sync(DAY, TODAY)
    books.configure(connection)
    books.sync()
    assert (list(books.finmap()), books.plan()) == (["tx_1"], [("tx_8", "create", "pending")])


def test_another_time_zone_moves_naive_dates_and_loses_nothing(keep_books: Keep) -> None:
    """22:30 UTC of the 2nd is the 3rd in Kyiv: after the change it lies outside of a window that begins on the 3rd."""
    books = keep_books(on_delete="withdraw", max_change_share=1.0)
    books.sell(1, at=datetime(2026, 3, 2, 22, 30, tzinfo=UTC))
    books.sell(2, at=datetime(2026, 3, 3, 10, tzinfo=UTC))
    books.sell(3, at=datetime(2026, 3, 3, 10, tzinfo=UTC), date="2026-03-03 12:00:00")
    books.sync()
    assert books.rows("select transaction_id, day from operations order by 1")[0] == ("tx_1", date(2026, 3, 3))
    books.configure(books.run.connection.model_copy(update={"timezone": "UTC"}))
    books.written()
    books.sync(date(2026, 3, 3), TODAY)
    moved: dict[str, Any] = {"date": 1772539200000}
    assert [json.loads(one.body or "{}") for one in books.written()] == [moved]
    books.sync(START, TODAY)
    assert sorted(books.finmap()) == ["tx_1", "tx_2", "tx_3"]
    assert (books.plan(), books.differences(), broken(books)) == ([], [], [])


def test_a_transaction_moved_to_another_day_is_one_operation(keep_books: Keep) -> None:
    """On that day."""
    books = keep_books()
    books.sell(1, at=days_ago(3))
    books.sync()
    books.sell(1, at=days_ago(1), date=stamp(days_ago(1)))
    books.sync()
    assert (list(books.finmap()), books.plan(), books.differences()) == (["tx_1"], [], [])
    query = "select day, sitniks_income_sum, finmap_income_sum from reconciliation"
    assert books.rows(query) == [(days_ago(1).date(), 100, 100)]
