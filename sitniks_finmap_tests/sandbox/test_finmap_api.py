from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from .clients import Client, Clock

DATE = 1772366400000  # 2026-03-01T12:00:00Z
DONE = {"status": "Processed now", "statusCode": "1"}


def test_a_created_income_is_read_back_with_its_contract_fields(client: Client) -> None:
    category = client.shop.add_category("income", "Продажі")["id"]
    tag = client.shop.add_tag("Instagram")["id"]
    answer = client.income(amount=95.5, date=DATE, comment="Оплата", categoryId=category, tagIds=[tag])
    assert (answer.status_code, answer.json()) == (201, DONE)
    row = client.details()
    assert row is not None
    expected = {
        "sum": Decimal("95.5"), "type": "income", "date": DATE, "comment": "Оплата", "approved": True,
        "accountToId": client.account, "accountToName": "Каса", "accountFromName": "", "currencyId": "UAH",
        "categoryId": category, "categoryName": "Продажі", "tagIds": [tag], "tags": "Instagram",
        "counterpartyId": "empty", "externalId": "x:1",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["id"] == row["operationId"]
    assert len(row["id"]) == 24


def test_what_is_missing_reads_as_empty(client: Client) -> None:
    client.expense("bare")
    row = client.details("bare")
    assert row is not None
    assert (row["categoryId"], row["counterpartyId"], row["tagIds"]) == ("empty", "empty", ["empty"])
    assert (row["accountFromId"], row["accountToName"], row["tags"]) == (client.account, "", "")
    assert "accountToId" not in row


def test_an_operation_without_amount_and_date_is_zero_and_now(client: Client, clock: Clock) -> None:
    assert client.finmap("POST", "/operations/income", {"accountToId": client.account}).status_code == 201
    (row,) = client.shop.operations()
    assert row["sum"] == 0
    assert row["date"] == clock.now.timestamp() * 1000


@pytest.mark.parametrize(
    "body",
    [
        {"amount": "100"}, {"amount": True}, {"amount": None}, {"amount": -1}, {"amount": 1.005},
        {"date": "2026-03-01"}, {"date": 1420070399999}, {"date": 2091365243873}, {"date": None},
        {"comment": ""}, {"comment": None}, {"comment": 5}, {"externalId": ""}, {"externalId": 5},
        {"accountToId": "0" * 24}, {"accountFromId": "x"}, {"categoryId": "0" * 24}, {"tagIds": ["0" * 24]},
        {"tagIds": "x"}, {"counterpartyId": "0" * 24}, {"customerId": "0" * 24}, {"projectId": "0" * 24},
        {"sum": 100}, {"externalDevComment": "x"}, {"comment": "\ud800"},
    ],
)  # fmt: skip
def test_a_wrong_income_is_refused_and_not_made(client: Client, body: dict[str, Any]) -> None:
    answer = client.income(**{"external_id": "x:1", **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["statusCode"] == 400
    assert client.shop.operations() == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"amount": NaN}', '{"amount": Infinity}', "\xff", "[" * 5000])
def test_a_body_that_is_no_json_object_is_refused(client: Client, text: str) -> None:
    assert client.finmap("POST", "/operations/income", text).status_code == 400


def test_a_body_that_does_not_say_it_is_json_is_refused(client: Client) -> None:
    url = f"{client.sandbox.finmap_url}/operations/income"
    headers = {"apiKey": client.shop.finmap_key, "Content-Type": "text/plain"}
    assert requests.post(url, data=b"{}", headers=headers, timeout=5).status_code == 400


def test_an_account_is_required(client: Client) -> None:
    assert client.finmap("POST", "/operations/income", {"amount": 1}).status_code == 400
    assert client.finmap("POST", "/operations/expense", {"amount": 1}).status_code == 400


def test_a_category_exists_in_one_direction(client: Client) -> None:
    category = client.shop.add_category("expense", "Комісії")["id"]
    assert client.income(categoryId=category).status_code == 400
    assert client.expense(categoryId=category).status_code == 201


def test_the_same_external_id_again_is_a_conflict(client: Client) -> None:
    client.income()
    for again in (client.income(amount=7), client.expense("x:1")):
        assert again.status_code == 409
        assert again.json()["message"] == "Item already exist."
    assert [row["sum"] for row in client.shop.operations()] == [100]


def test_the_external_id_of_a_deleted_operation_stays_taken(client: Client) -> None:
    client.income()
    assert client.finmap("DELETE", "/operations/income/byExternalId/x:1").json() == DONE
    assert client.details() is None
    assert client.listed() == []
    assert client.income().status_code == 409


def test_a_change_lays_its_fields_over_the_rest(client: Client) -> None:
    client.income(comment="Оплата", date=DATE)
    body = {"amount": 33.3, "externalDevComment": "dev"}
    assert client.finmap("PATCH", "/operations/income/byExternalId/x:1", body).json() == DONE
    (row,) = client.shop.operations()
    assert (row["sum"], row["comment"], row["date"]) == (Decimal("33.3"), "Оплата", DATE)
    assert row["externalDevComment"] == "dev"
    by_id = client.finmap("PATCH", f"/operations/income/{row['id']}", {"comment": "Інше"})
    assert by_id.status_code == 200
    details = client.details()
    assert details is not None
    assert (details["comment"], details["sum"]) == ("Інше", Decimal("33.3"))


def test_a_change_may_empty_what_a_creation_may_only_leave_out(client: Client) -> None:
    client.income(comment="Оплата", categoryId=client.shop.add_category("income", "П")["id"])
    emptied = {"comment": "", "categoryId": "", "tagIds": []}
    assert client.finmap("PATCH", "/operations/income/byExternalId/x:1", emptied).status_code == 200
    (row,) = client.shop.operations()
    assert (row["comment"], row["categoryId"], row["tagIds"]) == ("", "empty", ["empty"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/operations/income/byExternalId/unknown", {}),
        ("/operations/expense/byExternalId/x:1", {}),
        ("/operations/income/byExternalId/x:1", {"externalId": "x:2"}),
        ("/operations/income/byExternalId/x:1", {"accountFromId": "x"}),
        ("/operations/income/byExternalId/x:1", {"comment": None}),
        ("/operations/income/byExternalId/x:1?offset=kyiv", {}),
        ("/operations/income/000000000000000000000000", {}),
    ],
)
def test_a_wrong_change_is_refused(client: Client, path: str, body: dict[str, Any]) -> None:
    client.income()
    assert client.finmap("PATCH", path, body).status_code == 400


def test_a_delete_in_the_wrong_direction_is_refused(client: Client) -> None:
    client.income()
    assert client.finmap("DELETE", "/operations/expense/byExternalId/x:1").status_code == 400
    assert client.finmap("DELETE", "/operations/income/byExternalId/x:9").status_code == 400
    assert len(client.shop.operations()) == 1


def test_an_external_id_is_percent_encoded_in_the_path(client: Client) -> None:
    client.income("a/b c%і")
    path = "/operations/income/byExternalId/a%2Fb%20c%25%D1%96"
    assert client.finmap("PATCH", path, {"amount": 1}).status_code == 200
    assert client.finmap("DELETE", path).status_code == 200


def test_the_offset_decides_approval_but_never_the_date(client: Client, clock: Clock) -> None:
    soon = int(clock.now.timestamp() * 1000) + 3_600_000
    client.income("planned", date=soon)
    body = {"accountToId": client.account, "date": soon, "externalId": "approved"}
    client.finmap("POST", "/operations/income", body, offset=7_200_000)
    rows = {row["externalId"]: row for row in client.shop.operations()}
    assert (rows["planned"]["approved"], rows["approved"]["approved"]) == (False, True)
    assert rows["planned"]["date"] == rows["approved"]["date"] == soon


def test_details_want_an_id_and_find_by_either(client: Client) -> None:
    client.income()
    identity = client.shop.operations()[0]["id"]
    assert client.finmap("GET", "/operations/details").status_code == 400
    assert client.finmap("GET", "/operations/details", externalId="none").status_code == 404
    assert client.finmap("GET", "/operations/details", id=identity).json()["total"] == 1
    assert client.finmap("GET", "/operations/details", id=identity, externalId="none").status_code == 404


@pytest.fixture
def three(client: Client) -> Client:
    client.income("a", date=DATE, amount=10, comment="Оплата №1", tagIds=[client.shop.add_tag("т")["id"]])
    client.expense("b", date=DATE + 1000, amount=20, accountFromId=client.shop.accounts[1]["id"])
    client.income("c", date=DATE + 2000, amount=30.5, comment="Інше")
    return client


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "cba"),
        ({"field": "date", "desc": False}, "abc"),
        ({"limit": 1}, "c"),
        ({"limit": 2, "offset": 2}, "a"),
        ({"startDate": DATE, "endDate": DATE + 1000}, "ba"),
        ({"startDate": DATE + 1}, "cb"),
        ({"types": ["expense"]}, "b"),
        ({"search": "оплата"}, "a"),
        ({"search": "x:"}, ""),
        ({"sumFrom": 20, "sumTo": 30.49}, "b"),
        ({"approved": True}, "cba"),
        ({"approved": False}, ""),
        ({"ids": ["0" * 24]}, ""),
        ({"field": "", "limit": 100}, "cba"),
    ],
)
def test_the_list_is_filtered(three: Client, filters: dict[str, Any], found: str) -> None:
    assert "".join(three.listed(**filters)) == found


