"""The views that answer what people ask (docs/cookbook.md)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap_tests.books import Books, days_ago
from sitniks_finmap_tests.order_books import move

Keep = Callable[..., Books]


def clients(books: Books) -> set[frozenset[str]]:
    """Which transactions are of one client."""
    found: dict[str, set[str]] = {}
    for transaction_id, client in books.rows("select transaction_id, client from client_of_operation"):
        found.setdefault(client, set()).add(transaction_id.removeprefix("tx_"))
    return {frozenset(one) for one in found.values()}


def pay(books: Books, number: int, counterparty: str | None = None, **client: Any) -> None:
    more = {"client": client} if client else {}
    books.sell(number, counterparty=counterparty, at=days_ago(number % 5), **more)


# -- Who is one client --


def test_a_name_a_nickname_and_an_e_mail_are_one_client(books: Books) -> None:
    """The second payment names both the phone of the first and the e-mail of the third."""
    pay(books, 1, "Олена Коваль", phone="+38 (067) 111-22-33")
    pay(books, 2, "@olena", phone="0671112233", email="Olena@Example.com")
    pay(books, 3, "olena@example.com ")
    pay(books, 4, "@Olena", id=77)
    pay(books, 5, None, id="77")
    pay(books, 6, "Інша людина", phone="+380671112234")
    books.read()
    assert clients(books) == {frozenset("12345"), frozenset("6")}


def test_a_payment_is_of_the_client_of_its_order(books: Books) -> None:
    order = {"id": 9, "orderNumber": 9, "createdAt": "2025-01-14T09:00:00.000Z", "status": {"title": "Новий"}}
    books.shop.put_order(order | {"client": {"id": 7, "fullname": "Іван", "email": "ivan@example.com"}})
    books.sell(1, orderId=9, counterparty="Іван")
    books.sell(2, counterparty="IVAN@example.com")
    books.read()
    assert clients(books) == {frozenset("12")}


def test_a_name_alone_is_of_the_only_client_so_named(books: Books) -> None:
    pay(books, 1, "Олена", phone="0671112233")
    pay(books, 2, "олена ")
    pay(books, 3, "Іван", phone="0501112233")
    pay(books, 4, "Іван", phone="0501112244")
    pay(books, 5, "Іван")
    books.read()
    assert clients(books) == {frozenset("12"), frozenset("3"), frozenset("4"), frozenset("5")}


@pytest.mark.parametrize("phone", ["0000000000", "-", "", "067", None, "немає"])
def test_what_stands_for_no_phone_joins_nobody(books: Books, phone: str | None) -> None:
    pay(books, 1, "Олена", phone=phone)
    pay(books, 2, "Іван", phone=phone)
    books.read()
    assert clients(books) == {frozenset("1"), frozenset("2")}


def test_clients_count_what_was_paid_and_refunded(books: Books) -> None:
    pay(books, 1, "Олена", phone="0671112233")
    pay(books, 2, "@olena", phone="0671112233")
    books.sell(3, "-40.50", description="Повернення", counterparty="Олена", client={"phone": "0671112233"})
    books.sell(4, "-7.00", description="Комісія", counterparty="Олена", client={"phone": "0671112233"})
    books.read()
    columns = "name, currency, payments, paid, refunded"
    assert books.rows(f"select {columns} from clients") == [("Олена", "UAH", 2, Decimal("200.00"), Decimal("40.50"))]


# -- Money, changes, edits, orders --


def test_money_says_what_is_in_finmap_and_in_which_account(books: Books) -> None:
    books.sell(1)
    books.sell(2, "-30.00")
    books.sync()
    books.sell(3)
    books.read()
    rows = books.rows("select transaction_id, balance_change, account, in_finmap from money order by 1")
    assert rows == [
        ("tx_1", Decimal("100.00"), "Каса", True),
        ("tx_2", Decimal("-30.00"), "Каса", True),
        ("tx_3", Decimal("100.00"), "Каса", False),
    ]


def test_the_stock_is_no_money(keep_orders: Keep) -> None:
    books = keep_orders()
    move(books, "Виконано")
    assert books.rows("select count(*) from operations where classification = 'cost_of_goods'") == [(1,)]
    assert books.rows("select transaction_id from money") == [("order-1.sale",)]


def test_changes_in_sitniks_name_the_fields_and_both_amounts(books: Books) -> None:
    books.sell(1)
    books.sell(2)
    books.read()
    books.clock.forward(3600)
    books.sell(1, "120.00", source="Rozetka")
    books.read()
    rows = books.rows("select record, changed, amount_before, amount from changes_in_sitniks")
    assert rows == [("tx_1", ["amount", "source"], Decimal("100.00"), Decimal("120.00"))]


def test_edits_in_finmap_are_those_of_people(books: Books) -> None:
    for number in (1, 2, 3):
        books.sell(number)
    books.sync()
    books.edit(2, comment="Моя примітка")
    books.throw_out(3)
    books.sync()
    books.clock.forward(3 * 3600)
    books.sync()
    rows = books.rows(
        "select transaction_id, what, fields, ours.comment, theirs.comment from edits_in_finmap order by 1"
    )
    assert rows == [
        ("tx_2", "edited", ["comment"], "Оплата 2", "Моя примітка"),
        ("tx_3", "deleted", [], "Оплата 3", None),
    ]


def test_orders_without_money_are_the_unpaid_ones(keep_orders: Keep) -> None:
    books = keep_orders()
    books.order(1, "Новий")
    books.order(2, "Виконано")
    books.sync()
    rows = books.rows("select order_number, status, total from orders_without_money")
    assert rows == [("1001", "Новий", Decimal("100.00"))]
