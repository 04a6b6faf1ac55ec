"""Finmap's operations over HTTP: create, change, delete, details, list."""

import re
from decimal import Decimal
from math import ceil, floor
from typing import Any

from .directories import Kind
from .exchange import Answer, Refused, dumps, json_answer
from .finmap_bodies import read_body, read_model, read_parameters
from .finmap_models import CREATE, UPDATE, OperationFilter
from .operation_rows import selected
from .operations import Arrival
from .request import Request
from .tenant import Shop

NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
DONE = {"status": "Processed now", "statusCode": "1"}
OUTCOMES: dict[str, dict[str, str]] = {
    "stored": {"status": "Stored", "statusCode": "2"},
    "stored_lost": {"status": "Stored", "statusCode": "2"},
    "queued": {"status": "In the queue for processing", "statusCode": "0"},
    "error_201": {"status": "Error", "statusCode": "3"},
}
LOST = ("stored_lost", "error_201")

CATEGORIES: dict[str, tuple[Kind, ...]] = {
    "income": ("categories/income",),
    "expense": ("categories/expense",),
    "transfer": ("categories/income", "categories/expense"),
}
# the directories behind these fields are deprecated, so nothing in them can exist
DEAD_REFERENCES = (
    "borrowerId", "creditorId", "customerId", "investorId", "employeeId", "ownerId", "taxOrganisationId",
)  # fmt: skip
LARGEST = Decimal(10) ** 15  # kopiykas and milliseconds within SQLite's integers


def answer(request: Request, shop: Shop, parts: list[str]) -> Answer:
    """`parts` is the path below /operations, decoded. Raises Refused."""
    match request.method, parts:
        case "POST", ["list"]:
            return _list(request, shop)
        case "GET", ["details"]:
            return _details(request, shop)
        case "POST", [kind] if kind in CREATE:
            return _create(request, shop, kind)
        case (("PATCH" | "DELETE"), [kind, "byExternalId", external_id]) if kind in CREATE:
            return _write(request, shop, kind, external_id, by_external_id=True)
        case (("PATCH" | "DELETE"), [kind, identity]) if kind in CREATE:
            return _write(request, shop, kind, identity, by_external_id=False)
    raise Refused(404, f"Cannot {request.method} /v2.2{request.path}")


def _create(request: Request, shop: Shop, kind: str) -> Answer:
    offset = _offset(request)
    body = read_body(request, CREATE[kind])
    _check_references(shop, kind, body)
    fault = request.fault
    outcome = fault.kind if fault and fault.kind in OUTCOMES else None
    delay = fault.seconds if fault and outcome else 0.0
    arrival = Arrival(request.now, offset, delay, holds_id=not fault or fault.conflict)
    with shop.writing():
        if "externalId" in body and shop.ledger.taken(body["externalId"], request.now):
            raise Refused(409, "Item already exist.")
        if outcome not in LOST:
            shop.ledger.insert(kind, body, arrival)
    return json_answer(OUTCOMES[outcome] if outcome else DONE, 201)


def _write(request: Request, shop: Shop, kind: str, key: str, by_external_id: bool) -> Answer:
    """PATCH or DELETE; the document has only 400 for an id that does not exist with this type."""
    offset = _offset(request) if request.method == "PATCH" else 0
    fields = read_body(request, UPDATE[kind]) if request.method == "PATCH" else {}
    if request.method == "DELETE":
        read_parameters(request)
    _check_references(shop, kind, fields)
    find = shop.ledger.by_external_id if by_external_id else shop.ledger.by_id
    with shop.writing():
        operation = find(key, request.now)
        if operation is None or operation["type"] != kind:
            raise Refused(400, "Operation not found.")
        if request.method == "DELETE":
            kind_of = request.fault.kind if request.fault else None
            if kind_of != "stored_delete_lost":
                delay = request.fault.seconds if request.fault and kind_of == "stored_delete" else 0.0
                shop.ledger.delete(operation, request.now, delay)
            if kind_of in ("stored_delete", "stored_delete_lost"):
                return json_answer(OUTCOMES["stored"])
        else:
            shop.ledger.change(operation, fields, Arrival(request.now, offset))
    return json_answer(DONE)


