"""What the settings of a connection may be: URLs, zones, durations, days, and names of variables, each checked."""

import re
from datetime import date, time, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from sitniks_finmap.days import day_of, duration_of

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST_FINMAP_DAY = date(2015, 1, 1)  # the earliest `date` that Finmap's contract allows


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError('no such time zone; write an IANA name such as "Europe/Kyiv"') from None
    return value


def _base_url(value: str) -> str:
    try:
        url = urlsplit(value)
        nowhere = not url.hostname or url.port == 0
    except ValueError:
        raise ValueError("is not a URL") from None  # Python's own message would show the value
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("a base URL must not contain a user, key, query or fragment")
    if nowhere:
        raise ValueError("has no host")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise ValueError("must be https:// (http:// is allowed on this machine only, for the sandbox)")
    return value.rstrip("/")


def _named_in_the_environment(value: str) -> str:
    if not re.fullmatch(r"env:[A-Z_][A-Z0-9_]*", value):
        raise ValueError('write "env:NAME" and put the URL into .env as NAME: it contains a token')
    return value


def _time_of_day(value: Any) -> Any:
    """Raises ValueError that shows how to write it."""
    if isinstance(value, str) and TIME_OF_DAY.fullmatch(value):
        return time.fromisoformat(value)
    if isinstance(value, time):
        return value
    raise ValueError('write a time of day as "09:00"')


class WeeklyTime(NamedTuple):
    """A time of one day of the week."""

    weekday: int  # as date.weekday() counts: Monday is 0
    time: time


def _weekly_time(value: Any) -> Any:
    """Raises ValueError that shows how to write it."""
    if isinstance(value, WeeklyTime):
        return value
    day, _, at = value.strip().lower().partition(" ") if isinstance(value, str) else ("", "", "")
    if day not in WEEKDAYS or not TIME_OF_DAY.fullmatch(at.strip()):
        raise ValueError('write a day of the week and a time as "monday 09:00"')
    return WeeklyTime(WEEKDAYS.index(day), time.fromisoformat(at.strip()))


def _start_date(value: date) -> date:
    if value < FIRST_FINMAP_DAY:
        raise ValueError(f"Finmap accepts no operations before {FIRST_FINMAP_DAY}")
    return value


Classification = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Duration = Annotated[timedelta, BeforeValidator(duration_of)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
KeyPrefix = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Name = Annotated[str, Field(min_length=1)]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]  # rejects a key pasted here without showing it
SecretUrl = Annotated[str, AfterValidator(_named_in_the_environment)]  # "env:NAME": such a URL contains a token
StartDate = Annotated[date, BeforeValidator(day_of), AfterValidator(_start_date)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
TimeOfWeek = Annotated[WeeklyTime, BeforeValidator(_weekly_time)]
Zone = Annotated[str, AfterValidator(_zone)]
