"""The sandbox accepts what Finmap's OpenAPI document accepts, unknown fields refused, less what it says it refuses."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from sitniks_finmap.sandbox import Sandbox

from .clients import Client

DOCUMENT = Path(__file__).parents[3] / "shared" / "apis" / "finmap-openapi.json"
pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="Finmap's OpenAPI document is not beside the repository")

UNKNOWN = "0" * 24
ENDPOINTS = {
    "IncomeOperationDto": ("POST", "/operations/income"),
    "ExpenseOperationDto": ("POST", "/operations/expense"),
    "TransferOperationDto": ("POST", "/operations/transfer"),
    "IncomeOperationUpdateDto": ("PATCH", "/operations/income/byExternalId/income"),
    "ExpenseOperationUpdateDto": ("PATCH", "/operations/expense/byExternalId/expense"),
    "TransferOperationUpdateDto": ("PATCH", "/operations/transfer/byExternalId/transfer"),
    "FilterLogDto": ("POST", "/operations/list"),
    "TagDto": ("POST", "/tags"),
    "CategoryDto": ("POST", "/categories/income"),
}
REQUIRED_HERE = {"/operations/income": "accountToId", "/operations/expense": "accountFromId"}
DEAD = {"borrowerId", "creditorId", "customerId", "investorId", "employeeId", "ownerId", "taxOrganisationId"}
MAY_BE_EMPTY = {"field", "field1", "field2", "field3", "vendorEditLockUrl", "parentId"}

NUMBERS = [0, 1, 99.99, 100, 0.3, 1420070400000, 1775746044038, 1775746044038.0, 2091365243872]
ODD: list[Any] = [
    None, True, False, "", "1", -1, -0.01, 0.001, 100.125, 1.5, 101, 1420070399999, 2091365243873, 10**14,
    [], {}, [""], [1], [None], [{}], [{"id": 5}], [{"id": UNKNOWN, "x": 1}], UNKNOWN, [UNKNOWN], "USD", "date",
]  # fmt: skip


class Company:
    """A shop with one of everything that a body can refer to, and the validators of the document."""

    def __init__(self, sandbox: Sandbox):
        self.client = Client(sandbox, sandbox.add_shop("contract"))
        shop = self.client.shop
        first, second, _ = (account["id"] for account in shop.accounts)
        self.ids: dict[str, str] = {
            "accountToId": first,
            "accountFromId": second,
            "income": shop.add_category("income", "Продажі")["id"],
            "expense": shop.add_category("expense", "Доставка")["id"],
            "tagIds": shop.add_tag("т")["id"],
            "counterpartyId": self.client.finmap("POST", "/suppliers", {"label": "Клієнт 1"}).json()["id"],
            "projectId": self.client.finmap("POST", "/projects", {"label": "Проєкт"}).json()["id"],
        }
        self.client.income("income")
        self.client.expense("expense")
        transfer = {"accountToId": first, "accountFromId": second, "externalId": "transfer"}
        self.client.finmap("POST", "/operations/transfer", transfer)
        document = json.loads(DOCUMENT.read_text("utf-8"))
        for schema in document["components"]["schemas"].values():
            schema["additionalProperties"] = False
        self.schemas = document["components"]["schemas"]
        self.validators = {name: Draft4Validator({**document, **self.schemas[name]}) for name in ENDPOINTS}

    def good(self, dto: str, name: str) -> Any:
        """A value of this field that the company knows."""
        category = "expense" if dto.startswith("Expense") else "income"
        if name in ("categoryId", "categories"):
            return self.ids[category] if name == "categoryId" else [{"id": self.ids[category], "stake": 50}]
        if name == "projects":
            return [{"id": self.ids["projectId"]}]
        if name in ("tagIds", "categoryIds", "accountIds"):
            return [self.ids["tagIds"]]
        return self.ids.get(self._alias(name), "текст")

    @staticmethod
    def _alias(name: str) -> str:
        return "counterpartyId" if name == "supplierId" else name

    def values(self, dto: str, name: str) -> st.SearchStrategy[Any]:
        schema = self.schemas[dto]["properties"][name]
        if schema["type"] == "number":
            return st.sampled_from([number for number in NUMBERS if number >= schema.get("minimum", 0)])
        if schema["type"] == "boolean":
            return st.booleans()
        allowed = schema.get("enum") or schema.get("items", {}).get("enum")
        if allowed:
            choice = st.sampled_from(allowed)
            return st.lists(choice, max_size=3) if schema["type"] == "array" else choice
        return st.just(self.good(dto, name))

    def stricter(self, dto: str, path: str, body: dict[str, Any]) -> bool:
        """Whether the sandbox refuses, for its own documented reasons, what the document allows."""
        if path in REQUIRED_HERE and REQUIRED_HERE[path] not in body:
            return True
        if any(_has_empty(value) for name, value in body.items() if name not in MAY_BE_EMPTY):
            return True
        if dto == "FilterLogDto":
            return not (_whole(body.get("limit", 1), 1, 100) and _whole(body.get("offset", 0), 0, 10**13))
        money = [Decimal(str(body[name])) for name in ("amount", "amountTo") if name in body]
        if any(one != round(one, 2) or one > 10**13 for one in money):
            return True
        return dto not in ("TagDto", "CategoryDto") and self._refers_to_nothing(dto, body)

    def _refers_to_nothing(self, dto: str, body: dict[str, Any]) -> bool:
        category = self.ids["expense" if dto.startswith("Expense") else "income"]  # transfers take either
        accounts = {account["id"] for account in self.client.shop.accounts}
        known = {
            "accountToId": accounts, "accountFromId": accounts, "categoryId": {category},
            "projectId": {self.ids["projectId"]},
            "counterpartyId": {self.ids["counterpartyId"]}, "supplierId": {self.ids["counterpartyId"]},
        }  # fmt: skip
        dead = bool(DEAD & set(body))
        single = any(name in body and body[name] not in allowed for name, allowed in known.items())
        tags = any(tag != self.ids["tagIds"] for tag in body.get("tagIds", []))
        shares = any(share["id"] != self.ids["projectId"] for share in body.get("projects", []))
        parts = any(share["id"] != category for share in body.get("categories", []))
        return dead or single or tags or shares or parts


def _has_empty(value: Any) -> bool:
    if isinstance(value, list):
        return any(_has_empty(item) for item in value)
    if isinstance(value, dict):
        return any(_has_empty(item) for item in value.values())
    return value == ""


def _whole(value: float, least: int, most: int) -> bool:
    return value == int(value) and least <= value <= most


@pytest.fixture(scope="module")
def company(running_sandbox: Sandbox) -> Company:
    running_sandbox.clear_faults()
    return Company(running_sandbox)


def draw_body(data: st.DataObject, company: Company, dto: str) -> dict[str, Any]:
    """Some fields that are right and, often, one that may be wrong, unknown or missing."""
    schema = company.schemas[dto]
    names = sorted(schema["properties"])
    chosen = set(data.draw(st.lists(st.sampled_from(names), max_size=6))) - DEAD
    own = REQUIRED_HERE.get(ENDPOINTS[dto][1])
    chosen |= {*schema.get("required", []), *([own] if own else [])}
    body = {name: data.draw(company.values(dto, name)) for name in sorted(chosen)}
    change = data.draw(st.sampled_from(["nothing", "odd", "odd", "odd", "unknown", "missing"]))
    if change == "odd":
        body[data.draw(st.sampled_from(names))] = data.draw(st.sampled_from(ODD))
    elif change == "unknown":
        body[data.draw(st.sampled_from(["sum", "id", "Amount", "externalDevComment", "externalId"]))] = "x"
    elif change == "missing" and body:
        del body[data.draw(st.sampled_from(sorted(body)))]
    return body


@pytest.mark.parametrize("dto", ENDPOINTS)
@settings(
    max_examples=70, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data())
def test_bodies_are_judged_as_the_document_judges_them(company: Company, dto: str, data: st.DataObject) -> None:
    method, path = ENDPOINTS[dto]
    body = draw_body(data, company, dto)
    right = company.validators[dto].is_valid(body) and not company.stricter(dto, path, body)
    answer = company.client.finmap(method, path, body)
    assert answer.status_code in ((200, 201, 409) if right else (400,)), (body, answer.text)


def test_a_row_of_a_list_has_the_fields_of_the_documents_example(company: Company) -> None:
    (example,) = company.schemas["OperationsList"]["properties"]["list"]["example"]
    row = company.client.finmap("POST", "/operations/list", {"types": ["expense"], "limit": 1}).json()["list"][0]
    optional = {"subType", "accountToId", "accountBalanceAfterOperation"}
    assert set(example) - set(row) <= optional
    for name in set(example) & set(row):
        assert _kind(row[name]) == _kind(example[name]), name


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_answers_have_the_shapes_of_the_document(company: Company) -> None:
    shapes = {
        "/accounts": "account_response_dto_Account",
        "/tags": "tags_response_dto_Tag",
        "/suppliers": "supplier_response_dto_Supplier",
        "/projects": "project_response_dto_Project",
        "/currencies": "currency_response_dto_Currency",
        "/categories/income": "category_response_dto_Category",
        "/categories/expense": "category_response_dto_Category",
    }
    for path, shape in shapes.items():
        rows = company.client.finmap("GET", path).json()
        assert rows
        for row in rows:
            Draft4Validator(company.schemas[shape]).validate(row)
