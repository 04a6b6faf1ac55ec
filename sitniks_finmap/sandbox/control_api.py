"""The sandbox's own API under /sandbox: for people at a terminal and other processes on this machine."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError

from .exchange import Answer, Refused, json_answer, parse_json
from .faults import Fault
from .finmap_page import finmap_page
from .request import RecordedRequest
from .sitniks_rows import RowList
from .tenant import Shop

FAULT = TypeAdapter(Fault)


class Controlled(Protocol):
    """What can be inspected and controlled from outside."""

    @property
    def sitniks_url(self) -> str: ...
    @property
    def finmap_url(self) -> str: ...
    def shops(self) -> list[Shop]: ...
    def shop(self, name: str) -> Shop: ...
    def fault(self, fault: Fault) -> None: ...
    def clear_faults(self) -> None: ...
    def requests(self, *, shop: str) -> list[RecordedRequest]: ...


def answer(sandbox: Controlled, method: str, path: str, body: bytes) -> Answer:
    """Raises Refused."""
    match method, [unquote(part) for part in path.strip("/").split("/")]:
        case "GET", ["sandbox"]:
            return json_answer(_overview(sandbox))
        case "POST", ["sandbox", "faults"]:
            return _add_fault(sandbox, body)
        case "DELETE", ["sandbox", "faults"]:
            sandbox.clear_faults()
            return json_answer({"faults": 0})
        case "GET", ["sandbox", name]:
            return finmap_page(_shop(sandbox, name))
        case "GET", ["sandbox", name, "operations"]:
            return _rows(_shop(sandbox, name).operations())
        case "GET", ["sandbox", name, "requests"]:
            return _rows([asdict(recorded) for recorded in sandbox.requests(shop=_shop(sandbox, name).name)])
        case "POST", ["sandbox", name, ("transactions" | "orders") as rows]:
            return _put_rows(_shop(sandbox, name), rows, body)
        case "DELETE", ["sandbox", name, ("transactions" | "orders") as rows, identity]:
            return _delete_row(_shop(sandbox, name), rows, identity)
    raise Refused(404, f"Cannot {method} {path}")


def _shop(sandbox: Controlled, name: str) -> Shop:
    try:
        return sandbox.shop(name)
    except KeyError:
        raise Refused(404, f"there is no shop {name}") from None


def _overview(sandbox: Controlled) -> dict[str, Any]:
    return {
        "what": "A sandbox of Sitniks and Finmap on this machine",
        "sitniks_url": sandbox.sitniks_url,
        "finmap_url": sandbox.finmap_url,
        "shops": [_summary(shop) for shop in sandbox.shops()],
    }


def _summary(shop: Shop) -> dict[str, Any]:
    return {
        "name": shop.name,
        "transactions": shop.rows["transactions"].count(),
        "orders": shop.rows["orders"].count(),
        "operations": shop.ledger.total(shop.clock()),
        "accounts": [account["label"] for account in shop.accounts],
    }


def _rows(rows: list[dict[str, Any]]) -> Answer:
    return json_answer([{name: _plain(value) for name, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value


def _add_fault(sandbox: Controlled, body: bytes) -> Answer:
    try:
        fault = FAULT.validate_json(body)
    except ValidationError as error:
        raise Refused(400, str(error)) from None
    sandbox.fault(fault)
    return json_answer(asdict(fault), 201)


def _put_rows(shop: Shop, name: RowList, body: bytes) -> Answer:
    """Puts one transaction or order, or an array of them."""
    try:
        text = body.decode()
        rows = parse_json(text)
        if isinstance(rows, list):
            shop.rows[name].put_many(rows, shop.clock())
        else:
            shop.rows[name].put(text, None, shop.clock())
    except (ValueError, AttributeError) as error:
        raise Refused(400, str(error)) from None
    return json_answer({name: shop.rows[name].count()}, 201)


def _delete_row(shop: Shop, name: RowList, identity: str) -> Answer:
    if not shop.rows[name].delete(identity):
        raise Refused(404, f"there is no {name.removesuffix('s')} {identity}")
    return json_answer({name: shop.rows[name].count()})
