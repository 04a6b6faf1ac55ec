"""Pages of the report: the first sentence, accessible markup, readable colors, exact charts, every text in both
languages.
"""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise

import pytest

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.language import Code, Language
from sitniks_finmap.language.catalogue import read_catalogue
from sitniks_finmap.report import texts
from sitniks_finmap.report.charts import chart_of_days, chart_of_months
from sitniks_finmap.report.figures import Figures, Totals
from sitniks_finmap.report.fleet import index_of, line_of
from sitniks_finmap.report.page import render_chart
from sitniks_finmap.report.period import Period
from sitniks_finmap.report.shop import ShopReport, page_of
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap_tests.pages import contrast, elements, palettes, plain
from sitniks_finmap_tests.report_figures import FACTS, NOVEMBER, NOW, figures, money, report, troubled

EN, UK = Language("en"), Language("uk")


def page(of: ShopReport) -> str:
    return plain(page_of(of, NOW))


@pytest.fixture(scope="module")
def whole() -> str:
    """A page with everything that a page may have, in two currencies."""
    told = troubled()
    both = figures("UAH", "USD")
    return page(
        report(Figures(both.scope, both.money, [], {}, both.days, both.accounts, told.records, told.runs), FACTS)
    )


# -- The first sentence --

GAP = [{"currency": "UAH", "is_stock": False, "income": Decimal("-150.05"), "expense": Decimal("20.10")}]
ANSWERS = [
    (figures(), {}, "ok", "Finmap and Sitniks match to the kopiyka."),
    (figures(), {"rejected": Fact(count=1)}, "warning", "Finmap and Sitniks match to the kopiyka, but something"),
    (figures(), {"stale": Fact(since=NOW)}, "error", "As of the last sync, Finmap and Sitniks match"),
    (figures(), {"key": Fact()}, "error", "As of the last sync, Finmap and Sitniks match"),
    (figures(unequal=1, gaps=GAP, kinds={"missing": 1}), {}, "error", "Finmap and Sitniks do not match."),
    (figures(unequal=1, gaps=GAP), {}, "error", "Finmap and Sitniks do not match."),
    (figures(unequal=1, kinds={"refused": 1}), {"refused": Fact(count=1)}, "error", "Finmap and Sitniks do not match."),
    (
        figures(unequal=1, kinds={"pending": 2}), {"pending": Fact(count=2)}, "warning",
        "Finmap differs from Sitniks until you decide about 2 changes.",
    ),
    (
        figures(unequal=1, kinds={"scheduled": 2}), {"failing": Fact(count=2)}, "error",
        "Finmap does not have everything from Sitniks yet.",
    ),
    (figures(unequal=1, kinds={"scheduled": 2}), {}, "warning", "Finmap does not have everything from Sitniks yet."),
    (figures(unequal=2, kinds={"edited by a person": 2}), {}, "ok", "Finmap and Sitniks differ only where people"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "facts", "tone", "headline"), ANSWERS)
def test_the_first_sentence_says_how_it_is(of: Figures, facts: dict[str, Fact], tone: str, headline: str) -> None:
    answer, _ = report(of, facts).told(EN)
    assert answer.headline.startswith(headline)
    assert answer.tone == tone


def test_a_gap_is_said_to_the_kopiyka() -> None:
    answer, _ = report(figures(unequal=1, gaps=GAP, kinds={"missing": 1, "pending": 2})).told(UK)
    assert [plain(line) for line in answer.lines[:3]] == [
        "Доходів у Finmap на 150,05 ₴ менше, ніж у Sitniks.",
        "Витрат у Finmap на 20,10 ₴ більше, ніж у Sitniks.",
        "Записи, що відрізняються: немає у Finmap (1) і чекає на ваше рішення (2).",
    ]


def test_what_follows_from_another_trouble_is_left_out() -> None:
    facts = {"key": Fact(why="401"), "stale": Fact(since=NOW), "rejected": Fact(count=1)}
    _, troubles = report(figures(), facts).told(EN)
    assert [one.name for one in troubles] == ["key", "rejected"]


def test_each_trouble_says_what_it_means_and_what_to_do(whole: str) -> None:
    titles = [one.text for one in elements(whole, "h3")]
    assert len(titles) == 6
    assert whole.count("Що робити:") == 6
    assert "3 зміни чекають на ваше рішення" in whole
    assert "25 замовлень без операції" in whole
    assert "… і ще 22." in whole