def _offset(request: Request) -> int:
    """The user's zone in ms. It affects only whether the operation is approved, never its date."""
    text = read_parameters(request, "offset").get("offset", "0")
    if not NUMBER.fullmatch(text):
        raise Refused(400, ["offset must be a number conforming to the specified constraints"])
    return int(Decimal(text))


def _check_references(shop: Shop, kind: str, body: dict[str, Any]) -> None:
    """Every id must exist in this company, a category in the right direction. Raises Refused (400)."""
    _must_exist(shop, ("accounts",), body, "accountToId", "accountFromId")
    _must_exist(shop, CATEGORIES[kind], body, "categoryId")
    _must_exist(shop, ("suppliers",), body, "counterpartyId", "supplierId")
    _must_exist(shop, ("projects",), body, "projectId")
    for tag in body.get("tagIds", []):
        _must_exist(shop, ("tags",), {"tagIds": tag}, "tagIds")
    for share in body.get("projects", []):
        _must_exist(shop, ("projects",), share, "id")
    for share in body.get("categories", []):
        _must_exist(shop, CATEGORIES[kind], share, "id")
    _must_exist(shop, (), body, *DEAD_REFERENCES)


def _must_exist(shop: Shop, kinds: tuple[Kind, ...], body: dict[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) and not any(shop.directories.get(kind, body[name]) for kind in kinds):
            raise Refused(400, [f"{name}: not found"])


def _details(request: Request, shop: Shop) -> Answer:
    parameters = read_parameters(request, "externalId", "id")
    external_id, identity = parameters.get("externalId"), parameters.get("id")
    if not external_id and not identity:
        raise Refused(400, "At least one of the parameters (externalId, id) must be specified")
    ledger = shop.ledger
    found = ledger.by_external_id(external_id, request.now) if external_id else None
    if not external_id and identity:
        found = ledger.by_id(identity, request.now)
    if found is None or (identity and found["id"] != identity):
        raise Refused(404, "Not found.")
    return Answer(200, f'{{"list":[{ledger.text(found)}],"total":1}}'.encode())


def _list(request: Request, shop: Shop) -> Answer:
    """`total` counts all operations in the company, whatever the filter, as the document says."""
    read_parameters(request)
    wanted = read_model(request, OperationFilter)
    order = ("newest" if wanted.desc else "oldest") + ("_day" if wanted.field == "startOfDay" else "")
    found = shop.ledger.page(order, _page_parameters(wanted), request.now)
    if request.fault and request.fault.kind == "page_short":
        found = found[: max(0, len(found) - request.fault.delta)]
    texts = [shop.ledger.text(operation) for operation in found]
    if wanted.select is not None:
        texts = [selected(text, list(wanted.select)) for text in texts]
    total = shop.ledger.total(request.now)
    return Answer(200, f'{{"list":[{",".join(texts)}],"total":{total}}}'.encode())


def _page_parameters(wanted: OperationFilter) -> dict[str, Any]:
    return {
        "start": ceil(_bounded(wanted.startDate, -LARGEST)),
        "end": floor(_bounded(wanted.endDate, LARGEST)),
        "sum_from": ceil(_bounded(wanted.sumFrom, -LARGEST) * 100),
        "sum_to": floor(_bounded(wanted.sumTo, LARGEST) * 100),
        "approved": wanted.approved,
        "types": _json_list(wanted.types),
        "ids": _json_list(wanted.operationIds if wanted.ids is None else wanted.ids),
        "accounts": _json_list(wanted.accountIds),
        "categories": _json_list(wanted.categoryIds),
        "counterparties": _json_list(wanted.counterpartyIds),
        "projects": _json_list(wanted.projectIds),
        "tags": _json_list(wanted.tagIds),
        "search": wanted.search,
        "limit": int(wanted.limit),
        "offset": int(wanted.offset),
    }


def _bounded(value: Decimal | None, default: Decimal) -> Decimal:
    return default if value is None else max(-LARGEST, min(LARGEST, value))


def _json_list(values: list[Any] | None) -> str | None:
    return None if values is None else dumps(values)
