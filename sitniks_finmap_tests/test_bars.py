"""Progress in a terminal: bars while it lasts, lines elsewhere."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.console import Console

from sitniks_finmap import progress as progress_module
from sitniks_finmap.cli import bars as module
from sitniks_finmap.cli import terminal
from sitniks_finmap.cli.bars import Bars
from sitniks_finmap.progress import Progress, watched
from sitniks_finmap_tests.monotonic_time import MonotonicTime

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # the cursor


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MonotonicTime:
    time = MonotonicTime()
    monkeypatch.setattr(progress_module, "time", time)
    monkeypatch.setattr(module, "time", time)
    return time


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 120 columns."""
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "en")
    return Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})


@pytest.fixture
def printed(console: Console) -> Iterator[io.StringIO]:
    with watched(Bars(console)):
        assert isinstance(console.file, io.StringIO)
        yield console.file


def test_a_bar_says_whose_it_is_how_much_and_how_fast(time: MonotonicTime, printed: io.StringIO) -> None:
    with Progress("u1", "delivered") as progress:
        time.now += 10
        progress.report(1_000, 5_000)
    shown = printed.getvalue()
    assert "u1: delivered" in shown
    assert "1000/5000" in shown
    assert "100/s" in shown


def test_a_bar_speaks_ukrainian(time: MonotonicTime, printed: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    with Progress("u1", "delivered") as progress:
        time.now += 10
        progress.report(25, 50)
    assert "u1: передано" in printed.getvalue()
    assert "2,5 за секунду" in printed.getvalue()


def test_what_is_done_within_a_second_has_no_bar(time: MonotonicTime, printed: io.StringIO) -> None:
    with Progress("u1", "read") as progress:
        time.now += 0.5
        progress.report(50, 50)
    assert printed.getvalue() == ""


def test_a_bar_ends_with_its_work_even_by_ctrl_c(time: MonotonicTime, printed: io.StringIO) -> None:
    def interrupted() -> None:
        with Progress("u1", "read") as progress:
            time.now += 2
            progress.report(50, None)
            assert printed.getvalue().rfind(HIDDEN) > printed.getvalue().rfind(SHOWN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert printed.getvalue().rfind(SHOWN) > printed.getvalue().rfind(HIDDEN)


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_is_heeded_in_a_terminal(no_color: bool, project: Path) -> None:
    """With an error in red: a table is invalid."""
    (project / "connections.toml").write_text("[u1]\n", "utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()", "status"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, timeout=100,
    )  # fmt: skip
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert ended.returncode == 1, said
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", said)) is not no_color


@pytest.mark.parametrize(("terminal_name", "bars"), [("xterm-256color", True), ("dumb", False)])
def test_in_a_terminal_the_lines_make_way_for_bars(
    terminal_name: str, bars: bool, time: MonotonicTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()

    def stderr(**options: object) -> Console:
        return Console(file=said, force_terminal=True, width=120, _environ={"TERM": terminal_name}, highlight=False)

    monkeypatch.setattr(terminal, "Console", stderr)
    with click.Context(click.Command("sync")).scope():
        terminal.show_progress()
        with Progress("u1", "delivered") as progress:
            time.now += 10
            progress.report(1_000, 5_000)
        logging.getLogger("sitniks_finmap").info("something else")
    assert ("u1: delivered 1,000 of 5,000, 100.0/s, about 0:00:40 left" in said.getvalue()) is not bars
    assert ("━" in said.getvalue()) is bars
    assert "something else" in said.getvalue()
