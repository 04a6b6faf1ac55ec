"""The Finmap client: operations, accounts, categories, tags; every write ends in a typed outcome."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

from sitniks_finmap.connections import Connection, data_folder
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.http import Api, Refused, Reply, Unavailable, message_of
from sitniks_finmap.ratelimit import RateLimiter

LIST_PAGE = 100  # more answers 400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ACCOUNT_FIELD = {"income": "accountToId", "expense": "accountFromId"}

Type = Literal["income", "expense"]


class Outcome(StrEnum):
    """How a write ended."""

    APPLIED = "applied"  # "Processed now"
    ACCEPTED = "accepted"  # "Stored" or queued: not visible yet
    ERROR = "error"  # 201 and "Error", or a refusal that is not about the record
    EXISTS = "exists"  # 409: something has this externalId; not that it is what we wanted
    REFUSED = "refused"  # 400: about the record
    UNKNOWN = "unknown"  # no usable answer: it may or may not be applied


@dataclass(frozen=True)
class Write:
    """One write attempt, as the audit log keeps it."""

    requested_at: datetime
    external_id: str
    method: str
    path: str
    http_status: int | None
    outcome: Outcome
    milliseconds: int
    error: str | None


@dataclass(frozen=True)
class Content:
    """What an operation says: what we want it to be, or what Finmap has. `tag` is a tag's ID here."""

    type: str
    amount: Decimal
    occurred_at: datetime
    account: str
    category: str | None
    tag: str | None
    comment: str

    def differences(self, wanted: "Content") -> dict[str, Any]:
        """The fields in which `wanted` differs, as it wants them; a category or tag that it does not name stays."""
        return {
            field.name: getattr(wanted, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(wanted, field.name)
            and not (field.name in ("category", "tag") and getattr(wanted, field.name) is None)
        }


@dataclass(frozen=True)
class Operation:
    """One operation as Finmap shows it."""

    external_id: str
    content: Content
    id: str | None = None


@dataclass(frozen=True)
class Account:
    id: str
    label: str
    currency: str


@dataclass(frozen=True)
class Label:
    """A category or a tag."""

    id: str
    label: str


class Finmap:
    """The public API 2.2 of one Finmap company."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def accounts(self) -> list[Account]:
        """The accounts that the key may write to."""
        return [
            Account(str(row["id"]), str(row["label"]), str(row["currencyId"])) for row in self._directory("/accounts")
        ]

    def categories(self, type: Type) -> list[Label]:
        return [Label(str(row["id"]), str(row["label"])) for row in self._directory(f"/categories/{type}")]

    def tags(self) -> list[Label]:
        return [Label(str(row["id"]), str(row["label"])) for row in self._directory("/tags")]

    def create_tag(self, label: str) -> None:
        """Makes a tag; one that exists already (409) is as good. Raises ApiError."""
        reply = self.api.write("POST", "/tags", _json({"label": label}))
        if reply.status not in (200, 201, 409):
            raise Refused(f"Finmap answered {reply.status} to a new tag: {message_of(reply.body)}")

    def create(self, external_id: str, content: Content) -> Write:
        """Creates an operation under our key, which exists before the first attempt and never changes."""
        body = {"externalId": external_id, **_body(content.type, _all_fields(content))}
        return self._write("POST", f"/operations/{content.type}", external_id, _json(body))

    def update(self, external_id: str, type: str, changes: dict[str, Any]) -> Write:
        """Changes the given fields of an operation (names as in Content)."""
        path = f"/operations/{type}/byExternalId/{quote(external_id, safe='')}"
        return self._write("PATCH", path, external_id, _json(_body(type, changes)))

    def delete(self, external_id: str, type: str) -> Write:
        """Deletes an operation. One that is not there answers 400: REFUSED."""
        path = f"/operations/{type}/byExternalId/{quote(external_id, safe='')}"
        return self._write("DELETE", path, external_id, None)

    def details(self, external_id: str) -> Operation | None:
        """The operation with this key, or None when Finmap shows none. Raises ApiError."""
        reply = self.api.read("GET", "/operations/details", params={"externalId": external_id})
        if reply.status == 404:
            return None
        found = [row for row in self._rows(reply) if row.get("externalId") == external_id]
        return read_operation(found[0]) if found else None

    def operations(self, start: datetime, end: datetime, prefix: str) -> Iterator[Operation]:
        """Every operation dated from `start` to `end` whose externalId begins with `prefix`. Raises ApiError."""
        for row in self.rows(start, end):
            if str(row.get("externalId") or "").startswith(prefix):
                yield read_operation(row)

    def rows(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """Every row of the company's list dated from `start` to `end`, as it is. Raises ApiError.

        Of every account and kind, for a person may have moved one; and never by `select`, which cannot return
        externalId. `total` counts the whole company and proves nothing, and a short page may be cut: the list ends
        with a page that shows nothing new.
        """
        window = {"startDate": _milliseconds(start), "endDate": _milliseconds(end)}
        offset = 0
        before: list[dict[str, Any]] = []
        while True:
            body = window | {"field": "date", "desc": True, "limit": LIST_PAGE, "offset": offset}
            rows = self._rows(self.api.read("POST", "/operations/list", data=_json(body)))
            if not rows or rows == before:
                return
            yield from rows
            offset += len(rows)
            before = rows

    def _directory(self, path: str) -> list[dict[str, Any]]:
        reply = self.api.read("GET", path)
        if reply.status != 200 or not isinstance(reply.body, list):
            raise Refused(f"Finmap answered {reply.status} to {path}: {message_of(reply.body)}")
        return reply.body

    def _rows(self, reply: Reply) -> list[dict[str, Any]]:
        if reply.status not in (200, 201) or not isinstance(reply.body, dict):
            raise Refused(f"Finmap answered {reply.status} to a look-up")  # its message may quote the record
        rows = reply.body.get("list")
        if not isinstance(rows, list):
            raise Unavailable("Finmap answered a look-up without a list")
        return [row for row in rows if isinstance(row, dict)]

    def _write(self, method: str, path: str, external_id: str, body: bytes | None) -> Write:
        """Sends a write once. Raises KeyRefused; every other end is an Outcome."""
        requested_at, started = datetime.now(UTC), time.monotonic()
        status, error = None, None
        failpoint("request_ready")
        try:
            reply = self.api.write(method, path, body)
            status = reply.status
            outcome, error = _outcome(reply)
        except Unavailable as unavailable:
            outcome, error = Outcome.UNKNOWN, str(unavailable)
        failpoint("reply_received")
        took = round((time.monotonic() - started) * 1000)
        return Write(requested_at, external_id, method, path, status, outcome, took, error)


def connect(connection: Connection, **options: Any) -> Finmap:
    """The client of a connection. Raises MissingKey."""
    key = connection.key("finmap")
    limiter = RateLimiter(data_folder() / "limits", key, connection.finmap_requests_per_second)
    headers = {"apiKey": key, "Content-Type": "application/json"}
    return Finmap(Api("Finmap", connection.finmap_url, headers, limiter, **options))


def read_operation(row: dict[str, Any]) -> Operation:
    """An operation from a row of `details` or `list`; the string "empty" means that a reference is missing."""
    try:
        return _operation(row)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise Refused("Finmap showed an operation without a sum or a date that can be read") from None


def _operation(row: dict[str, Any]) -> Operation:
    type = str(row.get("type"))
    tags = [tag for tag in row.get("tagIds") or [] if tag != "empty"]
    amount = Decimal(str(row.get("sum"))).quantize(Decimal("0.01"))
    if amount.is_nan():
        raise ValueError("no number")
    return Operation(
        external_id=str(row.get("externalId") or ""),
        content=Content(
            type=type,
            amount=amount,
            occurred_at=EPOCH + timedelta(milliseconds=int(row["date"])),
            account=str(row.get(ACCOUNT_FIELD.get(type, "accountFromId")) or ""),
            category=_reference(row.get("categoryId")),
            tag=",".join(sorted(map(str, tags))) or None,
            comment=str(row.get("comment") or ""),
        ),
        id=_reference(row.get("id")),
    )


def _reference(value: Any) -> str | None:
    return None if value in (None, "", "empty") else str(value)


def _outcome(reply: Reply) -> tuple[Outcome, str | None]:
    if reply.status == 409:
        return Outcome.EXISTS, message_of(reply.body) or None
    if reply.status >= 400:
        # Only 400 and 422 are about the record; 404 or 405 may be a deployment of theirs, and pass.
        outcome = Outcome.REFUSED if reply.status in (400, 422) else Outcome.ERROR
        return outcome, f"{reply.status} {message_of(reply.body)}".strip()
    body = reply.body if isinstance(reply.body, dict) else {}
    match str(body.get("statusCode")), body.get("status"):
        case ("1", _) | (_, "Processed now"):
            return Outcome.APPLIED, None
        case ("2" | "0", _) | (_, "Stored" | "In the queue for processing"):
            return Outcome.ACCEPTED, None
        case ("3", _) | (_, "Error"):
            return Outcome.ERROR, "Finmap answered Error"
    return Outcome.UNKNOWN, f"Finmap answered {reply.status} without a status that we know"


def _all_fields(content: Content) -> dict[str, Any]:
    return {field.name: getattr(content, field.name) for field in fields(content) if field.name != "type"}


def _body(type: str, values: dict[str, Any]) -> dict[str, Any]:
    """Our names to Finmap's; nothing null or empty is sent, for Finmap wants none."""
    body: dict[str, Any] = {}
    for name, value in values.items():
        match name:
            case "amount":
                body["amount"] = value
            case "occurred_at":
                body["date"] = _milliseconds(value)
            case "account":
                body[ACCOUNT_FIELD[type]] = value
            case "category":
                body["categoryId"] = value
            case "tag":
                body["tagIds"] = [value] if value else None
            case "comment":
                body["comment"] = value
    return {name: value for name, value in body.items() if value not in (None, "")}


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _json(body: dict[str, Any]) -> bytes:
    """JSON with `amount`, a Decimal, written digit for digit: no float touches money."""
    rest = json.dumps({name: value for name, value in body.items() if name != "amount"}, ensure_ascii=False)
    if "amount" in body:
        rest = f'{{"amount": {body["amount"]:f}{", " if rest != "{}" else ""}{rest[1:]}'
    return rest.encode()
