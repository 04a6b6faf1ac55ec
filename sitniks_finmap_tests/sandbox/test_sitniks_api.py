import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from .clients import Client

AT = "2026-01-0{}T10:00:00.000Z"


@pytest.fixture
def five(client: Client) -> Client:
    client.shop.put_transactions([{"id": day, "createdAt": AT.format(day)} for day in range(1, 6)])
    return client


def test_rows_are_served_newest_first_with_their_count(five: Client) -> None:
    assert five.page() == ([5, 4, 3, 2, 1], 5)
    assert five.page(limit=2, skip=1) == ([4, 3], 5)
    assert five.page(skip=5) == ([], 5)


def test_a_row_added_between_two_pages_shifts_the_rest(five: Client) -> None:
    first, _ = five.page(limit=2)
    five.shop.put_transaction({"id": 6, "createdAt": AT.format(6)})
    assert first == [5, 4]
    assert five.page(limit=2, skip=2) == ([4, 3], 6)


def test_a_page_has_fifty_rows_unless_less_is_asked(client: Client) -> None:
    client.shop.put_transactions([{"id": number, "createdAt": AT.format(1)} for number in range(60)])
    ids, total = client.page()
    assert (len(ids), total) == (50, 60)
    assert len(client.page(skip=50)[0]) == 10


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": 51}, "limit_must_not_be_greater_than_50"),
        ({"limit": 0}, "limit_must_not_be_less_than_1"),
        ({"limit": "ten"}, "limit_must_be_an_integer_number"),
        ({"limit": "1.0"}, "limit_must_be_an_integer_number"),
        ({"limit": "٣"}, "limit_must_be_an_integer_number"),
        ({"limit": ""}, "limit_must_be_an_integer_number"),
        ({"skip": -1}, "skip_must_not_be_less_than_0"),
        ({"skip": "x"}, "skip_must_be_an_integer_number"),
        ({"createdAtFrom": "yesterday"}, "createdAtFrom_must_be_a_valid_iso_8601_date_string"),
        ({"createdAtTo": "2026-02-30"}, "createdAtTo_must_be_a_valid_iso_8601_date_string"),
        ({"createdAtTo": "20260201"}, "createdAtTo_must_be_a_valid_iso_8601_date_string"),
    ],
)
def test_a_wrong_query_is_refused(five: Client, query: dict[str, Any], message: str) -> None:
    answer = five.sitniks("/transactions", **query)
    assert answer.status_code == 400
    assert answer.json() == {"statusCode": 400, "message": [message], "error": "Bad Request"}


@pytest.mark.parametrize("name", ["offset", "page", "updatedAtFrom", "createdatfrom", "sort"])
def test_an_unknown_parameter_is_silently_ignored(five: Client, name: str) -> None:
    assert five.page(**{name: AT.format(4)}) == five.page()
    assert five.page("/orders", **{name: AT.format(4)}) == five.page("/orders")
    assert five.page(limit=2, **{name: "anything"}) == ([5, 4], 5)


def test_a_raw_plus_in_an_offset_is_a_space_and_refused(five: Client) -> None:
    url = f"{five.sandbox.sitniks_url}/transactions?createdAtFrom=2026-01-01T00:00:00+03:00"
    headers = {"Authorization": f"Bearer {five.shop.sitniks_key}"}
    assert requests.get(url, headers=headers, timeout=5).status_code == 400


def test_raw_non_ascii_bytes_in_the_query_are_refused(five: Client) -> None:
    port = urlsplit(five.sandbox.url).port or 0
    request = (
        f"GET /open-api/transactions?createdAtFrom=вчора HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n"
        f"Authorization: Bearer {five.shop.sitniks_key}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(request.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("lower", "upper", "ids"),
    [
        ("2026-01-02T10:00:00.000Z", "2026-01-04T10:00:00.000Z", [4, 3, 2]),  # both inclusive
        ("2026-01-02T10:00:00.001Z", "2026-01-04T09:59:59.999Z", [3]),
        ("2026-01-02", "2026-01-03", [2]),  # a day alone is its midnight
        ("2026-01-05T09:00:00+03:00", "2026-01-05T10:00:00+03:00", [5]),  # the offset is ignored: wall time is UTC
        ("2026-01-05T10:00:01-05:00", "2026-01-09T00:00:00-05:00", []),
        ("2026-01-04 00:00:00", "2026-01-04 23:59:59", [4]),
    ],
)
def test_date_filters_take_the_wall_time_as_utc(five: Client, lower: str, upper: str, ids: list[int]) -> None:
    assert five.page(createdAtFrom=lower, createdAtTo=upper) == (ids, len(ids))


