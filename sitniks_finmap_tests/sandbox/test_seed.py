from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.sandbox import Sandbox, SeedSummary, Shop, live_transaction, seed_shop
from sitniks_finmap.sandbox.order_book import seed_orders
from sitniks_finmap.sandbox.sitniks_rows import KYIV, parse_stamp

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SOURCES = {"Instagram", "Rozetka", "Prom.ua", "Сайт"}


@pytest.fixture(scope="module")
def seeded() -> Iterator[tuple[Shop, SeedSummary]]:
    with Sandbox(clock=lambda: NOW) as sandbox:
        yield sandbox.shop(), seed_shop(sandbox.shop(), seed=1, today=date(2026, 3, 10))


def sound(row: dict[str, Any]) -> bool:
    return "id" in row and not str(row["id"]).startswith(("tx_bad", "tx_three", "tx_zero", "tx_doll", "tx_2014"))


def amount(row: dict[str, Any]) -> Decimal:
    return Decimal(str(row["amount"]).replace(" ", "").replace(",", "."))


def moment(row: dict[str, Any]) -> datetime:
    found = parse_stamp(row.get("createdAt") or row.get("date"))
    assert found
    return found


def test_the_summary_is_what_is_there(seeded: tuple[Shop, SeedSummary]) -> None:
    shop, summary = seeded
    amounts = [amount(row) for row in shop.transactions() if sound(row)]
    assert summary.transactions == len(amounts) + 7 >= 2000
    assert summary.income == sum(one for one in amounts if one > 0)
    assert summary.expense == -sum(one for one in amounts if one < 0)
    assert summary.income_count + summary.expense_count == len(amounts)
    assert summary.orders == len(shop.orders())
    assert 0 not in amounts


def test_nothing_is_later_than_now_or_before_the_first_day(seeded: tuple[Shop, SeedSummary]) -> None:
    shop, _ = seeded
    moments = [moment(row) for row in shop.transactions() if sound(row)]
    first_day = date(2026, 3, 10) - timedelta(days=59)
    assert max(moments) <= NOW
    assert min(moments).astimezone(KYIV).date() == first_day
    assert all(moment(order) <= NOW for order in shop.orders())
    assert all(parse_stamp(order["updatedAt"]) <= NOW for order in shop.orders())  # type: ignore[operator]
    assert len({one.astimezone(KYIV).date() for one in moments}) == 60


def test_the_shapes_are_mixed(seeded: tuple[Shop, SeedSummary]) -> None:
    rows = [row for row in seeded[0].transactions() if sound(row)]
    shapes = Counter("order" in row for row in rows)
    assert min(shapes.values()) > 0.4 * len(rows)
    kinds = Counter(type(row["amount"]).__name__ for row in rows)
    assert {"int", "Decimal", "str"} == set(kinds)
    assert 0 < sum("," in str(row["amount"]) for row in rows) < 60
    assert 20 < sum(" " in row.get("date", "") for row in rows) < 100
    statuses = sum("orderStatus" in row or "status" in row.get("order", {}) for row in rows)
    assert 0 < statuses < 0.3 * len(rows)
    assert all("orderId" in row for row in rows)
    sources = {row["source"] for row in rows if "source" in row}
    assert sources == {*SOURCES, "Нова Пошта"}


def test_orders_cover_every_status_and_some_predate_their_money(seeded: tuple[Shop, SeedSummary]) -> None:
    shop, _ = seeded
    orders = {order["id"]: order for order in shop.orders()}
    titles = {order["status"]["title"] for order in orders.values()}
    assert titles == {"Новий", "В роботі", "Відправлено", "Виконано", "Відмінено", "Повернено"}
    waits = [moment(row) - moment(orders[row["orderId"]]) for row in shop.transactions() if sound(row)]
    assert min(waits) > timedelta(0)
    assert sum(wait > timedelta(days=1) for wait in waits) > 100


def test_each_kind_of_malformed_row_is_seeded_once(seeded: tuple[Shop, SeedSummary]) -> None:
    """Each is listed among the recent transactions, even without a readable date."""
    shop, summary = seeded
    broken = [row for row in shop.transactions() if not sound(row)]
    assert len(broken) == summary.malformed == 7
    assert sum("id" not in row for row in broken) == 1
    recent = shop.transactions()[:600]
    assert all(row in recent for row in broken)


def test_the_seed_determines_the_shop() -> None:
    def rows(seed: int) -> list[dict[str, Any]]:
        with Sandbox(clock=lambda: NOW) as sandbox:
            seed_shop(sandbox.shop(), days=3, seed=seed, today=date(2026, 3, 10))
            return sandbox.shop().transactions() + sandbox.shop().orders()

    assert rows(1) == rows(1) != rows(2)


def test_a_day_that_is_over_is_whole() -> None:
    with Sandbox(clock=lambda: NOW) as sandbox:
        shop = sandbox.shop()
        seed_shop(shop, days=2, today=date(2026, 3, 5))
        last = max(moment(row) for row in shop.transactions() if sound(row)).astimezone(KYIV)
    assert last.date() == date(2026, 3, 5)
    assert last.hour >= 20


@pytest.mark.parametrize("seed", [seed_shop, seed_orders])
def test_a_shop_seeded_before_dawn_has_nothing_of_later(seed: Callable[..., Any]) -> None:
    dawn = datetime(2026, 3, 10, 0, 18, tzinfo=KYIV).astimezone(UTC)
    with Sandbox(clock=lambda: dawn) as sandbox:
        shop = sandbox.shop()
        seed(shop, days=1)
        assert all(moment(row) <= dawn for row in [*shop.transactions(), *shop.orders()] if sound(row))


def test_live_transactions_follow_from_seed_and_number() -> None:
    def live() -> list[dict[str, Any]]:
        with Sandbox(clock=lambda: NOW) as sandbox:
            shop = sandbox.shop()
            made = [live_transaction(shop, seed=5) for _ in range(3)]
            assert len(shop.transactions()) == len(shop.orders()) == 3
        assert all(moment(row) == NOW for row in made if " " not in row.get("date", ""))
        return made

    assert live() == live()
    assert len({str(row["id"]) for row in live()}) == 3
