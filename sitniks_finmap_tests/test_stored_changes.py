"""A change that Finmap says is stored: it may be carried out in an hour, or never, whatever happens meanwhile."""

from dataclasses import replace
from typing import Any

import pytest

from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.books import Books

pytestmark = pytest.mark.runs

STORES = Fault("status", "finmap", method="PATCH", status=200, body='{"status": "Stored", "statusCode": "2"}')


@pytest.fixture
def sold(books: Books) -> Books:
    books.sell(1, description="Перший")
    books.sync()
    books.sync()
    return books


@pytest.mark.parametrize(
    ("then", "field", "shows", "has"),
    [({"amount": "150.00"}, "amount", "150.00", "100"), ({"description": "Другий"}, "comment", "Другий", "Перший")],
)
@pytest.mark.parametrize("late", [0, 1])
def test_one_that_sitniks_takes_back_does_not_stay(
    sold: Books, then: dict[str, Any], field: str, shows: Any, has: str, late: int
) -> None:
    sold.sandbox.fault(STORES)
    fields: dict[str, Any] = {"description": "Перший"} | then
    sold.sell(1, **fields)
    sold.sync()
    sold.sell(1, description="Перший")
    sold.sync()
    for _ in range(late):
        sold.clock.forward(-2700)
        sold.sync()
    fields: dict[str, Any] = {field: shows}
    sold.edit(1, **fields)  # only now Finmap carries out what it stored
    for _ in range(3):
        sold.sync()
    operation = sold.finmap()["tx_1"]
    assert str(operation["sum" if field == "amount" else field]) == has
    assert (sold.plan(), sold.differences()) == ([], [])


@pytest.mark.parametrize(("field", "hers"), [("comment", "перевірено"), ("amount", "160.00")])
def test_what_she_edits_meanwhile_is_hers(sold: Books, field: str, hers: Any) -> None:
    sold.sandbox.fault(STORES)
    sold.sell(1, "150.00", description="Другий")
    sold.sync()
    fields: dict[str, Any] = {field: hers}
    sold.edit(1, **fields)
    sold.sync()
    sold.sell(1, "170.00", description="Третій")
    sold.sync()
    operation = sold.finmap()["tx_1"]
    assert str(operation["sum"]) == "160" if field == "amount" else operation["comment"] == hers
    assert [row[1:3] for row in sold.reasons()] == [("update", "pending")]


def test_a_second_one_is_sent_once_more_as_well(sold: Books) -> None:
    sold.sandbox.fault(replace(STORES, times=2))
    sold.sell(1, description="Другий")
    sold.sync()
    sold.sell(1, description="Третій")
    for _ in range(6):
        sold.sync()
    assert sold.finmap()["tx_1"]["comment"] == "Третій"
    assert (sold.plan(), sold.differences()) == ([], [])
