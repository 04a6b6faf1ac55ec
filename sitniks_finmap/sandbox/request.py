"""Requests to the sandbox."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from .exchange import Api, Refused
from .faults import Fault
from .tenant import Shop


@dataclass(slots=True)
class Request:
    """One call as it arrived. `path` is below the API's base and still percent-encoded."""

    api: Api
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    shop: Shop | None
    fault: Fault | None
    now: datetime

    def parameters(self) -> dict[str, str]:
        """The query, decoded. Raises Refused for raw non-ASCII bytes and for a repeated name."""
        if not self.query:
            return {}
        try:
            pairs = parse_qsl(self.query.decode("ascii"), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            raise Refused(400, "query_must_be_percent_encoded") from None
        if len(dict(pairs)) != len(pairs):
            raise Refused(400, "query_parameter_must_not_be_repeated")
        return dict(pairs)


@dataclass(slots=True)
class RecordedRequest:
    """One request that a client made. `path` is below the API's base, as sent; no headers and no key are kept.

    `status` is that of the answer: None while there is none yet, or if the connection was dropped.
    """

    at: datetime
    monotonic: float
    api: Api
    shop: str | None
    method: str
    path: str
    query: str
    body: str
    user_agent: str
    status: int | None = None
    fault: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))
