"""Named points where a test ends the process as a kill would: SITNIKS_FINMAP_FAILPOINT=<name>:<passing>.

Each point follows something durable. Two come just before it: `request_ready` before a write is sent,
`cursor_advanced` before Dagster saves the sensor's result.
"""

import os
import threading

VARIABLE = "SITNIKS_FINMAP_FAILPOINT"
KILLED = 137  # the exit code that a shell reports after SIGKILL
NAMES = (
    "page_fetched",
    "window_committed",
    "orders_committed",
    "operations_derived",
    "ledger_rebuilt",
    "plan_written",
    "request_ready",
    "reply_received",
    "results_committed",
    "read_back_committed",
    "cursor_advanced",
)


class Failpoint:
    """Ends the process when one point is passed for the n-th time, by any thread."""

    def __init__(self, setting: str) -> None:
        self.name, _, passing = setting.partition(":")
        if self.name not in NAMES or not passing.isdecimal() or int(passing) < 1:
            raise ValueError(
                f"{VARIABLE}={setting}: it must be <name>:<passing, from 1>; the names are {', '.join(NAMES)}"
            )
        self.left = int(passing)
        self.lock = threading.Lock()

    def passed(self, name: str) -> None:
        if name != self.name:
            return
        with self.lock:
            self.left -= 1
            if self.left == 0:
                os._exit(KILLED)


_armed: Failpoint | None = None


def arm(setting: str | None) -> None:
    """Arm the failpoint in `setting`, or none. Raises ValueError for an invalid setting."""
    global _armed
    _armed = Failpoint(setting) if setting else None


def failpoint(name: str) -> None:
    """Mark a point as passed; does nothing unless a failpoint is armed."""
    if _armed:
        _armed.passed(name)


arm(os.environ.get(VARIABLE))
