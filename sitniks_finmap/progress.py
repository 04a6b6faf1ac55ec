"""What long work says of itself: how far it is, how fast, and how long it will take."""

import logging
import time
from datetime import timedelta

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds


class Progress:
    """Says every few seconds how far the work is."""

    def __init__(self, done_what: str) -> None:
        self.done_what = done_what  # "u1: delivered"
        self.started = self.reported = time.monotonic()

    def report(self, done: int, total: int | None) -> None:
        """`total` is None where nobody knows how much there is."""
        now = time.monotonic()
        if now - self.reported < EVERY or not done:
            return
        self.reported = now
        rate = done / (now - self.started)
        if total is None:
            log.info("%s %s, %.1f/s", self.done_what, f"{done:,}", rate)
            return
        left = timedelta(seconds=round(max(total - done, 0) / rate))
        log.info("%s %s of %s, %.1f/s, about %s left", self.done_what, f"{done:,}", f"{total:,}", rate, left)
