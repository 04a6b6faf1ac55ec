"""Gone from Sitniks: only after two complete reads of different runs that should have shown it, and never for ever."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from sitniks_finmap.pipeline.due import days_to_read_again
from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import DAY, TODAY, Books, days_ago

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]
WEEK = (date(2026, 3, 3), TODAY)


def enter(books: Books, entered: datetime, dated: str, id: str = "flat") -> None:
    """A flat row with only `date`; the API filters by when it was entered."""
    row = {"id": id, "date": f"{dated} 10:00:00", "amount": 100, "description": "Оплата"}
    books.shop.put_transaction(row, entered)


def at(month: int, day: int, hour: int = 10) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def books(keep_books: Keep) -> Books:
    books = keep_books(on_delete="withdraw", max_change_share=1.0)
    books.configure(books.run.connection.model_copy(update={"start_date": date(2026, 1, 1)}))
    return books


def live(books: Books) -> list[str]:
    return [one for (one,) in books.rows("select transaction_id from latest_transactions where gone_at is null")]


def test_one_entered_a_day_before_its_date_is_not_taken_for_gone(books: Books) -> None:
    """Entered 2 March, dated 3 March: the syncs from 3 March on do not show it."""
    enter(books, at(3, 2), "2026-03-03")
    books.sync(date(2026, 3, 1), TODAY)
    books.written()
    for _ in range(3):
        books.sync(*WEEK)
    assert (live(books), books.written(), list(books.finmap())) == (["flat"], [], ["flat"])


def test_one_entered_in_the_month_after_its_date_stays(books: Books) -> None:
    """Entered 2 March, dated 27 February: February's list never shows it, March's does."""
    enter(books, at(3, 2), "2026-02-27")
    books.sync(date(2026, 1, 1), TODAY)
    books.written()
    for _ in range(3):
        books.sync(date(2026, 2, 1), date(2026, 2, 28))
        books.sync(date(2026, 1, 1), TODAY)
    assert (live(books), books.written(), list(books.finmap())) == (["flat"], [], ["flat"])


def test_one_dated_in_another_month_and_deleted_is_noticed(books: Books) -> None:
    enter(books, at(3, 2), "2026-01-20")
    books.sync(date(2026, 1, 1), TODAY)
    books.shop.delete_transaction("flat")
    for _ in range(2):
        books.sync(date(2026, 3, 1), TODAY)
    books.sync(date(2026, 1, 1), TODAY)
    assert (live(books), list(books.finmap())) == ([], [])


@pytest.mark.parametrize("row", [{"amount": 1}, {"createdAt": "вчора"}, {"date": "2026-03-09 10:00:00"}])
def test_whatever_stamp_a_row_has_its_deletion_is_noticed(row: dict[str, Any], books: Books) -> None:
    books.shop.put_transaction({"id": "flat", **row}, at(3, 9))
    books.read(*WEEK)
    books.shop.delete_transaction("flat")
    for _ in range(2):
        books.clock.forward(3600)
        books.read(*WEEK)
    assert live(books) == []


def test_only_the_read_that_listed_a_transaction_can_lose_it(books: Books) -> None:
    """Created 28 February by its stamp, listed on 2 March: only what listed it can lose it."""
    row = {"id": "odd", "createdAt": "2026-02-28T10:00:00.000Z", "amount": 100, "description": "Оплата"}
    books.shop.put_transaction(row, at(3, 2))
    books.sync(date(2026, 1, 1), TODAY)
    for _ in range(3):
        books.sync(date(2026, 2, 1), date(2026, 2, 28))
    assert live(books) == ["odd"]


def test_one_look_proves_nothing_and_two_of_one_moment_neither(books: Books) -> None:
    books.sell_many(2)
    books.sync(*WEEK)
    books.shop.delete_transaction("tx_1")
    for _ in range(3):
        books.read(*WEEK)
        books.clock.forward(60)
    assert sorted(live(books)) == ["tx_1", "tx_2"]
    books.clock.forward(600)
    books.read(*WEEK)
    assert live(books) == ["tx_2"]


def test_a_list_that_is_empty_once_takes_nothing_away(books: Books) -> None:
    books.sell_many(30)
    books.sync(*WEEK)
    books.written()
    for _ in range(3):  # every second sync
        body = '{"data": [], "count": 0}'
        books.sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body))
        books.sync(*WEEK)
        books.sync(*WEEK)
    assert (len(live(books)), books.plan(), books.written()) == (30, [], [])


def test_what_is_seen_again_is_as_it_was(books: Books) -> None:
    books.sell(1)
    books.sync(*WEEK)
    row = books.shop.transactions()[0]
    books.shop.delete_transaction("tx_1")
    books.sync(*WEEK)
    books.shop.put_transaction(row)
    books.sync(*WEEK)
    assert books.rows("select missing_at, gone_at from latest_transactions") == [(None, None)]
    books.shop.delete_transaction("tx_1")
    books.read(*WEEK)
    assert live(books) == ["tx_1"], "the first of two looks again"


def test_the_month_of_a_missing_transaction_is_read_again(books: Books) -> None:
    connection = books.run.connection
    enter(books, at(1, 20), "2026-01-20")
    books.sync(date(2026, 1, 1), TODAY)
    books.shop.delete_transaction("flat")
    books.read(date(2026, 1, 1), TODAY)
    assert days_to_read_again(connection, books.warehouse, books.clock()) is None
    books.clock.forward(2 * 3600)
    january = (date(2026, 1, 1), date(2026, 1, 31))
    assert days_to_read_again(connection, books.warehouse, books.clock()) == january
    books.read(*january)
    assert live(books) == []
    assert days_to_read_again(connection, books.warehouse, books.clock()) is None


def test_a_sale_after_the_read_began_is_not_missing(books: Books) -> None:
    books.sell(1, at=days_ago(0, hour=13))
    books.clock.forward(7200)
    books.read(*WEEK)
    books.clock.now = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)  # the clock was set back
    books.read(DAY, TODAY)
    assert books.rows("select missing_at from latest_transactions") == [(None,)]
