"""What is sent to Finmap: valid by the vendor's document, unknown fields refused; and exactly as in golden/."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from sitniks_finmap.clients.finmap import Content
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, RecordedRequest, Sandbox, Shop, seed_shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.books import Books
from sitniks_finmap_tests.conftest import SHARED_APIS
from sitniks_finmap_tests.deliveries import NOON, stage, writes
from sitniks_finmap_tests.order_books import KeepOrders, sync

DOCUMENT = SHARED_APIS / "finmap-openapi.json"
GOLDEN = Path(__file__).parent / "golden"
NUMBERS = count(1)


class Contract:
    """Finmap's OpenAPI document, in which no object may have a field that it does not name."""

    def __init__(self, document: dict[str, Any]) -> None:
        for schema in document["components"]["schemas"].values():
            schema["additionalProperties"] = False
        self.document = document
        self.routes = [
            (method.upper(), path, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]

    def route(self, request: RecordedRequest) -> tuple[str, str, Any] | None:
        """Method, path as the document writes it, and what it says of the operation."""
        for method, path, pattern, operation in self.routes:
            if method == request.method and pattern.fullmatch(f"/v2.2{request.path}"):
                return method, path.removeprefix("/v2.2"), operation
        return None

    def problems(self, request: RecordedRequest) -> list[str]:
        found = self.route(request)
        if not found:
            return [f"there is no {request.method} {request.path}"]
        operation = found[2]
        known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        sent = {name for name, _ in parse_qsl(request.query, keep_blank_values=True)}
        return [f"there is no parameter {name}" for name in sorted(sent - known)] + self._problems_of_body(
            operation, request.body
        )

    def _problems_of_body(self, operation: Any, body: str) -> list[str]:
        if "requestBody" not in operation:
            return ["there is no body"] if body else []
        if not body:
            return ["the body is missing"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        return [error.message for error in Draft4Validator({**self.document, **schema}).iter_errors(json.loads(body))]


@pytest.fixture(scope="module")
def contract() -> Contract:
    if not DOCUMENT.exists():
        pytest.skip("Finmap's OpenAPI document is not beside the repository")
    return Contract(json.loads(DOCUMENT.read_text("utf-8")))


def request(method: str, path: str, body: Any = None, query: str = "") -> RecordedRequest:
    text = "" if body is None else json.dumps(body)
    return RecordedRequest(datetime.min, 0, "finmap", "demo", method, path, query, text, "")  # noqa: DTZ901


@pytest.mark.parametrize(
    "wrong",
    [
        request("POST", "/operations/income", {"sum": 100}),
        request("POST", "/operations/income", {"amount": -1}),
        request("POST", "/operations/income", {"amount": "100"}),
        request("POST", "/operations/income", {"amount": 100, "categoryId": None}),
        request("POST", "/operations/income", {"accountFromId": "x"}),
        request("POST", "/operations/expense", {"accountToId": "x", "accountFromId": "x"}),
        request("POST", "/operations/expense", {"date": 1420070399999}),
        request("PATCH", "/operations/income/byExternalId/u1%3A1", {"externalId": "u1:1"}),
        request("PATCH", "/operations/income/byExternalId/u1/1", {"amount": 1}),
        request("POST", "/operations/list", {"externalId": "u1:1"}),
        request("POST", "/operations/list", {"field": "amount"}),
        request("GET", "/operations/details", query="externalID=1"),
        request("GET", "/accounts", {"a": 1}),
        request("POST", "/tags"),
        request("POST", "/tags", {}),
        request("PUT", "/tags", {"label": "x"}),
    ],
    ids=lambda one: f"{one.method} {one.path} {one.body or one.query}",
)
def test_a_request_that_the_document_does_not_know_is_noticed(contract: Contract, wrong: RecordedRequest) -> None:
    assert contract.problems(wrong) != []


def test_everything_that_a_connection_sends_is_in_the_contract(
    contract: Contract, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox
) -> None:
    """Two days of a believable shop, then corrections and look-ups, with account, category and tag."""
    today = date(2026, 3, 10)
    seed_shop(shop, days=2, today=today)
    connection = connect(
        source_as_tag=True,
        max_change_share=1.0,
        accounts={"7": "ФОП", "LiqPay": "ФОП"},
        categories={"client_payment": "Продажі", "social_sale": "Продажі", "delivery": "Доставка"},
    )
    run = run_of(connection)
    stage(run, today - timedelta(days=3), today)
    courier = Courier(run.warehouse, run.finmap, retry_every=timedelta(minutes=15))
    sandbox.fault(Fault("drop_after", "finmap", method="POST", path="/operations"))
    courier.deliver(today - timedelta(days=3), today)
    with run.warehouse.transaction() as con:
        fop = shop.accounts[2]["id"]
        con.execute(
            "update operations set amount = 1, occurred_at = occurred_at + interval 1 second, comment = 'щось', "
            "account = $1, tag = null, category = null",
            [fop],
        )
    courier.deliver(today - timedelta(days=3), today)
    list(run.finmap.operations(NOON - timedelta(days=9), NOON, "u1:"))

    sent = sandbox.requests("finmap")
    assert {f"{one.method} {one.path}": contract.problems(one) for one in sent if contract.problems(one)} == {}
    routes = {contract.route(one) and " ".join(contract.route(one)[:2]) for one in sent}  # type: ignore[index]
    assert routes == {
        "GET /accounts",
        "GET /categories/income",
        "GET /categories/expense",
        "GET /tags",
        "POST /tags",
        "POST /operations/income",
        "POST /operations/expense",
        "GET /operations/details",
        "PATCH /operations/income/byExternalId/{id}",
        "PATCH /operations/expense/byExternalId/{id}",
        "POST /operations/list",
    }
    created = [json.loads(one.body) for one in writes(sandbox) if one.method == "POST"]
    changed = [json.loads(one.body) for one in writes(sandbox) if one.method == "PATCH"]
    assert {name for body in created + changed for name in body} == {
        "amount", "date", "externalId", "comment", "accountToId", "accountFromId", "categoryId", "tagIds",
    }  # fmt: skip
    assert not any(value in (None, "", []) for body in created for value in body.values())
    emptied = {name for body in changed for name, value in body.items() if value in (None, "", [])}
    assert emptied == {"categoryId", "tagIds"}  # what is no longer wanted is taken out


def run_of(connection: Connection) -> ConnectionRun:
    return ConnectionRun(connection, open_warehouse(connection), "test-run")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_request_of_any_operation_follows_the_contract(
    contract: Contract, run: ConnectionRun, shop: Shop, sandbox: Sandbox, data: st.DataObject
) -> None:
    sandbox.forget_requests()
    type = data.draw(st.sampled_from(["income", "expense"]))
    text = st.text(st.characters(codec="utf-8"), max_size=40)
    content = Content(
        type=type,
        amount=data.draw(st.decimals("0.01", "9999999999999999.99", places=2)),
        occurred_at=data.draw(st.datetimes(datetime(2015, 1, 2), datetime(2036, 1, 1), timezones=st.just(NOON.tzinfo))),  # type: ignore[arg-type] # noqa: DTZ001
        account=shop.accounts[0]["id"],
        category=data.draw(st.none() | text),
        tag=data.draw(st.none() | text),
        comment=data.draw(text),
    )
    external_id = data.draw(text.filter(bool))
    run.finmap.create(external_id, content)
    fields = ["amount", "occurred_at", "account", "comment"]
    chosen = data.draw(st.sets(st.sampled_from([*fields, "category", "tag"]), min_size=1))
    run.finmap.update(external_id, type, {field: getattr(content, field) for field in chosen})
    run.finmap.details(external_id)
    run.finmap.create_tag(data.draw(text.filter(bool)))

    for sent in sandbox.requests("finmap"):
        # A key of two slashes or dots would be another path; the client must have encoded it.
        assert contract.problems(sent) == [], (sent.method, sent.path, sent.query, sent.body)
    assert len(sandbox.requests("finmap")) == 4


# -- The exact request of each kind of transaction ---------------------------------------------------------------


class Number(NamedTuple):
    """A JSON number as it is written: 1500.00 is not 1500 here."""

    written: str


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number)


def golden() -> dict[str, dict[str, Any]]:
    """Each file of golden/: a transaction (and its order) as Sitniks answers it, and the request that it becomes."""
    return {path.stem: json.loads(path.read_text("utf-8"), parse_float=Decimal) for path in GOLDEN.glob("*.json")}


def test_each_kind_of_transaction_sends_its_golden_request(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox
) -> None:
    for kind, label in [("income", "Продажі"), ("expense", "Повернення клієнтам"), ("expense", "Комісії")]:
        shop.add_category("income" if kind == "income" else "expense", label)
    files = golden()
    for one in files.values():
        shop.put_transaction(one["transaction"])
        if "order" in one:
            shop.put_order(one["order"])
    connection = connect(
        source_as_tag=True,
        accounts={"7": "ФОП"},
        categories={"social_sale": "Продажі", "refund": "Повернення клієнтам", "marketplace_commission": "Комісії"},
    )
    run = run_of(connection)
    stage(run, date(2025, 1, 14), date(2025, 1, 16))
    Courier(run.warehouse, run.finmap, retry_every=timedelta(minutes=15)).deliver(date(2025, 1, 14), date(2025, 1, 16))

    sent = {one["body"]["externalId"]: one for one in told(run, shop, writes(sandbox))}
    wanted = [exact(path.read_text("utf-8"))["request"] for path in sorted(GOLDEN.glob("*.json"))]
    assert len(wanted) == len(files) > 10
    for request_wanted in wanted:
        assert sent.pop(request_wanted["body"]["externalId"], None) == request_wanted
    assert sent == {}


def told(run: ConnectionRun, shop: Shop, requests: list[RecordedRequest]) -> list[dict[str, Any]]:
    """Requests as golden/ has them: numbers as they are written, and labels for IDs."""
    ids = {entry["id"]: entry["label"] for entry in [*shop.accounts, *shop.tags(), *categories(run)]}
    found = []
    for one in requests:
        body = exact(one.body) if one.body else None
        for name in ("accountToId", "accountFromId", "categoryId"):
            if body and name in body:
                body[name] = f"<{ids[body[name]]}>"
        if body and "tagIds" in body:
            body["tagIds"] = [f"<{ids[tag]}>" for tag in body["tagIds"]]
        found.append({"method": one.method, "path": one.path, "body": body})
    return found


def categories(run: ConnectionRun) -> list[dict[str, str]]:
    found = [*run.finmap.categories("income"), *run.finmap.categories("expense")]
    return [{"id": one.id, "label": one.label} for one in found]


def test_golden_files_cover_both_shapes_directions_and_amounts() -> None:
    """Both shapes of Sitniks' records, income and expense, and amounts as integer, decimal and text."""
    transactions = [one["transaction"] for one in golden().values()]
    assert {"date" in one for one in transactions} == {"createdAt" in one for one in transactions} == {True, False}
    assert {type(one["amount"]) for one in transactions} == {int, Decimal, str}
    assert {one["request"]["path"] for one in golden().values()} == {"/operations/income", "/operations/expense"}


# -- The exact requests of each kind of change -------------------------------------------------------------------


def test_each_kind_of_change_sends_its_golden_requests(
    keep_books: Callable[..., Books], shop: Shop, request: pytest.FixtureRequest
) -> None:
    """A file of golden/changes: a transaction (and its order) before and after (null = gone), and the requests."""
    for kind, label in [("income", "Продажі"), ("expense", "Повернення клієнтам"), ("expense", "Комісії")]:
        shop.add_category("income" if kind == "income" else "expense", label)
    books = keep_books(
        source_as_tag=True,
        on_delete="withdraw",
        max_change_share=1.0,
        accounts={"7": "ФОП"},
        categories={"social_sale": "Продажі", "refund": "Повернення клієнтам", "marketplace_commission": "Комісії"},
    )
    texts = [path.read_text("utf-8") for path in sorted((GOLDEN / "changes").glob("*.json"))]
    changes = [json.loads(text, parse_float=Decimal) for text in texts]
    for change in changes:
        shop.put_transaction(change["before"])
        if "order_before" in change:
            shop.put_order(change["order_before"])
    books.sync()
    assert all(one.method == "POST" for one in books.written())
    for change in changes:
        if change["after"]:
            shop.put_transaction(change["after"])
        else:
            shop.delete_transaction(change["before"]["id"])
        if "order_after" in change:
            shop.put_order(change["order_after"])
    books.read()  # misses what was deleted for the first time
    books.clock.forward(900)
    books.sync()

    sent = books.written()
    wanted = [one for text in texts for one in exact(text)["requests"]]
    assert sorted(told(books.run, shop, sent), key=str) == sorted(wanted, key=str)
    if DOCUMENT.exists():
        contract = request.getfixturevalue("contract")
        assert {one.path: contract.problems(one) for one in sent if contract.problems(one)} == {}
    # What was there is deleted before what takes its place is created.
    turned = [one.method for one in sent if one.path.endswith("tx_11") or '"u1:tx_11:2"' in one.body]
    assert turned == ["DELETE", "POST"]
    books.written()
    books.sync()
    assert books.written() == []


# -- The exact requests of each part of an order -----------------------------------------------------------------


def test_each_part_of_an_order_sends_its_golden_requests(
    keep_orders: KeepOrders, shop: Shop, request: pytest.FixtureRequest
) -> None:
    """A file of golden/orders: what an order says, what changes in it from day to day, and the requests of each."""
    for kind, label in [
        ("income", "Продажі"), ("expense", "Повернення клієнтам"), ("expense", "Собівартість"),
        ("income", "Повернення на склад"),
    ]:  # fmt: skip
        shop.add_category("income" if kind == "income" else "expense", label)
    categories = {
        "prepayment": "Продажі", "sale": "Продажі", "refund": "Повернення клієнтам", "cost_of_goods": "Собівартість",
        "restock": "Повернення на склад",
    }  # fmt: skip
    books = keep_orders(categories=categories, channels={"Сайт": "ФОП"}, max_change_share=1.0)
    texts = {path.stem: path.read_text("utf-8") for path in sorted((GOLDEN / "orders").glob("*.json"))}
    courses = {name: json.loads(text, parse_float=Decimal)["steps"] for name, text in texts.items()}
    wanted = {name: exact(text)["steps"] for name, text in texts.items()}
    orders: dict[str, dict[str, Any]] = {}
    everything: list[RecordedRequest] = []
    for step in range(max(map(len, courses.values()))):
        for name, steps in courses.items():
            if step < len(steps):
                orders[name] = orders.get(name, {}) | steps[step]["order"]
                shop.put_order(orders[name])
        start = books.clock()
        sync(books)
        books.clock.forward(86400 - (books.clock() - start).total_seconds())
        sent = books.written()
        everything += sent
        wanted_now = [one for steps in wanted.values() if step < len(steps) for one in steps[step]["requests"]]
        assert sorted(told(books.run, shop, sent), key=str) == sorted(wanted_now, key=str)
    if DOCUMENT.exists():
        contract = request.getfixturevalue("contract")
        assert {one.path: contract.problems(one) for one in everything if contract.problems(one)} == {}
    parts = {json.loads(one.body)["externalId"].rpartition(".")[2] for one in everything if one.method == "POST"}
    assert parts == {"prepayment", "sale", "partial", "refund", "cogs", "restock"}
    sync(books)
    assert books.written() == []
