"""Orders that are corrected: what belongs together changes together, or waits together."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.pipeline import readback
from sitniks_finmap.pipeline.decisions import catch_up, plan_rollback, roll_back
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.order_books import KeepOrders, move, sync

pytestmark = pytest.mark.runs

ANOTHER_PART = "it waits for a decision about another part of its order"
NOT_CHANGED = "another part of its order was not changed"
LISTS_CHANGED = "it follows from changed lists of order statuses"


@pytest.fixture
def books(keep_orders: KeepOrders) -> Books:
    """Of a shop without a stock account: only the money matters here."""
    return keep_orders({"stock_account": None})


def sums(books: Books) -> dict[str, Decimal]:
    return {name.removeprefix("order-"): amount for name, amount in books.sums().items()}


def days(books: Books) -> dict[str, int]:
    """The day of March on which each operation in Finmap is dated."""
    rows = books.finmap().items()
    return {n.removeprefix("order-"): datetime.fromtimestamp(int(r["date"]) / 1000, UTC).day for n, r in rows}


def reasons(books: Books) -> list[tuple[str, str, str, str | None]]:
    return [(row[0].removeprefix("order-"), *row[1:]) for row in books.reasons()]


# -- An order is corrected whole --


def test_a_partial_refund_taken_back_changes_both_or_none(books: Books) -> None:
    move(books, "Виконано")
    move(books, "Частково повернено", "Виконано", total="60.00")
    assert sums(books) == {"1.sale": 100, "1.partial": -40}
    assert reasons(books) == [
        ("1.partial", "withdraw", "pending", "its order no longer has this part"),
        ("1.sale", "update", "waiting", ANOTHER_PART),
    ]
    books.decide("approve")
    sync(books)
    sync(books)
    assert sums(books) == {"1.sale": 60}
    assert (books.plan(), books.differences()) == ([], [])


def test_what_a_dismissal_leaves_undone_is_asked(books: Books) -> None:
    move(books, "Виконано")
    move(books, "Частково повернено", "Виконано", total="60.00")
    books.decide("dismiss")
    sync(books)
    assert sums(books) == {"1.sale": 100, "1.partial": -40}
    assert reasons(books)[1:] == [("1.sale", "update", "pending", NOT_CHANGED)]
    books.decide("approve")
    sync(books)
    assert sums(books) == {"1.sale": 60, "1.partial": -40}


def test_a_sale_set_back_to_prepaid_is_never_both(books: Books) -> None:
    move(books, "Виконано", "Передплата", prepayment=30)
    assert sums(books) == {"1.sale": 100}
    assert [row[:3] for row in reasons(books)] == [
        ("1.prepayment", "create", "waiting"),
        ("1.sale", "withdraw", "pending"),
    ]
    books.decide("approve")
    sync(books)
    sync(books)
    assert sums(books) == {"1.prepayment": 30}


def test_a_refund_taken_back_waits_with_the_sale(books: Books) -> None:
    move(books, "Передплата", "Повернено", "Виконано", prepayment=30)
    assert sums(books) == {"1.prepayment": 30, "1.refund": -30}
    books.decide("approve")
    sync(books)
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70}


def test_a_refund_of_a_sale_in_dispute_asks(books: Books) -> None:
    """A person changed the sale, and so did Sitniks: it is not known what there is to be refunded."""
    move(books, "Виконано")
    books.shop.edit_operation("u1:order-1.sale", amount=95)
    move(books, "Виконано", "Повернено", total="90.00")
    assert sums(books) == {"1.sale": 95}
    assert reasons(books)[0] == ("1.refund", "create", "waiting", ANOTHER_PART)
    books.decide("dismiss", conflicts=True)
    sync(books)
    assert reasons(books)[0] == ("1.refund", "create", "pending", NOT_CHANGED)
    books.decide("approve")
    sync(books)
    assert sums(books) == {"1.sale": 95, "1.refund": -90}


def test_a_comment_waits_for_no_decision_about_money(books: Books) -> None:
    move(books, "Передплата", prepayment=30)
    move(books, "Виконано", prepayment=30)
    move(books, "Передплата", prepayment=30, client={"id": 7, "fullname": "Марія"})
    assert "Марія" in books.finmap()["order-1.prepayment"]["comment"]
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70}


# -- What waits for a payment that does not come --


def test_a_refund_of_a_skipped_sale_asks(books: Books) -> None:
    books.order(1, "Виконано")
    books.read()
    catch_up(books.warehouse, books.run.connection.today(books.clock()))
    sync(books)
    books.clock.forward(86400)
    move(books, "Повернено")
    assert sums(books) == {}
    assert reasons(books) == [
        ("1.refund", "create", "pending", "the payment of its order is not in Finmap: it was skipped")
    ]
    books.decide("approve")
    sync(books)
    assert sums(books) == {"1.refund": -100}


def test_a_refund_of_a_sale_deleted_by_a_person_asks(books: Books) -> None:
    move(books, "Виконано")
    books.shop.delete_operation("u1:order-1.sale")
    for _ in range(3):
        sync(books)
    move(books, "Повернено")
    assert [row[:3] for row in reasons(books)] == [("1.refund", "create", "waiting"), ("1.sale", "recreate", "pending")]
    assert books.decide("dismiss", order="1", recreate=True)
    sync(books)
    assert ("1.refund", "create", "pending", "the payment of its order is not in Finmap: it was deleted in Finmap") in (
        reasons(books)
    )


def test_a_cost_goes_with_one_of_two_payments(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "Передплата", prepayment=30)
    books.read()
    catch_up(books.warehouse, books.run.connection.today(books.clock()))
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", prepayment=30)
    assert sums(books) == {"1.sale": 70, "1.cogs": -30}


def test_a_rolled_back_sale_takes_its_refund_along(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    move(books, "Виконано")
    books.order(2, "Виконано", at=books.clock())
    move(books, "Повернено")
    assert days(books) == {"1.sale": 9, "1.cogs": 9, "1.refund": 11, "1.restock": 11, "2.sale": 11, "2.cogs": 11}
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=date(2026, 3, 9), last_day=date(2026, 3, 9))
    roll_back(books.run, planned)
    sync(books)
    assert sums(books) == {"2.sale": 100, "2.cogs": -30}


# -- Lists that change --


def test_changed_lists_hold_corrections_too(keep_orders: KeepOrders) -> None:
    """What was prepaid is not, any more: the prepayment goes and the sale grows, or neither."""
    books = keep_orders({"stock_account": None})
    move(books, "Передплата", "Виконано", prepayment=30)
    books = keep_orders({"stock_account": None, "prepaid": []})
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70}
    assert reasons(books) == [
        ("1.prepayment", "withdraw", "pending", LISTS_CHANGED),
        ("1.sale", "update", "pending", LISTS_CHANGED),
    ]
    books.decide("approve")
    sync(books)
    sync(books)
    assert sums(books) == {"1.sale": 100}
    move(books, "Виконано", total="110.00")
    assert sums(books) == {"1.sale": 110}


def test_changed_lists_hold_no_order_that_they_leave_alone(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    move(books, "Виконано", lines=[(None, 1)])
    books = keep_orders({"cancelled": []})
    move(books, "Виконано", total="110.00")
    assert sums(books) == {"1.sale": 110, "1.cogs": -30}


def test_changed_lists_and_a_dismissal_are_a_difference(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None, "paid": ["Виконано"]})
    move(books, "В дорозі")
    books = keep_orders({"stock_account": None, "paid": ["Виконано", "В дорозі"]})
    sync(books)
    books.decide("dismiss")
    for _ in range(3):
        sync(books)
    assert sums(books) == {}
    move(books, "В дорозі", total="105.00")  # another occasion
    assert sums(books) == {}
    assert reasons(books) == [("1.sale", "create", "pending", LISTS_CHANGED)]


def test_lists_count_at_once_for_what_is_derived(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None})
    books.order(1, "В дорозі")
    sync(books)
    books = keep_orders({"stock_account": None, "paid": ["Виконано", "В дорозі"]})
    books.read()
    assert [row[0] for row in books.reasons()] == ["order-1.sale"]


# -- Statuses that are renamed in Sitniks --


def rename_status(books: Books, id: int, title: str) -> None:
    books.shop.directories.add("orders/statuses", {"id": id, "title": title})


@pytest.mark.parametrize("ids", [True, False], ids=["with IDs", "titles only"])
def test_a_renamed_status_keeps_its_stage(keep_orders: KeepOrders, ids: bool) -> None:
    books = keep_orders({"stock_account": None})
    move(books, "Передплата", prepayment=30, **({"statusId": 10} if ids else {}))
    rename_status(books, 10, "Аванс")
    sync(books)
    move(books, "Виконано", prepayment=30)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70}
    books = keep_orders({"stock_account": None, "prepaid": ["Аванс"]})
    books.order(2, "Аванс", prepayment=50)
    sync(books)
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70, "2.prepayment": 50}
    assert days(books) == {"1.prepayment": 9, "1.sale": 11, "2.prepayment": 9}
    assert books.plan() == []


def test_a_title_that_moved_to_another_status_is_refused(books: Books) -> None:
    move(books, "Виконано")
    rename_status(books, 4, "Готово")
    books.shop.directories.add("orders/statuses", {"id": 77, "title": "Виконано"})
    books.written()
    with pytest.raises(
        ConfigurationError, match=r'"Виконано" used to be the status 4, which is now called "Готово"; now 77'
    ):
        sync(books)
    assert books.written() == []


def test_a_status_listed_by_id_needs_no_id_in_the_order(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None, "paid": ["4"]})
    move(books, "Виконано")
    assert sums(books) == {"1.sale": 100}


# -- After the file was lost --


def test_a_lost_file_posts_nothing_that_was_not_approved(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None}, first_import="review")
    books.order(1, "Виконано")
    books.order(2, "Виконано")
    sync(books)
    books.decide("approve", order="1")
    sync(books)
    books.decide("dismiss", order="2")
    sync(books)
    assert sums(books) == {"1.sale": 100}
    books.warehouse.lose()
    sync(books)
    assert sums(books) == {"1.sale": 100}
    assert reasons(books) == [("2.sale", "create", "pending", "the first import is held for review")]
    books.clock.forward(60)
    books.order(3, "Виконано", at=books.clock())
    books.clock.forward(60)
    sync(books)
    assert sums(books) == {"1.sale": 100, "3.sale": 100}


def test_a_lost_file_knows_what_was_left_of_a_prepaid_order(books: Books) -> None:
    """Paid in full beforehand, without cost: no sale tells that it was paid."""
    move(books, "Передплата", "Виконано", prepayment=100)
    move(books, "Частково повернено", prepayment=100, total="60.00")
    assert sums(books) == {"1.prepayment": 100, "1.partial": -40}
    books.warehouse.lose()
    for _ in range(2):
        sync(books)
    assert sums(books) == {"1.prepayment": 100, "1.partial": -40}
    assert (books.plan(), books.differences()) == ([], [])
    move(books, "Повернено", prepayment=100, total="60.00")
    assert sums(books) == {"1.prepayment": 100, "1.partial": -40, "1.refund": -60}


def test_a_status_alone_is_no_persons_edit_after_a_loss(books: Books) -> None:
    move(books, "Передплата", prepayment=30)
    books.warehouse.lose()
    move(books, "Виконано", prepayment=30)
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70}
    assert books.plan() == []
    assert "Статус: Виконано" in books.finmap()["order-1.prepayment"]["comment"]


def test_a_sale_whose_prepayment_is_lost_says_so(books: Books) -> None:
    """A person deleted the prepayment, and then the file was lost: only what Finmap has tells of it."""
    move(books, "Передплата", "Виконано", prepayment="40.00")
    assert books.sums()["order-1.sale"] == 60
    books.shop.delete_operation("u1:order-1.prepayment")
    books.warehouse.lose()
    sync(books)
    [why] = [why for one, action, standing, why in books.reasons() if (one, standing) == ("order-1.sale", "pending")]
    assert why == (
        "the ledger was rebuilt, and the prepayment of its order is not in Finmap: a person may have deleted it; "
        "the sale would become the whole total"
    )
    assert books.sums()["order-1.sale"] == 60
    books.decide("dismiss", conflicts=True)
    sync(books)
    assert books.sums()["order-1.sale"] == 60


# -- Paid a second time --


def test_a_sale_after_one_taken_back_is_dated_anew(keep_orders: KeepOrders) -> None:
    """It was paid by mistake, which a person confirmed; the money came days later, and the goods cost more by then."""
    books = keep_orders()
    move(books, "Виконано", "В дорозі")
    books.decide("approve")
    for _ in range(2):
        sync(books)
        books.clock.forward(86400)
    assert sums(books) == {}
    today = books.clock().day
    move(books, "Виконано", lines=[("35.00", 1)])
    assert sums(books) == {"1.sale:2": 100, "1.cogs:2": -35}
    sync(books)
    assert days(books) == {"1.sale:2": today, "1.cogs:2": today}
    assert (books.plan(), books.differences()) == ([], [])
    move(books, "В дорозі", "Виконано", lines=[("40.00", 1)])  # nobody confirmed this one
    assert days(books) == {"1.sale:2": today, "1.cogs:2": today}
    assert sums(books) == {"1.sale:2": 100, "1.cogs:2": -35}


def test_a_prepayment_that_is_set_to_nothing_asks(books: Books) -> None:
    move(books, "Передплата", prepayment=30)
    move(books, "Передплата", prepayment=None)  # says nothing
    assert (sums(books), books.plan()) == ({"1.prepayment": 30}, [])
    move(books, "Передплата", prepayment=0)
    assert (sums(books), books.plan()) == ({"1.prepayment": 30}, [("order-1.prepayment", "withdraw", "pending")])


def test_a_refund_whose_sale_came_before_the_start_is_listed(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None})
    old = datetime(2026, 2, 20, 9, tzinfo=UTC)
    move(books, "Виконано", "Повернено", at=old)
    assert sums(books) == {}
    assert books.rows("select reason from unbooked_to_check") == [("refunded, but its money came before start_date",)]


# -- What a person names or restores --


def test_a_number_that_is_the_id_of_another_order_is_refused(books: Books) -> None:
    for number in (1, 1001):  # order 1 has the number 1001
        move(books, "Виконано", "В дорозі", number=number)
    with pytest.raises(ConfigurationError, match=r"u1: several orders may be meant by №1001: .*Name one like this"):
        books.decide("approve", order="№1001")
    assert books.decide("approve", order="order-1001") == 1
    sync(books)
    assert sums(books) == {"1.sale": 100}


def test_what_a_person_restores_alone_on_its_day_is_seen(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other operation is dated on that day, and the shop has too many for all days to be listed."""
    books.order(1, "Виконано", at=datetime(2026, 3, 2, 9, tzinfo=UTC))
    for other in range(2, 9):
        books.order(other, "Виконано", at=datetime(2026, 3, 4, 9, tzinfo=UTC))
    sync(books)
    books.shop.delete_operation("u1:order-1.sale")
    for _ in range(3):
        sync(books)
    assert books.states()["order-1.sale"] == "deleted"
    books.shop.restore_operation("u1:order-1.sale")
    monkeypatch.setattr(readback, "FEW", 4)
    for _ in range(17):
        books.look()
        books.clock.forward(3600)
    assert books.states()["order-1.sale"] == "verified"


