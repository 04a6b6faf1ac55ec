"""Progress of long-running work: how much is done, the rate, the time left."""

import logging
import time
from datetime import timedelta

log = logging.getLogger(__name__)

EVERY = 5.0  # seconds


class Progress:
    """Logs progress every few seconds."""

    def __init__(self, done_what: str) -> None:
        self.done_what = done_what  # "u1: delivered"
        self.started = self.reported = time.monotonic()

    def report(self, done: int, total: int | None) -> None:
        """Log the progress if it is time; `total` is None if unknown."""
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
