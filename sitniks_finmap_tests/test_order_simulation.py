"""A shop with orders in March and April: every order ends in Finmap as its life was seen, to the kopiyka."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sitniks_finmap.sandbox import Life, OrderBook, seed_orders
from sitniks_finmap_tests.books import START, Books
from sitniks_finmap_tests.order_model import Version, expected

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(900)]

DAYS = 60
EVERY = 5  # days between two syncs
STAGES = {
    "Виконано": "paid",
    "Передплата": "prepaid",
    "Повернено": "refunded",
    "Частково повернено": "partly_refunded",
    "Відмінено": "cancelled",
}


def test_in_two_months_every_order_is_booked_as_it_was_seen(keep_books: Callable[..., Books]) -> None:
    """People edit and approve, and the file is lost once; no operation is doubled and none changes its day."""
    lists = {stage: [title] for title, stage in STAGES.items()} | {"stock_account": "Склад"}
    shop = keep_books().shop
    book = OrderBook(shop, since=START, seed=5)
    moment = datetime(START.year, START.month, START.day, 20, tzinfo=UTC)
    seed_orders(shop, days=1, seed=5, now=moment)  # the accounts and statuses
    books = keep_books(source="orders", first_import="post", orders=lists, lookback_days=200, on_delete="ask")
    seen: dict[int, list[Version]] = {}
    gone: set[int] = set()
    days: dict[str, int] = {}
    for step in range(DAYS // EVERY):
        moment += timedelta(days=EVERY)
        books.clock.forward((moment - books.clock()).total_seconds())
        book.advance(moment)
        for life in book.lives:
            look(life, moment, seen, gone)
        if step == DAYS // EVERY // 2:
            days = dates(books)
            books.warehouse.lose()
        books.sync(START, books.run.connection.today(moment))
        if step == DAYS // EVERY // 2:
            there = dates(books)
            assert {key: there[key] for key in days if key in there} == days
    for _ in range(4):
        books.decide("approve", conflicts=True)
        books.sync(START, books.run.connection.today(books.clock()))
    assert books.plan() == []
    assert [row for row in books.differences() if not row[2]] == []
    found: dict[int, dict[str, Decimal]] = {}
    for key, amount in books.sums().items():
        order, part = key.removeprefix("order-").split(":")[0].split(".")
        parts = found.setdefault(int(order), {})
        assert part not in parts, key
        parts[part] = amount
    wanted = {order: parts for order, versions in seen.items() if order not in gone and (parts := expected(versions))}
    assert {order: found.get(order) for order in wanted if found.get(order) != wanted[order]} == {}
    assert found.keys() == wanted.keys()
    assert len(found) > 700


def look(life: Life, moment: datetime, seen: dict[int, list[Version]], gone: set[int]) -> None:
    """What a sync of this moment reads of an order."""
    truth = life.truth_at(moment)
    if truth is None:
        return
    if truth.status is None:
        gone.add(life.id)
        return
    version = Version(STAGES.get(truth.status, "none"), truth.total, truth.prepayment or None, truth.cost)
    versions = seen.setdefault(life.id, [])
    if not versions or versions[-1] != version:
        versions.append(version)


def dates(books: Books) -> dict[str, int]:
    return {key: int(row["date"]) for key, row in books.finmap().items()}
