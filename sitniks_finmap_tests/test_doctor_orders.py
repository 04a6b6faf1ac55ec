"""doctor about orders as the source, and about a bank feed: what the owner has to decide, in names and counts only."""

import json
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sandbox.order_book import seed_orders
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import read_connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.books import stamp
from sitniks_finmap_tests.order_books import LISTS, TITLES
from sitniks_finmap_tests.screens import Doctor
from sitniks_finmap_tests.warehouses import begun

YESTERDAY = datetime.now(ZoneInfo("Europe/Kyiv")) - timedelta(days=1)  # as the shop counts its days

Connect = Callable[..., Connection]


@pytest.fixture
def orders_shop(connect: Connect, shop: Shop) -> Connection:
    """A connection whose source is its orders; none yet."""
    shop.add_account("Склад", "UAH")
    for number, title in enumerate(TITLES, 10):
        shop.directories.add("orders/statuses", {"id": number, "title": title})
    shop.hide("sitniks", "/transactions")
    return connect(source="orders", orders=LISTS)


def put(shop: Shop, *statuses: str, **more: Any) -> None:
    for number, status in enumerate(statuses, 1):
        row = {
            "id": number, "orderNumber": 1000 + number, "createdAt": stamp(YESTERDAY), "status": {"title": status},
            "totalPriceDiscount": "100.00", "payment": {"amount": None}, "client": {"id": 7, "fullname": "Олена"},
            "products": [{"title": "Товар", "costPrice": "30.00", "quantity": 1}], "salesChannel": {"title": "Сайт"},
        }  # fmt: skip
        shop.put_order(row | more)


def findings(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.startswith(" ")]


# -- Shops --


def test_a_shop_of_orders_is_examined_to_the_end(connect: Connect, shop: Shop, doctor: Doctor) -> None:
    seeded = seed_orders(shop, days=20)
    shop.hide("sitniks", "/transactions")
    lists = {**LISTS, "paid": ["Виконано"]}
    connect(source="orders", orders=lists)
    code, output = doctor()
    said = findings(output)
    assert code == 0, output
    assert "✓ Sitniks accepts the key; GET /orders answers" in said
    for id, title, stage in ((4, "Виконано", "paid"), (7, "Передплата", "prepaid"), (2, "В роботі", "in no list")):
        count = seeded.statuses[title]
        assert count > 1
        assert f'✓ status "{title}" (ID {id}): {count} orders in the last 30 days, {stage}' in said
    assert f"✓ field total: in {seeded.orders} of {seeded.orders} orders" in said
    assert "✓ the date filter uses createdAt" in said
    assert "✓ GET /orders/{id} shows an order exactly as the list does" in said
    assert "✓ GET /orders ignores updatedAtFrom, as assumed: orders are read again by their ID" in said
    assert any(
        line.startswith("✓ GET /supplies answers, which is not used yet; its fields: id, supply") for line in said
    )
    assert "✓ the accounts of the money and of the stock differ, and have the same currency" in said
    assert '✓ nobody else posted to the Finmap account "Каса" in the last 30 days' in said
    assert f"✓ none of the latest {seeded.orders} orders would be rejected" in said
    assert "transaction" not in output
    names = {str((row["client"] or {}).get("fullname")) for row in shop.orders()}
    assert not [name for name in names if name in output]


def test_an_empty_shop_of_orders_is_no_error(orders_shop: Connection, doctor: Doctor) -> None:
    code, output = doctor()
    said = findings(output)
    assert code == 0
    assert "! no orders in the last 30 days: the fields could not be checked" in said
    assert '✓ status "Виконано" (ID 4): 0 orders in the last 30 days, paid' in said
    assert "transaction" not in output


FAILING = [
    ({"kind": "status", "status": 401}, "refused the key (401)"),
    ({"kind": "status", "status": 403}, "refused the key (403)"),
    ({"kind": "status", "status": 404}, "answered 404"),
    ({"kind": "status", "status": 500}, "answered 500"),
    ({"kind": "html"}, "web page instead of JSON"),
    ({"kind": "drop_before"}, "did not answer"),
    ({"kind": "status", "status": 200, "body": "{}"}, "answered"),
]