def test_a_transaction_is_placed_by_at_created_at_date_or_now(client: Client) -> None:
    """The first of these that is given is the moment by which the list filters and sorts."""
    put = client.shop.put_transaction
    put({"id": "now"})
    put({"id": "kyiv", "date": "2026-01-15 01:30:00"})
    put({"id": "created", "createdAt": "2026-01-14T12:00:00Z", "date": "2026-02-01T00:00:00Z"})
    put({"id": "at", "createdAt": "2026-01-14T12:00:00Z"}, at=datetime(2026, 1, 13, tzinfo=UTC))
    assert client.page(createdAtFrom="2026-01-14T23:30:00Z", createdAtTo="2026-01-14T23:30:00Z")[0] == ["kyiv"]
    assert client.page()[0] == ["now", "kyiv", "created", "at"]


def test_a_row_put_again_is_replaced_and_a_deleted_one_is_gone(five: Client) -> None:
    five.shop.put_transaction({"id": 3, "createdAt": AT.format(3), "amount": 7})
    assert five.sitniks("/transactions", limit=1, skip=2).json()["data"][0]["amount"] == 7
    assert five.shop.delete_transaction(3)
    assert not five.shop.delete_transaction(3)
    assert five.page() == ([5, 4, 2, 1], 4)


def test_text_is_served_byte_for_byte(client: Client) -> None:
    text = '{"id" : 1,\t"amount": 1.10, "x": "\\u0456і", "createdAt":"2026-01-01T00:00:00.000Z"}'
    client.shop.put_transaction(text)
    assert text.encode() in client.sitniks("/transactions").content


def test_a_row_that_is_no_json_object_cannot_be_put(client: Client) -> None:
    for text in ("[1]", "nonsense", '{"amount": NaN}'):
        with pytest.raises(ValueError, match=r"."):
            client.shop.put_transaction(text)


def test_orders_have_a_list_single_reads_and_statuses(client: Client) -> None:
    client.shop.put_order({"id": 7, "createdAt": AT.format(1), "status": {"id": 1, "title": "Новий"}})
    assert client.page("/orders") == ([7], 1)
    assert client.sitniks("/orders/7").json()["status"]["title"] == "Новий"
    titles = [status["title"] for status in client.sitniks("/orders/statuses").json()["data"]]
    assert "Виконано" in titles
    client.shop.delete_order(7)
    assert client.sitniks("/orders/7").json()["statusCode"] == 404
    assert client.page("/orders") == ([], 0)


def test_settlement_accounts_have_a_type(client: Client) -> None:
    types = {account["type"] for account in client.sitniks("/settlement-accounts").json()["data"]}
    assert "payment_system" in types


def test_supplies_are_a_list_with_one_row(client: Client) -> None:
    assert client.page("/supplies", limit=1) == ([1], 1)
    assert client.page("/supplies", limit=1, skip=1) == ([], 1)
    assert client.sitniks("/supplies", limit=51).status_code == 400


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic sandbox-sitniks-key", "sandbox-sitniks-key"])
def test_a_wrong_key_is_401_in_json(client: Client, header: str) -> None:
    answer = client.sitniks("/transactions", headers={"Authorization": header})
    assert answer.status_code == 401
    assert set(answer.json()) == {"statusCode", "message", "error"}


@pytest.mark.parametrize("agent", ["Python-urllib/3.11", ""])
def test_the_firewall_answers_html(client: Client, agent: str) -> None:
    answer = client.sitniks("/transactions", headers={"User-Agent": agent})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text


def test_nothing_can_be_written(client: Client) -> None:
    url = f"{client.sandbox.sitniks_url}/transactions"
    headers = {"Authorization": f"Bearer {client.shop.sitniks_key}"}
    assert requests.post(url, json={}, headers=headers, timeout=5).status_code == 404


def test_the_document_names_the_paths(client: Client) -> None:
    paths = requests.get(f"{client.sandbox.url}/open-api-json", timeout=5).json()["paths"]
    assert {"/open-api/transactions", "/open-api/orders/{id}"} <= set(paths)
