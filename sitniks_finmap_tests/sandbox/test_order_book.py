"""A shop's orders over time: seeded, advanced in any steps, read over HTTP."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from sitniks_finmap.sandbox import OrderBook, OrderSummary, Sandbox, Shop, order_at, seed_orders
from sitniks_finmap.sandbox.order_book import CATALOGUE_DAYS
from sitniks_finmap.sandbox.order_courses import KINDS
from sitniks_finmap.sandbox.sitniks_rows import KYIV
from sitniks_finmap.sandbox.tenant import DEFAULT_STATUSES

from .clients import Client, Clock

NOW = Clock().now
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def seeded() -> Iterator[tuple[Shop, OrderSummary]]:
    with Sandbox(clock=lambda: NOW) as sandbox:
        yield sandbox.shop(), seed_orders(sandbox.shop())


@pytest.fixture
def shops() -> Iterator[list[Shop]]:
    with Sandbox(clock=lambda: NOW) as sandbox:
        yield [sandbox.add_shop(f"shop_{number}") for number in range(3)]


def texts(shop: Shop) -> list[str]:
    return shop.rows["orders"].page(-1, 0)


def labels(shop: Shop, kind: Any) -> list[str]:
    return [entry["label"] for entry in shop.directories.list(kind)]


def test_the_summary_is_what_the_shop_holds(seeded: tuple[Shop, OrderSummary]) -> None:
    shop, summary = seeded
    orders = shop.orders()
    assert summary.orders == len(orders)
    assert summary.statuses == Counter(order["status"]["title"] for order in orders)
    lives = summary.book.lives
    assert summary.deleted == len(lives) - len(orders) > 10
    assert {life.kind for life in lives} == set(KINDS)


def test_about_25_orders_begin_each_day_and_none_after_now(seeded: tuple[Shop, OrderSummary]) -> None:
    _, summary = seeded
    days = Counter(life.day for life in summary.book.lives)
    assert sorted(days) == [date(2026, 3, 10) - timedelta(days=day) for day in range(59, -1, -1)]
    assert all(20 <= count <= 30 for day, count in days.items() if day != date(2026, 3, 10))
    assert max(life.created for life in summary.book.lives) <= NOW
    assert max(order["updatedAt"] for order in seeded[0].orders()) <= "2026-03-10T12:00:00.000Z"


def test_a_seeded_shop_has_what_its_orders_need(seeded: tuple[Shop, OrderSummary]) -> None:
    shop, _ = seeded
    statuses = {one["title"]: one["id"] for one in shop.directories.list("orders/statuses")}
    assert list(statuses.items())[:6] == [(title, number) for number, title in enumerate(DEFAULT_STATUSES, 1)]
    assert list(statuses)[6:] == ["Передплата", "Частково повернено"]
    assert all(statuses[order["status"]["title"]] == order["status"]["id"] for order in shop.orders())
    (stock,) = [account for account in shop.accounts if account["label"] == "Склад"]
    assert stock["currencyId"] == "UAH"
    assert {"Продажі", "Повернення на склад"} <= set(labels(shop, "categories/income"))
    assert {"Повернення клієнтам", "Собівартість"} <= set(labels(shop, "categories/expense"))


def test_a_stock_account_that_exists_is_kept(shops: list[Shop]) -> None:
    stock = shops[0].add_account("Склад", "UAH")
    seed_orders(shops[0], days=1)
    assert [account for account in shops[0].accounts if account["label"] == "Склад"] == [stock]


def test_the_same_seed_gives_the_same_orders(shops: list[Shop]) -> None:
    for shop, seed in zip(shops, (1, 1, 2), strict=True):
        seed_orders(shop, days=5, seed=seed)
    assert texts(shops[0]) == texts(shops[1]) != texts(shops[2])


def test_one_step_or_many_give_equal_shops(shops: list[Shop]) -> None:
    since, end, rng = date(2026, 1, 10), NOW + 20 * DAY, Random(7)
    books = [OrderBook(shop, since=since, seed=7) for shop in shops]
    books[0].advance(end)
    for day in range(80):
        books[1].advance(NOW + (day - 60) * DAY)
    moment = NOW - 60 * DAY
    while moment < end:
        books[2].advance(moment)
        moment += timedelta(minutes=rng.randint(1, 8000))
    for book in books[1:]:
        book.advance(end)
    assert texts(shops[0]) == texts(shops[1]) == texts(shops[2])
    assert len(texts(shops[0])) > 1800


def test_a_shop_seeded_later_holds_the_same_young_orders(shops: list[Shop]) -> None:
    seed_orders(shops[0], days=10).book.advance(NOW + 5 * DAY)
    seed_orders(shops[1], days=3, now=NOW + 5 * DAY)
    assert texts(shops[1]) == texts(shops[0])[: len(texts(shops[1]))]


def test_a_young_order_is_exactly_order_at(shops: list[Shop]) -> None:
    book = seed_orders(shops[0], days=70).book
    for moment in (NOW, NOW + 3 * DAY, NOW + timedelta(days=9, hours=11)):
        book.advance(moment)
        held = {order["id"]: order for order in shops[0].orders()}
        today = moment.astimezone(KYIV).date()
        young = [life for life in book.lives if today - life.day <= timedelta(days=CATALOGUE_DAYS)]
        assert len(young) > 1200
        assert {life.id: order_at(life, moment) for life in young} == {life.id: held.get(life.id) for life in young}


def test_the_catalogue_changes_stored_orders_but_not_old_ones(shops: list[Shop]) -> None:
    book = seed_orders(shops[0], days=80).book
    before = {order["id"]: order for order in shops[0].orders()}
    book.advance(NOW + DAY)
    changed = [order for order in shops[0].orders() if before.get(order["id"], order) != order]
    unedited = [order for order in changed if order["updatedAt"] == before[order["id"]]["updatedAt"]]
    assert len(unedited) > 200
    for order in unedited:
        assert order | {"products": None} == before[order["id"]] | {"products": None}
        assert NOW.date() - book.life(order["id"]).day <= timedelta(days=CATALOGUE_DAYS)


def test_a_step_tells_what_it_did(shops: list[Shop]) -> None:
    book = OrderBook(shops[0], since=date(2026, 3, 1))
    live = edited = deleted = 0
    for hour in range(0, 24 * 20, 5):
        changes = book.advance(datetime(2026, 3, 1, tzinfo=KYIV) + timedelta(hours=hour))
        live += changes.begun - changes.deleted
        edited += changes.edited
        deleted += changes.deleted
        assert live == shops[0].rows["orders"].count()
    assert edited > live
    assert deleted > 0


def test_a_book_never_goes_back(shops: list[Shop]) -> None:
    book = seed_orders(shops[0], days=1).book
    book.advance(NOW)
    with pytest.raises(ValueError, match="already"):
        book.advance(NOW - DAY)
    with pytest.raises(KeyError):
        book.life(1)
    with pytest.raises(ValueError, match="2020"):
        OrderBook(shops[1], since=date(2019, 12, 31))


def test_orders_and_statuses_are_served_over_http(client: Client) -> None:
    summary = seed_orders(client.shop, days=3, now=NOW)
    ids, count = client.page("/orders", createdAtFrom="2026-03-09T22:00:00Z")
    assert count == sum(order["createdAt"] >= "2026-03-09T22:00:00" for order in client.shop.orders())
    assert client.sitniks(f"/orders/{ids[0]}").json()["salesChannel"]["id"] in (1, 2, 3, 4)
    assert client.page("/orders", updatedAtFrom="2026-03-10T00:00:00Z")[1] == summary.orders
    titles = [status["title"] for status in client.sitniks("/orders/statuses").json()["data"]]
    assert titles[-2:] == ["Передплата", "Частково повернено"]