@pytest.mark.parametrize(("failing", "said"), FAILING, ids=range(len(FAILING)))
@pytest.mark.parametrize(
    ("side", "path"),
    [
        pytest.param("finmap", "/accounts", marks=pytest.mark.runs),  # in test_doctor.py, too
        ("sitniks", "/orders"),
        ("finmap", "/operations"),
    ],
)
def test_each_side_that_fails_is_one_error_of_a_shop_of_orders(
    side: Any, path: str, failing: dict[str, Any], said: str, orders_shop: Connection, shop: Shop, sandbox: Sandbox,
    doctor: Doctor,
) -> None:  # fmt: skip
    put(shop, "Виконано")
    sandbox.fault(Fault(api=side, path=path, times=None, **failing))
    code, output = doctor()
    assert code == 1
    [wrong] = [line for line in findings(output) if line.startswith("✗")]
    assert said in wrong
    assert side.title() in wrong
    assert ("GET /orders answers" if side == "finmap" else "Finmap accepts the key") in output
    assert "connections.toml with this one" not in output


def test_both_sides_failing_are_two_errors(orders_shop: Connection, shop: Shop, doctor: Doctor) -> None:
    shop.revoke("sitniks")
    shop.revoke("finmap")
    code, output = doctor()
    assert code == 1
    assert [line[:9] for line in findings(output) if "✗" in line] == ["✗ Finmap ", "✗ Sitniks"]


# -- What an owner has to decide --


def test_a_status_that_sitniks_lacks_lists_what_there_is(connect: Connect, shop: Shop, doctor: Doctor) -> None:
    connect(source="orders", orders={"paid": ["Оплочено"]})
    put(shop, "Виконано")
    code, output = doctor()
    assert code == 1
    assert '✗ u1: orders.paid: Sitniks has no status "Оплочено".' in output
    assert '✓ status "Виконано" (ID 4): 1 order in the last 30 days, in no list' in output
    assert "! no order in the last 30 days has a status of the lists paid and prepaid: are they complete?" in output


