"""What `preview` shows of a change is what is sent when a person approves it: no field more, none less."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sitniks_finmap.pipeline.due import days_due
from sitniks_finmap.sandbox.spelling import SPELLINGS
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap_tests.books import START, TODAY, Books, days_ago, stamp

pytestmark = pytest.mark.runs

Keep = Callable[..., Books]


def shown(books: Books) -> dict[str, tuple[str, str]]:
    """The fields of the only planned change, with their values before and after."""
    with books.warehouse.transaction() as con:
        con.execute(sql("previewed"), {"first": START, "last": TODAY})
        (row,) = con.execute(sql("preview_rows")).fetchall()
    return {change[0]: (change[1], change[2]) for change in row[-1]}


def sent(books: Books) -> dict[str, Any]:
    """The body of the only PATCH."""
    (patch,) = [one for one in books.written() if one.method == "PATCH"]
    return json.loads(patch.body or "")


def approve(books: Books) -> None:
    books.written()
    assert books.decide("approve", conflicts=True) == 1
    books.read()
    books.deliver()


def test_after_a_lost_file_her_tag_is_not_sent_with_the_amount(keep_books: Keep) -> None:
    books = keep_books(source_as_tag=True)
    tag = books.shop.add_tag("VIP")["id"]
    books.sell(1, "10.00", source="Сайт")
    books.sync()
    books.edit(1, tagIds=[tag])
    books.sell(1, "11.00", source="Сайт")
    books.warehouse.lose()
    books.sync()
    assert shown(books) == {"amount": ("10.00", "11.00")}
    approve(books)
    assert set(sent(books)) == {"amount"}
    assert books.finmap()["tx_1"]["tagIds"] == [tag]


@pytest.mark.parametrize("spelling", ["whole hryvnias", "whole hryvnias and days"])
def test_what_finmap_stored_differently_is_shown(keep_books: Keep, spelling: str) -> None:
    """A time that Finmap cut within its day moves no money: it is neither shown nor sent."""
    books = keep_books()
    whole = SPELLINGS["whole hryvnias"]
    cut = SPELLINGS["seconds"]
    books.shop.ledger.spelling = whole if spelling == "whole hryvnias" else lambda row: cut(whole(row))
    books.sell(1, "100.40", date=stamp(days_ago(1))[:-4] + "789Z")
    books.sync()
    assert shown(books) == {"amount": ("100.00", "100.40")}
    approve(books)
    assert set(sent(books)) == {"amount"}


def test_a_conflict_shows_what_finmap_has(books: Books) -> None:
    books.sell(1, "10.00")
    books.sync()
    books.edit(1, amount=12)
    books.sell(1, "11.00")
    books.sync()
    assert shown(books) == {"amount": ("12.00", "11.00")}
    approve(books)
    assert (set(sent(books)), str(books.sums()["tx_1"])) == ({"amount"}, "11")


def test_what_finmap_had_before_is_not_a_rebuilt_ledger(books: Books) -> None:
    """A 409 brings an operation that we never wrote, with another amount."""
    books.sell(2)
    books.sync()
    books.bank("7.00", key="u1:tx_1")
    books.sell(1, "10.00", at=books.clock() - timedelta(days=1))
    books.read()
    books.deliver()
    ((name, action, standing, why),) = books.reasons()
    assert (name, action, standing) == ("tx_1", "update", "pending")
    assert why == "Finmap had it already, with other values: who wrote them is unknown"


def test_nothing_is_launched_for_what_is_not_to_be_created_yet(books: Books) -> None:
    """The last read did not show it: only the next read tells."""
    books.sell_many(2)
    books.read()
    assert days_due(books.warehouse, books.clock()) is not None
    for number in (1, 2):
        assert books.shop.delete_transaction(f"tx_{number}")
    books.read()
    for days in (0, 2):
        books.clock.forward(days * 86400)
        assert days_due(books.warehouse, books.clock()) is None
        assert books.deliver().writes == 0
