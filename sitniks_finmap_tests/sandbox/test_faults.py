import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sitniks_finmap.sandbox import Fault, FaultKind

from .clients import Client, Clock

STORED = {"status": "Stored", "statusCode": "2"}
QUEUED = {"status": "In the queue for processing", "statusCode": "0"}


def ids(client: Client) -> list[str]:
    return [row["externalId"] for row in client.shop.operations()]


@pytest.mark.parametrize(("kind", "applied"), [("status", []), ("status_after", ["x:1"])])
def test_a_status_before_or_after_applying(client: Client, kind: FaultKind, applied: list[str]) -> None:
    client.sandbox.fault(Fault(kind, "finmap", status=503, headers={"Retry-After": "7"}, body="busy"))
    answer = client.income()
    assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (503, "7", "busy")
    assert ids(client) == applied


def test_a_status_fault_defaults_to_500_with_a_json_body(client: Client) -> None:
    client.sandbox.fault(Fault("status", "sitniks"))
    answer = client.sitniks("/transactions")
    assert (answer.status_code, answer.json()["statusCode"]) == (500, 500)
    assert client.sitniks("/transactions").status_code == 200


@pytest.mark.parametrize(("kind", "applied"), [("drop_before", []), ("drop_after", ["x:1"])])
def test_a_dropped_connection_is_a_connection_error(client: Client, kind: FaultKind, applied: list[str]) -> None:
    client.sandbox.fault(Fault(kind, "finmap"))
    with pytest.raises(requests.ConnectionError):
        client.income()
    assert ids(client) == applied
    (recorded,) = client.sandbox.requests(shop=client.shop.name)
    assert (recorded.status, recorded.fault) == (None, kind)
    assert client.income("x:3").status_code == 201


def test_a_dropped_connection_leaves_others_alone(client: Client) -> None:
    other = Client(client.sandbox, client.shop)
    other.sitniks("/transactions")
    client.sandbox.fault(Fault("drop_before", "sitniks"))
    with pytest.raises(requests.ConnectionError):
        client.sitniks("/transactions")
    assert other.sitniks("/transactions").status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "applied"),
    [("html", 200, []), ("html_after", 200, ["x:1"]), ("html_403", 403, [])],
)
def test_html_instead_of_json(client: Client, kind: FaultKind, status: int, applied: list[str]) -> None:
    client.sandbox.fault(Fault(kind, "finmap"))
    answer = client.income()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert ids(client) == applied


@pytest.mark.parametrize(("kind", "outcome"), [("stored", STORED), ("queued", QUEUED)])
def test_a_stored_operation_appears_later(
    client: Client, clock: Clock, kind: FaultKind, outcome: dict[str, str]
) -> None:
    client.sandbox.fault(Fault(kind, "finmap", seconds=30))
    answer = client.income()
    assert (answer.status_code, answer.json()) == (201, outcome)
    clock.forward(29)
    assert client.details() is None
    assert client.listed() == []
    assert client.finmap("POST", "/operations/list", {}).json()["total"] == 0
    assert client.finmap("PATCH", "/operations/income/byExternalId/x:1", {}).status_code == 400
    assert client.income().status_code == 409
    clock.forward(1)
    assert client.details() is not None
    assert client.listed() == ["x:1"]
    assert client.finmap("POST", "/operations/list", {}).json()["total"] == 1


def test_a_stored_operation_can_leave_its_id_free_meanwhile(client: Client, clock: Clock) -> None:
    """With conflict=False, another one is accepted under the same id until the stored one appears."""
    client.sandbox.fault(Fault("stored", "finmap", seconds=30, conflict=False))
    client.income()
    assert client.income().status_code == 201
    clock.forward(30)
    assert ids(client) == ["x:1", "x:1"]
    assert client.income().status_code == 409


def test_a_stored_operation_may_be_lost(client: Client, clock: Clock) -> None:
    client.sandbox.fault(Fault("stored_lost", "finmap"))
    assert client.income().json() == STORED
    clock.forward(3600)
    assert client.details() is None
    assert client.income().status_code == 201


def test_an_error_under_201_applies_nothing(client: Client) -> None:
    client.sandbox.fault(Fault("error_201", "finmap"))
    answer = client.income()
    assert (answer.status_code, answer.json()) == (201, {"status": "Error", "statusCode": "3"})
    assert ids(client) == []


def test_faults_of_creations_wait_for_a_creation(client: Client) -> None:
    client.sandbox.fault(Fault("error_201", "finmap"))
    assert client.finmap("GET", "/accounts").status_code == 200
    assert client.finmap("POST", "/operations/list", {}).status_code == 200
    assert client.income().json()["status"] == "Error"


