"""The Finmap client: operations, accounts, categories, tags; every write has a typed outcome."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

from sitniks_finmap.clients.answers import KeyRefused, Refused, Reply, Unavailable
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import limiter_for
from sitniks_finmap.clients.reasons import message_of, reason_of, said
from sitniks_finmap.content import Content
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.settings.connections import Connection

LIST_PAGE = 100  # the API maximum; more returns 400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABEL = ("id", "label")
ACCOUNT_FIELD = {"income": "accountToId", "expense": "accountFromId"}

Type = Literal["income", "expense"]


class Outcome(StrEnum):
    """The outcome of a write."""

    APPLIED = "applied"  # "Processed now"
    ACCEPTED = "accepted"  # "Stored" or queued: not visible yet
    ERROR = "error"  # 201 and "Error", or a refusal unrelated to the record
    EXISTS = "exists"  # 409 to a creation: the externalId is taken, perhaps by other content
    REFUSED = "refused"  # 400 or 422: the operation is at fault
    UNKNOWN = "unknown"  # no usable response: it may or may not be applied


@dataclass(frozen=True)
class Write:
    """One write attempt, as recorded in the audit log."""

    requested_at: datetime
    external_id: str
    method: str
    path: str
    http_status: int | None
    outcome: Outcome
    milliseconds: int
    error: str | None


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


@dataclass(frozen=True)
class Directory:
    """What operations can refer to: the accounts of the key, the categories of each type."""

    accounts: list[Account]
    categories: dict[str, list[Label]]


class Finmap:
    """The public API 2.2 of one Finmap company."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def accounts(self) -> list[Account]:
        """The accounts that the key may write to."""
        rows = self._directory("/accounts", "id", "label", "currencyId")
        return [Account(str(row["id"]), str(row["label"]), str(row["currencyId"])) for row in rows]

    def categories(self, type: Type) -> list[Label]:
        return [Label(str(row["id"]), str(row["label"])) for row in self._directory(f"/categories/{type}", *LABEL)]

    def tags(self) -> list[Label]:
        return [Label(str(row["id"]), str(row["label"])) for row in self._directory("/tags", *LABEL)]

    def create_tag(self, label: str) -> None:
        """Create a tag unless it exists (409). Raises Refused, also if the key lacks the right."""
        sent = as_json({"label": label})
        try:
            reply = self.api.write("POST", "/tags", sent)
        except KeyRefused as refused:
            raise Refused(str(refused)) from None
        if reply.status not in (200, 201, 409):
            raise Refused(said("Finmap", reply, "to a new tag", sent))

    def create(self, external_id: str, content: Content) -> Write:
        """Create an operation under our idempotency key, which is fixed before the first attempt."""
        body = {"externalId": external_id, **body_of(content.type, all_fields(content))}
        return self._write("POST", f"/operations/{content.type}", external_id, as_json(body))

    def update(self, external_id: str, type: str, changes: dict[str, Any]) -> Write:
        """Change the given fields of an operation (names as in Content); None clears a field."""
        path = f"/operations/{type}/byExternalId/{quote(external_id, safe='')}"
        return self._write("PATCH", path, external_id, as_json(body_of(type, changes, clearing=True)))

    def delete(self, external_id: str, type: str) -> Write:
        """Delete an operation. If it does not exist, the API returns 400: REFUSED."""
        path = f"/operations/{type}/byExternalId/{quote(external_id, safe='')}"
        return self._write("DELETE", path, external_id, None)

    def details(self, external_id: str) -> Operation | None:
        """Look up the operation with this key; None if Finmap shows none. Raises ApiError."""
        reply = self.api.read("GET", "/operations/details", params={"externalId": external_id})
        if reply.status == 404:
            return None
        rows = self._rows(reply)
        found = [row for row in rows if row.get("externalId") == external_id] or [
            row for row in rows if str(row.get("externalId")).casefold() == external_id.casefold()
        ]
        return replace(read_operation(found[0]), external_id=external_id) if found else None

    def operations(self, start: datetime, end: datetime, prefix: str) -> Iterator[Operation]:
        """List the operations dated from `start` to `end` whose externalId begins with `prefix`. Raises ApiError."""
        for row in self.rows(start, end):
            if str(row.get("externalId") or "").casefold().startswith(prefix):
                yield read_operation(row)

    def rows(self, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """List the company's raw rows dated from `start` to `end`. Raises ApiError.

        Covers every account and kind, because a person may have moved a row. Never uses `select`, which cannot return
        externalId. `total` counts the whole company and a short page may be truncated, so neither marks the end: the
        list ends at an empty or repeated page.
        """
        window = {"startDate": _milliseconds(start), "endDate": _milliseconds(end)}
        offset = 0
        before: list[dict[str, Any]] = []
        while True:
            body = window | {"field": "date", "desc": True, "limit": LIST_PAGE, "offset": offset}
            rows = self._rows(self.api.read("POST", "/operations/list", data=as_json(body)))
            if not rows or rows == before:
                return
            yield from rows
            offset += len(rows)
            before = rows

    def _directory(self, path: str, *needed: str) -> list[dict[str, Any]]:
        """Read an unpaged list whose rows must have the `needed` fields. Raises ApiError."""
        reply = self.api.read("GET", path)
        if reply.status != 200 or not isinstance(reply.body, list):
            raise Refused(said("Finmap", reply, f"to {path}"))
        if any(not isinstance(row, dict) or any(row.get(name) is None for name in needed) for row in reply.body):
            raise Refused(f"Finmap answered to {path} with rows that lack one of: {', '.join(needed)}")
        return reply.body

    def _rows(self, reply: Reply) -> list[dict[str, Any]]:
        if reply.status not in (200, 201) or not isinstance(reply.body, dict):
            raise Refused(said("Finmap", reply, "to a lookup"))
        rows = reply.body.get("list")
        if not isinstance(rows, list):
            raise Unavailable(said("Finmap", reply, "to a lookup, without a list"))
        return [row for row in rows if isinstance(row, dict)]

    def _write(self, method: str, path: str, external_id: str, body: bytes | None) -> Write:
        """Send a write once. Raises KeyRefused; every other result is an Outcome."""
        requested_at, started = datetime.now(UTC), time.monotonic()
        status, error = None, None
        failpoint("request_ready")
        try:
            reply = self.api.write(method, path, body)
            status = reply.status
            outcome, error = _outcome(reply, body)
        except Unavailable as unavailable:
            outcome, error = Outcome.UNKNOWN, str(unavailable)
        failpoint("reply_received")
        took = round((time.monotonic() - started) * 1000)
        return Write(requested_at, external_id, method, path, status, outcome, took, error)


def connect(connection: Connection, *, patience: float | None = None, **options: Any) -> Finmap:
    """Create the client of a connection. Raises MissingKey."""
    key = connection.key("finmap")
    limiter = limiter_for(key, connection.finmap_requests_per_second, patience)
    headers = {"apiKey": key, "Content-Type": "application/json"}
    api = Api(
        "Finmap", connection.finmap_url, headers, limiter, connection=connection.name,
        key_env=connection.finmap_key_env, secrets=connection.known_keys(), **options,
    )  # fmt: skip
    return Finmap(api)


def read_operation(row: dict[str, Any]) -> Operation:
    """Parse a row of `details` or `list`; the string "empty" stands for a missing reference."""
    try:
        return _operation(row)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise Refused("Finmap showed an operation without a readable sum or date") from None


def _operation(row: dict[str, Any]) -> Operation:
    type = str(row.get("type"))
    tags = [tag for tag in row.get("tagIds") or [] if tag != "empty"]
    amount = Decimal(str(row.get("sum"))).quantize(Decimal("0.01"))
    if amount.is_nan():
        raise ValueError("no number")
    if type == "expense":
        amount = abs(amount)  # the type already gives the direction; the sum may repeat it as a sign
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
            project=",".join(sorted(str(one) for one in row.get("projectIds") or [] if one != "empty")) or None,
            counterparty=_reference(row.get("counterpartyId")),
        ),
        id=_reference(row.get("id")),
    )


