"""Days and durations as people write them: parses them, suggests corrections, formats them."""

import calendar
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

Clock = Callable[[], datetime]

# Positions of year, month and day in each unambiguous format; with slashes, a number above 12 must be the day.
OTHER_FORMS = {
    r"(\d{1,2})[.](\d{1,2})[.](\d{4})": (2, 1, 0),
    r"(\d{1,2})[-](\d{1,2})[-](\d{4})": (2, 1, 0),
    r"(\d{4})[./-](\d{1,2})[./-](\d{1,2})": (0, 1, 2),
    r"(1[3-9]|2\d|3[01])/(0?[1-9]|1[0-2])/(\d{4})": (2, 1, 0),
    r"(0?[1-9]|1[0-2])/(1[3-9]|2\d|3[01])/(\d{4})": (2, 0, 1),
    r"(\d{4})(\d\d)(\d\d)": (0, 1, 2),
    r"(\d{4}-\d\d-\d\d)[T ].*": (),
}
DURATION = re.compile(r"(\d{1,5})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def day_of(value: Any) -> date:
    """Parse a day such as 2026-11-20 from a setting or an option. Raises ValueError that says what to write."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = str(value).strip() if isinstance(value, str | int | datetime) and not isinstance(value, bool) else ""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"no such day in the calendar{_nearest_day(text)}") from None
    if meant := _meant(text):
        raise ValueError(f"write {meant}")
    raise ValueError("write a day as 2026-11-20: year, month, day")


def _nearest_day(text: str) -> str:
    """The last day of the month, for a day such as 2026-11-31."""
    year, month, day = map(int, text.split("-"))
    if not (1 <= month <= 12 and day > 28 and year):
        return ""
    return f"; the last one of that month is {date(year, month, calendar.monthrange(year, month)[1])}"


def _meant(text: str) -> date | None:
    """The day meant by a text in another format, if it is unambiguous."""
    for form, order in OTHER_FORMS.items():
        if match := re.fullmatch(form, text):
            with suppress(ValueError):
                if not order:
                    return date.fromisoformat(match[1])
                year, month, day = (int(match.groups()[at]) for at in order)
                return date(year, month, day)
    return None


def duration_of(value: Any) -> Any:
    """Parse a duration such as "15m". Raises ValueError that says what to write."""
    if isinstance(value, timedelta):
        return value
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match or not int(match[1]):
        raise ValueError('write a duration as "15m", "6h" or "1d"')
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def format_duration(duration: timedelta) -> str:
    """Format a duration as in connections.toml: "15m", "1h"."""
    seconds = int(duration.total_seconds())
    unit, length = next((unit, length) for unit, length in reversed(SECONDS.items()) if seconds % length == 0)
    return f"{seconds // length}{unit}"


def utc_now() -> datetime:
    return datetime.now(UTC)
