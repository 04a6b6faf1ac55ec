"""The owner's report: its numbers equal `reconciliation` digit for digit, its first sentence is the answer, and nothing
that a record says is taken for more than text.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.language import Language
from sitniks_finmap.pipeline.plan import planned
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.report.figures import Figures, Totals, read_figures
from sitniks_finmap.report.period import Period
from sitniks_finmap.report.shop import ShopReport, page_of, report_of
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.order_books import KeepOrders, sync
from sitniks_finmap_tests.pages import elements, plain
from sitniks_finmap_tests.records import DAY
from sitniks_finmap_tests.staging import Stage, connection_with
from sitniks_finmap_tests.years import fill

pytestmark = pytest.mark.runs

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 27))
OF_DAY = Period(DAY.replace(day=1), DAY)


def figures_of(stage: Stage, period: Period = OF_DAY, names: bool = False) -> Figures:
    with planned(stage.con):
        return read_figures(stage.con, period, names)


def report_on(stage: Stage, period: Period = OF_DAY, facts: Mapping[str, Fact] | None = None) -> ShopReport:
    connection = stage.run.connection
    return ShopReport(connection, period, figures_of(stage, period, connection.report_names), facts or {})


def page(report: ShopReport) -> str:
    return plain(page_of(report, NOW))


def arrive(stage: Stage) -> None:
    """Everything is in Finmap, and has been seen there."""
    stage.con.execute(
        """
        insert or ignore into complete_reads values ('transactions', '2025-01-15', '2025-01-16 12:00:00+00', null);
        insert into finmap_operations by name
        select external_id, type, amount, occurred_at, account, comment, now() as read_at from operations;
        insert into finmap_upload by name
        select external_id, transaction_id, 1 as generation, day, 'verified' as state, content as written,
            content as shown
        from wanted_operations
        """
    )
    reconcile(stage.con)


# -- The numbers -------------------------------------------------------------------------------------------------


@pytest.fixture
def year(stage: Stage) -> Stage:
    fill(stage.con, NOVEMBER.today, 400)
    return stage


SUMS = """
select
    sum(sitniks_income_count)::int, sum(sitniks_income_sum),
    sum(sitniks_expense_count)::int, sum(sitniks_expense_sum)
