"""An operation as a row of Finmap's lists, as in the example of its OpenAPI document."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .directories import Directories
from .exchange import dumps, json_text, parse_json

SYMBOLS = {"UAH": "₴", "USD": "$", "EUR": "€", "PLN": "zł"}
RATES = {"UAH": Decimal(1), "USD": Decimal(42), "EUR": Decimal(48), "PLN": Decimal("11.4")}
COUNTERPARTIES = ("counterpartyId", "supplierId")
EMPTY = "empty"  # how Finmap shows a missing reference


def money_text(kopiykas: int) -> str:
    """Kopiykas as a JSON number of hryvnias, without floats: 9550 -> 95.5, 150000 -> 1500."""
    sign = "-" if kopiykas < 0 else ""
    whole, rest = divmod(abs(kopiykas), 100)
    return f"{sign}{whole}.{rest:02}".rstrip("0").rstrip(".")


def row_text(operation: Any, directories: Directories) -> str:
    body = parse_json(operation["body"])
    currency = _account(operation, directories).get("currencyId", "UAH")
    row = {
        **_main_fields(operation, body),
        **_labels(operation, body, directories),
        "currencyId": currency,
        "currencySymbol": SYMBOLS[currency],
        "transactionCurrency": currency,
    }
    money = money_text(operation["sum"])
    company = format((Decimal(money) * RATES[currency]).normalize(), "f")
    sums = f'"sum": {money}, "transactionSum": {money}, "companyCurrencySum": {company}'
    numbers = f'"exchangeRate": {RATES[currency]}, "transactionCurrencyRate": {RATES[currency]}'
    return f"{dumps(row)[:-1]}, {sums}, {numbers}}}"


def _account(operation: Any, directories: Directories) -> dict[str, Any]:
    return directories.get("accounts", operation["account_from"] or operation["account_to"] or "") or {}


def _main_fields(operation: Any, body: dict[str, Any]) -> dict[str, Any]:
    updated = datetime.fromtimestamp(operation["updated_at"] / 1000, UTC)
    return {
        "id": operation["id"],
        "operationId": operation["id"],
        "hasPartial": bool(body.get("projects")),
        "hasCategoryPartial": bool(body.get("categories")),
        "isPartial": False,
        "isCategoryPartial": False,
        "date": operation["date"],
        "type": operation["type"],
        "approved": bool(operation["approved"]),
        "comment": body.get("comment", ""),
        "dateOfPayment": int(body.get("dateOfPayment", operation["date"])),
        "periodStartTimestamp": int(body.get("startDate", operation["date"])),
        "periodEndTimestamp": int(body.get("endDate", operation["date"])),
        "updatedAt": updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "externalId": operation["external_id"],
        "hasProjectSumError": False,
        "hasDeletedProject": False,
        "projectObjects": [],
    }


def _labels(operation: Any, body: dict[str, Any], directories: Directories) -> dict[str, Any]:
    category = body.get("categoryId")
    counterparty = next((body[name] for name in COUNTERPARTIES if body.get(name)), None)
    projects = [body["projectId"]] if body.get("projectId") else [share["id"] for share in body.get("projects", [])]
    tags = body.get("tagIds") or []
    accounts = {"accountToId": operation["account_to"], "accountFromId": operation["account_from"]}
    directory = "categories/income" if operation["type"] == "income" else "categories/expense"
    return {
        **{name: identity for name, identity in accounts.items() if identity},
        "accountToName": directories.label("accounts", operation["account_to"]),
        "accountFromName": directories.label("accounts", operation["account_from"]),
        "accountName": _account(operation, directories).get("label", ""),
        "categoryId": category or EMPTY,
        "categoryName": directories.label(directory, category or None),
        "counterpartyId": counterparty or EMPTY,
        "counterpartyName": directories.label("suppliers", counterparty),
        "tagIds": tags or [EMPTY],
        "tags": ",".join(directories.label("tags", tag) for tag in tags),
        "projectIds": projects,
        "projects": ",".join(directories.label("projects", project) for project in projects),
    }


def stored_row(operation: Any, directories: Directories) -> dict[str, Any]:
    """For tests and people: the row with `sum` as Decimal, and what the API hides."""
    row = parse_json(row_text(operation, directories))
    for name in ("sum", "transactionSum", "companyCurrencySum"):
        row[name] = Decimal(row[name])
    row["externalDevComment"] = parse_json(operation["body"]).get("externalDevComment", "")
    row["visibleAt"] = datetime.fromtimestamp(operation["visible_at"] / 1000, UTC)
    return row


def selected(text: str, names: list[str]) -> str:
    """The row with only these fields, which is why `select` can never return an externalId."""
    row = parse_json(text)
    return json_text({name: row[name] for name in names if name in row})
