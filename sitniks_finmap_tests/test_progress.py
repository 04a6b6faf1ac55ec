"""What long work says of itself."""

import re

import pytest

from sitniks_finmap import progress as module
from sitniks_finmap.progress import Progress
from sitniks_finmap_tests.monotonic_time import MonotonicTime


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> MonotonicTime:
    time = MonotonicTime()
    monkeypatch.setattr(module, "time", time)
    return time


def test_progress_is_logged_every_few_seconds_with_time_left(
    time: MonotonicTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    progress = Progress("u1", "delivered")
    for second in range(1, 601):
        time.now += 1
        progress.report(2 * second, 100_000)
    assert len(caplog.messages) == 120
    assert caplog.messages[0] == "u1: delivered 10 of 100,000, 2.0/s, about 13:53:15 left"


def test_after_a_minute_the_time_left_is_right_within_a_fifth(
    time: MonotonicTime, caplog: pytest.LogCaptureFixture
) -> None:
    """The first seconds are slow, then each minute is a tenth faster or slower than the last."""
    caplog.set_level("INFO")
    progress = Progress("u1", "delivered")
    done = 0.0
    elapsed = 0
    said: dict[int, float] = {}
    while done < 100_000:
        elapsed += 1
        time.now += 1
        done += 60 if elapsed < 5 else 190 + 20 * (elapsed // 60 % 2)
        progress.report(int(done), 100_000)
        left = re.search(r"about (\d+):(\d\d):(\d\d) left", caplog.messages[-1] if caplog.messages else "")
        if left:
            hours, minutes, seconds = map(int, left.groups())
            said[elapsed] = elapsed + 3600 * hours + 60 * minutes + seconds
    for moment, whole in said.items():
        if moment >= 60:
            assert 0.8 * elapsed < whole < 1.2 * elapsed


def test_without_a_total_it_says_only_what_it_knows(time: MonotonicTime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    progress = Progress("/orders", "read")
    time.now += 10
    progress.report(0, None)
    progress.report(500, None)
    assert caplog.messages == ["/orders: read 500, 50.0/s"]
