"""A bank feed in the account that we post to: money counts twice, and a check says so once a week."""

from collections.abc import Callable

import dagster as dg
import pytest

from sitniks_finmap.defs.checks import asset_checks
from sitniks_finmap.pipeline.other_operations import look_for_other_operations
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.order_books import KeepOrders

WEEK = 7 * 86400


def looked(books: Books) -> list[tuple[int, int]]:
    """Income and expense of others, as last counted."""
    look_for_other_operations(books.run, books.clock())
    return books.rows("select income, expense from other_operations")


def check(books: Books) -> dg.AssetCheckResult:
    """The check as Dagster runs it, with the others of its table."""
    name = "nothing_else_is_posted_here"
    [checks] = [one for one in asset_checks(books.run.connection) if name in {key.name for key in one.check_keys}]
    found = [*checks(dg.build_asset_check_context(resources={"u1": books.run}))]  # type: ignore[operator]
    return next(one for one in found if one.check_name == name)


def test_nobody_else_in_the_account_passes(books: Books) -> None:
    books.sell_many(3)
    books.sync()
    assert looked(books) == [(0, 0)]
    assert check(books).passed


def test_a_bank_feed_is_a_warning_that_says_what_to_do(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.bank("100.00")
    books.bank("70.00", key="bank:1")
    books.bank("5.00", "expense")
    assert looked(books) == [(2, 1)]
    result = check(books)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["problem"].value == (
        "Operations of the last 30 days in the Finmap accounts of this connection that it did not post: 3 (2 income, "
        "1 expense)."
    )
    assert 'set bank_feed = "accepted" in the table of u1' in str(result.metadata["what_to_do"].value)


def test_what_is_in_other_accounts_or_old_does_not_count(books: Books) -> None:
    books.sell(1)
    books.sync()
    books.bank("1.00", account="ФОП")
    books.bank("2.00")
    books.clock.forward(31 * 86400)
    assert looked(books) == [(0, 0)]


def test_another_connection_of_ours_does_not_count(books: Books, connect: Callable[..., Connection]) -> None:
    books.sandbox.add_shop("second")
    connect("u2", "second", key_prefix="shop_2")
    books.sell(1)
    books.sync()
    books.bank("1.00", key="shop_2:tx_1")
    books.bank("2.00", key="shop_3:tx_1")
    assert looked(books) == [(1, 0)]


def test_the_stock_account_is_anybodys(keep_orders: KeepOrders) -> None:
    books = keep_orders(channels={"Instagram": "ФОП"})
    books.order(1, "Виконано")
    books.sync()
    books.bank("1.00", account="Склад")
    books.bank("2.00", "expense", account="ФОП")
    books.bank("3.00", account="Каса")
    assert looked(books) == [(1, 1)]


def test_finmap_is_asked_once_a_week(books: Books) -> None:
    books.sell(1)
    books.sync()
    looked(books)
    books.bank("1.00")
    books.sandbox.forget_requests()
    books.clock.forward(WEEK - 60)
    assert looked(books) == [(0, 0)]
    assert books.sandbox.requests("finmap") == []
    books.clock.forward(60)
    assert looked(books) == [(1, 0)]


def test_accepted_is_not_asked_and_passes(books: Books, keep_books: Callable[..., Books]) -> None:
    books.sell(1)
    books.sync()
    books.bank("1.00")
    assert looked(books) == [(1, 0)]
    books = keep_books(bank_feed="accepted")
    books.sandbox.forget_requests()
    assert looked(books) == []
    assert books.sandbox.requests("finmap") == []
    assert check(books).passed


@pytest.mark.parametrize("kind", ["status", "html"])
def test_a_failing_finmap_is_asked_again_later(books: Books, kind: str) -> None:
    books.sell(1)
    books.sync()
    books.sandbox.fault(Fault(kind, "finmap", path="/operations/list", times=None))  # type: ignore[arg-type]
    assert looked(books) == []
    books.sandbox.clear_faults()
    assert looked(books) == [(0, 0)]