@pytest.mark.parametrize(("kind", "applied"), [("slow", []), ("slow_after", ["x:1"])])
def test_a_slow_answer_runs_into_the_clients_time_out(client: Client, kind: FaultKind, applied: list[str]) -> None:
    client.sandbox.fault(Fault(kind, "finmap", seconds=0.25))
    with pytest.raises(requests.ReadTimeout):
        client.income(timeout=0.1)
    assert ids(client) == applied
    time.sleep(0.25)
    assert ids(client) == ["x:1"]


def test_a_slow_answer_comes(client: Client) -> None:
    client.sandbox.fault(Fault("slow", "finmap", seconds=0.1))
    assert client.income().status_code == 201


def test_a_slow_answer_holds_nobody_else_up(client: Client) -> None:
    client.sandbox.fault(Fault("slow", "finmap", seconds=5, method="POST"))
    with pytest.raises(requests.ReadTimeout):
        client.income(timeout=0.05)
    assert client.finmap("GET", "/accounts", timeout=4).status_code == 200


def test_a_dripping_body_is_whole_in_the_end(client: Client) -> None:
    client.sandbox.fault(Fault("drip", "finmap", seconds=0.2))
    assert client.income().json()["statusCode"] == "1"


def test_a_dripping_head_is_whole_in_the_end(client: Client) -> None:
    client.sandbox.fault(Fault("drip_head", "finmap", seconds=0.2))
    answer = client.income()
    assert (answer.status_code, answer.json()["statusCode"]) == (201, "1")
    assert client.details()


def test_a_truncated_body_is_no_json(client: Client) -> None:
    client.sandbox.fault(Fault("truncated", "finmap"))
    answer = client.income()
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 0
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert ids(client) == ["x:1"]


def test_a_truncated_body_of_full_length_breaks_the_connection(client: Client) -> None:
    client.sandbox.fault(Fault("truncated", "finmap", full_length=True))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.income()
    assert ids(client) == ["x:1"]


@pytest.fixture
def ten(client: Client) -> Client:
    rows = [{"id": n, "orderId": n, "createdAt": f"2026-01-{n:02}T00:00:00Z", "a": 1.10} for n in range(1, 11)]
    client.shop.put_transactions([*rows])
    client.shop.put_orders([*rows])
    return client


def test_a_page_may_be_shifted_by_a_row_that_came_in(ten: Client) -> None:
    ten.sandbox.fault(Fault("page_shift", "sitniks", after=1))
    assert ten.page(limit=4) == ([10, 9, 8, 7], 10)
    assert ten.page(limit=4, skip=4) == ([7, 6, 5, 4], 11)
    assert ten.page(limit=4, skip=8) == ([2, 1], 10)


def test_a_page_may_skip_a_row_because_one_was_deleted(ten: Client) -> None:
    ten.sandbox.fault(Fault("page_skip", "sitniks", after=1))
    assert ten.page(limit=4) == ([10, 9, 8, 7], 10)
    assert ten.page(limit=4, skip=4) == ([5, 4, 3, 2], 9)
    assert ten.page(limit=4, skip=8) == ([2, 1], 10)


def test_a_page_may_come_twice(ten: Client) -> None:
    ten.sandbox.fault(Fault("page_repeat", "sitniks", after=1))
    assert ten.page(limit=4)[0] == ten.page(limit=4, skip=4)[0]


def test_a_page_may_be_short_while_the_count_is_right(ten: Client) -> None:
    ten.sandbox.fault(Fault("page_short", "sitniks", delta=2))
    assert ten.page(limit=4) == ([10, 9], 10)


def test_a_page_of_finmaps_list_may_be_short(client: Client) -> None:
    client.sandbox.fault(Fault("page_short", "finmap", delta=1))
    for number in range(3):
        client.income(f"x:{number}")
    assert len(client.listed()) == 2
    assert len(client.listed()) == 3


@pytest.mark.parametrize("delta", [1, -3])
def test_the_count_may_lie(ten: Client, delta: int) -> None:
    ten.sandbox.fault(Fault("count_lies", "sitniks", delta=delta))
    assert ten.page(limit=1) == ([10], 10 + delta)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("total_instead_of_count", {"data", "total"}), ("named_array", {"orders", "count"})],
)
def test_a_list_may_use_other_names(ten: Client, kind: FaultKind, names: set[str]) -> None:
    ten.sandbox.fault(Fault(kind, "sitniks", path="/orders"))
    assert set(ten.sitniks("/transactions").json()) == {"data", "count"}
    assert set(ten.sitniks("/orders").json()) == names