def test_the_list_is_filtered_by_ids_of_things(three: Client) -> None:
    assert three.listed(accountIds=[three.shop.accounts[1]["id"]]) == ["b"]
    assert three.listed(tagIds=[three.shop.tags()[0]["id"]]) == ["a"]
    ids = [row["id"] for row in three.shop.operations()][:2]
    assert three.listed(ids=ids) == three.listed(operationIds=ids) == ["b", "a"]


def test_the_total_of_a_list_ignores_the_filter(three: Client) -> None:
    """It counts all operations of the company."""
    assert three.finmap("POST", "/operations/list", {"types": ["expense"]}).json()["total"] == 3


def test_select_returns_only_what_it_names(three: Client) -> None:
    answer = three.finmap("POST", "/operations/list", {"select": ["date", "sum"], "limit": 1})
    assert answer.json()["list"] == [{"date": DATE + 2000, "sum": 30.5}]
    assert three.finmap("POST", "/operations/list", {"select": ["externalId"]}).status_code == 400


@pytest.mark.parametrize("body", [{"limit": 101}, {"limit": 0}, {"limit": 1.5}, {"offset": -1}, {"externalId": "a"}])
def test_a_wrong_filter_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.finmap("POST", "/operations/list", body).status_code == 400


def test_transfers_move_money_between_accounts(client: Client) -> None:
    first, second, _ = (account["id"] for account in client.shop.accounts)
    client.income(amount=100)
    body = {"accountFromId": first, "accountToId": second, "amount": 40.25, "externalId": "t"}
    assert client.finmap("POST", "/operations/transfer", body).status_code == 201
    accounts = client.finmap("GET", "/accounts", withBalances="true").json()
    assert [account["balance"] for account in accounts] == [59.75, 40.25, 0]
    assert client.finmap("DELETE", "/operations/transfer/byExternalId/t").status_code == 200