# -- What a newcomer runs into --


def test_a_shop_without_a_posted_operation_may_change_its_source(
    keep_orders: KeepOrders, keep_books: Callable[..., Books]
) -> None:
    """Its transactions were read, or some of them; then its owner heard that orders are the way."""
    first = keep_books()
    first.sell(1, orderId=2)
    first.put_order(2, "Новий")
    first.read()
    books = keep_orders({"stock_account": None})
    books.order(1, "Виконано")
    books.order(2, "Виконано")
    sync(books)
    assert sums(books) == {"1.sale": 100, "2.sale": 100}
    assert (books.plan(), books.differences()) == ([], [])


def test_a_source_that_changes_back_derives_its_orders_again(
    keep_orders: KeepOrders, keep_books: Callable[..., Books]
) -> None:
    books = keep_orders({"stock_account": None})
    books.order(1, "Виконано")
    books.read()
    keep_books().read()
    books = keep_orders({"stock_account": None})
    sync(books)
    assert sums(books) == {"1.sale": 100}


def test_what_a_rollback_removed_asks_nothing(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    move(books, "Виконано", "Повернено")
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=date(2026, 3, 9), last_day=date(2026, 3, 9))
    roll_back(books.run, planned)
    sync(books)
    assert {row[1:3] for row in reasons(books)} == {("recreate", "kept")}
    books.decide("approve", order="1", recreate=True)
    sync(books)
    sync(books)
    assert sums(books) == {"1.sale:2": 100, "1.cogs:2": -30, "1.refund:2": -100, "1.restock:2": 30}