def _reference(value: Any) -> str | None:
    return None if value in (None, "", "empty") else str(value)


def _outcome(reply: Reply, sent: bytes | None) -> tuple[Outcome, str | None]:
    if reply.status == 409:
        return Outcome.EXISTS, message_of(reply.body) or None
    if reply.status >= 400:
        # Only 400 and 422 are about the record; 404 or 405 may be a passing deployment problem.
        outcome = Outcome.REFUSED if reply.status in (400, 422) else Outcome.ERROR
        return outcome, f"{reply.status} {message_of(reply.body)}".strip()
    body = reply.body if isinstance(reply.body, dict) else {}
    match str(body.get("statusCode")), body.get("status"):
        case ("1", _) | (_, "Processed now"):
            return Outcome.APPLIED, None
        case ("2" | "0", _) | (_, "Stored" | "In the queue for processing"):
            return Outcome.ACCEPTED, None
        case ("3", _) | (_, "Error"):
            reason = reason_of(reply.text, sent)
            return Outcome.ERROR, f'Finmap answered Error: "{reason}"' if reason else "Finmap answered Error"
    return Outcome.UNKNOWN, said("Finmap", reply, "without a known status", sent)


def all_fields(content: Content) -> dict[str, Any]:
    return {field.name: getattr(content, field.name) for field in fields(content) if field.name != "type"}


def body_of(type: str, values: dict[str, Any], *, clearing: bool = False) -> dict[str, Any]:
    """Translate our field names to Finmap's. Empty values, which Finmap rejects, are sent only to clear a field."""
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
                body["categoryId"] = value or ""
            case "tag":
                body["tagIds"] = value.split(",") if value else []
            case "comment":
                body["comment"] = value
            case "counterparty":
                body["counterpartyId"] = value or ""
            case "project":
                projects = value.split(",") if value else []
                body |= {"projectId": value or ""} if len(projects) < 2 else {"projects": [{"id": p} for p in projects]}
    return body if clearing else {name: value for name, value in body.items() if value not in ("", [])}


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def as_json(body: dict[str, Any]) -> bytes:
    """Encode JSON with the exact digits of the Decimal `amount`: no float touches money."""
    rest = json.dumps({name: value for name, value in body.items() if name != "amount"}, ensure_ascii=False)
    if "amount" in body:
        rest = f'{{"amount": {body["amount"]:f}{", " if rest != "{}" else ""}{rest[1:]}'
    return rest.encode()
