from typing import Any

import pytest
import requests

from .clients import Client


def control(client: Client, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(method, f"{client.sandbox.url}/sandbox{path}", json=body, timeout=5)


def test_the_overview_counts_each_shop(client: Client) -> None:
    client.shop.put_transaction({"id": 1})
    client.income()
    overview = control(client, "GET", "").json()
    (mine,) = [shop for shop in overview["shops"] if shop["name"] == client.shop.name]
    assert (mine["transactions"], mine["orders"], mine["operations"]) == (1, 0, 1)
    assert overview["finmap_url"] == client.sandbox.finmap_url


def test_operations_and_requests_can_be_looked_at(client: Client) -> None:
    client.income(amount=10.5)
    (operation,) = control(client, "GET", f"/{client.shop.name}/operations").json()
    assert (operation["externalId"], operation["sum"]) == ("x:1", "10.5")
    (request,) = control(client, "GET", f"/{client.shop.name}/requests").json()
    assert (request["path"], request["status"]) == ("/operations/income", 201)
    assert client.shop.finmap_key not in str(request)


@pytest.mark.parametrize("rows", ["transactions", "orders"])
def test_transactions_and_orders_can_be_put_and_deleted(client: Client, rows: str) -> None:
    path = f"/{client.shop.name}/{rows}"
    assert control(client, "POST", path, {"id": "a b", "amount": 1.1}).status_code == 201
    assert control(client, "POST", path, [{"id": 2}, {"id": 3}]).json() == {rows: 3}
    assert control(client, "DELETE", f"{path}/a%20b").json() == {rows: 2}
    assert control(client, "DELETE", f"{path}/a%20b").status_code == 404
    assert control(client, "POST", path, [1]).status_code == 400


def test_faults_can_be_set_and_cleared(client: Client) -> None:
    fault = {"kind": "status", "api": "finmap", "times": None}
    assert control(client, "POST", "/faults", fault).status_code == 201
    assert client.finmap("GET", "/accounts").status_code == 500
    assert control(client, "DELETE", "/faults").status_code == 200
    assert client.finmap("GET", "/accounts").status_code == 200


def test_a_wrong_fault_or_path_is_explained(client: Client) -> None:
    assert control(client, "POST", "/faults", {"kind": "nonsense", "api": "finmap"}).status_code == 400
    assert control(client, "POST", "/faults", {"kind": "status", "api": "finmap", "x": 1}).status_code == 400
    assert control(client, "GET", "/none/operations").status_code == 404
    assert control(client, "GET", "/none").status_code == 404


def test_a_person_sees_the_operations_as_a_page(client: Client) -> None:
    client.income(amount=1234.5, comment="<b>Оплата</b>", date=1_767_000_000_000)
    client.income(amount=7, comment="пізніша", date=1_767_100_000_000, externalId="x:2")
    answer = control(client, "GET", f"/{client.shop.name}")
    assert answer.headers["Content-Type"].startswith("text/html")
    page = answer.text
    assert "&lt;b&gt;Оплата" in page
    assert "+1\N{NO-BREAK SPACE}234,50 ₴" in page
    assert page.index("x:2") < page.index("x:1")
    assert control(client, "GET", "/nobody").status_code == 404
