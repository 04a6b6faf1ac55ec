"""One id for two transactions on days that are read apart is rejected, as it is within one list."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from sitniks_finmap.pipeline.doubles import DAYS_REREAD
from sitniks_finmap.sandbox.sitniks_rows import microseconds
from sitniks_finmap_tests.books import START, TODAY, Books, stamp

pytestmark = pytest.mark.runs

FEBRUARY, MARCH = datetime(2026, 2, 10, 10, tzinfo=UTC), datetime(2026, 3, 5, 10, tzinfo=UTC)
BEGIN = date(2026, 1, 1)
REASON = "several different records have this id"


@pytest.fixture
def books(keep_books: Callable[..., Books]) -> Books:
    books = keep_books()
    books.configure(books.run.connection.model_copy(update={"start_date": BEGIN}))
    return books


def put(books: Books, at: datetime, amount: int, id: str = "tx_1", **more: Any) -> None:
    """Sitniks has this transaction beside another one of the same id."""
    rows = books.shop.rows["transactions"]
    text = json.dumps({"id": id, "createdAt": stamp(at), "amount": amount, "description": "Оплата", **more})
    rows._write([(*rows._key, f"{id} of {at}", microseconds(at), text)])


def remove(books: Books, at: datetime, id: str = "tx_1") -> None:
    assert books.shop.delete_transaction(f"{id} of {at}")


def reasons(books: Books) -> list[tuple[Any, ...]]:
    return books.rows("select transaction_id, reason from rejected_transactions")


def versions(books: Books) -> int:
    return books.rows("select count(*) from raw_sitniks_transactions")[0][0]


MONTHS = [(BEGIN, date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 2, 28)), (START, TODAY)]


def test_two_months_with_one_id_are_rejected_and_nothing_is_sent(books: Books) -> None:
    put(books, FEBRUARY, 100)
    put(books, MARCH, 200)
    books.sync(BEGIN, TODAY)
    assert reasons(books) == [("tx_1", REASON)]
    assert books.finmap() == {}
    known = versions(books)
    for first, last in [*MONTHS, *reversed(MONTHS), (date(2026, 3, 4), TODAY), (BEGIN, TODAY)]:
        books.sync(first, last)
        assert reasons(books) == [("tx_1", REASON)]
    assert versions(books) == known
    assert books.written() == []


@pytest.mark.parametrize("order", [MONTHS, MONTHS[::-1]], ids=["forwards", "backwards"])
def test_months_that_are_read_in_runs_of_their_own_patch_nothing(books: Books, order: list[tuple[date, date]]) -> None:
    put(books, FEBRUARY, 100)
    put(books, MARCH, 200)
    for _ in range(2):
        for first, last in order:
            books.sync(first, last)
    assert reasons(books) == [("tx_1", REASON)]
    # The first that was read was posted before anybody could know of the other: it waits for a person.
    assert [one.method for one in books.written()] == ["POST"]
    [(why,)] = books.rows("select detail from differences where kind = 'pending'")
    assert why.startswith("withdraw")
    assert REASON in why


@pytest.mark.parametrize(("gone", "left", "amount"), [(FEBRUARY, MARCH, 200), (MARCH, FEBRUARY, 100)])
def test_it_heals_when_one_of_them_is_gone(books: Books, gone: datetime, left: datetime, amount: int) -> None:
    put(books, FEBRUARY, 100)
    put(books, MARCH, 200)
    books.sync(BEGIN, TODAY)
    remove(books, gone)
    for first, last in MONTHS:
        books.sync(first, last)
    assert reasons(books) == []
    assert books.rows("select amount, day from operations") == [(amount, left.date())]
    assert {name: int(sum) for name, sum in books.sums().items()} == {"tx_1": amount}


def test_nothing_is_left_of_them_when_both_are_gone(books: Books) -> None:
    put(books, FEBRUARY, 100)
    put(books, MARCH, 200)
    books.sync(BEGIN, TODAY)
    assert reasons(books) == [("tx_1", REASON)]
    remove(books, FEBRUARY)
    remove(books, MARCH)
    for _ in range(3):
        books.sync(BEGIN, TODAY)
    assert (reasons(books), books.plan(), books.differences(), books.finmap()) == ([], [], [], {})


def test_a_correction_of_one_of_them_changes_nothing_in_finmap(books: Books) -> None:
    put(books, FEBRUARY, 100)
    put(books, MARCH, 200)
    books.sync(BEGIN, TODAY)
    remove(books, MARCH)
    put(books, MARCH, 300)
    for first, last in MONTHS:
        books.sync(first, last)
    assert reasons(books) == [("tx_1", REASON)]
    assert books.written() == []


def test_three_months_with_one_id_are_rejected(books: Books) -> None:
    for at in (datetime(2026, 1, 20, 10, tzinfo=UTC), FEBRUARY, MARCH):
        put(books, at, at.month)
    for _ in range(2):
        for first, last in MONTHS:
            books.sync(first, last)
    assert reasons(books) == [("tx_1", REASON)]
    assert [one.method for one in books.written()] == ["POST"]


def test_a_transaction_that_is_moved_to_another_month_is_moved(books: Books) -> None:
    put(books, FEBRUARY, 100)
    books.sync(BEGIN, TODAY)
    remove(books, FEBRUARY)
    put(books, MARCH, 100)
    books.sync(START, TODAY)
    assert reasons(books) == []
    assert {name: row["date"] for name, row in books.finmap().items()} == {"tx_1": MARCH.timestamp() * 1000}


def test_the_same_record_of_another_day_costs_no_look(books: Books) -> None:
    for number in range(23):
        put(books, MARCH, 100, id=f"tx_{number}", date=stamp(FEBRUARY))
    books.sync(BEGIN, TODAY)
    books.sandbox.forget_requests()
    books.read()
    assert len(books.sandbox.requests("sitniks", path="/transactions")) == 1


def test_many_that_were_moved_cost_few_looks(books: Books) -> None:
    for number in range(DAYS_REREAD + 8):
        put(books, datetime(2026, 1, 1 + number, 10, tzinfo=UTC), 100, id=f"tx_{number}")
    books.read(BEGIN, TODAY)
    for number in range(DAYS_REREAD + 8):
        remove(books, datetime(2026, 1, 1 + number, 10, tzinfo=UTC), id=f"tx_{number}")
        put(books, MARCH, 100, id=f"tx_{number}")
    books.sandbox.forget_requests()
    books.read()
    assert len(books.sandbox.requests("sitniks", path="/transactions")) == 1 + DAYS_REREAD
    assert len(books.rows("from operations")) == DAYS_REREAD + 8
