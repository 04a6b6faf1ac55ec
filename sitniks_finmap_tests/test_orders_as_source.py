"""Orders as the source: what becomes of an order in Finmap, from its first prepayment to its last refund."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.pipeline.readback import rebuild_ledger
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap_tests.books import START, Books
from sitniks_finmap_tests.order_books import KeepOrders, move, sync

pytestmark = pytest.mark.runs


@pytest.fixture
def books(keep_orders: KeepOrders) -> Books:
    return keep_orders()


def sums(books: Books) -> dict[str, Decimal]:
    return {name.removeprefix("order-"): amount for name, amount in books.sums().items()}


def days(books: Books) -> dict[str, date]:
    """The date of each operation in Finmap."""
    rows = books.finmap().items()
    return {n.removeprefix("order-"): datetime.fromtimestamp(int(r["date"]) / 1000, UTC).date() for n, r in rows}


def unbooked(books: Books) -> list[tuple[Any, ...]]:
    return books.rows("select order_id, part, reason from unbooked_orders order by all")


# -- What an order becomes --


def test_a_paid_order_is_a_sale_and_its_cost(books: Books) -> None:
    books.order(1, "Новий")
    books.sync()
    assert sums(books) == {}
    books.order(1, "Виконано", lines=[("12.50", "2"), (5, "0.5")])
    books.sync()
    assert sums(books) == {"1.sale": Decimal(100), "1.cogs": Decimal("-27.50")}
    assert books.written()
    books.sync()
    assert not books.written()
    assert books.differences() == []


def test_prepayment_and_rest_are_two_incomes_on_two_days(books: Books) -> None:
    move(books, "Новий", "Передплата", "Виконано", prepayment=30)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70, "1.cogs": -30}
    assert days(books) == {"1.prepayment": date(2026, 3, 11), "1.sale": date(2026, 3, 12), "1.cogs": date(2026, 3, 12)}


def test_a_refund_is_an_expense_and_the_income_stays(books: Books) -> None:
    move(books, "Новий", "Виконано", "Повернено")
    assert sums(books) == {"1.sale": 100, "1.cogs": -30, "1.refund": -100, "1.restock": 30}
    assert books.finmap()["order-1.refund"]["comment"].startswith("Refund | ")
    assert books.rows("select sum(if(type = 'income', amount, -amount)) from operations") == [(0,)]
    assert books.differences() == []


def test_a_partial_refund_is_what_the_total_fell_by(books: Books) -> None:
    move(books, "Виконано")
    move(books, "Частково повернено", total="60.00")
    assert sums(books) == {"1.sale": 100, "1.cogs": -30, "1.partial": -40}
    move(books, "Повернено", total="60.00")
    assert sums(books) == {"1.sale": 100, "1.cogs": -30, "1.partial": -40, "1.refund": -60, "1.restock": 30}


def test_a_partial_refund_of_unknown_size_is_listed(books: Books) -> None:
    move(books, "Виконано", "Частково повернено")
    assert sums(books) == {"1.sale": 100, "1.cogs": -30}
    assert unbooked(books) == [("1", "partial", "partly refunded, but its total does not tell how much")]


def test_a_refund_of_what_was_never_paid_is_nothing(books: Books) -> None:
    move(books, "Новий", "Повернено")
    assert sums(books) == {}
    assert unbooked(books) == [("1", None, "refunded before it was ever seen paid")]


def test_the_total_of_a_paid_order_corrects_the_sale(books: Books) -> None:
    move(books, "Виконано")
    move(books, "Виконано", total="120.50")
    assert sums(books) == {"1.sale": Decimal("120.50"), "1.cogs": -30}
    assert days(books)["1.sale"] == date(2026, 3, 9)


def test_cost_waits_until_it_is_complete_and_is_frozen(books: Books) -> None:
    move(books, "Виконано", lines=[("10", 1), (None, 2)])
    assert sums(books) == {"1.sale": 100}
    assert unbooked(books) == [("1", "cogs", "the cost of its goods is incomplete")]
    move(books, "Виконано", lines=[("10", 1), ("7.5", 2)])
    move(books, "Виконано", lines=[("99", 1), ("99", 2)])
    assert sums(books) == {"1.sale": 100, "1.cogs": -25}
    assert unbooked(books) == []


def test_goods_for_millions_have_a_cost(books: Books) -> None:
    move(books, "Виконано", "Виконано", lines=[("2500.50", "4000"), (0.005, 1)])
    books.order(2, "Виконано", lines=[("9999999999", "9999999999")])
    sync(books)
    assert sums(books) == {"1.sale": 100, "1.cogs": Decimal("-10002000.01"), "2.sale": 100}
    assert unbooked(books) == [("2", "cogs", "the cost of its goods is incomplete")]


def test_a_cancelled_prepayment_stays_until_it_is_refunded(books: Books) -> None:
    move(books, "Передплата", "Відмінено", prepayment="30")
    assert sums(books) == {"1.prepayment": 30}
    assert books.plan() == []
    move(books, "Повернено", prepayment="30")
    assert sums(books) == {"1.prepayment": 30, "1.refund": -30}


def test_history_bears_the_day_on_which_it_was_created(keep_orders: KeepOrders) -> None:
    created = datetime(2026, 3, 5, 9, tzinfo=UTC)
    books = keep_orders()
    books.order(1, "Виконано", at=created)
    books.sync()
    assert set(days(books).values()) == {date(2026, 3, 5)}
    assert books.rows("select known_by from order_stages") == [("created",)]


def test_a_field_that_is_null_hides_no_other(books: Books) -> None:
    books.order(1, "Новий")
    told = {"status": None, "orderStatus": {"title": "Виконано"}, "paymentMethod": None}
    books.shop.put_order(books.shop.orders()[0] | told | {"settlementAccount": {"id": 7, "title": "LiqPay"}})
    books.sync()
    assert "Оплата: LiqPay | Статус: Виконано" in books.finmap()["order-1.sale"]["comment"]


@pytest.mark.parametrize(("total", "more"), [("1 234,50", {}), (1234.5, {}), (None, {"totalPrice": "1234.50"})])
def test_a_total_is_read_however_it_is_written(books: Books, total: Any, more: dict[str, Any]) -> None:
    books.order(1, "Виконано", total, **more)
    books.sync()
    assert sums(books)["1.sale"] == Decimal("1234.50")


@pytest.mark.parametrize(
    ("total", "reason"),
    [("1,500", "ambiguous total"), ("abc", "unreadable total"), (10.005, "total with more than two decimals"),
     (-5, "total is below zero"), (None, "no total")],
)  # fmt: skip
def test_a_sale_with_a_wrong_total_is_rejected(books: Books, total: Any, reason: str) -> None:
    books.order(1, "Виконано", total)
    books.order(2, "Виконано", "5.00")
    books.sync()
    assert sums(books) == {"2.sale": 5, "2.cogs": -30}
    found = books.rows("select transaction_id, reason from rejected_transactions order by 1")
    assert found == [("order-1.cogs", "its sale is rejected"), ("order-1.sale", reason)]


def test_a_channel_of_another_entity_has_its_own_account(keep_orders: KeepOrders) -> None:
    books = keep_orders(channels={"instagram": "ФОП"})
    books.order(1, "Виконано")
    books.order(2, "Виконано", salesChannel={"title": "Rozetka"})
    books.sync()
    labels = {account["id"]: account["label"] for account in books.shop.directories.list("accounts")}
    accounts = {row: labels[account] for row, account in books.rows("select transaction_id, account from operations")}
    assert accounts == {"order-1.sale": "ФОП", "order-1.cogs": "Склад", "order-2.sale": "Каса", "order-2.cogs": "Склад"}


# -- What asks --


def test_back_to_an_unpaid_status_asks_with_its_own_reason(books: Books) -> None:
    move(books, "Виконано", "В дорозі")
    reason = "its order is no longer paid: it went back to a status that is in no list"
    assert books.reasons() == [(f"order-1.{part}", "withdraw", "pending", reason) for part in ("cogs", "sale")]
    assert sums(books) == {"1.sale": 100, "1.cogs": -30}
    assert {kind for _, kind, _ in books.differences()} == {"pending"}
    books.decide("approve")
    sync(books)
    sync(books)
    assert sums(books) == {}
    move(books, "Виконано")
    assert sums(books) == {"1.sale:2": 100, "1.cogs:2": -30}


@pytest.mark.parametrize("named", ["1", "№1001"])
@pytest.mark.parametrize(("decision", "left"), [("approve", {}), ("dismiss", {"1.sale": 100, "1.cogs": -30})])
def test_an_order_is_decided_whole_and_alone(books: Books, named: str, decision: str, left: dict[str, int]) -> None:
    books.order(2, "Виконано")
    move(books, "Виконано")
    books.order(2, "В дорозі")
    move(books, "В дорозі")
    assert books.decide(decision, order="3") == 0
    assert books.decide(decision, order=named) == 2
    sync(books)
    assert sums(books) == left | {"2.sale": 100, "2.cogs": -30}


def test_a_deleted_order_asks_after_two_answers(books: Books) -> None:
    move(books, "Виконано")
    assert books.shop.rows["orders"].delete(1)
    sync(books)
    assert books.plan() == []
    books.clock.forward(3600)
    sync(books)
    assert books.plan() == [("order-1.cogs", "withdraw", "pending"), ("order-1.sale", "withdraw", "pending")]
    assert sums(books) == {"1.sale": 100, "1.cogs": -30}


def test_an_order_that_was_missing_once_and_is_back_goes_on(books: Books) -> None:
    books.order(1, "Новий")
    sync(books)
    row = books.shop.orders()[0]
    books.shop.delete_order(1)
    sync(books)
    books.shop.put_order(row)
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", "Повернено")
    assert sums(books) == {"1.sale": 100, "1.cogs": -30, "1.refund": -100, "1.restock": 30}


@pytest.mark.parametrize("by_hand", [True, False])
def test_orders_read_after_a_loss_keep_what_finmap_has_of_them(books: Books, by_hand: bool) -> None:
    """Whether the ledger was rebuilt before or in the sync that reads them."""
    long_ago = datetime(2026, 3, 2, 9, tzinfo=UTC)
    books.order(1, "Передплата", at=long_ago, prepayment=30)
    sync(books)
    books.clock.forward(86400)
    books.warehouse.lose()
    books.order(1, "Виконано", at=long_ago, prepayment=30)
    today = books.run.connection.today(books.clock())
    if by_hand:
        rebuild_ledger(books.run, START, today, books.clock())
    else:
        books.sync(today - timedelta(days=2), today)
    sync(books)
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70, "1.cogs": -30}
    assert days(books)["1.sale"] == today


def test_no_refund_goes_before_its_sale(keep_orders: KeepOrders) -> None:
    books = keep_orders(first_import="review")
    books.order(1, "Виконано")
    books.sync()
    books.clock.forward(86400)
    move(books, "Повернено")
    waits = "it waits until the payment of its order is in Finmap"
    assert [row for row in books.reasons() if row[0] in ("order-1.refund", "order-1.restock")] == [
        ("order-1.refund", "create", "waiting", waits),
        ("order-1.restock", "create", "waiting", waits),
    ]
    assert sums(books) == {}
    books.decide("approve")
    sync(books)
    assert sums(books) == {"1.sale": 100, "1.cogs": -30, "1.refund": -100, "1.restock": 30}


def test_changed_lists_hold_what_they_add(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "В дорозі")
    books.order(2, "Виконано")
    books.sync()
    books = keep_orders(orders={"paid": ["Виконано", "В дорозі"]})
    books.sync()
    assert sums(books) == {"2.sale": 100, "2.cogs": -30}
    assert {row[1:3] for row in books.reasons()} == {("create", "pending")}
    books.order(3, "В дорозі", at=books.clock())
    books.clock.forward(60)
    books.sync()
    assert sums(books) == {"2.sale": 100, "2.cogs": -30, "3.sale": 100, "3.cogs": -30}
    books.decide("approve")
    books.sync()
    assert "1.sale" in sums(books)


# -- What is refused --


def test_an_unknown_status_lists_those_that_there_are(keep_orders: KeepOrders) -> None:
    books = keep_orders(orders={"paid": ["Оплочено"]})
    books.order(1, "Виконано")
    with pytest.raises(ConfigurationError, match=r'u1: orders\.paid: Sitniks has no status "Оплочено".*Виконано'):
        books.sync()
    assert books.written() == []


def test_a_status_in_two_lists_is_refused(keep_orders: KeepOrders) -> None:
    with pytest.raises(ValueError, match='the status "виконано" is in paid and in refunded'):
        keep_orders(orders={"refunded": ["виконано"]})
    books = keep_orders(orders={"refunded": ["4"]})  # the ID of a title that is in another list
    with pytest.raises(ConfigurationError, match="is in paid and in refunded"):
        books.sync()


def test_another_source_is_refused_and_nothing_is_written(books: Books, keep_books: Callable[..., Books]) -> None:
    books.order(1, "Виконано")
    books.sync()
    books.written()
    with pytest.raises(ConfigurationError, match=r'u1: its operations come from orders; .*Set source = "orders"'):
        keep_books()
    books.warehouse.lose()
    other = keep_books()
    other.sell(1)
    with pytest.raises(ConfigurationError, match=r"u1: Finmap already has 2 operations of this connection from orders"):
        other.sync()
    assert other.written() == []


# -- What is read, and how often --


def test_what_is_not_read_makes_no_version(books: Books) -> None:
    books.order(1, "Виконано")
    books.sync()
    catalogue = [{"costPrice": "30.00", "quantity": 1, "productVariation": {"price": 77, "stock": 4}}]
    books.order(1, "Виконано", products=catalogue, updatedAt="2026-03-10T12:00:00Z", managerComment="подарунок")
    books.sync()
    assert books.rows("select count(*) from raw_sitniks_orders") == [(1,)]
    books.order(1, "Виконано", "101.00")
    books.sync()
    assert books.rows("select count(*) from raw_sitniks_orders") == [(2,)]


def test_a_creation_date_that_is_corrected_is_no_fault_any_more(books: Books) -> None:
    books.order(1, "Виконано", createdAt="учора")
    books.sync()
    assert books.rows("select reason from rejected_transactions") == [("no readable date",)]
    books.clock.forward(3600)
    books.order(1, "Виконано")
    books.sync()
    assert books.rows("select reason from rejected_transactions") == []
    assert sums(books) == {"1.sale": 100, "1.cogs": -30}


def test_an_unpaid_order_is_read_again_beyond_the_lookback(books: Books) -> None:
    books.order(1, "Новий", at=datetime(2026, 3, 1, 9, tzinfo=UTC))
    books.sync()
    books.clock.forward(3 * 86400)
    books.order(1, "Виконано", at=datetime(2026, 3, 1, 9, tzinfo=UTC))
    recent = books.run.connection.today(books.clock())
    books.sync(first=recent - timedelta(days=2), last=recent)
    assert days(books)["1.sale"] == recent


def test_an_order_from_before_the_start_is_booked_when_paid(books: Books) -> None:
    old = datetime(START.year, START.month, START.day, tzinfo=UTC) - timedelta(days=20)
    books.order(1, "Новий", at=old)
    books.order(2, "Виконано", at=old)
    books.sync()
    assert unbooked(books) == [
        ("1", None, "its status is in no list"),
        ("2", None, "its money came before start_date"),
    ]
    books.order(1, "Виконано", at=old)
    books.sync()
    assert sums(books) == {"1.sale": 100, "1.cogs": -30}


# -- When the file was lost --


def test_a_lost_file_keeps_every_day_and_amount(books: Books) -> None:
    move(books, "Новий", "Передплата", "Виконано", "Повернено", number=1, prepayment=30)
    move(books, "Виконано", number=2)
    move(books, "Виконано", number=2, lines=[("99", 9)])
    before, there = sums(books), days(books)
    assert len(before) == 7
    books.warehouse.lose()
    books.written()
    sync(books)
    sync(books)
    assert books.written() == []
    assert (sums(books), days(books)) == (before, there)
    assert books.plan() == []
    assert books.differences() == []
