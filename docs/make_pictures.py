"""Makes the pictures of docs/tutorial: what a person sees who follows it, against the sandbox.

python docs/make_pictures.py    # needs the extra dev, Chromium, and port 8686
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import requests
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from sitniks_finmap_tests.browser import browser

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
PROGRAM = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()"]
WIDTH = 112
# Fonts of the machine: a picture loads nothing.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code", "monospace")
KEYS = ("sandbox-sitniks-key", "sandbox-finmap-key")
WRITTEN = ": connections.toml, .env"  # the last answer is given, and the files are written
MOST_ROWS = 6  # of a preview, and of the operations in Finmap
WINDOW = 1240  # pixels
QUIET = 1.5  # seconds without output: it waits for an answer


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for language in ("en", "uk"):
        with TemporaryDirectory() as name, sandbox(folder := Path(name)):
            shutil.copy(ROOT / "connections.toml", folder)
            draw(folder, language)
            photograph("http://127.0.0.1:8686/sandbox/demo", folder, PICTURES / "finmap.png")


def draw(folder: Path, language: str) -> None:
    """The terminal at each step of the tutorial."""
    first = datetime.now(ZoneInfo("Europe/Kyiv")).date() - timedelta(days=2)
    answers = ("sandbox_shop", *KEYS, "", "", first.isoformat(), "", "")
    said = type_in(folder, language, ["init"], *answers).replace(f"{folder}/", "")
    asked, ended, checked = said.partition(WRITTEN)
    save(asked + ended, f"init.{language}", "sitniks-finmap init")
    save(shortened(checked), f"preview.{language}", "sitniks-finmap init")
    save(type_in(folder, language, ["sync"]), f"sync.{language}", "sitniks-finmap sync")
    save(type_in(folder, language, ["status"]), f"status.{language}", "sitniks-finmap status")


@contextmanager
def sandbox(folder: Path) -> Iterator[None]:
    command = [*PROGRAM, "sandbox", "--live", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as served:
        try:
            while served.stdout and "Stop with Ctrl-C" not in served.stdout.readline():
                pass
            yield
        finally:
            served.terminate()


def type_in(folder: Path, language: str, arguments: list[str], *answers: str) -> str:
    """What a terminal shows when somebody runs this, and answers each time that it waits."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ, "SITNIKS_FINMAP_LANGUAGE": language, "COLUMNS": str(WIDTH), "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    left, said, heard = list(answers), b"", time.monotonic()
    with subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        while running.poll() is None or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    said += os.read(ours, 65536)
                except OSError:  # the terminal was closed
                    break
                heard = time.monotonic()
            elif left and time.monotonic() - heard > QUIET:
                os.write(ours, f"{left.pop(0)}\n".encode())
                heard = time.monotonic()
    os.close(ours)
    return said.decode()


def shortened(said: str) -> str:
    """With only the first rows of the preview."""
    lines = said.splitlines()
    rows = [at for at, line in enumerate(lines) if re.search(r"sandbox_shop:\w+", line)]
    hidden = len(rows[MOST_ROWS:])
    said = "\n".join(line for at, line in enumerate(lines) if at not in rows[MOST_ROWS:])
    return re.sub(r"(?<=  … )(\D*)(\d+)", lambda more: f"{more[1]}{int(more[2]) + hidden}", said)


def save(said: str, name: str, title: str) -> None:
    # A bar draws its line again and again: the last time counts.
    lines = [re.split(r"\x1b\[2K|\r(?=.)", line.rstrip("\r"))[-1] for line in said.splitlines()]
    plain = re.sub(r"\x1b\[\?25[lh]|\x1b\[1A", "", "\n".join(lines))
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(plain.strip("\n")), "")
    (PICTURES / f"{name}.svg").write_text(console.export_svg(title=title, code_format=FORMAT), "utf-8")


def photograph(url: str, folder: Path, path: Path) -> None:
    """The first operations of the page that stands for Finmap."""
    head, *rows = requests.get(url, timeout=10).text.split("<tr><td")
    copy = folder / "finmap.html"
    copy.write_text("<tr><td".join([head, *rows[:MOST_ROWS]]), "utf-8")
    with TemporaryDirectory() as profile, browser(Path(profile)) as page:
        page.open(copy, WINDOW, 100)
        path.write_bytes(page.screenshot())


if __name__ == "__main__":
    main()
