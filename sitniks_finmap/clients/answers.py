"""The results of an API request: a reply, or one of these errors."""

from dataclasses import dataclass
from typing import Any


class ApiError(Exception):
    """A request failed. The message contains no key and no customer data; `status` is the response's, if known."""

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class KeyRefused(ApiError):
    """401, 402 or 403: the key, its rights or the subscription. Retrying is pointless; the connection stops."""


class Unavailable(ApiError):
    """No usable response: 5xx, timeout, dropped connection, HTML. The outcome of a write is unknown."""


class Unreachable(Unavailable):
    """No connection was established, and this client has never had a response; nothing was sent."""


class Limited(Unavailable):
    """429: too many requests; nothing was done."""


class Refused(ApiError):
    """The API rejected a request that we rely on (400, 404 …)."""


@dataclass(frozen=True)
class Reply:
    """A JSON response: fractional numbers are Decimal, `text` is the raw body with keys redacted."""

    status: int
    body: Any
    text: str
