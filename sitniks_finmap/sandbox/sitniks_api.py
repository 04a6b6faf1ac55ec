"""The Open API of Sitniks as far as it is known, and as strict as it is known to be."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from .exchange import Answer, Refused, dumps, html_answer, json_answer, json_text, parse_json
from .faults import Fault
from .request import Request
from .sitniks_rows import EVER, RowList, SitniksRows, microseconds, read_stamp
from .tenant import Shop

LARGEST_PAGE = 50
LARGEST_SKIP = 10**9
LISTS: dict[str, RowList] = {"/transactions": "transactions", "/orders": "orders"}
PATHS = ("/transactions", "/orders", "/orders/statuses", "/orders/{id}", "/settlement-accounts", "/supplies")
# GET /supplies exists, but its fields are unknown: these are invented
SUPPLIES = (
    {
        "id": 1,
        "supplyNumber": 101,
        "createdAt": "2025-01-15T08:30:00.000Z",
        "supplier": {"id": 3, "title": "Майстерня"},
        "totalPrice": 4200,
        "products": [{"title": "Свічка соєва", "quantity": 60, "costPrice": 70, "productVariation": None}],
    },
)


def passes_firewall(headers: dict[bytes, bytes]) -> bool:
    """The real firewall blocks Python's urllib; this one also blocks requests without a User-Agent."""
    agent = headers.get(b"user-agent", b"").strip()
    return bool(agent) and not agent.startswith(b"Python-urllib")


def answer(request: Request) -> Answer:
    """Raises Refused."""
    if not passes_firewall(request.headers):
        return html_answer(403, "Sandbox: access denied")
    if request.shop is None:
        raise Refused(401, "unauthorized")
    request.shop.access["sitniks"].check_rights(request.method, request.path)
    if request.method != "GET":
        raise Refused(404, f"Cannot {request.method} {request.path}")
    return _read(request, request.shop)


def _read(request: Request, shop: Shop) -> Answer:
    path = request.path
    if path in LISTS:
        return _list(request, shop.rows[LISTS[path]], LISTS[path])
    if path == "/orders/statuses":
        return json_answer({"data": shop.directories.list("orders/statuses")})
    if path == "/settlement-accounts":
        return json_answer({"data": shop.directories.list("settlement-accounts")})
    if path == "/supplies":
        return _supplies(request.parameters())
    order = shop.rows["orders"].get(unquote(path.removeprefix("/orders/"))) if path.startswith("/orders/") else None
    if order is None:
        raise Refused(404, "not_found")
    return Answer(200, order.encode())


def _supplies(parameters: dict[str, str]) -> Answer:
    limit, skip = _limit_and_skip(parameters)
    return json_answer({"data": SUPPLIES[skip : skip + limit], "count": len(SUPPLIES)})


def _list(request: Request, rows: SitniksRows, name: RowList) -> Answer:
    """A page of rows. Like Sitniks, it ignores parameters that it does not know, such as `updatedAtFrom`."""
    parameters = request.parameters()
    limit, skip = _limit_and_skip(parameters)
    lower = _wall_time(parameters, "createdAtFrom", EVER[0])
    upper = _wall_time(parameters, "createdAtTo", EVER[1])
    fault = request.fault
    if fault and fault.kind == "filter_ignored":
        lower, upper = EVER
    if fault and fault.kind in ("capped", "capped_again"):
        limit, skip = _capped(fault, limit, skip)
    skip = _faulty_skip(fault, limit, skip)
    bodies, count = rows.page_and_count(limit, skip, (lower, upper)) if limit else ([], 0)
    return _page(bodies, count, name, fault)


def _limit_and_skip(parameters: dict[str, str]) -> tuple[int, int]:
    limit = _integer(parameters, "limit", LARGEST_PAGE, 1, LARGEST_PAGE)
    return limit, _integer(parameters, "skip", 0, 0, LARGEST_SKIP)


def _integer(parameters: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 15:
        raise Refused(400, [f"{name}_must_be_an_integer_number"])
    value = int(text)
    if value > most:
        raise Refused(400, [f"{name}_must_not_be_greater_than_{most}"])
    if value < least:
        raise Refused(400, [f"{name}_must_not_be_less_than_{least}"])
    return value


def _wall_time(parameters: dict[str, str], name: str, default: int) -> int:
    """A bound in microseconds. The API ignores the UTC offset: the wall time is taken as UTC."""
    if name not in parameters:
        return default
    moment: datetime | None = read_stamp(parameters[name])
    if moment is None:
        raise Refused(400, [f"{name}_must_be_a_valid_iso_8601_date_string"])
    return microseconds(moment.replace(tzinfo=UTC))


def _capped(fault: Fault, limit: int, skip: int) -> tuple[int, int]:
    """Limit and skip of the page that a server shows if it caps lists at `delta` rows."""
    if skip < fault.delta - 1 or (skip < fault.delta and fault.kind == "capped"):
        return min(limit, fault.delta - skip), skip
    return (0, 0) if fault.kind == "capped" else (limit, max(0, fault.delta - limit))


def _faulty_skip(fault: Fault | None, limit: int, skip: int) -> int:
    if fault and fault.kind == "page_shift":
        return max(0, skip - 1)
    if fault and fault.kind == "page_skip":
        return skip + 1 if skip else 0
    if fault and fault.kind == "page_repeat":
        return max(0, skip - limit)
    return skip


def _page(bodies: list[str], count: int, name: RowList, fault: Fault | None) -> Answer:
    kind = fault.kind if fault else None
    delta = fault.delta if fault else 0
    if kind == "page_short":
        bodies = bodies[: max(0, len(bodies) - delta)]
    elif kind == "count_lies":
        count += delta
    elif kind == "page_shift":
        count += 1
    elif kind == "page_skip":
        count -= 1
    elif kind == "ids_as_strings":
        bodies = [_with_text_ids(body) for body in bodies]
    array = name if kind == "named_array" else "data"
    counts = {"count": count}
    if kind == "total_instead_of_count":
        counts = {"total": count}
    elif kind in ("count_of_page", "only_count_of_page"):
        counts = {"count": len(bodies)} | ({"total": count} if kind == "count_of_page" else {})
    elif kind in ("no_count", "capped", "capped_again"):
        counts = {}
    told = "".join(f',"{name}":{number}' for name, number in counts.items())
    return Answer(200, f'{{"{array}":[{",".join(bodies)}]{told}}}'.encode())


def _with_text_ids(body: str) -> str:
    row = parse_json(body)
    return json_text({**row, **{name: str(row[name]) for name in ("id", "orderId") if row.get(name) is not None}})


def document() -> Answer:
    """A small GET /open-api-json: those of the vendor's roughly 90 endpoints that the sandbox has."""
    paths: dict[str, Any] = {f"/open-api{path}": {"get": {"responses": {"200": {}}}} for path in PATHS}
    info = {"title": "Sitniks Open API (sandbox)", "version": "1.0"}
    return Answer(200, dumps({"openapi": "3.0.0", "info": info, "paths": paths}).encode())
