"""Support's question about a shop whose source is its orders: what became of this order, and of each of its parts?"""

import re

import pytest

from sitniks_finmap.people.explain import explain
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.order_books import KeepOrders, move, sync
from sitniks_finmap_tests.screens import printed, told

pytestmark = pytest.mark.runs


@pytest.fixture
def books(keep_orders: KeepOrders) -> Books:
    return keep_orders()


def refused(books: Books, wanted: str) -> str:
    found, said = printed(explain, books.run, wanted)
    assert not found
    return said.strip()


def test_every_stage_part_and_write_of_an_order_is_told(books: Books) -> None:
    move(books, "Новий", "Передплата", "Виконано", "Повернено", prepayment=30)
    said = told(books, "1001")
    assert said["head"].strip() == "u1: order 1001, ID 1"
    read = said["Read from Sitniks"]
    stages = [line.strip() for line in read.splitlines() if " since " in line]
    amounts = "total 100.00, prepayment 30.00, cost 30.00"
    assert stages == [
        f"status Новий: in no list since 2026-03-09 11:00 (estimated: when it was created), {amounts}",
        f"status Передплата: prepaid since 2026-03-11 15:00 (seen by us), {amounts}",
        f"status Виконано: paid since 2026-03-12 16:00 (seen by us), {amounts}",
        f"status Повернено: refunded since 2026-03-13 17:00 (seen by us), {amounts}",
    ]
    assert "version 1, read 2026-03-10 14:00 to 2026-03-10 14:00, run test-run" in read
    assert '"totalPriceDiscount": "100.00"' in read
    wanted = said["Finmap should have"]
    assert re.findall(r"order-1\.(\w+): (\w+) ([\d.]+) at (\S+ \S+) on (\S+)\n", wanted) == [
        ("prepayment", "income", "30.00", "2026-03-11 15:00:00", "Каса"),
        ("sale", "income", "70.00", "2026-03-12 16:00:00", "Каса"),
        ("cogs", "expense", "30.00", "2026-03-12 16:00:00", "Склад"),
        ("refund", "expense", "100.00", "2026-03-13 17:00:00", "Каса"),
        ("restock", "income", "30.00", "2026-03-13 17:00:00", "Склад"),
    ]
    assert "    Refund | Контрагент: Олена" in wanted
    assert "rule" not in wanted
    sent = said["Sent to Finmap"]
    assert "u1:order-1.sale: verified, income 70.00, " in sent
    assert re.search(r"u1:order-1\.cogs \S+ \S+ POST /operations/expense → 201 applied, \d+ ms", sent)
    assert "u1:order-1.refund: expense 100.00 at 2026-03-13 17:00:00" in said["Finmap has now"]
    assert said["differences"].strip() == "none"


@pytest.mark.parametrize("name", ["1001", "№1001", "1", "order-1", "order-1.sale", "u1:order-1.cogs"])
def test_an_order_is_found_by_any_of_its_names(books: Books, name: str) -> None:
    move(books, "Виконано")
    assert told(books, name)["head"].strip() == "u1: order 1001, ID 1"


def test_orders_with_one_number_are_listed(books: Books) -> None:
    books.order(1, "Виконано")
    books.order(2, "Новий", orderNumber=1001)
    books.order(1001, "Новий")  # its ID is the number of the others
    books.sync()
    said = refused(books, "1001").splitlines()
    assert said[0] == "u1: 1001 may mean any of 3 orders; choose one by its ID:"
    commands = [line.split("   ")[0].strip() for line in said[1:]]
    assert commands == [f"sitniks-finmap explain order-{order} --connection u1" for order in (1, 1001, 2)]
    assert said[1].endswith("number 1001, created 2026-03-09, status Виконано")
    assert told(books, "order-2")["head"].strip() == "u1: order 1001, ID 2"


def test_an_unknown_order_is_said_to_be_unknown(books: Books) -> None:
    move(books, "Виконано")
    assert refused(books, "tx_[1]") == "u1: no order tx_[1] has been read"


def test_why_there_is_no_operation_is_told_of_each_part(books: Books) -> None:
    move(books, "Новий")
    assert told(books, "1")["Finmap should have"].strip() == "order-1: nothing, unbooked: its status is in no list"
    move(books, "Виконано", number=2, lines=[(None, 1)])
    said = told(books, "2")["Finmap should have"]
    assert "order-2.cogs: nothing, unbooked: the cost of its goods is incomplete" in said
    move(books, "Виконано", number=3, total="1,500")
    said = told(books, "3")
    assert "order-3.sale: nothing, rejected: ambiguous total" in said["Finmap should have"]
    assert "(estimated: when it was created), ambiguous total, cost 30.00" in said["Read from Sitniks"]


def test_what_is_planned_for_each_part_is_told(books: Books) -> None:
    move(books, "Виконано", "В дорозі")
    said = told(books, "1")
    why = "its order is no longer paid: it went back to a status that is in no list"
    assert said["Finmap should have"].strip() == f"order-1: nothing, unbooked: {why.partition(': ')[2]}"
    assert f"planned for order-1.sale: withdraw, pending ({why})" in said["differences"]
    assert f"order-1.cogs: pending: withdraw: {why}" in said["differences"]


def test_a_deleted_order_is_told_after_one_answer_and_two(books: Books) -> None:
    move(books, "Виконано")
    assert books.shop.delete_order(1)
    sync(books)
    said = told(books, "1")["Read from Sitniks"]
    assert "last requested by ID at 2026-03-11 15:00: it was not there; the next answer shows whether it is" in said
    assert "is gone; asked again by the first sync after 2026-03-11 16:00" in said
    sync(books)
    said = told(books, "1")["Read from Sitniks"]
    assert "gone since 2026-03-11 16:00" in said
    assert "asked again" not in said


def test_after_the_file_was_lost_its_days_come_from_finmap(books: Books) -> None:
    move(books, "Виконано", "Повернено")
    books.warehouse.lose()
    sync(books)
    read = told(books, "1")["Read from Sitniks"]
    assert "before the file was lost, as Finmap has it\n    paid since 2026-03-09 11:00 (the date in Finmap)" in read
    assert "status Повернено: refunded since" in read


def test_when_finmap_fails_the_rest_is_told_of_an_order(books: Books) -> None:
    move(books, "Виконано")
    books.shop.revoke("finmap")
    said = told(books, "1")
    assert "refused the key (401)" in said["Finmap has now"]
    assert "u1:order-1.sale: verified" in said["Sent to Finmap"]
