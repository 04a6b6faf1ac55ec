"""What an API may answer: a reply, or one of these errors."""

from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """An API did not do what was asked. The message names no key and no customer."""


class KeyRefused(ApiError):
    """401, 402 or 403: the key, its rights or the subscription. No retry helps; the connection stops."""


class Unavailable(ApiError):
    """No usable answer came: 5xx, a time-out, a dropped connection, HTML. Of a write the outcome is unknown."""


class Unreachable(Unavailable):
    """No connection came about, and this client never had an answer; nothing was sent."""


class Limited(Unavailable):
    """429: too many requests, nothing was done."""


class Refused(ApiError):
    """The API answered that it will not do this (400, 404 …) where we rely on it."""


@dataclass(frozen=True)
class Reply:
    """An answer in JSON: numbers with a fraction are Decimal, `text` is the body as it came but for keys."""

    status: int
    body: Any
    text: str