def test_statuses_that_cannot_be_read_are_an_error(
    orders_shop: Connection, shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    put(shop, "Виконано", "Секретний")
    sandbox.fault(Fault("status", "sitniks", path="/orders/statuses", status=500, times=None))
    code, output = doctor()
    assert code == 1
    assert "✗ the order statuses cannot be read: Sitniks answered 500" in output
    assert '✓ status "Виконано": 1 order in the last 30 days, paid' in output
    assert '✓ status "Секретний": 1 order in the last 30 days, in no list' in output


def test_fields_that_are_missing_or_unknown_are_named(orders_shop: Connection, shop: Shop, doctor: Doctor) -> None:
    lines = [{"title": "Товар", "quantity": 1, "costPrice": None, "discountReason": "vip"}]
    put(shop, "Виконано", "Новий", products=lines, paidAt=stamp(YESTERDAY), payment={"amount": 1, "paidOn": "x"})
    shop.put_order({"id": 9, "createdAt": stamp(YESTERDAY), "Олена Коваль": 1})
    code, output = doctor()
    said = findings(output)
    assert code == 0
    assert "✓ field total: in 2 of 3 orders" in said
    assert "! field cost price of every line: in 0 of 3 orders" in said
    unknown = "✓ fields of orders that are not used: paidAt, payment.paidOn, products.discountReason. Please report one"
    assert any(line.startswith(unknown) for line in said)
    assert "Олена" not in output


def test_without_a_needed_field_orders_cannot_be_used(orders_shop: Connection, shop: Shop, doctor: Doctor) -> None:
    put(shop, "Виконано", totalPriceDiscount=None)
    code, output = doctor()
    assert code == 1
    assert "✗ field total: in 0 of 1 order" in output
    assert "! of the latest 1 order, 1 would be rejected: no total" in output


@pytest.mark.parametrize(
    ("fields", "mark", "said"),
    [
        ({"totalPriceDiscount": "99.00"}, "!", "with other values than the list does, in: totalPriceDiscount. Was it"),
        ({"managerComment": "подарунок"}, "✓", "as the list does; only these fields differ: managerComment"),
    ],
)
def test_an_order_that_differs_by_its_id_is_told_by_fields(
    fields: dict[str, Any], mark: str, said: str, orders_shop: Connection, shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    put(shop, "Виконано")
    [row] = shop.orders()
    body = json.dumps(row | fields, default=str)
    sandbox.fault(Fault("status", "sitniks", path="/orders/1", status=200, body=body, times=None))
    code, output = doctor()
    assert code == 0
    [line] = [line for line in findings(output) if "/orders/{id}" in line]
    assert line.startswith(mark)
    assert said in line


def test_an_order_not_found_by_its_id_is_an_error(
    orders_shop: Connection, shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    put(shop, "Виконано")
    sandbox.fault(Fault("status", "sitniks", path="/orders/1", status=404, times=None))
    code, output = doctor()
    assert code == 1
    assert "✗ GET /orders/{id} does not find an order of the list" in output


def test_supplies_that_do_not_answer_are_not_mentioned(orders_shop: Connection, shop: Shop, doctor: Doctor) -> None:
    shop.forbid("sitniks", "/supplies")
    code, output = doctor()
    assert code == 0
    assert "supplies" not in output


def test_a_stock_account_that_does_not_fit_is_refused(connect: Connect, shop: Shop, doctor: Doctor) -> None:
    shop.add_account("Склад", "USD")
    connect(source="orders", orders={"paid": ["Виконано"], "stock_account": "Склад"})
    code, output = doctor()
    assert code == 1
    assert "✗ u1: orders have no currency, so all accounts need the same: Каса (UAH), Склад (USD)" in output


# -- Transactions that cannot be read --


def proposed(output: str) -> dict[str, Any]:
    """The table that is printed to be copied."""
    return tomllib.loads(output[output.index("\n[u1]\n") : output.rindex("\n\n")])


@pytest.mark.parametrize("how", ["forbid", "hide"])
def test_a_shop_without_transactions_gets_a_table_for_orders(
    how: str, connect: Connect, shop: Shop, doctor: Doctor
) -> None:
    connect(sync_every="30m", comment_fields=["order_number"], accounts={"Каса": "ФОП"})
    getattr(shop, how)("sitniks", "/transactions")
    code, output = doctor()
    assert code == 1
    why = "! Sitniks does not give the transactions of this company to this key, but its orders. Either ask for access"
    assert any(line.startswith(why) for line in findings(output))
    assert '# The statuses of this company: "Новий", "В роботі", "Відправлено", "Виконано", "Відмінено"' in output
    table = proposed(output)["u1"]
    assert isinstance(read_connection("u1", table), Connection) is False  # the owner has to fill a list
    table["orders"]["paid"] = ["Виконано"]
    read = read_connection("u1", table)
    assert isinstance(read, Connection)
    assert (read.source, read.sync_every, read.accounts) == ("orders", timedelta(minutes=30), {})


@pytest.mark.parametrize("hidden", ["/orders", "/orders/statuses"])
def test_no_table_if_orders_cannot_be_read_either(
    hidden: str, connection: Connection, shop: Shop, doctor: Doctor
) -> None:
    shop.hide("sitniks", "/transactions")
    shop.hide("sitniks", hidden)
    code, output = doctor()
    assert code == 1
    assert "! orders cannot be read either: Sitniks answered 404" in output
    assert "[u1]" not in output


def test_no_table_that_would_post_everything_twice(connection: Connection, shop: Shop, doctor: Doctor) -> None:
    shop.put_transaction({"id": "tx_1", "createdAt": stamp(YESTERDAY), "amount": 5})
    run = ConnectionRun(connection, begun(open_warehouse(connection)), "test-run")
    read_transactions(run, YESTERDAY.date(), YESTERDAY.date())
    shop.hide("sitniks", "/transactions")
    code, output = doctor()
    assert code == 1
    assert 'add a connection with source = "orders" and a start_date after the last day of this one' in output
    assert "\n[u1]\n" not in output


# -- A bank feed --


def test_a_bank_feed_in_the_account_is_a_warning(connect: Connect, shop: Shop, doctor: Doctor) -> None:
    run = ConnectionRun(connect(), open_warehouse(connect()), "test-run")
    [account] = [one["id"] for one in shop.accounts if one["label"] == "Каса"]
    for type, field in (("income", "accountToId"), ("income", "accountToId"), ("expense", "accountFromId")):
        body = {"amount": 5, "date": int(YESTERDAY.timestamp() * 1000), field: account}
        assert run.finmap.api.write("POST", f"/operations/{type}", json.dumps(body).encode()).status == 201
    code, output = doctor()
    assert code == 0
    assert '! 3 operations of the last 30 days in the Finmap account "Каса" are not from this program (2 inc' in output
    connect(bank_feed="accepted")
    code, output = doctor()
    assert code == 0
    assert '✓ bank_feed = "accepted": operations of others in the Finmap account are not looked for' in output
