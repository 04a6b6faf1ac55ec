"""status and preview of a shop whose source is its orders: every sentence is about orders, and true."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.people.findings import Finding
from sitniks_finmap.people.preview import plan_json, print_plan
from sitniks_finmap.people.run_page import print_state
from sitniks_finmap.people.status import Status, status_of
from sitniks_finmap.pipeline import decisions
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap_tests.books import START, TODAY, Books
from sitniks_finmap_tests.order_books import KeepOrders, move, sync
from sitniks_finmap_tests.screens import printed

pytestmark = pytest.mark.runs


@pytest.fixture
def books(keep_orders: KeepOrders) -> Books:
    return keep_orders()


def status(books: Books) -> Status:
    books.warehouse.close()
    return status_of(books.run.connection, books.clock())


def findings(books: Books) -> dict[str, Finding]:
    return {finding.problem: finding for finding in status(books).findings}


def dismiss_unbooked(books: Books, **which: Any) -> int:
    with books.warehouse.transaction() as con:
        chosen = decisions.unbooked(con, **which)
        decisions.dismiss_unbooked(con, chosen, books.clock())
    return len(chosen)


def preview(books: Books, first: date = START, last: date = TODAY) -> list[str]:
    books.warehouse.close()
    _, said = printed(print_plan, books.run.connection, first, last)
    assert "transaction" not in said
    return [line.strip() for line in said.splitlines()]


# -- status --


def test_orders_all_in_finmap_are_no_finding(books: Books) -> None:
    move(books, "Новий", "Виконано")
    books.order(2, "Новий")
    books.order(3, "Відмінено")
    sync(books)
    found = status(books)
    assert found.findings == []
    assert found.summary
    assert found.summary.records == 3
    assert found.summary.unbooked == {"its status is in no list": 1, "cancelled before it was paid": 1}


def test_orders_that_a_person_should_check_are_a_warning(books: Books) -> None:
    move(books, "Новий", "Повернено", number=1)
    move(books, "Виконано", "Частково повернено", number=2)
    move(books, "Виконано", number=3, lines=[(None, 1)])
    move(books, "Передплата", number=4)
    move(books, "Новий", "Повернено", number=5)
    move(books, "Новий", number=6)
    finding = findings(books)["unbooked"]
    assert finding.verdict == "warning"
    assert finding.what.startswith("unbooked orders that a person should check: 3 (")
    for reason in ("refunded before it was ever seen paid (2)", "prepaid, but its prepayment has no amount (1)"):
        assert reason in finding.what
    assert "in no list" not in finding.what
    finding = findings(books)["unbooked parts"]
    assert finding.verdict == "warning"
    assert finding.what.startswith("missing parts of orders that are otherwise booked, to be checked by a person: 2 (")
    for reason in (
        "the cost of its goods is incomplete (1)", "partly refunded, but its total does not tell how much (1)",
    ):  # fmt: skip
        assert reason in finding.what


def test_orders_without_an_operation_add_up(books: Books) -> None:
    """A part that is missing of a booked order is told as a part, and the order's total is not added."""
    books.order(1, "В дорозі", "70.00")
    books.order(2, "Новий", "30.00")
    books.order(3, "Повернено", "5.00")
    books.order(4, "Виконано", "1000.00", lines=[(None, 1)])
    books.order(5, "Виконано", "2000.00", lines=[(0, 1)])
    sync(books)
    said = [line for line in preview(books) if line.startswith("unbooked")]
    assert said == [
        "unbooked in all 3 orders of 105.00",
        "unbooked 1 order of 70.00: its status is in no list (В дорозі)",
        "unbooked 1 order of 30.00: its status is in no list (Новий)",
        "unbooked 1 order of 5.00: refunded before it was ever seen paid",
        "unbooked cost of goods of 1 order: its goods cost nothing",
        "unbooked cost of goods of 1 order: the cost of its goods is incomplete",
    ]
    books.warehouse.close()
    _, said = printed(print_state, books.run.connection)
    assert "unbooked   3 orders of 105.00: its status is in no list (2); refunded before it was ever seen paid" in said
    assert "parts      2 without an operation: its goods cost nothing (1); the cost of its goods is inc" in said
    with books.warehouse.transaction() as con:
        chosen = {one.transaction_id: one.total for one in decisions.unbooked(con)}
        assert chosen == {"order-3": Decimal("5.00"), "order-4.cogs": None}
        days = {"first": START, "last": TODAY}
        assert [row[1:] for row in con.execute(sql("metadata/unbooked_orders_totals"), days).fetchall()] == [
            (3, Decimal("105.00"), 2)
        ]


def test_a_dismissed_warning_returns_with_another_reason(books: Books) -> None:
    move(books, "Повернено", number=1)
    move(books, "Частково повернено", number=2)
    assert "person should check: 2 (" in findings(books)["unbooked"].what
    assert dismiss_unbooked(books, order="3") == 0
    assert dismiss_unbooked(books, order="1002") == 1
    sync(books)
    assert "check: 1 (refunded before it was ever seen paid)" in findings(books)["unbooked"].what
    assert dismiss_unbooked(books) == 1
    sync(books)
    assert "unbooked" not in findings(books)
    move(books, "Повернено", number=2)
    assert "check: 1 (refunded before it was ever seen paid)" in findings(books)["unbooked"].what


