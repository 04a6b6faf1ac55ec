"""One deployment with a connection of each source, each with a shop and a Finmap company of its own."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import stamp
from sitniks_finmap_tests.deliveries import writes
from sitniks_finmap_tests.order_books import LISTS, TITLES

pytestmark = pytest.mark.runs

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
START = (YESTERDAY - timedelta(days=5)).date()

Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def shops(sandbox: Sandbox, connect: Callable[..., Connection]) -> dict[str, Shop]:
    """`payments` follows its transactions, `parcels` its orders. The first has orders, too, and the second has
    transactions: each of the other source, with the same IDs."""
    payments, parcels = sandbox.add_shop("payments"), sandbox.add_shop("parcels")
    parcels.add_account("Склад", "UAH")
    for number, title in enumerate(TITLES, 10):
        parcels.directories.add("orders/statuses", {"id": number, "title": title})
    for shop in (payments, parcels):
        sell(shop, 1, 100)
        order(shop, 1, "Виконано")
    settings = {"start_date": START, "first_import": "post", "on_delete": "withdraw", "max_change_share": 1.0}
    connect("payments", "payments", **settings)
    connect("parcels", "parcels", source="orders", orders=LISTS, **settings)
    return {"payments": payments, "parcels": parcels}


def sell(shop: Shop, number: int, amount: int) -> None:
    shop.put_transaction({"id": f"tx_{number}", "createdAt": stamp(YESTERDAY), "amount": amount, "orderId": 1})


def order(shop: Shop, number: int, status: str) -> None:
    products = [{"costPrice": 30, "quantity": 1}]
    row = {"id": number, "orderNumber": number, "createdAt": stamp(YESTERDAY), "status": {"title": status}}
    shop.put_order(row | {"totalPriceDiscount": 250, "products": products})


def sums(shop: Shop) -> dict[str, int]:
    return {row["externalId"]: row["sum"] if row["type"] == "income" else -row["sum"] for row in shop.operations()}


def test_two_sources_in_one_deployment_never_meet(shops: dict[str, Shop], sandbox: Sandbox, command: Command) -> None:
    """What is sold, refunded or deleted in one shop reaches its own company alone, and status tells of both."""
    payments, parcels = shops["payments"], shops["parcels"]
    sync(command)
    assert sums(payments) == {"payments:tx_1": 100}
    assert sums(parcels) == {"parcels:order-1.sale": 250, "parcels:order-1.cogs": -30}

    sell(payments, 2, 40)
    order(payments, 1, "Повернено")
    sell(parcels, 2, 40)
    parcels.delete_transaction("tx_1")
    order(parcels, 1, "Повернено")
    order(parcels, 2, "Новий")
    sync(command)
    sync(command)
    assert sums(payments) == {"payments:tx_1": 100, "payments:tx_2": 40}
    assert sums(parcels) == {
        "parcels:order-1.sale": 250, "parcels:order-1.cogs": -30,
        "parcels:order-1.refund": -250, "parcels:order-1.restock": 30,
    }  # fmt: skip
    asked = {(one.shop, one.path.split("/")[1]) for one in sandbox.requests("sitniks")}
    assert asked == {("payments", "transactions"), ("payments", "orders"), ("parcels", "orders")}
    keys = {(one.shop, json.loads(one.body)["externalId"].split(":")[0]) for one in writes(sandbox, "POST")}
    assert keys == {("payments", "payments"), ("parcels", "parcels")}
    assert not [one for one in writes(sandbox) if one.method == "DELETE"]

    code, said = command("status")
    assert code == 0, said
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.split()}
    assert (lines["payments"][4:7], lines["payments"][-1]) == (["2", "of", "2"], "ok")
    assert (lines["parcels"][4:7], lines["parcels"][-1]) == (["4", "of", "4"], "ok")
    of_parcels = said[said.index("parcels: ") :]
    assert "orders without an operation: 1 order of 250.00: its status is in no list (1)" in of_parcels
    assert "orders without" not in said[: said.index("parcels: ")]


def sync(command: Command) -> None:
    """Both syncs; each speaks of what it reads."""
    code, said = command("sync")
    assert code == 0, said
    payments, parcels = said.split("parcels, ")
    assert " transaction" in payments
    assert " order" in parcels
    assert "transaction" not in parcels
