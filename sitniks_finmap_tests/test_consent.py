"""A decision covers what its person was shown, once, and dies with its occasion; what is pending is never forgotten."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from sitniks_finmap.people.preview import print_plan
from sitniks_finmap.pipeline.decisions import (
    catch_up,
    only_shown,
    pending,
    plan_rollback,
    roll_back,
    save_decisions,
)
from sitniks_finmap.pipeline.due import days_due
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago
from sitniks_finmap_tests.fake_lists import NO_OPERATIONS, show_no_transactions

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]


# -- One list of what is pending --


def test_what_is_pending_stays_so_whichever_days_are_synced_next(books: Books) -> None:
    """A deletion of eight days ago, and syncs of the last three days: it is still there, for everybody."""
    books.sell(1, at=days_ago(8))
    books.sell(2)
    books.sync()
    books.unsell(1)
    books.sync()
    seen = [("tx_1", "withdraw", "pending")]
    assert books.plan() == seen
    for _ in range(3):
        books.sync(TODAY - timedelta(days=2), TODAY)
        assert books.plan() == seen
        assert books.differences() == [("tx_1", "pending", True)]
    assert books.decide("approve") == 1
    books.sync(TODAY - timedelta(days=2), TODAY)
    assert days_due(books.warehouse, books.clock()) == (days_ago(8).date(), days_ago(8).date())


def test_a_look_at_the_plan_writes_nothing(books: Books) -> None:
    books.sell_many(2)
    books.read()
    tables = "select table_name, estimated_size from duckdb_tables() order by 1"
    before = books.rows(tables)
    books.plan()
    days_due(books.warehouse, books.clock())
    assert books.rows(tables) == before


# -- Approve covers what was shown --


def test_approve_takes_only_what_the_last_preview_showed(keep_books: Keep) -> None:
    """One deletion was shown; by the time of approve Sitniks had answered empty lists."""
    books = keep_books()
    for number in range(1, 41):
        books.sell(number)
    books.sync()
    books.unsell(1)
    books.read()
    print_plan(Console(quiet=True), books.run.connection, START, TODAY)
    show_no_transactions(books)
    books.read()
    books.clock.forward(900)
    books.read()
    books.sandbox.clear_faults()
    with books.warehouse.transaction() as con:
        all_of_them = pending(con, "approve")
        shown = only_shown(con, all_of_them)
    assert (len(all_of_them), [one.transaction_id for one in shown]) == (40, ["tx_1"])
    with books.warehouse.transaction() as con:
        assert save_decisions(con, shown, "approve", books.clock()) == 1
    books.deliver()
    assert len(books.finmap()) == 39


def test_what_changed_while_a_person_was_asked_is_not_decided(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell_many(2)
    books.sync()
    books.sell(1, "5.00")
    books.sell(2, "6.00")
    books.read()
    with books.warehouse.transaction() as con:
        asked = pending(con, "approve")
    books.sell(2, "7.00")
    books.read()
    with books.warehouse.transaction() as con:
        assert save_decisions(con, asked, "approve", books.clock()) == 1
    books.deliver()
    assert {name: str(amount) for name, amount in books.sums().items()} == {"tx_1": "5", "tx_2": "100"}


# -- A conflict does not hide --


def test_a_conflict_is_told_and_not_approved_with_the_crowd(keep_books: Keep) -> None:
    books = keep_books(comment_fields=["description"])
    for number in range(1, 41):
        books.sell(number)
    books.sync()
    for number in (1, 2, 3):
        books.edit(number, comment="перевірено")
    books.configure(keep_books(comment_fields=["description", "source"]).run.connection)
    for number in range(1, 41):
        books.sell(number, source="Сайт")
    books.sync()
    whys = {row[0]: str(row[3]) for row in books.reasons()}
    assert [name for name, why in whys.items() if "a person changed in Finmap" in why] == ["tx_1", "tx_2", "tx_3"]
    assert sum("would change at once" in why for why in whys.values()) == 37
    assert books.decide("approve") == 37
    books.sync()
    assert [books.finmap()[f"tx_{n}"]["comment"] for n in (1, 2, 3)] == ["перевірено"] * 3
    assert len(books.plan()) == 3


# -- Decisions die with their occasion --


def test_recreate_revives_nothing_dismissed_or_rolled_back(keep_books: Keep) -> None:
    books = keep_books()
    books.sell_many(12)
    books.sync()
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=START, last_day=TODAY)
    roll_back(books.run, [one for one in planned if one.external_id not in ("u1:tx_1", "u1:tx_2")])
    books.sync()
    books.throw_out_and_be_believed(1, 2)
    assert books.decide("dismiss", transaction="tx_2") == 1
    assert books.decide("approve", recreate=True) == 1
    books.sync()
    assert list(books.finmap()) == ["tx_1:2"]


def test_an_unused_approval_of_a_deletion_allows_no_later_one(books: Books) -> None:
    """The transaction was back before the approval was carried out; when it goes again, a person is asked again."""
    books.sell_many(2)
    books.sync()
    books.unsell(1)
    books.read()
    assert books.decide("approve") == 1
    books.sell(1)
    books.sync()
    books.unsell(1)
    books.sync()
    assert books.plan() == [("tx_1", "withdraw", "pending")]
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]


def test_a_dismissed_change_that_comes_again_asks_again(keep_books: Keep) -> None:
    books = keep_books(on_change="ask")
    books.sell(1)
    books.sync()
    books.sell(1, "5.00")
    books.sync()
    assert books.decide("dismiss") == 1
    books.sell(1, "6.00")
    books.sync()
    books.sell(1, "5.00")
    books.sync()
    assert books.plan() == [("tx_1", "update", "pending")]


def test_a_held_change_that_became_a_conflict_says_so(keep_books: Keep) -> None:
    books = keep_books()
    for number in range(1, 31):
        books.sell(number)
    books.sync()
    for number in range(1, 31):
        books.sell(number, "5.00")
    books.sync()
    assert {str(row[3]) for row in books.reasons()} == {"30 of 30 operations would change at once"}
    books.edit(1, amount="7.00")
    books.sync()
    assert str(books.reasons()[0][3]) == "a person changed in Finmap what also changed in Sitniks: amount"


# -- Too many at once --


def test_what_arrives_while_everything_vanishes_is_held_with_it(keep_books: Keep) -> None:
    """Forty IDs renamed in Sitniks: 8,000 must not stand where there were 4,000."""
    books = keep_books(on_delete="withdraw")
    for number in range(1, 41):
        books.sell(number)
    books.sync()
    for number in range(1, 41):
        assert books.shop.delete_transaction(f"tx_{number}")
        books.sell(100 + number)
    for _ in range(3):
        books.sync()
        assert len(books.finmap()) == 40
    assert {row[2] for row in books.reasons()} == {"pending"}
    assert sum(row[1] == "create" for row in books.reasons()) == 40


def test_what_the_last_read_did_not_show_is_not_posted(books: Books) -> None:
    """It was read, and before anything was delivered another answer came: perhaps it was another company's."""
    books.sell_many(3)
    books.read()
    for number in (1, 2):
        assert books.shop.delete_transaction(f"tx_{number}")
    books.clock.forward(3600)
    books.sync()
    assert list(books.finmap()) == ["tx_3"]
    books.sell(2)
    for _ in range(3):
        books.sync()
    assert sorted(books.finmap()) == ["tx_2", "tx_3"]
    assert books.plan() == []


