"""The report of one shop: reads its file, judges it, and renders the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.alerts.links import ui_url
from sitniks_finmap.alerts.observe import observe
from sitniks_finmap.language import Language
from sitniks_finmap.people.findings import KINDS
from sitniks_finmap.pipeline.plan import planned
from sitniks_finmap.report import texts
from sitniks_finmap.report.answer import Answer, answer_of, never_synced, unreadable
from sitniks_finmap.report.charts import chart_of_days, chart_of_months
from sitniks_finmap.report.figures import Figures, Money, Row, Totals, read_figures
from sitniks_finmap.report.page import render
from sitniks_finmap.report.period import Period, last_of
from sitniks_finmap.report.troubles import Trouble, troubles_of
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.last_runs import LastRun
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError


@dataclass(frozen=True)
class ShopReport:
    """What there is to say about one shop.

    `figures` is None if it was never synced, or if its file cannot be read: then `why` says why.
    """

    connection: Connection
    period: Period
    figures: Figures | None
    facts: Mapping[str, Fact]
    why: str = ""

    def told(self, language: Language) -> tuple[Answer, list[Trouble]]:
        """The answer, and what needs a person."""
        name, figures = self.connection.name, self.figures
        if self.why:
            return unreadable(self.why, language), []
        troubles = troubles_of(name, self.facts, figures.records if figures else {}, language)
        if figures is None or not figures.scope["read_at"]:
            return never_synced(name, troubles, language), troubles
        return answer_of(figures, troubles, language, self.connection.zone), troubles


def report_of(connection: Connection, warehouse: Warehouse, now: datetime, month: date | None = None) -> ShopReport:
    """Everything of one moment, as of the last runs; a month is its first day, default: the current one. Calls
    neither API, and raises nothing about the shop's data.
    """
    period = Period(month or connection.today(now).replace(day=1), connection.today(now))
    read: list[Figures] = []

    def read_more(con: duckdb.DuckDBPyConnection) -> None:
        read.append(read_figures(con, period, connection.report_names))

    facts = dict(observe(connection, warehouse, now, also=read_more).now(now).facts)
    try:
        if not read and warehouse.exists():  # a key is missing, or the file was just replaced by its copy
            with warehouse.transaction() as con, planned(con):
                read_more(con)
    except (WarehouseError, duckdb.Error, OSError) as error:
        said = str(error) if isinstance(error, WarehouseError) else f"DuckDB failed ({type(error).__name__})"
        return ShopReport(connection, period, None, {}, said.removeprefix(f"{connection.name}: "))
    read_at = read[-1].scope["read_at"] if read else None
    if read_at and now - read_at < connection.stale_after:
        facts.pop("stale", None)  # the sync that writes this report has not ended
    return ShopReport(connection, period, read[-1] if read else None, facts)


def page_of(report: ShopReport, now: datetime) -> str:
    """The page, in the language of the shop."""
    connection, figures = report.connection, report.figures
    language = Language(connection.language)
    answer, troubles = report.told(language)
    return render(
        "report.html.j2", language, connection.zone, now,
        shop=connection.name, period=report.period, answer=answer, troubles=troubles, figures=figures,
        names=connection.report_names, runs=_runs(figures.last_runs, language) if figures else [],
        ui_url=ui_url(), spans=lambda money: _spans(money, report.period),
        comparisons=lambda: _comparisons(figures, language) if figures else [],
        chart_of_days=lambda money: chart_of_days(money, language),
        chart_of_months=lambda money: chart_of_months(money, language),
    )  # fmt: skip


def _spans(money: Money, period: Period) -> list[tuple[date, date, Totals]]:
    """This month, the same days of the month before, and all of that month, if they differ."""
    whole = (period.before, last_of(period.before), money.whole_before)
    same = (period.before, period.before_last, money.before)
    return [(period.month, period.last, money.this), same, *([whole] if whole != same else [])]


def _comparisons(figures: Figures, language: Language) -> list[tuple[str, list[Row]]]:
    """Title and days of each currency and of the stock."""
    found: dict[tuple[bool, str], list[Row]] = {}
    for row in figures.days:
        found.setdefault((row["is_stock"], row["currency"]), []).append(row)
    of_stock = language.text("Stock")
    return [(f"{of_stock}, {currency}" if stock else currency, rows) for (stock, currency), rows in found.items()]


def _runs(runs: list[LastRun], language: Language) -> list[dict[str, Any]]:
    """How the last run of each kind ended."""
    told = []
    for run in runs:
        if run.what in KINDS:
            ended = texts.IN_PROGRESS if run.unfinished else texts.FAILED if run.error else texts.SUCCEEDED
            at = run.started_at if run.unfinished else run.ended_at
            error = "" if run.unfinished else run.error or ""
            told.append(
                {"kind": language.text(texts.RUNS[run.what]), "at": at, "ended": language.text(ended), "error": error}
            )
    return sorted(told, key=lambda one: one["at"], reverse=True)
