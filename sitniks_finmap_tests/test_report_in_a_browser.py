"""The report in Chromium: three sizes, both themes, on paper, by keyboard, sorted; nothing is loaded, nothing fails."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sitniks_finmap.language import Language
from sitniks_finmap.report.fleet import index_of, line_of
from sitniks_finmap.report.shop import page_of
from sitniks_finmap_tests.browser import Page, browser, chromium
from sitniks_finmap_tests.report_figures import FACTS, NOVEMBER, NOW, figures, report, troubled

pytestmark = [
    pytest.mark.runs,
    pytest.mark.skipif(chromium() is None, reason="needs Chromium on this machine"),
]

SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wide": (1920, 1080)}
COLORS = {"light": "rgb(253, 253, 252)", "dark": "rgb(21, 24, 27)"}
COLUMN = "[...document.querySelectorAll('table.sort')][{table}].tBodies[0].rows"
AMOUNTS = f"[...{COLUMN.format(table=0)}].map(row => row.cells[1].dataset.v)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, and an index."""
    folder = tmp_path_factory.mktemp("reports")
    told = troubled()
    whole = report(
        replace(figures("UAH", "USD"), records=told.records, runs=told.runs, last_runs=told.last_runs), FACTS
    )
    (folder / "u1.html").write_text(page_of(whole, NOW), "utf-8")
    index = index_of([line_of(whole, "u1.html", Language())], NOVEMBER.month, NOW, Language())
    (folder / "index.html").write_text(index, "utf-8")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def shown(page: Page, folder: Path) -> Page:
    """The report on a laptop; earlier tests left nothing."""
    page.errors.clear()
    page.requests.clear()
    page.open(folder / "u1.html", *SIZES["laptop"])
    return page


@pytest.mark.parametrize("file", ["u1.html", "index.html"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", COLORS)
def test_it_fits_each_screen_in_both_themes(page: Page, folder: Path, size: str, theme: str, file: str) -> None:
    page.errors.clear()
    page.open(folder / file, *SIZES[size], theme)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]  # only tables scroll sideways
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == COLORS[theme]
    assert page.evaluate("document.querySelector('.headline').getBoundingClientRect().bottom") < SIZES[size][1]
    sizes = "[...document.querySelectorAll('p, td, th, dd')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(page.evaluate(sizes)) >= 13
    assert page.errors == []


def test_labels_of_charts_can_be_read_on_a_phone(page: Page, folder: Path) -> None:
    page.open(folder / "u1.html", *SIZES["phone"])
    heights = page.evaluate(
        "[...document.querySelectorAll('svg.chart text')].map(e => e.getBoundingClientRect().height).filter(h => h)"
    )
    assert min(heights) >= 9
    overlapping = """
    [...document.querySelectorAll('svg.chart')].flatMap(chart => {
      const labels = [...chart.querySelectorAll('text[y="235"]')]
      const boxes = labels.map(label => label.getBoundingClientRect()).filter(box => box.width)
      return boxes.slice(1).filter((box, n) => box.left < boxes[n].right)
    }).length
    """
    assert page.evaluate(overlapping) == 0


def test_nothing_is_loaded_and_nothing_fails(shown: Page) -> None:
    assert shown.errors == []
    assert {url.partition(":")[0] for url in shown.requests} == {"file"}
    assert len(shown.requests) == 1


def test_it_prints_on_a4(shown: Page) -> None:
    pdf = shown.pdf()
    assert 4 <= len(re.findall(rb"/Type /Page\s", pdf)) <= 12
    width, height = map(float, re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)[0])
    assert (round(width), round(height)) == (595, 842)


def test_a_click_on_a_head_sorts(shown: Page) -> None:
    before = shown.evaluate(AMOUNTS)
    head = "document.querySelectorAll('table.sort')[0].tHead.rows[0].cells[1]"
    assert sorted(before, key=float) != before
    shown.evaluate(f"{head}.querySelector('button').click()")
    assert shown.evaluate(AMOUNTS) == sorted(before, key=float, reverse=True)
    assert shown.evaluate(f"{head}.ariaSort") == "descending"
    shown.evaluate(f"{head}.querySelector('button').click()")
    assert shown.evaluate(AMOUNTS) == sorted(before, key=float)
    assert shown.evaluate(f"{head}.ariaSort") == "ascending"


def test_the_keyboard_reaches_and_sorts_every_table(shown: Page) -> None:
    tables = shown.evaluate("document.querySelectorAll('table.sort').length")
    reached = set()
    for _ in range(200):
        shown.press("Tab", 9)
        at = shown.evaluate(
            "[...document.querySelectorAll('table.sort')].indexOf(document.activeElement.closest('table.sort'))"
        )
        if at >= 0 and at not in reached:
            reached.add(at)
            shown.press("Enter", 13, "\r")
            assert shown.evaluate("document.activeElement.closest('th').ariaSort") in ("ascending", "descending")
    assert len(reached) == tables
    assert shown.errors == []


def test_a_days_table_with_two_heads_sorts_by_each(shown: Page) -> None:
    find = "[...document.querySelectorAll('table.sort')].find(table => table.tHead.rows.length === 2)"
    heads = shown.evaluate(f"{find}.querySelectorAll('button').length")
    assert heads == 8
    for number in range(heads):
        shown.evaluate(f"{find}.querySelectorAll('button')[{number}].click()")
        at = shown.evaluate(f"+{find}.querySelectorAll('button')[{number}].closest('th').dataset.at")
        values = shown.evaluate(f"[...{find}.tBodies[0].rows].map(row => row.cells[{at}].dataset.v ?? 'x')")
        assert values in (sorted(values), sorted(values, reverse=True))


def test_everything_can_be_read_without_a_script(shown: Page, folder: Path) -> None:
    text = shown.evaluate("document.body.innerText")
    shown.call("Emulation.setScriptExecutionDisabled", value=True)
    shown.open(folder / "u1.html", *SIZES["laptop"])
    shown.call("Emulation.setScriptExecutionDisabled", value=False)
    assert shown.evaluate("document.querySelectorAll('button').length") == 0
    assert len(text) > 5000
    assert shown.evaluate("document.body.innerText").split() == text.split()
