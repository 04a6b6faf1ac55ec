"""What looks wrong while a run is in progress, and is only on its way. What persists after the run is an error."""

from collections import Counter

ON_ITS_WAY = {
    "backlog": "not in Finmap yet: {count}; a run is in progress",
    "undelivered": "not up to date in Finmap yet: {count}; a run is in progress",
    "waiting": "waiting: {count}; a run is in progress",
    "unaccounted": "read, but not evaluated yet: {count}; a run is in progress",
    "failed": "being sent to Finmap: {count}; a run is in progress",
}
# Those that are on their way for one reason only; for any other, they persist.
PASSING = {"unaccounted": "neither", "failed": "creation started, outcome not recorded"}


def moving_of(problem: str, reasons: Counter[str]) -> Counter[str]:
    """Those of these records that a run in progress is handling."""
    passing = PASSING.get(problem)
    which = {reason: count for reason, count in reasons.items() if passing in (None, reason)}
    return Counter(which if problem in ON_ITS_WAY else {})