@pytest.mark.parametrize("every_failed", [True, False])
def test_a_failed_creation_is_not_tried_again_while_absent(books: Books, every_failed: bool) -> None:
    """`sync` retries all that failed, and yet nothing that the last read did not show."""
    books.sell(1)
    books.read()
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=500, times=None))
    books.deliver()
    books.sandbox.clear_faults()
    assert books.states() == {"tx_1": "failed"}
    assert books.shop.delete_transaction("tx_1")
    books.clock.forward(3600)
    books.read()
    books.written()
    for days in (0, 2):
        books.clock.forward(days * 86400)
        books.deliver(every_failed=every_failed)
        assert [one.method for one in books.written() if one.method == "POST"] == []
        assert days_due(books.warehouse, books.clock()) is None
    assert books.finmap() == {}


def test_a_sale_while_one_transaction_vanishes_is_posted(books: Books) -> None:
    books.sell_many(40)
    books.sync()
    books.unsell(1)
    books.sell(50)
    books.sync()
    assert "tx_50" in books.finmap()


@pytest.mark.parametrize("setting", ["categories", "source_as_tag"])
def test_categories_or_tags_switched_on_are_held_like_any_crowd(keep_books: Keep, setting: str) -> None:
    books = keep_books()
    books.shop.add_category("income", "Продажі")
    for number in range(1, 31):
        books.sell(number, source="Instagram")
    books.sync()
    value: Any = {"social_sale": "Продажі"} if setting == "categories" else True
    books.configure(keep_books(**{setting: value}).run.connection)
    books.written()
    books.sync()
    assert books.written() == []
    assert {row[2] for row in books.reasons()} == {"pending"}


# -- Skipped history --


def test_skipped_history_stays_skipped_after_late_changes(books: Books) -> None:
    books.sell(1, at=days_ago(5))
    books.sell(2, "сто", at=days_ago(5))
    books.read()
    assert catch_up(books.warehouse, days_ago(4).date()) == 1
    books.sell(2, "200.00", at=days_ago(5))  # it heals
    books.sell(3, at=days_ago(6))  # it is entered late
    books.sell(4)
    books.sync()
    assert list(books.finmap()) == ["tx_4"]
    assert {kind for _, kind, _ in books.differences()} == {"skipped"}


# -- Refused --


def test_a_refused_operation_is_retried_daily(books: Books) -> None:
    books.sell(1)
    closed = '{"statusCode": 400, "message": "The period is closed"}'
    books.sandbox.fault(
        Fault("status", "finmap", method="POST", path="/operations/income", status=400, body=closed, times=None)
    )
    books.sync()
    assert books.states() == {"tx_1": "refused"}
    assert days_due(books.warehouse, books.clock()) is None
    books.sandbox.clear_faults()
    books.clock.forward(86400)
    assert days_due(books.warehouse, books.clock()) is not None
    books.deliver(every_failed=False)
    assert list(books.finmap()) == ["tx_1"]


def test_no_all_clear_while_finmap_shows_nothing(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    books.sandbox.fault(Fault("status", "finmap", path="/operations/list", status=200, body=NO_OPERATIONS, times=None))
    books.sandbox.fault(Fault("status", "finmap", path="/operations/details", status=404, times=None))
    books.sync()
    assert not any(explained for *_, explained in books.differences())
