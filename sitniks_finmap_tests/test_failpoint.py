"""The points at which a test may end the process: that they are there, are counted, and cost nothing unasked."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import sitniks_finmap
from sitniks_finmap.failpoint import KILLED, NAMES, VARIABLE

PASSES = """
import threading
from sitniks_finmap.failpoint import failpoint
def work():
    for _ in range(25):
        print("x", end="", flush=True)
        failpoint("request_ready")
        failpoint("reply_received")
threads = [threading.Thread(target=work) for _ in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
print("over")
"""


def run_with(setting: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if setting is not None:
        environment[VARIABLE] = setting
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", PASSES], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("setting", [None, "", "page_fetched:1", "request_ready:101"])
def test_a_process_that_does_not_come_to_its_point_ends_as_ever(setting: str | None) -> None:
    ended = run_with(setting)
    assert (ended.returncode, ended.stdout) == (0, "x" * 100 + "over\n"), ended.stderr


@pytest.mark.parametrize(("setting", "at_least"), [("request_ready:1", 1), ("reply_received:100", 100)])
def test_a_failpoint_ends_the_process_at_the_named_passing(setting: str, at_least: int) -> None:
    """Whichever thread passes it."""
    ended = run_with(setting)
    assert ended.returncode == KILLED
    assert len(ended.stdout) in range(at_least, at_least + 4)
    assert "over" not in ended.stdout


@pytest.mark.parametrize("setting", ["page_fetchd:1", "page_fetched", "page_fetched:0", "page_fetched:x", ":1"])
def test_an_unknown_failpoint_is_refused_with_the_known_names(setting: str) -> None:
    ended = run_with(setting)
    assert ended.returncode == 1
    assert f"{VARIABLE}={setting}: it must be <name>:<passing, from 1>" in ended.stderr
    assert all(name in ended.stderr for name in NAMES)


def test_failpoints_in_the_code_match_the_known_names() -> None:
    places = Counter(
        name
        for path in Path(sitniks_finmap.__file__).parent.rglob("*.py")
        for name in re.findall(r'failpoint\("(\w+)"\)', path.read_text("utf-8"), re.MULTILINE)
    )
    assert set(places) == set(NAMES)