def test_accounts_have_a_currency_and_a_balance_only_when_asked(client: Client) -> None:
    client.shop.add_account("Євро", "EUR")
    accounts = client.finmap("GET", "/accounts").json()
    assert [account["currencyId"] for account in accounts] == ["UAH", "UAH", "USD", "EUR"]
    assert all("balance" not in account for account in accounts)
    assert client.finmap("GET", "/accounts", withBalances="yes").status_code == 400


@pytest.mark.parametrize("path", ["/tags", "/suppliers", "/projects"])
def test_a_label_is_made_once(client: Client, path: str) -> None:
    made = client.finmap("POST", path, {"label": "Rozetka"})
    assert made.status_code == 201
    assert client.finmap("GET", path).json() == [made.json()]
    assert client.finmap("POST", path, {"label": "Rozetka"}).status_code == 409
    assert client.finmap("POST", path, {"label": ""}).status_code == 400


def test_categories_are_kept_by_direction(client: Client) -> None:
    body = {"label": "Продажі", "vendorEditLockUrl": "", "parentId": ""}
    assert client.finmap("POST", "/categories/income", body).status_code == 201
    assert client.finmap("POST", "/categories/income", body).status_code == 409
    assert client.finmap("POST", "/categories/income", {"label": "Інше"}).status_code == 400
    assert [one["label"] for one in client.finmap("GET", "/categories/income").json()] == ["Продажі"]
    assert client.finmap("GET", "/categories/expense").json() == []


@pytest.mark.parametrize(
    "path",
    ["borrowers", "creditors", "customers", "investors", "employees", "owners", "taxOrganisations"],
)
def test_the_old_counterparty_directories_are_deprecated(client: Client, path: str) -> None:
    answer = client.finmap("GET", f"/{path}")
    assert (answer.status_code, answer.json()["message"]) == (400, "deprecated")


def test_health_needs_no_key_and_everything_else_does(client: Client) -> None:
    url = client.sandbox.finmap_url
    assert requests.get(f"{url}/health", timeout=5).json()["status"] == "ok"
    for headers in ({}, {"apiKey": "wrong"}, {"Authorization": f"Bearer {client.shop.finmap_key}"}):
        assert requests.get(f"{url}/accounts", headers=headers, timeout=5).status_code == 401


def test_currencies_and_unknown_paths(client: Client) -> None:
    assert {"id": "UAH", "symbol": "₴"} in client.finmap("GET", "/currencies").json()
    assert client.finmap("GET", "/nothing").status_code == 404
    assert client.finmap("GET", "/tags", limit=5).status_code == 400


def test_a_person_edits_and_deletes_an_operation(client: Client) -> None:
    client.income()
    client.shop.edit_operation("x:1", amount=Decimal("77.70"), comment="Виправлено")
    client.shop.edit_operation("x:1", date=datetime(2026, 3, 2, tzinfo=UTC))
    row = client.details()
    assert row is not None
    assert (row["sum"], row["comment"], row["date"]) == (Decimal("77.7"), "Виправлено", 1772409600000)
    client.shop.delete_operation("x:1")
    assert client.details() is None
    with pytest.raises(KeyError):
        client.shop.edit_operation("x:1", amount=1)


def test_sums_keep_every_kopiyka(client: Client) -> None:
    sums = [Decimal("0.01"), Decimal("0.1"), Decimal("1.10"), Decimal("9999999999999.99"), Decimal(0)]
    for number, amount in enumerate(sums):
        text = f'{{"accountToId": "{client.account}", "externalId": "{number}", "amount": {amount}}}'
        assert client.finmap("POST", "/operations/income", text).status_code == 201
    assert [row["sum"] for row in client.shop.operations()] == sums
    assert [(client.details(str(number)) or {})["sum"] for number in range(len(sums))] == sums
