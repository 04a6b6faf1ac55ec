"""What a sync does about a change in Sitniks: create, update, replace, withdraw or nothing; at once, after a person
said so, or never."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sitniks_finmap.pipeline.due import days_due
from sitniks_finmap.pipeline.reading import UnreadDays
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import DAY, START, TODAY, Books, days_ago, stamp
from sitniks_finmap_tests.fake_lists import show_no_transactions

# Twice: as quick tests run, and with DuckDB as shipped.
pytestmark = [pytest.mark.runs, pytest.mark.parametrize("optimizer", ["off", "on"], indirect=True)]

Keep = Callable[..., Books]


def standings(books: Books) -> dict[str, int]:
    return dict(Counter(standing for _, _, standing in books.plan()))


# -- The five actions --------------------------------------------------------------------------------------------


def test_finmap_follows_sitniks_and_a_second_sync_does_nothing(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw", max_change_share=1.0)
    books.sell_many(4)
    books.sync()
    books.sell(2, "120.50")
    books.sell(3, "-100.00")
    books.unsell(4)
    books.sell(5, "55.00")
    books.written()

    books.read()
    assert books.plan() == [
        ("tx_2", "update", "go"),
        ("tx_3", "replace", "go"),
        ("tx_4", "withdraw", "go"),
        ("tx_5", "create", "go"),
    ]
    books.sync()
    assert {name: str(amount) for name, amount in books.sums().items()} == {
        "tx_1": "100", "tx_2": "120.5", "tx_3:2": "-100", "tx_5": "55",
    }  # fmt: skip
    assert sorted(one.method for one in books.written()) == ["DELETE", "DELETE", "PATCH", "POST", "POST"]
    books.sync()
    assert (books.plan(), books.written(), books.differences()) == ([], [], [])


def test_a_transaction_that_returns_gets_the_next_generation(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell(1)
    books.sync()
    for generation in (2, 3):
        books.unsell(1)
        books.sync()
        assert books.finmap() == {}
        books.sell(1)
        books.sync()
        assert list(books.finmap()) == [f"tx_1:{generation}"]
    assert books.differences() == []


def test_a_change_of_one_field_is_a_patch_of_only_that(keep_books: Keep) -> None:
    sales, gifts = "Продажі", "Подарунки"
    settings: dict[str, Any] = {
        "comment_fields": ["counterparty", "order_status"],
        "source_as_tag": True,
        "accounts": {"7": "ФОП"},
        "categories": {"client_payment": sales, "gift": gifts},
        "max_change_share": 1.0,
    }
    books = keep_books()
    for label in (sales, gifts):
        books.shop.add_category("income", label)
    settings["rules"] = [{"classification": "gift", "sign": "income", "description": ["подарунок"]}]
    plain = books.run.connection.model_dump()
    books.configure(Connection.model_validate(plain | settings))
    shape = {"counterparty": "Олена", "source": "Alpha", "orderId": 1, "settlementAccountId": 1}
    for number in range(1, 9):
        books.put_order(number, "Новий")
        books.sell(number, **{**shape, "orderId": number})
    books.sync()
    books.written()

    changes: dict[int, tuple[str, dict[str, Any]]] = {
        1: ("amount", {"amount": "100.01"}),
        2: ("date", {"date": stamp(days_ago(2))}),
        3: ("accountToId", {"settlementAccountId": 7}),
        4: ("categoryId", {"description": "Подарунок"}),
        5: ("tagIds", {"source": "Beta"}),
        6: ("comment", {"counterparty": "Оленка"}),
        7: ("nothing", {"managerNote": "подзвонити"}),
    }
    for number, (_, change) in changes.items():
        books.sell(number, **{**shape, "orderId": number, **change})
    books.put_order(8, "Виконано")
    books.sync()

    sent = {one.path.rsplit("_")[-1]: (one.method, list(json.loads(one.body))) for one in books.written()}
    assert sent == {str(n): ("PATCH", [name]) for n, (name, _) in changes.items() if name != "nothing"} | {
        "8": ("PATCH", ["comment"])
    }
    books.sync()
    assert (books.written(), books.differences()) == ([], [])


def test_an_order_that_moves_on_updates_even_an_old_operation(keep_books: Keep) -> None:
    books = keep_books(final_order_statuses=["Виконано"])
    for number, status in enumerate(["Новий", "Новий", "Виконано", "Новий"], 1):
        books.put_order(number, status, on=START)
        books.sell(number, at=days_ago(8), orderId=number)
    books.sync()
    assert books.shop.delete_order(4)
    books.sandbox.forget_requests()

    books.clock.forward(9 * 86400)  # twice as quiet as when they were read
    books.sync(TODAY - timedelta(days=1))
    asked = sorted(one.path for one in books.sandbox.requests("sitniks", path="/orders/"))
    # What is final is not asked about; that the fourth is deleted is believed when it was said twice.
    assert asked == ["/orders/1", "/orders/2", "/orders/4"]
    books.put_order(1, "Виконано", on=START)
    for expected in (["/orders/1", "/orders/2", "/orders/4"], ["/orders/2"]):
        books.sandbox.forget_requests()
        books.clock.forward(40 * 86400)
        books.read(TODAY - timedelta(days=1))
        assert sorted(one.path for one in books.sandbox.requests("sitniks", path="/orders/")) == expected
    # The day lies beyond what the sync delivers: the sensor's next delivery, or the end of a `sitniks-finmap sync`,
    # takes it up.
    assert books.plan() == [("tx_1", "update", "go")]
    assert days_due(books.warehouse, books.clock()) == (days_ago(8).date(), days_ago(8).date())
    books.deliver()
    assert "Статус: Виконано" in books.finmap()["tx_1"]["comment"]


def test_a_future_transaction_is_created_when_its_time_comes(books: Books) -> None:
    books.sell(1, date=stamp(days_ago(0, hour=18)))
    books.sync()
    assert books.rows("select action, standing, due_at from plan") == [("create", "go", days_ago(0, hour=18))]
    assert (books.written(), books.differences()) == ([], [("tx_1", "scheduled", True)])

    books.clock.now = days_ago(0, hour=17) + timedelta(minutes=59)
    assert days_due(books.warehouse, books.clock()) is None
    books.clock.forward(60)
    books.sync()
    assert (list(books.finmap()), books.differences()) == (["tx_1"], [])


# -- What the connection says ------------------------------------------------------------------------------------


def test_on_change_is_update_ask_or_keep(keep_books: Keep) -> None:
    books = keep_books()
    books.sell_many(2)
    books.sync()
    books.sell(1, "1.00")
    books.sell(2, "-100.00")
    books.written()
    for choice, standing, why in [("keep", "kept", "on_change is keep"), ("ask", "pending", "on_change is ask")]:
        books.configure(keep_books(on_change=choice).run.connection)
        books.sync()
        assert books.reasons() == [("tx_1", "update", standing, why), ("tx_2", "replace", standing, why)]
        assert books.differences() == [("tx_1", standing, True), ("tx_2", standing, True)]
        assert books.written() == []
    books.configure(keep_books(on_change="update").run.connection)
    books.sync()
    assert (len(books.written()), books.differences()) == (3, [])


def test_on_delete_is_withdraw_ask_or_keep(keep_books: Keep) -> None:
    books = keep_books()
    books.sell_many(2)
    books.sync()
    books.unsell(1)
    books.written()
    asked = "gone from Sitniks, and on_delete is ask"
    for choice, standing, why in [("keep", "kept", "on_delete is keep"), ("ask", "pending", asked)]:
        books.configure(keep_books(on_delete=choice).run.connection)
        books.sync()
        assert books.reasons() == [("tx_1", "withdraw", standing, why)]
        assert (books.written(), books.differences()) == ([], [("tx_1", standing, True)])
    books.configure(keep_books(on_delete="withdraw").run.connection)
    books.sync()
    assert (list(books.finmap()), books.differences()) == (["tx_2"], [])


def test_by_default_changes_go_and_deletions_wait(books: Books) -> None:
    books.sell_many(2)
    books.sync()
    books.sell(1, "1.00")
    books.unsell(2)
    books.read()
    assert books.plan() == [("tx_1", "update", "go"), ("tx_2", "withdraw", "pending")]


@pytest.mark.parametrize("on_delete", ["ask", "withdraw"])
def test_an_unreadable_transaction_is_not_withdrawn_unasked(keep_books: Keep, on_delete: str) -> None:
    books = keep_books(on_delete=on_delete)
    books.sell(1)
    books.sync()
    books.sell(1, "сто гривень")
    books.sync()
    (why,) = [why for *_, why in books.reasons()]
    assert books.plan() == [("tx_1", "withdraw", "pending")]
    assert "unreadable amount" in str(why)
    assert list(books.finmap()) == ["tx_1"]
    books.sell(1, "100.00")
    books.sync()
    assert (books.plan(), list(books.finmap()), books.differences()) == ([], ["tx_1"], [])


# -- Too much at once --------------------------------------------------------------------------------------------


def change(books: Books, count: int) -> None:
    for number in range(1, count + 1):
        books.sell(number, "1.00")
    books.read()


def test_of_fewer_than_twenty_operations_all_may_change_at_once(books: Books) -> None:
    books.sell_many(19)
    books.sync()
    change(books, 19)
    assert standings(books) == {"go": 19}


def test_a_fifth_of_twenty_may_change_at_once_and_more_waits(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(20)
    books.sync()
    change(books, 4)
    assert standings(books) == {"go": 4}
    change(books, 5)
    assert {why for *_, why in books.reasons()} == {"5 of 20 operations would change at once"}
    # A sign that turned and a transaction that is gone count alike, and a new sale is nothing that waits.
    change(books, 3)
    books.sell(4, "-100.00")
    books.unsell(5)
    books.sell(21)
    books.written()
    books.sync()
    assert standings(books) == {"pending": 5}
    assert [one.method for one in books.written()] == ["POST"]
    assert {kind for _, kind, _ in books.differences()} == {"pending"}

    assert books.decide("approve") == 5
    books.sync()
    assert (books.plan(), len(books.finmap()), books.differences()) == ([], 20, [])


def test_what_a_person_decided_counts_no_more(books: Books) -> None:
    books.sell_many(20)
    books.sync()
    change(books, 5)
    assert books.decide("dismiss") == 5
    books.sell(6, "1.00")
    books.read()
    assert books.reasons()[-1] == ("tx_6", "update", "go", None)
    assert standings(books) == {"kept": 5, "go": 1}


def test_the_share_is_that_of_the_connection(keep_books: Keep) -> None:
    books = keep_books(max_change_share=0.5)
    books.sell_many(20)
    books.sync()
    change(books, 10)
    assert standings(books) == {"go": 10}
    change(books, 11)
    assert standings(books) == {"pending": 11}
    books.configure(keep_books(max_change_share=1.0).run.connection)
    books.read()
    assert standings(books) == {"go": 11}


@pytest.mark.parametrize(
    "fields",
    [
        ["description", "counterparty", "order_status"],
        ["order_status", "description"],
        ["description", "order_status", "source"],
        ["order_status"],
    ],
    ids=",".join,
)
def test_orders_that_move_on_are_everyday_life_however_many(keep_books: Keep, fields: list[str]) -> None:
    books = keep_books(comment_fields=fields)
    for number in range(1, 21):
        if number % 2:
            books.put_order(number, "Новий")
        books.sell(number, orderId=number, source="Сайт")
    books.sync()
    for number in range(1, 21):
        books.put_order(number, "Виконано")
    books.read()
    assert standings(books) == {"go": 20}
    # ... but not when the amounts change with them.
    change(books, 5)
    assert standings(books)["pending"] >= 5


def test_a_held_change_stays_held_whatever_days_are_planned(books: Books) -> None:
    """Ten of twenty of one day are too many; that they are few among all days is no reason to let them go."""
    for number in range(1, 121):
        books.sell(number, at=days_ago(1 if number <= 20 else 5))
    books.sync()
    for number in range(1, 11):
        books.sell(number, "1.00")
    books.written()
    books.sync(DAY, DAY)
    assert standings(books) == {"pending": 10}
    assert days_due(books.warehouse, books.clock()) is None
    assert books.deliver().planned == 0
    assert books.written() == []

    assert books.decide("approve") == 10
    books.sync(DAY, DAY)
    assert (len(books.written()), books.plan()) == (10, [])
    # It is over: one of them that changes again is one change.
    for amount in ("100.00", "1.00"):
        books.sell(1, amount)
        books.read(DAY, DAY)
        assert books.plan() == [("tx_1", "update", "go")]
        books.deliver()


# -- The first import --------------------------------------------------------------------------------------------


def test_a_first_import_waits_for_review_but_later_sales_do_not(keep_books: Keep) -> None:
    books = keep_books(first_import="review")
    books.sell(1, at=days_ago(8))
    books.sell_many(2)
    books.sync()
    books.sync()
    held = "the first import is held for review"
    assert books.reasons() == [("tx_1", "create", "pending", held), ("tx_2", "create", "pending", held)]
    assert books.written() == []
    assert {kind for _, kind, _ in books.differences()} == {"pending"}

    books.sell(3, at=books.clock())  # of the same day, after the import
    books.sync()
    assert list(books.finmap()) == ["tx_3"]
    assert books.decide("approve", day=DAY) == 2
    books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2", "tx_3"]
    books.sell(4, at=books.clock())
    books.sell(5, at=days_ago(2))  # older than the import, and found only now: the review goes on for it
    books.sync()
    assert "tx_4" in books.finmap()
    assert books.plan() == [("tx_5", "create", "pending")]


def test_a_correction_of_a_dismissed_import_asks_again(keep_books: Keep) -> None:
    books = keep_books(first_import="review")
    books.sell_many(2)
    books.sync()
    assert books.decide("dismiss", transaction="tx_1") == 1
    assert books.decide("approve") == 1
    books.sync()
    assert list(books.finmap()) == ["tx_2"]
    assert books.reasons() == [("tx_1", "create", "kept", "dismissed by a person")]
    books.sell(1, "5.00")
    books.read()
    assert books.plan() == [("tx_1", "create", "pending")]


def test_a_connection_with_deliveries_is_not_held_for_review(keep_books: Keep) -> None:
    books = keep_books()
    books.sell(1)
    books.sync()
    books.configure(keep_books(first_import="review").run.connection)
    books.sell(2)
    books.sync()
    assert sorted(books.finmap()) == ["tx_1", "tx_2"]


# -- Gone --------------------------------------------------------------------------------------------------------


def test_a_transaction_that_one_read_does_not_have_is_not_gone(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(3)
    books.sync()
    show_no_transactions(books, times=1)
    books.sync()
    assert (books.plan(), len(books.finmap())) == ([], 3)


def test_two_reads_that_miss_different_transactions_lose_none(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(2)
    books.sync()
    for missing in ("tx_1", "tx_2"):
        rows = [row for row in books.shop.transactions() if row["id"] != missing]
        body = json.dumps({"data": rows, "count": 1})
        books.sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body))
    books.sync()
    assert (books.plan(), len(books.finmap())) == ([], 2)


def test_a_transaction_missing_twice_is_gone_until_it_returns(
    keep_books: Keep,
) -> None:
    books = keep_books(on_delete="ask")
    books.sell_many(2)
    books.sync()
    show_no_transactions(books, times=2)
    books.sync()
    assert books.plan() == []
    books.sync()
    assert books.plan() == [("tx_1", "withdraw", "pending"), ("tx_2", "withdraw", "pending")]
    books.sync()
    assert (books.plan(), len(books.finmap()), books.differences()) == ([], 2, [])


@pytest.mark.parametrize("fault", ["page_short", "count_lies"])
def test_a_read_that_was_cut_never_counts(keep_books: Keep, fault: Any) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell_many(3)
    books.sync()
    # The first read is whole and has none of them; the second is cut, again and again.
    show_no_transactions(books, times=1)
    books.sandbox.fault(Fault(fault, "sitniks", path="/transactions", times=None))
    books.sync()
    with pytest.raises(UnreadDays):
        books.read()
    books.sandbox.clear_faults()
    books.deliver()
    assert (books.plan(), len(books.finmap())) == ([], 3)


def test_only_the_days_that_were_read_can_lose_a_transaction(keep_books: Keep) -> None:
    books = keep_books(on_delete="withdraw")
    books.sell(1, at=days_ago(8))
    books.sell(2)
    books.sync()
    books.unsell(1)
    books.sync(DAY, TODAY)
    assert (books.plan(), len(books.finmap())) == ([], 2)
    books.sync()
    assert list(books.finmap()) == ["tx_2"]


def test_a_transaction_that_arrives_during_a_read_is_not_gone(keep_books: Keep) -> None:
    """The read ends where it began; what is younger than that was not asked for."""
    books = keep_books(on_delete="withdraw")
    books.sell(1, at=datetime(2026, 3, 10, 12, 30, tzinfo=UTC))
    books.clock.forward(3600)
    books.sync()
    books.clock.now = datetime(2026, 3, 10, 12, 15, tzinfo=UTC)  # the clock of the machine was set back
    books.read()
    assert books.plan() == []
