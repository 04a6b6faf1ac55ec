"""How often a sync of a shop whose source is its orders asks both APIs when nothing is new, and what it finds all the
same.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sitniks_finmap.pipeline import orders, readback
from sitniks_finmap.pipeline.directory import check_references
from sitniks_finmap.pipeline.due import days_to_sync
from sitniks_finmap_tests.books import START, TODAY, Books, stamp
from sitniks_finmap_tests.order_books import KeepOrders

pytestmark = pytest.mark.runs

A_DAY = 30  # orders
MOST = 40  # requests of one sync to both APIs
STATUSES = ["Виконано"] * 8 + ["Відмінено", "Новий"]
BEGUN = datetime(2026, 1, 9, 12, tzinfo=UTC)  # 60 days before the books' today


def sell_for_60_days(books: Books) -> None:
    rows: list[dict[str, Any]] = []
    for number in range(60 * A_DAY):
        rows.append({
            "id": number, "orderNumber": number, "createdAt": stamp(BEGUN + number * timedelta(days=1) / A_DAY),
            "status": {"title": STATUSES[number % 10]}, "totalPriceDiscount": 100 + number,
            "salesChannel": {"id": 1, "title": "Instagram"}, "products": [{"costPrice": 30, "quantity": 1}],
        })  # fmt: skip
    books.shop.put_orders(rows)


def sync(books: Books) -> int:
    """A sync as the sensor launches it, in a run of its own; how many requests it makes."""
    books.configure(books.run.connection)
    books.sandbox.forget_requests()
    check_references(books.run)
    books.sync(*days_to_sync(books.run.connection, books.warehouse, books.clock()))
    return len(books.sandbox.requests())


@pytest.mark.timeout(300)
def test_a_sync_without_news_makes_few_requests(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.configure(books.run.connection.model_copy(update={"start_date": BEGUN.date()}))
    assert books.run.connection.lookback_days == 45
    sell_for_60_days(books)
    sync(books)
    assert len(books.finmap()) > 45 * A_DAY
    for hours in (0, 0, 0, 21):  # the 2nd, 3rd and 4th an hour after the other, and one a day later
        books.clock.forward(hours * 3600)
        assert sync(books) <= MOST
        assert not books.written()
    assert books.differences() == []


def test_an_edit_on_any_day_is_found_within_the_rounds(
    keep_orders: KeepOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days before yesterday are listed in turn: an edit and a deletion in Finmap wait for theirs, a second look does
    not.
    """
    monkeypatch.setattr(readback, "FEW", 4)
    books = keep_orders()
    for number in range(1, 10):
        at = datetime(START.year, START.month, number, 9, tzinfo=UTC)
        books.order(number, "Виконано", at=at)
    books.sync()
    books.shop.edit_operation("u1:order-2.sale", comment="мій")
    books.shop.delete_operation("u1:order-8.sale")
    books.shop.edit_operation("u1:order-9.sale", comment="мій")  # of yesterday
    books.sync()
    assert ("order-9.sale", "edited by a person") in {(name, kind) for name, kind, _ in books.differences()}
    for _ in range(readback.ROUNDS + 2):
        books.sandbox.forget_requests()
        books.sync(START, TODAY)
        assert len(books.sandbox.requests("finmap", path="/operations/list")) <= 4
    kinds = {name: kind for name, kind, _ in books.differences()}
    assert kinds["order-2.sale"] == "edited by a person"
    assert kinds["order-8.sale"] in ("deleted by a person", "missing", "pending")


def test_every_order_that_may_move_is_read_within_a_day(keep_orders: KeepOrders) -> None:
    """Beyond the days of a sync, a few by ID in each: all of them in turn."""
    books = keep_orders()
    count = 20
    for number in range(1, count + 1):
        books.order(number, "Новий", at=datetime(START.year, START.month, 2, 9, tzinfo=UTC))
    books.sync()
    for number in range(1, count + 1):
        books.order(number, "Виконано", at=datetime(START.year, START.month, 2, 9, tzinfo=UTC))
    for _ in range(24):
        books.sandbox.forget_requests()
        books.sync(TODAY, TODAY)
        assert len(books.sandbox.requests("sitniks", path="/orders/")) <= orders.SHARE + 1  # and the statuses
    assert sum(key.endswith(".sale") for key in books.finmap()) == count
