"""Progress of long-running work: how much is done, the rate, the time left."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Self

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds
MARK = {"is_progress": True}  # of its log records


class Progress:
    """Logs progress every few seconds, and shows each step of it to whoever watches."""

    def __init__(self, whose: str, done_what: str) -> None:
        self.whose = whose  # "u1"
        self.done_what = done_what  # "delivered"
        self.done = 0
        self.total: int | None = None
        self.started = self.reported = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for watcher in _watchers:
            watcher(self, True)

    @property
    def rate(self) -> float:
        """Per second; 0 if no time has passed."""
        elapsed = time.monotonic() - self.started
        return self.done / elapsed if elapsed > 0 else 0.0

    def report(self, done: int, total: int | None) -> None:
        """Show the progress, and log it if it is time; `total` is None if unknown."""
        self.done, self.total = done, total
        for watcher in _watchers:
            watcher(self, False)
        now = time.monotonic()
        if now - self.reported < EVERY or not done:
            return
        self.reported = now
        said = f"{self.whose}: {self.done_what} {done:,}"
        if total is None:
            log.info("%s, %.1f/s", said, self.rate, extra=MARK)
            return
        left = timedelta(seconds=round(max(total - done, 0) / self.rate))
        log.info("%s of %s, %.1f/s, about %s left", said, f"{total:,}", self.rate, left, extra=MARK)


Watcher = Callable[[Progress, bool], None]  # the progress, and whether it has ended
_watchers: list[Watcher] = []


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Shows each step of every progress to this watcher."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        with suppress(ValueError):
            _watchers.remove(watcher)
