"""The tutorial in Ukrainian, followed to the letter: from two keys to operations in Finmap."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap.sandbox.seed import seed_shop
from sitniks_finmap.settings.text_files import load_env
from sitniks_finmap_tests.doc_blocks import ROOT, called_in

TUTORIAL = ROOT / "docs" / "tutorial.uk.md"
ADDRESS = "http://127.0.0.1:8686"
ANSWER = re.compile(r"^\| [^|]+ \| (.+) \|$", re.MULTILINE)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
MALFORMED = 7


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, home: None) -> None:
    monkeypatch.setattr("sitniks_finmap.cli.init_commands.has_terminal", lambda: True)
    monkeypatch.setattr("sitniks_finmap.cli.init_ending.show_progress", lambda: None)
    monkeypatch.setattr("webbrowser.open", lambda page: True)
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")


@pytest.fixture
def served(project: Path) -> Iterator[Sandbox]:
    """What `sitniks-finmap sandbox` serves, on another port, and the files that a clone has."""
    with Sandbox() as sandbox:
        seed_shop(sandbox.shop(), days=5)
        settings = (ROOT / "connections.toml").read_text("utf-8")
        assert ADDRESS in settings
        (project / "connections.toml").write_text(settings.replace(ADDRESS, sandbox.url), "utf-8")
        yield sandbox


def answers(page: str) -> list[str]:
    """What its table says to type at each question; the day at the end is the day before yesterday."""
    table = page[page.index("| запитання |") :].partition("\n\n")[0]
    before_yesterday = datetime.now(ZoneInfo("Europe/Kyiv")).date() - timedelta(days=2)
    told = ANSWER.findall(table)[1:]
    typed = ["" if one.startswith("Enter") else re.findall("`([^`]+)`", one)[0] for one in told]
    assert DAY.search(told[-1])
    return [*typed[:-1], before_yesterday.isoformat()]


@pytest.mark.runs
@pytest.mark.timeout(300)
def test_who_follows_the_tutorial_sees_operations_in_finmap(served: Sandbox, terminal: None) -> None:
    page = TUTORIAL.read_text("utf-8")
    commands = [call for call in called_in(TUTORIAL) if call[0] != "sandbox" and "--from" not in call]
    assert [call[0] for call in commands[:4]] == ["init", "sync", "status", "report"]
    assert "На кожне відповідайте Enter." in page
    typed = [*answers(page), "", ""]
    assert len(typed) == 8

    said: dict[str, str] = {}
    for call in commands:
        done = CliRunner().invoke(cli, call, input="".join(f"{one}\n" for one in typed) if call == ["init"] else None)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        said.setdefault(call[0], done.output)
        load_env()

    assert f"відхилено: {MALFORMED}" in said["sync"]
    assert "sandbox_shop" in said["status"]
    assert Path("data/reports/index.html").exists()
    shown = requests.get(address_in(page).replace(ADDRESS, served.url), timeout=5).text
    delivered = len(served.shop().operations())
    assert delivered > 20
    assert f"передано {delivered} з {delivered} операцій" in said["sync"]
    assert shown.count('<td class="key">sandbox_shop:') == delivered


def address_in(page: str) -> str:
    """Where it says that Finmap is to be seen."""
    (address,) = re.findall(rf"<({ADDRESS}[^>]+)>", page)
    return address


def test_the_answers_of_both_languages_are_the_same() -> None:
    spans = [
        [re.findall("`([^`]+)`", row) for row in ANSWER.findall(path.read_text("utf-8"))]
        for path in (TUTORIAL, TUTORIAL.with_name("tutorial.md"))
    ]
    assert spans[0] == spans[1]
    assert len(spans[0]) == 7


def test_its_pictures_show_what_commands_say_in_this_language() -> None:
    """Each was made by the command that it shows, in the language of its page."""
    heading = {"uk": "останній", "en": "last"}
    for language in heading:
        drawn = {path.stem.partition(".")[0] for path in (ROOT / "docs" / "pictures").glob(f"*.{language}.svg")}
        assert drawn == {"init", "preview", "sync", "status"}
        text = (ROOT / "docs" / "pictures" / f"status.{language}.svg").read_text("utf-8")
        assert "sandbox_shop" in text
        assert [one for one, word in heading.items() if word in text] == [language]