def test_ids_may_come_as_text_and_the_rest_stays(ten: Client) -> None:
    ten.sandbox.fault(Fault("ids_as_strings", "sitniks"))
    answer = ten.sitniks("/transactions", limit=1)
    row = answer.json()["data"][0]
    assert (row["id"], row["orderId"], row["a"]) == ("10", "10", 1.1)


def test_a_fault_hits_what_it_names(client: Client) -> None:
    client.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations", shop=client.shop.name))
    other = Client(client.sandbox, client.sandbox.shop())
    assert client.finmap("GET", "/operations/details", id="x").status_code == 404
    assert client.finmap("POST", "/tags", {"label": "т"}).status_code == 201
    assert other.finmap("POST", "/operations/list", {}).status_code == 200
    assert client.sitniks("/transactions").status_code == 200
    assert client.finmap("POST", "/operations/list", {}).status_code == 500


@pytest.mark.parametrize("base", ["", "/v2.2"])
def test_a_fault_lets_some_through_and_ends(client: Client, base: str) -> None:
    client.sandbox.fault(Fault("status", "finmap", path=f"{base}/accounts", after=1, times=2))
    got = [client.finmap("GET", "/accounts").status_code for _ in range(5)]
    assert got == [200, 500, 500, 200, 200]


def test_a_fault_without_an_end_is_cleared(client: Client) -> None:
    client.sandbox.fault(Fault("status", "finmap", times=None))
    assert {client.finmap("GET", "/accounts").status_code for _ in range(5)} == {500}
    client.sandbox.clear_faults()
    assert client.finmap("GET", "/accounts").status_code == 200


def test_the_same_seed_gives_the_same_bad_luck(client: Client) -> None:
    def luck(seed: int) -> list[int]:
        client.sandbox.clear_faults()
        client.sandbox.fault(Fault("status", "finmap", times=None, probability=0.5, seed=seed))
        return [client.finmap("GET", "/accounts").status_code for _ in range(20)]

    assert luck(1) == luck(1) != luck(2)
    assert set(luck(1)) == {200, 500}


@pytest.mark.parametrize("wrong", [{"kind": "stored", "api": "sitniks"}, {"kind": "page_shift", "api": "finmap"}])
def test_a_fault_of_the_other_api_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is not a fault of"):
        Fault(**wrong)


@pytest.mark.parametrize(
    ("kind", "skip", "rows", "counts"),
    [
        ("count_of_page", 0, 5, {"count": 5, "total": 9}),
        ("only_count_of_page", 5, 4, {"count": 4}),
        ("no_count", 0, 5, {}),
        ("capped", 0, 5, {}),
        ("capped", 5, 2, {}),
        ("capped", 7, 0, {}),
        ("capped_again", 7, 5, {}),
    ],
)
def test_how_a_list_is_counted_and_cut(
    client: Client, kind: FaultKind, skip: int, rows: int, counts: dict[str, int]
) -> None:
    client.shop.put_transactions([{"id": n, "createdAt": "2026-03-01T10:00:00.000Z"} for n in range(9)])
    client.sandbox.fault(Fault(kind, "sitniks", delta=7))
    answer = client.sitniks("/transactions", limit=5, skip=skip).json()
    assert len(answer.pop("data")) == rows
    assert answer == counts


def test_a_list_that_ignores_its_filter_shows_everything(client: Client) -> None:
    client.shop.put_transaction({"id": 1, "createdAt": "2026-03-01T10:00:00.000Z"})
    day: Any = {"createdAtFrom": "2026-03-05T00:00:00.000Z", "createdAtTo": "2026-03-06T00:00:00.000Z"}
    assert client.page(**day) == ([], 0)
    client.sandbox.fault(Fault("filter_ignored", "sitniks"))
    assert client.page(**day)[1] == 1


def test_a_fault_of_a_moment_hits_only_lists_that_hold_it(client: Client) -> None:
    client.sandbox.fault(Fault("status", "sitniks", times=None, holding=datetime(2026, 3, 5, 12, tzinfo=UTC)))
    for first, last, status in ((4, 5, 200), (5, 6, 500), (1, 31, 500), (6, 7, 200)):
        bounds: Any = {
            "createdAtFrom": f"2026-03-{first:02}T00:00:00.000Z",
            "createdAtTo": f"2026-03-{last:02}T00:00:00Z",
        }
        assert client.sitniks("/transactions", **bounds).status_code == status
    assert client.sitniks("/orders/1").status_code == 404
