"""What a report says in numbers, from one DuckDB file: each list is a query of sql/report/. Money stays a Decimal."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.report.period import Period, last_of
from sitniks_finmap.warehouse.last_runs import LastRun, last_runs
from sitniks_finmap.warehouse.schema import sql

MOST_RECORDS = 20  # of each problem
MOST_RUNS = 10
Row = dict[str, Any]  # one row of a query, by column


@dataclass(frozen=True)
class Totals:
    """Incomes and expenses of some days in one currency: how many, and exact sums."""

    incomes: int = 0
    income: Decimal = Decimal(0)
    expenses: int = 0
    expense: Decimal = Decimal(0)

    @property
    def operations(self) -> int:
        return self.incomes + self.expenses

    @property
    def balance(self) -> Decimal:
        return self.income - self.expense


@dataclass(frozen=True)
class Money:
    """One currency of a shop, without its stock. The lists hold rows of the query of the same name."""

    currency: str
    this: Totals  # the month, as far as it went
    before: Totals  # the same days of the month before
    whole_before: Totals  # all of the month before
    days: dict[date, Totals]
    months: dict[date, Totals]
    sources: list[Row]
    classifications: list[Row]
    fees: list[Row]
    refunds: list[Row]
    stock: Row | None


@dataclass(frozen=True)
class Figures:
    """Everything that the warehouse knows for a report."""

    scope: Row
    money: list[Money]
    gaps: list[Row]
    kinds: dict[str, int]
    days: list[Row]  # of both sides, newest first
    accounts: list[Row]
    records: dict[str, list[Row]] = field(default_factory=dict)  # by problem
    runs: list[Row] = field(default_factory=list)
    last_runs: list[LastRun] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether each day of each account has the same counts and sums on both sides."""
        return self.scope["unequal"] == 0


def read_figures(con: duckdb.DuckDBPyConnection, period: Period, names: bool) -> Figures:
    """Reads a report's numbers in one transaction; the customers' names only if asked for.

    Needs the table `planned`. Raises duckdb.Error.
    """
    con.execute(sql("report/money"))
    now = {"first": period.month, "last": period.last}
    compared = {**now, "before_first": period.before, "before_last": period.before_last}
    con.execute(sql("report/compared"), compared)
    spans = _spans(con, period)
    sources, classifications = _rows(con, "sources"), _rows(con, "classifications")
    fees, refunds, stock = _rows(con, "fees", **compared), _rows(con, "refunds", **now), _rows(con, "stock", **now)
    days = _rows(con, "days", first=period.first_shown, last=period.last)
    money = [
        Money(
            currency,
            spans.get((currency, "this"), Totals()),
            spans.get((currency, "before"), Totals()),
            spans.get((currency, "whole_before"), Totals()),
            {day: spans.get((currency, day.isoformat()), Totals()) for day in period.days()},
            {month: spans.get((currency, f"{month:%Y-%m}"), Totals()) for month in period.months()},
            [row for row in sources if row["currency"] == currency],
            [row for row in classifications if row["currency"] == currency],
            [row for row in fees if row["currency"] == currency],
            [row for row in refunds if row["currency"] == currency],
            next((row for row in stock if row["currency"] == currency), None),
        )
        for row in _rows(con, "currencies")
        for currency in [row["currency"]]
    ]
    records = _rows(con, "records", names=names, most=MOST_RECORDS)
    return Figures(
        _rows(con, "scope")[0],
        money,
        _rows(con, "gaps"),
        {row["kind"]: row["records"] for row in _rows(con, "kinds")},
        days,
        _rows(con, "accounts"),
        {problem: [one for one in records if one["problem"] == problem] for problem in {r["problem"] for r in records}},
        _rows(con, "runs", most=MOST_RUNS),
        last_runs(con),
    )


def _spans(con: duckdb.DuckDBPyConnection, period: Period) -> dict[tuple[str, str], Totals]:
    """(currency, name of a span) → its totals; a day is named 2026-11-27, a month 2026-11."""
    spans = [
        ("this", period.month, period.last),
        ("before", period.before, period.before_last),
        ("whole_before", period.before, last_of(period.before)),
        *((day.isoformat(), day, day) for day in period.days()),
        *((f"{month:%Y-%m}", month, min(last_of(month), period.last)) for month in period.months()),
    ]
    given = [{"name": name, "first": first, "last": last} for name, first, last in spans]
    return {
        (row["currency"], row["name"]): Totals(row["incomes"], row["income"], row["expenses"], row["expense"])
        for row in _rows(con, "spans", spans=given)
    }


def _rows(con: duckdb.DuckDBPyConnection, name: str, **values: Any) -> list[Row]:
    found = con.execute(sql(f"report/{name}"), values)
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