def test_changed_lists_are_told_from_the_first_import(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None}, first_import="review")
    books.order(1, "В дорозі")
    books.order(2, "Виконано")
    sync(books)
    books.decide("approve")
    books = keep_orders({"stock_account": None, "paid": ["Виконано", "В дорозі"]}, first_import="review")
    sync(books)
    assert reasons(books) == [("1.sale", "create", "pending", LISTS_CHANGED)]


# -- What a second look found --


def test_a_replaced_sale_keeps_its_day_and_cost(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    move(books, "Виконано")
    books.shop.turn_operation("u1:order-1.sale", "expense")
    move(books, "Виконано", total="110.00")
    books.decide("approve", conflicts=True)
    sync(books)
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", total="120.00", lines=[("50.00", 1)])
    assert sums(books) == {"1.sale:2": 120, "1.cogs": -30}
    assert days(books) == {"1.sale:2": 9, "1.cogs": 9}


def test_a_sale_without_rest_keeps_the_day_of_its_cost(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    move(books, "Передплата", "Виконано", prepayment=30)
    move(books, "Виконано", prepayment=30, total="30.00")
    books.decide("approve")
    sync(books)
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", prepayment=30, total="100.00", lines=[("50.00", 1)])
    assert sums(books) == {"1.prepayment": 30, "1.sale:2": 70, "1.cogs": -30}
    assert days(books)["1.cogs"] == 11


def test_a_payment_stays_with_its_edited_refund(books: Books) -> None:
    move(books, "Виконано", "Повернено")
    books.shop.edit_operation("u1:order-1.refund", amount=95)
    sync(books)
    with books.warehouse.transaction() as con:
        planned = plan_rollback(con, first_day=date(2026, 3, 9), last_day=date(2026, 3, 9))
    assert [(one.standing, one.why) for one in planned] == [
        ("pending", "a person edited it in Finmap"),
        ("pending", "a person edited another part of its order in Finmap"),
    ]


def test_no_refund_goes_while_its_sale_is_looked_for(books: Books) -> None:
    move(books, "Виконано")
    books.shop.delete_operation("u1:order-1.sale")
    sync(books)
    books.order(1, "Повернено")
    sync(books)
    assert sums(books) == {}


def test_changed_lists_are_not_forgotten_before_they_matter(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None})
    books.order(2, "Виконано")
    move(books, "В дорозі", "Новий", prepayment=30)
    books = keep_orders({"stock_account": None, "prepaid": ["Передплата", "В дорозі"]})
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", prepayment=30)
    assert sums(books) == {"2.sale": 100}
    assert {row[1:] for row in reasons(books)} == {("create", "pending", LISTS_CHANGED)}


def test_a_sale_waits_for_its_reviewed_prepayment(keep_orders: KeepOrders) -> None:
    books = keep_orders({"stock_account": None}, first_import="review")
    books.order(1, "Передплата", prepayment=30)
    books.order(2, "Виконано")
    sync(books)
    books.decide("approve", order="2")
    sync(books)
    books.clock.forward(86400)
    move(books, "Виконано", prepayment=30)
    assert sums(books) == {"2.sale": 100}
    books.decide("approve")
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "1.sale": 70, "2.sale": 100}


def test_a_loss_posts_no_dismissed_sale_with_recent_days_first(keep_orders: KeepOrders) -> None:
    lists: dict[str, Any] = {"stock_account": None}
    books = keep_orders(lists, first_import="review")
    old = datetime(2026, 3, 2, 9, tzinfo=UTC)
    books.order(1, "Передплата", at=old, prepayment=30)
    books.order(2, "Виконано")
    sync(books)
    books.decide("approve")
    sync(books)
    books.clock.forward(86400)
    move(books, "В дорозі", at=old, prepayment=30)
    books = keep_orders(lists | {"paid": ["Виконано", "В дорозі"]}, first_import="review")
    sync(books)
    books.decide("dismiss")
    sync(books)
    books.warehouse.lose()
    today = books.run.connection.today(books.clock())
    books.sync(today - timedelta(days=3), today)
    sync(books)
    sync(books)
    assert sums(books) == {"1.prepayment": 30, "2.sale": 100}
    assert [row[:3] for row in reasons(books)] == [("1.sale", "create", "pending")]
