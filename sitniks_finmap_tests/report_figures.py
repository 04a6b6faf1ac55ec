"""Made-up figures of a report, for what its pages look like: no DuckDB file, no server."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.report.figures import Figures, Money, Row, Totals
from sitniks_finmap.report.period import Period
from sitniks_finmap.report.shop import ShopReport
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.last_runs import LastRun

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 27))
SHOP = {"name": "u1", "start_date": "2026-01-15", "finmap_account": "Каса"}


def report(figures: Figures, facts: dict[str, Fact] | None = None, **settings: Any) -> ShopReport:
    return ShopReport(Connection.model_validate({**SHOP, **settings}), NOVEMBER, figures, facts or {})


def figures(*currencies: str, unequal: int = 0, **more: Any) -> Figures:
    """A shop that sells every day of the year, in these currencies."""
    scope = {
        "first_day": date(2026, 1, 15), "last_day": NOVEMBER.last, "operations": 1200, "unequal": unequal,
        "reconciled_at": NOW, "read_at": NOW,
    }  # fmt: skip
    lists = {"gaps": [], "kinds": {}, "days": [], "accounts": [], **more}
    for currency in currencies or ("UAH",):
        lists["days"] += [_day(day, currency) for day in reversed(NOVEMBER.days())]
        lists["accounts"].append(_account(currency))
    return Figures(scope, [money(one) for one in currencies or ("UAH",)], **lists)


def money(currency: str) -> Money:
    days = {day: Totals(3, Decimal(1000 + 10 * n), 1, Decimal(n)) for n, day in enumerate(NOVEMBER.days())}
    months = {month: Totals(90, Decimal(30_000 + n), 30, Decimal(500)) for n, month in enumerate(NOVEMBER.months())}
    income, expense = Decimal("30270.50"), Decimal("435.00")
    return Money(
        currency, Totals(81, income, 27, expense), Totals(80, Decimal(29_000), 26, Decimal(400)),
        Totals(93, Decimal(33_000), 31, Decimal(460)), days, months,
        [
            {"source": name, "incomes": 40, "income": Decimal(amount), "expenses": 2, "expense": Decimal(100),
             "income_before": Decimal(before)}
            for name, amount, before in (("Instagram", "20270.50", 0), ("Rozetka", "10000", 9000))
        ],
        [
            {"classification": name, "type": type, "records": 9, "amount": Decimal(amount), "amount_before": Decimal(5)}
            for name, type, amount in (("marketplace_sale", "income", 10_000), ("refund", "expense", 90))
        ],
        [{"source": "Rozetka", "sales": Decimal(10_000), "fees": Decimal(1_500), "sales_before": Decimal(0),
          "fees_before": Decimal(0)}],
        [{"source": "Instagram", "refunds": 2, "refunded": Decimal(90), "income": Decimal(20_270)}],
        {"sold_count": 5, "sold": Decimal(800), "returned_count": 0, "returned": Decimal(0)},
    )  # fmt: skip


def record(problem: str, number: int, **more: Any) -> Row:
    row = {
        "problem": problem, "transaction_id": f"tx_{number}", "day": NOVEMBER.last, "type": "income",
        "amount": Decimal("10.00"), "currency": "UAH", "reason": "on_change is ask", "order_number": None,
        "customer": "Олена", "records": 25,
    }  # fmt: skip
    return row | more


def troubled(**more: Any) -> Figures:
    """A shop with something of everything that needs a person, and its last runs."""
    kinds = ("pending", "rejected", "refused", "failing", "difference", "unbooked")
    runs: list[Row] = [
        {"run_id": f"{n}b1d7a90-1111", "began": NOW, "ended": NOW - timedelta(hours=n), "fresh": n, "created": 1,
         "changed": 0, "deleted": 0, "failed": 0}
        for n in range(3)
    ]  # fmt: skip
    return figures(
        records={kind: [record(kind, n) for n in range(3)] for kind in kinds},
        runs=runs,
        last_runs=[
            LastRun("sync", "1b1d7a90-1111", NOW, NOW, "Finmap did not answer"),
            LastRun("operations", "", NOW, NOW, ""),
        ],
        **more,
    )


FACTS = {kind: Fact(count=3) for kind in ("pending", "rejected", "refused", "failing", "difference")}


def _day(day: date, currency: str) -> Row:
    sums = {"incomes": 3, "income": Decimal(1000), "expenses": 1, "expense": Decimal(7)}
    return {
        "day": day, "currency": currency, "is_stock": False, **sums,
        **{f"finmap_{name}": value for name, value in sums.items()}, "is_equal": True,
    }  # fmt: skip


def _account(currency: str) -> Row:
    sums = {"income": Decimal(1000), "expense": Decimal(7)}
    return {
        "label": f"Каса {currency}", "currency": currency, "is_stock": False, **sums,
        **{f"finmap_{name}": value for name, value in sums.items()}, "operations": 4, "is_equal": True,
    }  # fmt: skip