def test_an_order_is_rejected_once_not_with_each_part(books: Books) -> None:
    books.order(1, "Виконано", "1,500")
    books.order(2, "Виконано", None)
    books.sync()
    what = findings(books)["rejected"].what
    assert what.startswith("rejected orders: 2 (ambiguous total (1); no total (1)). Correct them in Sitniks")
    assert "rejected 1 order: ambiguous total" in preview(books)
    found = status(books).summary
    assert found
    assert found.rejected == 2


def test_channels_and_their_mappings_are_told_by_name(keep_orders: KeepOrders) -> None:
    books = keep_orders(channels={"Instagram": "ФОП", "Prom.ua": "Каса"})
    books.order(1, "Виконано")
    books.order(2, "Виконано", salesChannel={"title": "Rozetka"})
    books.sync()
    found = findings(books)
    assert {one.verdict for one in found.values()} == {"warning"}
    unmapped = "orders from sales channels not mapped in [u1.channels]: 1 (Rozetka). Their money goes to `finmap_acco"
    assert found["unmapped"].what.startswith(unmapped)
    assert found["unused"].what.startswith("mappings in [u1.channels] that match no order: 1 (Prom.ua).")


def test_a_shop_with_one_channel_mapped_twice_is_no_finding(keep_orders: KeepOrders) -> None:
    books = keep_orders(channels={"Instagram": "ФОП"})
    books.order(1, "Виконано")
    books.sync()
    assert findings(books) == {}


def test_a_missing_order_is_told_with_when_it_is_asked_again(books: Books) -> None:
    move(books, "Виконано")
    assert books.shop.delete_order(1)
    sync(books)
    finding = findings(books)["missing orders"]
    assert finding.verdict == "warning"
    assert finding.what.startswith("orders that Sitniks no longer showed when last asked: 1. ")
    assert "The first sync after 2026-03-11 16:00 asks again" in finding.what
    sync(books)
    assert "missing orders" not in findings(books)


def test_an_order_that_went_back_unposted_is_no_warning(keep_orders: KeepOrders) -> None:
    books = keep_orders(first_import="review")
    for status in ("Виконано", "В дорозі"):  # nothing of it was posted: nobody has anything to decide
        books.order(1, status)
        sync(books)
    assert books.rows("select reason from unbooked_orders") == [("it went back to a status that is in no list",)]
    assert findings(books) == {}


def test_posted_money_of_an_order_that_went_back_is_a_warning(books: Books) -> None:
    move(books, "Виконано", "В дорозі")
    assert "it went back to a status that is in no list" in findings(books)["unbooked"].what
    books.decide("approve")
    sync(books)
    assert books.sums() == {}
    assert findings(books) == {}, "it was withdrawn: nothing is left to decide"


# -- preview --


def test_preview_shows_what_the_lists_would_post(keep_orders: KeepOrders) -> None:
    books = keep_orders(first_import="review")
    for number in range(1, 4):
        books.order(number, "Виконано", "1000.50")
    books.order(4, "Передплата", prepayment=200)
    books.order(5, "В дорозі", "70.00")
    books.order(6, "Повернено", "80.00")
    books.read()
    said = preview(books)
    assert said[0] == "u1, 2026-03-01 to 2026-03-10: nothing to write; 7 wait for your decision"
    assert "Виконано (paid): 3 orders would become income, 3,001.50" in said
    assert "Виконано (paid): 3 orders would become cost of goods, 90.00" in said
    assert "Передплата (prepaid): 1 order would become income, 200.00" in said
    assert "unbooked 1 order of 70.00: its status is in no list (В дорозі)" in said
    assert "unbooked 1 order of 80.00: refunded before it was ever seen paid" in said
    assert any(line.endswith("→ Склад  u1:order-1.cogs  Собівартість | Контрагент: Олена | Джерело: Instagram | "
                             "Замовлення: №1001 | Статус: Виконано") for line in said)  # fmt: skip


def test_preview_shows_what_changed_lists_would_add(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "В дорозі")
    books.order(2, "Виконано")
    books.sync()
    assert not [line for line in preview(books) if "would become" in line]
    books = keep_orders(orders={"paid": ["Виконано", "В дорозі"]})
    books.read()
    effect = [line for line in preview(books) if "would become" in line]
    held = "(held: the lists of statuses changed)"
    assert effect == [
        f"В дорозі (paid): 1 order would become income, 100.00 {held}",
        f"В дорозі (paid): 1 order would become cost of goods, 30.00 {held}",
    ]


def test_preview_for_programs_has_the_unbooked_orders(books: Books) -> None:
    books.order(1, "Новий")
    books.order(2, "Виконано", lines=[(None, 1)])
    books.read()
    books.warehouse.close()
    rows = plan_json(books.run.connection, START, TODAY)
    assert [(row["transaction_id"], row["why"]) for row in rows if row["standing"] == "unbooked"] == [
        ("order-1", "its status is in no list"),
        ("order-2.cogs", "the cost of its goods is incomplete"),
    ]


def test_what_a_person_keeps_in_finmap_is_counted(books: Books) -> None:
    move(books, "Виконано", "В дорозі")
    for decided in (False, True):
        if decided:
            books.decide("dismiss")
            sync(books)
        books.warehouse.close()
        _, screen = printed(print_state, books.run.connection)
        assert "extra      2 operations that Sitniks no longer makes: income 100.00, expense 30.00" in screen
