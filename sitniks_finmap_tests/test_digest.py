"""The digest: yesterday's totals, equal to `reconciliation`; the first line is the answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from sitniks_finmap.alerts.digest import Days, Digest, Side, Sums, digest_of, due, mark_sent
from sitniks_finmap.alerts.digest_words import words_of_digest
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.language import Language
from sitniks_finmap.people.query import read_only
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.inboxes import Inbox
from sitniks_finmap_tests.order_books import KeepOrders
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import Watched

YESTERDAY = date(2026, 3, 9)
TOTALS = Side(41, Decimal("38450.00"), 7, Decimal("2310.50"))
A_DAY = Days(YESTERDAY, YESTERDAY)
AGREES = Digest("u1", A_DAY, (Sums("UAH", TOTALS, TOTALS),), True, 0, 0, True, True)
EMPTY = replace(AGREES, sums=())


def plain(text: str) -> str:
    """With ordinary spaces in the numbers."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def first_line(digest: Digest, code: str = "uk") -> str:
    return plain(words_of_digest(digest, Language("uk" if code == "uk" else "en")).body.splitlines()[0])


def test_the_first_line_is_the_answer() -> None:
    assert words_of_digest(AGREES, Language()).title == "u1: підсумок за 9 березня"
    assert first_line(AGREES) == "Збігається до копійки: 41 надходження 38 450,00 ₴, 7 витрат 2 310,50 ₴."
    assert (
        first_line(AGREES, "en")
        == "Equal to the kopiyka: 41 income operations 38,450.00 UAH, 7 expense operations 2,310.50 UAH."
    )


def test_what_differs_is_said_first() -> None:
    other = Side(40, Decimal("38440.00"), 7, Decimal("2310.50"))
    sums = (Sums("UAH", TOTALS, other),)
    differs = replace(AGREES, sums=sums, is_equal=False, differences=3, rejected=2)
    lines = plain(words_of_digest(differs, Language()).body).splitlines()
    assert lines[0] == "Sitniks і Finmap не збігаються: відрізняються 3 записи за цей день."
    assert lines[1:3] == [
        "Sitniks: 41 надходження 38 450,00 ₴, 7 витрат 2 310,50 ₴.",
        "Finmap: 40 надходжень 38 440,00 ₴, 7 витрат 2 310,50 ₴.",
    ]
    assert lines[3] == "2 записи за цей день неможливо внести, їх немає в жодній із сум."
    assert "\"from differences where day = '2026-03-09'\" --connection u1" in lines[4]


def test_what_is_rejected_makes_no_difference() -> None:
    lines = plain(words_of_digest(replace(AGREES, rejected=4), Language()).body).splitlines()
    assert lines[0] == (
        "Збігається до копійки: 41 надходження 38 450,00 ₴, 7 витрат 2 310,50 ₴. "
        "4 записи за цей день неможливо внести, їх немає в жодній із сум."
    )
    assert "\"from rejected_transactions where day = '2026-03-09'\" --connection u1" in lines[1]
    assert first_line(replace(EMPTY, rejected=4)).startswith("4 записи за цей день немож")


def test_equal_sums_of_records_that_differ_otherwise_are_equal() -> None:
    lines = plain(words_of_digest(replace(AGREES, differences=2), Language()).body).splitlines()
    assert lines[0].startswith("Збігається до копійки: ")
    assert lines[1] == "2 записи за цей день відрізняються чимось іншим."


def test_a_day_without_news_says_so() -> None:
    assert first_line(EMPTY).startswith("Надходжень і витрат не бу")


@pytest.mark.runs
def test_currencies_are_not_added_together(keep_books: Callable[..., Books], shop: Shop) -> None:
    shop.add_account("Долари онлайн", "USD")
    books = keep_books(accounts={"USD": "Долари онлайн"})
    books.sell(1, "100.00")
    books.sell(2, "7.00", currency="USD", settlementAccount={"title": "USD"})
    books.sync()
    line = first_line(digest_now(books))
    assert (
        line
        == "Збігається до копійки: 1 надходження 100,00 ₴, 0 витрат 0,00 ₴; 1 надходження 7,00 USD, 0 витрат 0,00 USD."
    )


@pytest.mark.runs
def test_the_same_sum_in_another_account_is_not_equal(keep_books: Callable[..., Books], shop: Shop) -> None:
    books = keep_books(accounts={"ФОП": "ФОП"})
    books.sell(1, "100.00")
    books.sell(2, "7.00", settlementAccount={"title": "ФОП"})
    books.sync()
    [till] = [one["id"] for one in shop.accounts if one["label"] == "Каса"]
    books.edit(2, accountToId=till)
    books.sync()
    assert first_line(digest_now(books)).startswith("Sitniks і Finmap не збігаються: ")


