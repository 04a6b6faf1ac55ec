"""Deliberate faults between a client and an API, for chosen requests."""

import random
import threading
from dataclasses import field
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qs

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from .exchange import BASES, Answer, Api, dumps, html_answer
from .sitniks_rows import parse_stamp

FaultKind = Literal[
    # nothing is applied
    "status",  # answer `status`
    "drop_before",  # the connection closes without an answer
    "html",  # 200 with an HTML page
    "html_403",  # 403 with an HTML page, as a firewall does
    # the request is applied, but the answer is wrong
    "status_after",
    "drop_after",
    "html_after",
    "slow",  # wait `seconds`, then apply and answer
    "slow_after",  # apply, then wait `seconds`, then answer
    "drip",  # the body comes byte by byte over `seconds`
    "drip_head",  # the status line and the headers do; then the body at once, and the connection closes
    "truncated",  # half the body; with `full_length`, the Content-Length is that of the whole
    # Finmap's creations
    "stored",  # "Stored"/2; visible after `seconds`; with `conflict` its externalId is taken at once
    "stored_lost",  # "Stored"/2, and nothing ever appears
    "queued",  # "In the queue for processing"/0, otherwise like `stored`
    "error_201",  # "Error"/3 under HTTP 201, nothing is applied
    # Finmap's deletions
    "stored_delete",  # "Stored"/2; it is gone after `seconds`
    "stored_delete_lost",  # "Stored"/2, and it stays
    # Sitniks' lists of transactions and orders
    "page_shift",  # as if a row had been added at the top since the previous page; the first page stays
    "page_skip",  # as if a row at the top had been deleted since the previous page; the first page stays
    "page_repeat",  # the previous page again
    "page_short",  # the last `delta` rows of the page are missing, `count` is right; also of Finmap's list
    "count_lies",  # `count` + `delta`
    "total_instead_of_count",
    "count_of_page",  # `count` is the page's size, and `total` the list's
    "only_count_of_page",  # `count` is the page's size, and there is no count of the list
    "no_count",
    "capped",  # no count, and the list ends after `delta` rows
    "capped_again",  # no count, and after `delta` rows the last page repeats
    "filter_ignored",  # the list has every row, ignoring the bounds
    "named_array",  # the array is called "transactions" or "orders" instead of "data"
    "ids_as_strings",
]
BEFORE: frozenset[FaultKind] = frozenset({"status", "drop_before", "html", "html_403"})
CREATIONS: frozenset[FaultKind] = frozenset({"stored", "stored_lost", "queued", "error_201"})
LISTS: frozenset[FaultKind] = frozenset(
    {
        "page_shift",
        "page_skip",
        "page_repeat",
        "page_short",
        "count_lies",
        "total_instead_of_count",
        "count_of_page",
        "only_count_of_page",
        "no_count",
        "capped",
        "capped_again",
        "filter_ignored",
        "named_array",
        "ids_as_strings",
    }
)
CREATION_PATHS = ("/operations/income", "/operations/expense", "/operations/transfer")
LIST_PATHS: dict[Api, tuple[str, ...]] = {"sitniks": ("/transactions", "/orders"), "finmap": ("/operations/list",)}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Fault:
    """One fault for the requests that match.

    `path` is a prefix below the API's base, as in "/operations"; `holding` matches only Sitniks lists whose
    bounds include this moment, as if a row of that moment could not be read. The first `after` matching requests pass,
    then `times` of them are hit (None = all), each with `probability` if one is given, drawn from `seed`.
    Faults for creations or lists match only those requests. A request gets at most one fault, the oldest
    first. Waiting (`seconds` of slow, slow_after, drip) is real time; `stored` and `queued` follow the clock.
    """

    kind: FaultKind
    api: Api
    method: str | None = None
    path: str | None = None
    shop: str | None = None
    times: int | None = 1
    after: int = 0
    probability: float | None = None
    seed: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    seconds: float = 0.0
    delta: int = 1
    conflict: bool = True
    full_length: bool = False
    holding: datetime | None = None

    def __post_init__(self) -> None:
        of_sitniks = self.kind in LISTS and self.kind != "page_short"
        if (self.kind in CREATIONS and self.api != "finmap") or (of_sitniks and self.api != "sitniks"):
            raise ValueError(f"{self.kind} is not a fault of {self.api}")

    def matches(self, api: Api, method: str, path: str, shop: str | None, query: bytes = b"") -> bool:
        if self.api != api or self.shop not in (None, shop) or self.method not in (None, method):
            return False
        if self.kind in CREATIONS and not (method == "POST" and path in CREATION_PATHS):
            return False
        if self.kind.startswith("stored_delete") and method != "DELETE":
            return False
        if self.kind in LISTS and path not in LIST_PATHS[api]:
            return False
        if self.holding and not _holds(query, self.holding):
            return False
        return path.startswith((self.path or "").removeprefix(BASES[api]))

    def answer(self) -> Answer:
        """What the client gets instead of the API's answer."""
        if self.kind in ("html", "html_after"):
            return html_answer(200, "Sandbox: down for maintenance")
        if self.kind == "html_403":
            return html_answer(403, "Sandbox: access denied")
        body = self.body
        if body is None:
            body = dumps({"statusCode": self.status, "message": "sandbox fault"})
        return Answer(self.status, body.encode(), headers=tuple(self.headers.items()))


class _Armed:
    """A fault and how many requests it has seen and hit."""

    def __init__(self, fault: Fault):
        self.fault = fault
        self.seen = 0
        self.hit = 0
        self.random = random.Random(fault.seed)

    def strikes(self) -> bool:
        self.seen += 1
        if self.seen <= self.fault.after or self.hit == self.fault.times:
            return False
        if self.fault.probability is not None and self.random.random() >= self.fault.probability:
            return False
        self.hit += 1
        return True


class Faults:
    """The active faults."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def take(self, api: Api, method: str, path: str, shop: str | None, query: bytes = b"") -> Fault | None:
        """The fault for this request, counted as used."""
        if not self._armed:
            return None
        with self._lock:
            for armed in self._armed:
                if armed.fault.matches(api, method, path, shop, query) and armed.strikes():
                    return armed.fault
        return None


def _holds(query: bytes, moment: datetime) -> bool:
    """Whether the bounds of a Sitniks list include a moment."""
    asked = parse_qs(query.decode("latin-1"))
    bounds = [parse_stamp(asked.get(name, [None])[0]) for name in ("createdAtFrom", "createdAtTo")]
    return all(bounds) and bounds[0] <= moment <= bounds[1]  # type: ignore[operator]
