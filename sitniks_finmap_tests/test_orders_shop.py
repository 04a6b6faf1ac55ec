"""The commands on shops whose source is their orders: one that sells, an empty one, one whose every side fails."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from tenacity import wait_none

from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sandbox.order_book import seed_orders
from sitniks_finmap.sandbox.order_lives import Life
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.order_books import LISTS
from sitniks_finmap_tests.screens import command

pytestmark = pytest.mark.runs

NOW = datetime.now(UTC)
START = (NOW - timedelta(days=8)).date()

Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def home(dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are kept in memory, and nobody waits between two attempts."""
    monkeypatch.setattr("sitniks_finmap.defs.launch.instance", lambda: nullcontext(dagster))
    monkeypatch.setattr("sitniks_finmap.cli.terminal.show_progress", lambda: None)
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())


@pytest.fixture
def orders_shop(connect: Connect, shop: Shop) -> Callable[..., list[Life]]:
    """A shop whose Sitniks has only orders, of so many days, with a connection; returns their lives."""

    def orders_shop(days: int, **settings: Any) -> list[Life]:
        lives = seed_orders(shop, days=days or 1).book.lives
        if not days:
            for life in lives:
                shop.delete_order(life.id)
        shop.hide("sitniks", "/transactions")
        connect(start_date=START, source="orders", orders=LISTS, **settings)
        return lives

    return orders_shop


def about_orders(code: int, *arguments: str) -> str:
    """What a command says that ends with this code: never a word about transactions."""
    ended, said = command(*arguments)
    assert ended == code, said
    assert "transaction" not in said.replace("rejected_transactions", "")
    assert "settlement" not in said
    return said


def test_a_shop_that_sells_is_told_in_orders(orders_shop: Callable[..., list[Life]]) -> None:
    lives = orders_shop(6)
    live = [life for life in lives if (truth := life.truth_at(NOW)) and truth.status]  # more are born meanwhile
    said = about_orders(0, "preview")
    assert "Виконано (paid): " in said
    assert "would become income, " in said
    assert "its status is in no list (Новий)" in said
    said = about_orders(1, "status")  # the first import waits for a person
    assert "pending changes: " in said
    about_orders(0, "approve", "--yes")
    said = about_orders(0, "sync")
    (read,) = re.findall(r"read +(\d+) orders of ", said)
    assert len(live) <= int(read) <= len(lives)
    assert "unbooked   " in said
    said = about_orders(0, "status")
    assert "orders without an operation: " in said
    assert "its status is in no list (" in said
    assert "unbooked, 1 warning to dismiss:" in about_orders(0, "dismiss", "--unbooked", "--yes")
    said = about_orders(0, "status")
    assert "a person should check" not in said
    assert "orders without an operation: " in said
    about_orders(0, "doctor")
    sold = next(life for life in live if (truth := life.truth_at(NOW)) and truth.status == "Виконано" and truth.total)
    said = about_orders(0, "explain", str(sold.number))
    assert f"order {sold.number}, ID {sold.id}" in said
    assert f"u1:order-{sold.id}.sale: income" in said


def test_an_empty_shop_of_orders_is_ok(orders_shop: Callable[..., list[Life]]) -> None:
    orders_shop(0)
    assert "nothing to write\n" in about_orders(0, "preview")
    said = about_orders(0, "sync")
    assert "read       0 orders of " in said
    assert "state      ok" in said
    assert about_orders(0, "status").splitlines()[1].endswith("ok")
    about_orders(0, "doctor")
    assert "no order 1 has been read" in about_orders(1, "explain", "1")


@pytest.mark.parametrize("failing", [{"status": 500}, {"status": 403}])
def test_a_shop_whose_sides_fail_says_which_and_exits_with_1(
    failing: dict[str, Any], orders_shop: Callable[..., list[Life]], sandbox: Sandbox
) -> None:
    orders_shop(1, first_import="post")
    for side, path in (("sitniks", "/orders"), ("finmap", "/operations")):
        sandbox.fault(Fault("status", side, path=path, times=None, **failing))  # type: ignore[arg-type]
    said = about_orders(1, "sync")
    assert "✗ u1: " in said
    assert f"Sitniks {'answered 500' if failing['status'] == 500 else 'refused the key (403)'}" in said
    said = about_orders(1, "status")
    assert "the last sync failed at" in said
    said = about_orders(1, "doctor")
    assert said.count("✗") == 2
    sandbox.clear_faults()
    sandbox.fault(Fault("status", "finmap", path="/operations", times=None, **failing))
    said = about_orders(1, "sync")
    assert "Finmap " in said
    sandbox.clear_faults()
    about_orders(0, "sync")


def test_the_channels_of_other_entities_are_named(orders_shop: Callable[..., list[Life]]) -> None:
    orders_shop(6, first_import="post", channels={"Instagram": "ФОП", "Закритий": "Каса"})
    said = about_orders(0, "sync")
    assert "orders from sales channels not mapped in [u1.channels]: " in said
    assert "mappings in [u1.channels] that match no order: 1 (Закритий)" in said
    assert "→ ФОП" not in said