@pytest.mark.runs
def test_the_stock_is_no_income_of_a_day(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "Виконано", lines=[("30.00", 1)])
    books.sync()
    [sums] = digest_now(books).sums
    assert (sums.sitniks.income_count, sums.sitniks.expense_count) == (1, 0)


def digest_now(books: Books) -> Digest:
    """Of the day of what was sold."""
    [(day,)] = books.rows("select max(day) from operations")
    return digest_of(books.run.connection, books.warehouse, Days(day, day))


def test_it_is_due_once_a_day_from_its_hour_on(connect: Callable[..., Connection]) -> None:
    connection = connect(digest_at="09:00")
    assert connection.digest_at == time(9)
    with memory() as kept:
        days = []
        for hour in range(72):
            now = datetime(2026, 3, 10, tzinfo=UTC) + timedelta(hours=hour)
            for one in due(kept, connection, now):
                days.append((now.astimezone(connection.zone).hour, one.last.day))
                mark_sent(kept, connection, one)
        assert days == [(9, 9), (9, 10), (9, 11)]
        assert due(kept, connection, datetime(2026, 3, 1, 12, tzinfo=UTC)) == []  # the clock was set back
        assert due(kept, connect(), datetime(2026, 4, 1, 12, tzinfo=UTC)) == []  # off by default


@pytest.mark.runs
def test_it_equals_reconciliation_and_is_sent_once(keep_books: Callable[..., Books], owner: Inbox) -> None:
    books = keep_books(digest_at="09:00", alerts=["env:OWNER_URL"])
    for number in range(1, 42):
        books.sell(number, f"{number * 10}.01")
    for number in range(42, 49):
        books.sell(number, f"-{number}.50")
    books.sync()
    books.run.note("reconciliation", books.clock(), None)
    books.run.record_steps()
    connection = books.run.connection
    digest = digest_of(connection, books.warehouse, A_DAY)
    books.warehouse.close()
    books.warehouse.publish()
    _, rows = read_only(
        "select sum(sitniks_income_count), sum(sitniks_income_sum), sum(sitniks_expense_count), "
        "sum(sitniks_expense_sum), sum(finmap_income_count), sum(finmap_income_sum), sum(finmap_expense_count), "
        "sum(finmap_expense_sum) from reconciliation where day = '2026-03-09'",
        connection,
    )
    [sums] = digest.sums
    sides = [*vars(sums.sitniks).values(), *vars(sums.finmap).values()]
    assert [Decimal(one) for one in sides] == [Decimal(one) for one in rows[0]]
    assert (sums.sitniks.income_count, sums.sitniks.expense_count, sums.currency) == (41, 7, "UAH")
    for _ in range(3):
        look_around("itself", books.clock)
        send_all(books.clock)
        books.clock.forward(600)
    digests = [body for title, body in owner.messages if title == "u1: підсумок за 9 березня"]
    assert [plain(body) for body in digests] == [
        "Збігається до копійки: 41 надходження 8 610,41 ₴, 7 витрат 318,50 ₴."
    ]  # fmt: skip


@pytest.mark.runs
def test_a_day_not_reconciled_waits_until_noon_and_says_why(
    connect: Callable[..., Connection], sandbox: Sandbox, operator: Inbox, clock: Clock, room_on_the_disk: None
) -> None:
    """Sitniks was read, and nothing delivered: nobody knows whether the sides agree."""
    sandbox.add_shop("u1").put_transaction({"id": "tx_1", "createdAt": "2026-03-09T10:00:00Z", "amount": 100})
    clock.now = datetime(2026, 3, 10, 5, tzinfo=UTC)  # 07:00 in Kyiv
    shop = connect("u1", "u1", start_date=YESTERDAY, digest_at="09:00")
    watched = Watched(sandbox, clock)
    sandbox.fault(Fault("status", "finmap", status=401, path="/operations", times=None))
    watched.sync(shop)
    watched.watch(hours=4.5, every=timedelta(minutes=15))
    assert [title for title in operator.titles if "підсумок" in title] == []
    watched.watch(hours=1, every=timedelta(minutes=15))
    (body,) = [body for title, body in operator.messages if title == "u1: підсумок за 9 березня"]
    assert body.splitlines() == [
        "Цей день ще не звірено, тому підсумків немає. Вони надійдуть, якщо його звірять сьогодні.",
        "Чому: Finmap не приймає ключ.",
    ]
    sandbox.clear_faults()
    watched.sync(shop)
    watched.watch(hours=1, every=timedelta(minutes=15))
    bodies = [plain(body) for title, body in operator.messages if title == "u1: підсумок за 9 березня"]
    assert [body.partition(":")[0] for body in bodies[1:]] == ["Збігається до копійки"]
