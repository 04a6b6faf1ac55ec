import pytest

from .clients import Client, Clock


@pytest.fixture
def limited(client: Client) -> Client:
    client.shop.limit("sitniks", requests=3, per_seconds=10, block_seconds=60, retry_after="60")
    return client


def statuses(client: Client, times: int) -> list[int]:
    return [client.sitniks("/transactions").status_code for _ in range(times)]


def test_one_request_too_many_blocks_the_key_for_everything(limited: Client, clock: Clock) -> None:
    assert statuses(limited, 4) == [200, 200, 200, 429]
    clock.forward(59)
    answer = limited.sitniks("/orders/statuses")
    assert (answer.status_code, answer.json()["statusCode"]) == (429, 429)
    assert answer.headers["Retry-After"] == "60"
    clock.forward(1)
    assert statuses(limited, 4) == [200, 200, 200, 429]


def test_the_window_slides(limited: Client, clock: Clock) -> None:
    assert statuses(limited, 3) == [200, 200, 200]
    clock.forward(10)
    assert statuses(limited, 2) == [200, 200]
    clock.forward(9)
    assert statuses(limited, 2) == [200, 429]


def test_the_limit_belongs_to_one_key(limited: Client) -> None:
    other = Client(limited.sandbox, limited.sandbox.shop())
    assert statuses(limited, 4)[-1] == 429
    assert statuses(other, 4) == [200] * 4
    assert limited.finmap("GET", "/accounts").status_code == 200


def test_a_limit_can_omit_retry_after_and_be_lifted(client: Client) -> None:
    client.shop.limit("finmap", requests=0)
    answer = client.finmap("GET", "/accounts")
    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers
    client.shop.limit("finmap", None)
    assert client.finmap("GET", "/accounts").status_code == 200


def test_a_limited_request_is_not_applied(client: Client) -> None:
    client.shop.limit("finmap", requests=0)
    assert client.income().status_code == 429
    assert client.shop.operations() == []


def test_a_missing_right_is_403(client: Client) -> None:
    client.shop.forbid("finmap", "/operations")
    client.shop.forbid("sitniks", "/transactions")
    answer = client.income()
    assert (answer.status_code, answer.json()["message"]) == (403, "forbidden_resource")
    assert client.finmap("GET", "/accounts").status_code == 200
    assert client.sitniks("/transactions").status_code == 403
    assert client.sitniks("/orders").status_code == 200


def test_a_hidden_endpoint_is_404_until_it_is_restored(client: Client) -> None:
    client.shop.hide("sitniks", "/transactions")
    answer = client.sitniks("/transactions")
    assert (answer.status_code, answer.json()["message"]) == (404, "Cannot GET /transactions")
    assert client.sitniks("/orders").status_code == 200
    client.shop.restore("sitniks")
    assert client.sitniks("/transactions").status_code == 200


def test_a_revoked_key_is_401_until_it_is_restored(client: Client) -> None:
    client.shop.revoke("sitniks")
    assert client.sitniks("/transactions").status_code == 401
    assert client.finmap("GET", "/accounts").status_code == 200
    client.shop.revoke("finmap")
    assert client.finmap("GET", "/accounts").status_code == 401
    client.shop.restore("sitniks")
    assert client.sitniks("/transactions").status_code == 200