def test_a_file_that_cannot_be_read_makes_a_page_that_says_so() -> None:
    html = page(ShopReport(report(figures()).connection, NOVEMBER, None, {}, "the disk is full"))
    assert "Дані цього магазину зараз неможливо прочитати." in html
    assert "Подробиці: the disk is full" in html


# -- Accessible markup --


def test_headings_have_no_gap(whole: str) -> None:
    levels = [int(one.name[1]) for one in elements(whole, "h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_have_heads_with_a_scope(whole: str) -> None:
    heads = elements(whole, "th")
    assert len(heads) > 100
    assert {one.attributes.get("scope") for one in heads} == {"col", "row", "colgroup"}
    assert all(one.text.strip() for one in heads)
    regions = [one.attributes for one in elements(whole, "div") if one.attributes.get("role") == "region"]
    assert len(regions) == len(elements(whole, "table"))
    labels = [region["aria-label"] for region in regions]
    assert [label for label in labels if not label] == []
    assert all(region["tabindex"] == "0" for region in regions)  # it scrolls by keyboard, too


def test_charts_say_what_they_show(whole: str) -> None:
    charts = [one for one in elements(whole, "svg") if one.attributes.get("class") == "chart"]
    assert len(charts) == 4
    ids = [one.attributes["id"] for one in elements(whole) if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for chart in charts:
        assert chart.attributes["role"] == "img"
        assert set((chart.attributes["aria-labelledby"] or "").split()) <= set(ids)
    assert "29 жовт. – 27 лист.: доходи" in whole
    others = [one for one in elements(whole, "svg") if one.attributes.get("role") != "img"]
    assert others
    assert all("td" in one.inside for one in others)  # bars in cells that are hidden from screen readers


def test_the_language_and_the_screen_are_declared(whole: str) -> None:
    (root,) = elements(whole, "html")
    assert root.attributes["lang"] == "uk"
    metas = {one.attributes.get("name"): one.attributes.get("content") for one in elements(whole, "meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert "maximum-scale" not in whole


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_colors_are_readable_in_each_theme(theme: str) -> None:
    colors = palettes()[theme]
    words = ("ink", "soft", "link", "ok", "warning", "error")
    grounds = ("paper", "card", "hover")
    pale = {(a, b): contrast(colors[a], colors[b]) for a in words for b in grounds}
    assert {pair: ratio for pair, ratio in pale.items() if ratio < 4.5} == {}
    bars = {(a, b): contrast(colors[a], colors[b]) for a in ("income", "expense") for b in grounds}
    assert {pair: ratio for pair, ratio in bars.items() if ratio < 3} == {}


def test_the_script_is_about_a_kilobyte() -> None:
    script = files("sitniks_finmap.report").joinpath("templates", "script.js").read_text("utf-8")
    assert len(script) < 1300


# -- Charts --


def test_bars_are_as_long_as_their_sums() -> None:
    chart = chart_of_days(money("UAH"), EN)
    heights = {bar.kind: bar.height for bar in chart.columns[-1].bars}
    assert len(chart.columns) == 30
    lines = [position for position, _ in chart.lines]
    assert chart.zero in lines
    per_unit = (chart.zero - lines[-1]) / 1500
    assert abs(heights["income"] - 1290 * per_unit) <= Decimal("0.1")
    assert abs(heights["expense"] - 29 * per_unit) <= Decimal("0.1")
    assert [label for _, label in chart.lines] == ["0", "500", "1k", "1.5k"]
    assert plain(chart.columns[-1].says) == "27 Nov: income 1,290.00 UAH, expenses 29.00 UAH"


def test_months_before_the_first_sale_are_left_out() -> None:
    new = money("UAH")
    for month in [*new.months][:9]:
        new.months[month] = type(new.this)()
    labels = [column.label for column in chart_of_months(new, UK).columns]
    assert labels == ["черв.", "лип.", "серп.", "вер.", "жовт.", "лист."]


def test_a_chart_for_the_ui_stands_alone() -> None:
    svg = render_chart(chart_of_days(money("UAH"), UK))
    assert svg.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert len(svg) < 12_000


# -- Days --

PERIODS = [
    # month, today → the last day, the last day to compare with, the first day of the chart
    ("2026-11-01", "2026-11-27", "2026-11-27", "2026-10-27", "2026-10-29"),
    ("2026-03-01", "2026-03-30", "2026-03-30", "2026-02-28", "2026-03-01"),
    ("2026-11-01", "2026-11-30", "2026-11-30", "2026-10-31", "2026-11-01"),
    ("2026-02-01", "2026-11-27", "2026-02-28", "2026-01-31", "2026-02-01"),
    ("2026-01-01", "2026-01-05", "2026-01-05", "2025-12-05", "2025-12-07"),
]


@pytest.mark.parametrize(("month", "today", "last", "before_last", "first_shown"), PERIODS)
def test_a_month_is_compared_with_as_many_days(
    month: str, today: str, last: str, before_last: str, first_shown: str
) -> None:
    period = Period(date.fromisoformat(month), date.fromisoformat(today))
    assert [str(one) for one in (period.last, period.before_last, period.first_shown)] == [
        last, before_last, first_shown,
    ]  # fmt: skip
    assert period.months()[-1] == period.month
    assert len(period.months()) == 12


def test_a_month_without_one_before_is_compared_with_nothing(whole: str) -> None:
    first = figures()
    first.money[0] = replace(first.money[0], before=Totals())
    assert "Порівняти немає з чим" in page(report(first))
    assert "Відсотки" not in page(report(first))
    assert "Порівняти немає з чим" not in whole
    assert "Відсотки" in whole


# -- The index --


def test_the_index_begins_with_the_worst() -> None:
    shops = {
        "a_ok": report(figures()),
        "b_rejected": report(figures(), {"rejected": Fact(count=1)}),
        "c_wrong": report(figures(unequal=1, gaps=GAP)),
    }
    lines = [line_of(one, f"{name}.html", UK) for name, one in shops.items()]
    html = plain(index_of([*lines], NOVEMBER.month, NOW, UK))
    assert [one.attributes["href"] for one in elements(html, "a")] == ["c_wrong.html", "b_rejected.html", "a_ok.html"]
    assert "2 магазини потребують уваги." in html
    assert "30 270,50 ₴" in html
    fine = plain(index_of(lines[:1], NOVEMBER.month, NOW, UK))
    assert "Усе збігається: 1 магазин." in fine


# -- Words --


def texts_of_templates() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files("sitniks_finmap.report").joinpath("templates").iterdir():
        text = file.read_text("utf-8") if file.name.endswith(".j2") else ""
        found |= dict.fromkeys(re.findall(r'\bt\("((?:[^"\\]|\\.)*)"', text), "")
        found |= dict(re.findall(r'\bn\("((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"', text))
    return found


def test_every_text_has_its_ukrainian_words() -> None:
    known = {one.id if isinstance(one.id, str) else one.id[0] for one in read_catalogue() if one.id and one.string}
    wanted = texts.all_texts() | texts_of_templates()
    assert len(wanted) > 150
    assert [text for text in wanted if text not in known] == []


@pytest.mark.parametrize("code", ["uk", "en"])
def test_no_value_is_left_unfilled(code: Code, whole: str) -> None:
    html = page(report(troubled(unequal=1, gaps=GAP, kinds={"missing": 1}), FACTS, language=code))
    without = re.sub("<(style|script).*?</\\1>", "", html, flags=re.DOTALL)
    assert "{" not in without
    assert (re.findall("[а-яіїє]{4,}", without.replace("Олена", "").replace("Каса", "")) == []) == (code == "en")


def test_every_reason_of_the_plan_has_words() -> None:
    pending = re.findall(r"'standing': 'pending', 'kind': '\w+',?\s*'why':\s*'([^']+)'", sql("plan"))
    assert len(pending) > 10
    begun = [*texts.REASONS, *(pattern.split("{")[0] for pattern in texts.PATTERNS)]
    known = [reason for reason in pending if any(one and reason.startswith(one.strip()) for one in begun)]
    assert [one for one in pending if one not in known] == []


REASONS = {
    "currency USD, but the Finmap account is in UAH": "валюта USD, а рахунок Finmap у UAH",
    "3 of 20 operations would change at once": "одразу змінилося б 3 операцій із 20",
    "Finmap stored a different amount, date than was written": "Finmap зберіг не те, що було записано (сума, дата)",
    "its day, 2030-01-01, is in the future": "день запису (2030-01-01) у майбутньому",
    "no such reason": "no such reason",
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_told_in_words(reason: str) -> None:
    assert UK.say(reason) == REASONS[reason]
    assert EN.say(reason) == reason
