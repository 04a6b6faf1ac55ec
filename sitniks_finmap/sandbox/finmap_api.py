"""Finmap's public API 2.2 as in its OpenAPI document, refusing unknown fields: keys and directories."""

from decimal import Decimal
from urllib.parse import unquote

from . import finmap_operations_api
from .directories import Kind
from .exchange import Answer, Refused, json_answer
from .finmap_bodies import read_body, read_parameters
from .finmap_models import Category, Label
from .operation_rows import RATES, SYMBOLS
from .request import Request
from .tenant import Shop

DEPRECATED = {"borrowers", "creditors", "customers", "investors", "employees", "owners", "taxOrganisations"}
LABELS: dict[str, Kind] = {"/tags": "tags", "/projects": "projects", "/suppliers": "suppliers"}
CATEGORIES: dict[str, Kind] = {
    "/categories/income": "categories/income",
    "/categories/expense": "categories/expense",
}


def answer(request: Request) -> Answer:
    """Raises Refused."""
    if request.path == "/health":
        up = {"database": {"status": "up"}}
        return json_answer({"status": "ok", "info": up, "error": {}, "details": up})
    if request.shop is None:
        raise Refused(401, "Unauthorized")
    request.shop.access["finmap"].check_rights(request.method, request.path)
    parts = [unquote(part) for part in request.path.split("/")[1:]]
    if parts[0] in DEPRECATED:
        raise Refused(400, "deprecated")
    if parts[0] == "operations":
        return finmap_operations_api.answer(request, request.shop, parts[1:])
    if request.method == "GET":
        return _get_directory(request, request.shop)
    return _post_directory(request, request.shop)


def _get_directory(request: Request, shop: Shop) -> Answer:
    path = request.path
    if path == "/accounts":
        return _accounts(request, shop)
    read_parameters(request)
    if path == "/currencies":
        return json_answer([{"id": currency, "symbol": symbol} for currency, symbol in SYMBOLS.items()])
    kind = LABELS.get(path) or CATEGORIES.get(path)
    if kind is None:
        raise Refused(404, f"Cannot GET /v2.2{path}")
    return json_answer(shop.directories.list(kind))


def _accounts(request: Request, shop: Shop) -> Answer:
    """The accounts that the key may write to: here, all of the company."""
    wanted = read_parameters(request, "withBalances").get("withBalances", "false")
    if wanted not in ("true", "false"):
        raise Refused(400, ["withBalances must be one of the following values: true, false"])
    accounts = shop.accounts
    if wanted == "true":
        balances = shop.ledger.balances(request.now)
        accounts = [_with_balance(account, balances.get(account["id"], Decimal(0))) for account in accounts]
    return json_answer(accounts)


def _with_balance(account: dict[str, str], balance: Decimal) -> dict[str, object]:
    return {**account, "balance": balance, "companyCurrencyBalance": balance * RATES[account["currencyId"]]}


def _post_directory(request: Request, shop: Shop) -> Answer:
    path = request.path
    if request.method != "POST" or (path not in LABELS and path not in CATEGORIES):
        raise Refused(404, f"Cannot {request.method} /v2.2{path}")
    read_parameters(request)
    if path in LABELS:
        kind, fields = LABELS[path], read_body(request, Label)
    else:
        kind, fields = CATEGORIES[path], {"isSystem": False, **read_body(request, Category)}
    with shop.writing():
        if shop.directories.by_label(kind, fields["label"]):
            raise Refused(409, "Item already exist.")
        return json_answer(shop.directories.add_label(kind, **fields), 201)