from reconciliation
where account = $account and day between $first and $last
"""


def test_its_sums_are_those_of_reconciliation(year: Stage) -> None:
    figures = figures_of(year, NOVEMBER)
    assert [one.currency for one in figures.money] == ["UAH", "USD"]
    for money, account in zip(figures.money, ("acc1", "acc3"), strict=True):

        def sums(first: date, last: date, account: str = account) -> Totals:
            found = year.con.execute(SUMS, {"account": account, "first": first, "last": last}).fetchone()
            return Totals(*(one or Decimal(0) for one in found or ()))  # type: ignore[arg-type]

        assert money.this == sums(date(2026, 11, 1), date(2026, 11, 27))
        assert money.before == sums(date(2026, 10, 1), date(2026, 10, 27))
        assert money.whole_before == sums(date(2026, 10, 1), date(2026, 10, 31))
        assert {day: sums(day, day) for day in NOVEMBER.days()} == money.days
        assert money.months[date(2026, 2, 1)] == sums(date(2026, 2, 1), date(2026, 2, 28))
        assert len(money.days) == 30
        assert len(money.months) == 12
        for side in ("income", "expense"):
            assert sum(row[side] for row in money.sources) == getattr(money.this, side)
        by_type = {
            type: sum(row["amount"] for row in money.classifications if row["type"] == type)
            for type in ("income", "expense")
        }
        assert by_type == {"income": money.this.income, "expense": money.this.expense}


def test_each_day_has_both_sides_as_reconciliation_has_them(year: Stage) -> None:
    year.con.execute("update finmap_operations set amount = amount + 0.01 where external_id = 'u1:tx_300'")
    reconcile(year.con)
    figures = figures_of(year, NOVEMBER)
    rows = year.con.execute(
        "select day, currency, sitniks_income_sum, sitniks_expense_sum, finmap_income_sum, finmap_expense_sum "
        "from reconciliation join finmap_accounts using (account)"
    ).fetchall()
    expected = {row[:2]: row[2:] for row in rows}
    names = ("income", "expense", "finmap_income", "finmap_expense")
    assert {(row["day"], row["currency"]): tuple(row[name] for name in names) for row in figures.days}.items() <= (
        expected.items()
    )
    (differs,) = [row for row in figures.days if not row["is_equal"]]
    assert differs["day"] < NOVEMBER.first_shown  # an older day is listed if it differs
    assert not figures.is_equal


def test_the_page_shows_each_sum_digit_for_digit(year: Stage) -> None:
    html = page(report_on(year, NOVEMBER))
    cells = {one.attributes["data-v"]: one.text for one in elements(html, "td") if one.attributes.get("class") == "n"}
    sums = year.con.execute(
        "select sitniks_income_sum, finmap_expense_sum from reconciliation where account = 'acc1' and day >= $1",
        [NOVEMBER.first_shown],
    ).fetchall()
    assert len(sums) == 30
    for amount in (one for row in sums for one in row):
        assert cells[str(amount)] == f"{amount:,.2f}".replace(",", " ").replace(".", ",")


@pytest.mark.parametrize("amount", ["0.01", "9999999999999.99", "1234567.10"])
def test_no_digit_is_lost(stage: Stage, amount: str) -> None:
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": amount})
    arrive(stage)
    shown = f"{Decimal(amount):,.2f}".replace(",", " ").replace(".", ",")
    assert f"{shown} ₴" in page(report_on(stage))


def test_the_cost_of_goods_is_no_expense(stage: Stage) -> None:
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": 500}, {"id": 2, "date": f"{DAY} 10:00:00", "amount": -200})
    stage.con.execute("update settings set stock_account = 'acc2'")
    stage.con.execute("update operations set account = 'acc2', classification = 'cost_of_goods' where amount = 200")
    arrive(stage)
    (money,) = figures_of(stage).money
    assert (money.this.income, money.this.expense, money.this.operations) == (500, 0, 1)
    assert money.stock is not None
    assert (money.stock["sold"], money.stock["returned"]) == (200, 0)
    assert [row["classification"] for row in money.classifications] == ["client_payment"]
    assert [row["expense"] for row in money.sources] == [0]
    assert "Це не дохід і не витрата" in page(report_on(stage))


def test_an_order_counts_once_and_its_goods_apart(keep_orders: KeepOrders) -> None:
    books = keep_orders()
    books.order(1, "Виконано", "100.00", lines=[("30.00", 1)])
    books.order(2, "Виконано", "50.25", lines=[("20.00", 1)])
    sync(books)
    report = report_of(books.run.connection, books.warehouse, books.clock())
    assert report.figures
    (money,) = report.figures.money
    assert (money.this.incomes, money.this.income, money.this.expense) == (2, Decimal("150.25"), 0)
    assert money.stock is not None
    assert (money.stock["sold_count"], money.stock["sold"]) == (2, 50)
    assert sorted((row["label"], row["is_stock"]) for row in report.figures.accounts) == [
        ("Каса", False), ("Склад", True),
    ]  # fmt: skip
    assert headline(report).startswith("Finmap and Sitniks match to the kopiyka")
    html = page(report)
    assert html.count("150,25") >= 3
    assert "Склад, UAH" in html


def test_fees_are_a_share_of_what_a_marketplace_sold(stage: Stage) -> None:
    stage.put(
        {"id": 1, "date": f"{DAY} 10:00:00", "amount": 1000, "source": "Rozetka"},
        {"id": 2, "date": f"{DAY} 10:00:00", "amount": -150, "source": "rozetka", "description": "Комісія"},
        {"id": 3, "date": f"{DAY} 10:00:00", "amount": -25, "source": "Rozetka", "description": "Повернення"},
    )
    arrive(stage)
    (money,) = figures_of(stage).money
    assert [(row["source"], row["sales"], row["fees"]) for row in money.fees] == [("Rozetka", 1000, 150)]
    assert [(row["source"], row["refunds"], row["refunded"]) for row in money.refunds] == [("Rozetka", 1, 25)]
    assert "15,0 %" in page(report_on(stage))


# -- The answer --------------------------------------------------------------------------------------------------


def headline(report: ShopReport) -> str:
    answer, _ = report.told(Language("en"))
    return answer.headline


def test_the_first_sentence_is_the_answer(stage: Stage) -> None:
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": 500})
    arrive(stage)
    report = report_on(stage)
    assert headline(report) == "Finmap and Sitniks match to the kopiyka."
    html = page(report)
    texts = [one.text.strip() for one in elements(html, "p") if one.attributes.get("class") == "headline"]
    assert texts == ["✓Finmap і Sitniks збігаються до копійки."]
    but = report_on(stage, facts={"pending": Fact(count=2)})
    assert headline(but) == "Finmap and Sitniks match to the kopiyka, but something needs your attention."
    stale = report_on(stage, facts={"stale": Fact(since=NOW)})
    assert headline(stale).startswith("As of the last sync, Finmap and Sitniks match")


CHANGES = {
    "amount = 499.5": ("Доходів у Finmap на 0,50 ₴ менше, ніж у Sitniks.", "Finmap and Sitniks do not match."),
    "amount = 500.5": ("Доходів у Finmap на 0,50 ₴ більше, ніж у Sitniks.", "Finmap and Sitniks do not match."),
    "account = 'acc2'": ("загальні суми однакові (UAH)", "Finmap and Sitniks do not match."),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_match_is_said_to_the_kopiyka(stage: Stage, change: str) -> None:
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": 500})
    arrive(stage)
    stage.con.execute(f"update finmap_operations set {change}")
    stage.con.execute("update finmap_upload set shown = null")  # it was never seen equal: nobody's edit
    reconcile(stage.con)
    report = report_on(stage)
    line, sentence = CHANGES[change]
    assert headline(report) == sentence
    assert line in page(report)
    assert 'class="differs"' in page(report)


def test_what_a_person_decided_is_no_alarm(stage: Stage) -> None:
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": 500})
    arrive(stage)
    stage.con.execute("update finmap_operations set amount = 490")
    reconcile(stage.con)
    report = report_on(stage)
    assert headline(report) == "Finmap and Sitniks differ only where people decided so."
    assert "змінено людиною у Finmap (1)" in page(report)


def test_a_shop_that_was_never_read_says_what_to_do(stage: Stage) -> None:
    html = page(report_on(stage))
    assert "Цей магазин іще не синхронізовано." in html
    assert "<code>sitniks-finmap sync --connection u1</code>" in html
    assert elements(html, "table") == []


def test_a_shop_without_operations_matches(stage: Stage) -> None:
    arrive(stage)
    html = page(report_on(stage))
    assert "Доходів і витрат іще не було; Finmap і Sitniks збігаються." in html
    assert "<svg" not in html


def test_what_is_rejected_has_its_reason_and_remedy(stage: Stage) -> None:
    stage.put({"id": "tx_7", "date": f"{DAY} 10:00:00", "amount": "сто"}, {"id": "tx_8", "amount": 5, "date": "колись"})
    arrive(stage)
    html = page(report_on(stage, facts={"rejected": Fact(count=2)}))
    assert "2 записи із Sitniks неможливо внести" in html
    assert "Виправте їх у Sitniks" in html
    cells = [one.text for one in elements(html, "td")]
    assert {"tx_7", "tx_8", "нечитабельна сума", "нечитабельна дата"} <= set(cells)


# -- What a record says ------------------------------------------------------------------------------------------

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def evil(stage: Stage, **settings: Any) -> str:
    stage.configure(connection_with(stage, **settings))
    row = {"date": f"{DAY} 10:00:00", "amount": 500, "source": f"Instagram {EVIL}", "counterparty": f"Олена {EVIL}"}
    stage.put({"id": "tx_1", **row}, {"id": f"2{EVIL}", **row, "amount": f"сто {EVIL}"})
    stage.con.execute(f"update finmap_accounts set label = 'Каса {EVIL}'")
    arrive(stage)
    return page(report_on(stage, facts={"rejected": Fact(count=1), "key": Fact(why=EVIL)}))


def test_whatever_a_record_says_is_text(stage: Stage) -> None:
    html = evil(stage, report_names=True)
    assert html.count("&lt;script&gt;alert(1)") >= 4
    assert len(elements(html, "script")) == 1
    assert elements(html, "img") == []


def test_customers_are_named_only_if_the_shop_wants_it(stage: Stage) -> None:
    assert "Олена" not in evil(stage)


def test_customers_are_named_if_the_shop_wants_it(stage: Stage) -> None:
    assert "Олена" in evil(stage, report_names=True)


def test_a_page_loads_nothing(year: Stage) -> None:
    html = page(report_on(year, NOVEMBER))
    assert "://" not in html
    policies = [one.attributes["content"] or "" for one in elements(html, "meta") if "http-equiv" in one.attributes]
    assert policies[0].startswith("default-src 'none'; style-src 'sha256-")
    assert [one.attributes for one in elements(html) if {"src", "style", "onclick"} & one.attributes.keys()] == []
    assert all((one.attributes["href"] or "").startswith("#") for one in elements(html, "a"))


def test_runs_link_to_the_ui_if_its_address_is_known(year: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_UI_URL", "https://dagster.example.com/")
    html = page(report_on(year, NOVEMBER))
    assert 'href="https://dagster.example.com/runs/run-2026-11-27"' in html


def test_it_speaks_the_language_of_the_shop(stage: Stage) -> None:
    stage.configure(connection_with(stage, language="en"))
    stage.put({"id": 1, "date": f"{DAY} 10:00:00", "amount": 500})
    arrive(stage)
    html = page(report_on(stage))
    assert 'lang="en"' in html
    assert "Finmap and Sitniks match to the kopiyka." in html
    assert re.findall("[А-Яа-яіїє]+", html.replace("Каса", "")) == []


def test_names_are_off_unless_asked_for() -> None:
    shop = {"name": "u1", "start_date": "2025-01-15", "finmap_account": "Каса"}
    assert Connection.model_validate(shop).report_names is False
