"""A list of Sitniks: read whole or the read fails, whatever shape, order or count it has and however it changes."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import ApiError, KeyRefused, Refused, Unavailable
from sitniks_finmap.clients.sitniks import IncompleteRead, Sitniks
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap_tests.fake_lists import END, START, answers, fill, ids, page

ROWS = 120  # three pages


# -- A list that is not what it should be --

SHAPES = ["total_instead_of_count", "named_array", "ids_as_strings"]
LIES = [
    pytest.param({"kind": "page_shift"}, id="rows shift"),
    pytest.param({"kind": "page_repeat"}, id="a page is repeated"),
    pytest.param({"kind": "page_short"}, id="a row is missing from a page"),
    pytest.param({"kind": "page_short", "delta": 50}, id="a page is empty"),
    pytest.param({"kind": "count_lies", "delta": 1}, id="count is one more"),
    pytest.param({"kind": "count_lies", "delta": -1}, id="count is one less"),
    pytest.param({"kind": "count_lies", "delta": 1000}, id="count is far more"),
    pytest.param({"kind": "count_lies", "delta": 50 - ROWS}, id="count is that of the page"),
    pytest.param({"kind": "count_lies", "delta": -ROWS}, id="count is nothing"),
]
TROUBLE = [
    pytest.param({"kind": "truncated"}, id="truncated"),
    pytest.param({"kind": "truncated", "full_length": True}, id="body breaks off"),
    pytest.param({"kind": "html"}, id="HTML"),
    pytest.param({"kind": "html_403"}, id="HTML with 403"),
    pytest.param({"kind": "drop_after"}, id="dropped"),
    pytest.param({"kind": "status", "status": 502}, id="502"),
]


@pytest.mark.parametrize("page", [0, 2])
@pytest.mark.parametrize("fault", [*LIES, *TROUBLE])
def test_what_goes_wrong_once_ends_in_a_whole_read(
    fault: dict[str, Any], page: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    expected = fill(shop, ROWS)
    sandbox.fault(Fault(api="sitniks", after=page, **fault))
    assert ids(client.transactions(START, END)) == expected


@pytest.mark.parametrize("resource", ["transactions", "orders"])
@pytest.mark.parametrize("fault", LIES)
def test_a_list_that_stays_inconsistent_is_never_taken(
    fault: dict[str, Any], resource: str, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    fill(shop, ROWS, resource=resource)
    sandbox.fault(Fault(api="sitniks", times=None, **fault))
    with pytest.raises(
        IncompleteRead, match=rf"/{resource} was read 3 times and was never complete: \d+ distinct rows"
    ):
        getattr(client, resource)(START, END)


@pytest.mark.parametrize("fault", TROUBLE)
def test_answers_that_stay_unusable_are_never_taken(
    fault: dict[str, Any], client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    fill(shop, ROWS)
    sandbox.fault(Fault(api="sitniks", times=None, **fault))
    with pytest.raises(Unavailable):
        client.transactions(START, END)


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize(("kind", "times"), [(kind, times) for kind in SHAPES for times in (1, None)])
def test_every_known_shape_of_a_list_is_read(
    kind: Any, times: int | None, page: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    expected = fill(shop, ROWS)
    sandbox.fault(Fault(kind, "sitniks", times=times, after=page))
    assert ids(client.transactions(START, END)) == expected
    assert len(sandbox.requests()) == 3, "its count was not believed"


def test_a_short_page_never_looks_like_no_transactions(client: Sitniks, shop: Shop, sandbox: Sandbox) -> None:
    fill(shop, 30)
    sandbox.fault(Fault("page_short", "sitniks", times=None, delta=50))
    with pytest.raises(IncompleteRead, match="0 distinct rows, but it counts 30"):
        client.transactions(START, END)


def test_a_key_without_the_right_never_looks_like_no_data(client: Sitniks, shop: Shop) -> None:
    shop.forbid("sitniks", "/transactions")
    with pytest.raises(KeyRefused):
        client.transactions(START, END)


def test_a_refusal_never_looks_like_no_transactions(client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "sitniks", status=400, body='{"message": ["skip_must_be_small"]}'))
    with pytest.raises(Refused, match='400 to /transactions: "skip_must_be_small"'):
        client.transactions(START, END)


@pytest.mark.parametrize(
    "body", ['{"message": "ok"}', '{"data": null, "count": 0}', '{"data": {}}', '"nothing"', "null", "[[", "", "{}"]
)
def test_an_answer_that_is_no_list_never_looks_like_no_data(body: str, client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "sitniks", status=200, body=body, times=None))
    with pytest.raises(ApiError):
        client.transactions(START, END)


def test_what_is_said_of_an_answer_shows_its_fields_and_no_value(client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "sitniks", status=200, body='{"result": "Іваненко", "page": 1}', times=None))
    with pytest.raises(Unavailable, match="the fields are page, result") as error:
        client.transactions(START, END)
    assert "Іваненко" not in str(error.value)


# -- A list that changes while it is read --


class Meanwhile:
    """Stands where the rate limiter stands: before each request somebody does something in Sitniks."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self.actions = iter(actions)

    def wait(self) -> None:
        next(self.actions, lambda: None)()


def meanwhile(client: Sitniks, *actions: Callable[[], object]) -> None:
    client.api.limiter = cast(Any, Meanwhile(*actions))


def nothing() -> None:
    pass


def test_a_row_moved_to_another_page_by_a_deletion_is_not_missed(client: Sitniks, shop: Shop) -> None:
    expected = fill(shop, ROWS)
    meanwhile(client, nothing, lambda: shop.delete_transaction(f"0115-{ROWS - 1}"))
    assert ids(client.transactions(START, END)) == expected - {f"0115-{ROWS - 1}"}


def test_rows_moved_while_the_count_stays_right_are_not_missed(client: Sitniks, shop: Shop) -> None:
    """Down and up again: neither the count of a page nor the number of rows tells."""
    expected = fill(shop, ROWS)

    def up() -> None:
        for n in (ROWS - 1, ROWS - 2):
            shop.delete_transaction(f"0115-{n}")
        for id in ("late", "later"):
            shop.put_transaction({"id": id, "createdAt": "2025-01-15T00:00:00.500Z", "amount": 1})

    def down() -> None:
        shop.delete_transaction("later")
        shop.put_transaction({"id": "new", "createdAt": "2025-01-15T23:00:00Z", "amount": 1})

    meanwhile(client, nothing, up, down)
    found = ids(client.transactions(START, END))
    assert found == expected - {f"0115-{ROWS - 1}", f"0115-{ROWS - 2}"} | {"late", "new"}


def test_an_unsorted_list_is_accepted_when_two_passes_agree(client: Sitniks, sandbox: Sandbox) -> None:
    pages = [page(*range(50)), [*page(70), *page(*range(50, 60))], page(59)]
    for _ in range(2):
        answers(sandbox, *({"data": one, "count": 61} for one in pages))
    assert len(client.transactions(START, END)) == 61
    assert len(sandbox.requests()) == 6


def test_a_row_that_arrives_while_the_list_is_read_is_in_it(client: Sitniks, shop: Shop) -> None:
    expected = fill(shop, ROWS)
    new = {"id": "new", "createdAt": "2025-01-15T23:00:00Z", "amount": 1}
    meanwhile(client, nothing, lambda: shop.put_transaction(new))
    assert ids(client.transactions(START, END)) == expected | {"new"}


def test_a_list_that_changes_at_every_page_is_not_taken(client: Sitniks, shop: Shop) -> None:
    fill(shop, ROWS)
    newer = (START + timedelta(hours=3, seconds=n) for n in itertools.count())
    arrivals = (
        lambda at=at: shop.put_transaction({"id": at.isoformat(), "createdAt": at.isoformat(), "amount": 1})
        for at in newer
    )
    client.api.limiter = cast(Any, Meanwhile())
    client.api.limiter.actions = arrivals  # type: ignore[attr-defined]
    with pytest.raises(IncompleteRead):
        client.transactions(START, END)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.one_of(st.none(), st.just("add"), st.integers(0, 101)), max_size=9),
    number=st.integers(0, 10**9),
)
def test_no_row_is_missed_that_lived_all_the_time(changes: list[Any], number: int, client: Sitniks, shop: Shop) -> None:
    """One change between two requests; `number` keeps the examples apart."""
    for transaction in shop.transactions():
        shop.delete_transaction(transaction["id"])
    alive = fill(shop, 102)
    deleted: set[str] = set()

    def change(what: Any, turn: int) -> None:
        if what == "add":
            at = START + timedelta(hours=5, minutes=turn)
            shop.put_transaction({"id": f"{number}-{turn}", "createdAt": at.isoformat(), "amount": 1})
        elif what is not None and shop.delete_transaction(f"0115-{what}"):
            deleted.add(f"0115-{what}")

    meanwhile(client, *(lambda what=what, turn=turn: change(what, turn) for turn, what in enumerate(changes)))
    try:
        found = ids(client.transactions(START, END))
    except IncompleteRead:
        return
    assert found >= alive - deleted


# -- A list without a count --


@pytest.mark.parametrize("wrapped", [True, False])
def test_without_a_count_two_reads_that_agree_are_the_proof(wrapped: bool, client: Sitniks, sandbox: Sandbox) -> None:
    pages = [page(*range(50)), page(*range(50, 60)), []] * 2
    answers(sandbox, *({"data": one} if wrapped else one for one in pages))
    assert len(client.transactions(START, END)) == 60
    assert len(sandbox.requests()) == 6


def test_without_a_count_a_short_page_is_not_the_end(client: Sitniks, sandbox: Sandbox) -> None:
    answers(sandbox, *[page(*range(20)), page(*range(20, 40)), page(*range(40, 45)), []] * 2)
    assert len(client.transactions(START, END)) == 45


def test_pages_that_are_shorter_than_asked_for_leave_no_gap(client: Sitniks, sandbox: Sandbox) -> None:
    pages = [page(*range(20)), page(*range(19, 39)), page(*range(38, 45))]
    answers(sandbox, *({"data": one, "count": 45} for one in pages))
    assert len(client.transactions(START, END)) == 45
    assert [request.parameters["skip"] for request in sandbox.requests()] == ["0", "19", "38"]


def test_without_a_count_reads_that_differ_are_not_taken(client: Sitniks, sandbox: Sandbox) -> None:
    answers(sandbox, page(1), [], page(1, 2), [], page(1), [])
    with pytest.raises(IncompleteRead, match="no count"):
        client.transactions(START, END)


# -- Whose count it is --


def test_a_count_of_the_page_is_told_from_a_total(client: Sitniks, shop: Shop, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("count_of_page", "sitniks", times=None))
    for rows, requests in ((ROWS, 3), (37, 1), (50, 2), (0, 1)):
        day = date(2025, 2, 1) + timedelta(days=rows)
        expected = fill(shop, rows, day)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        sandbox.forget_requests()
        assert ids(client.transactions(start, start + timedelta(hours=23))) == expected
        assert len(sandbox.requests()) == requests


@pytest.mark.parametrize("other", [{"count": 120, "total": 120}, {"count": "120"}, {"count": None, "total": 120}])
def test_every_way_to_count_the_list_is_understood(other: dict[str, Any], client: Sitniks, sandbox: Sandbox) -> None:
    pages = [page(*range(50)), page(*range(49, 99)), page(*range(98, 120))]
    answers(sandbox, *({"data": one, **other} for one in pages))
    assert len(client.transactions(START, END)) == 120
    assert len(sandbox.requests()) == 3


@pytest.mark.parametrize("counts", [{"count": 50, "total": 120}, {"count": 120, "total": 50}])
def test_a_page_that_comes_again_is_not_whole_by_its_own_size(
    counts: dict[str, int], client: Sitniks, sandbox: Sandbox
) -> None:
    body = json.dumps({"data": page(*range(50)), **counts})
    sandbox.fault(Fault("status", "sitniks", status=200, body=body, times=None))
    with pytest.raises(IncompleteRead, match="50 distinct rows, but it counts 120"):
        client.transactions(START, END)


def test_a_short_page_beside_a_larger_total_is_not_the_end(client: Sitniks, sandbox: Sandbox) -> None:
    body = json.dumps({"data": page(*range(30)), "count": 30, "total": 50})
    sandbox.fault(Fault("status", "sitniks", status=200, body=body, times=None))
    with pytest.raises(IncompleteRead, match="30 distinct rows, but it counts 50"):
        client.transactions(START, END)


@pytest.mark.parametrize("rows", [1, 37, 50, 100, 120, 150])
@pytest.mark.parametrize("kind", ["only_count_of_page", "no_count"])
def test_a_list_that_nothing_counts_is_read_whole(
    kind: Any, rows: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    expected = fill(shop, rows)
    sandbox.fault(Fault(kind, "sitniks", times=None))
    assert ids(client.transactions(START, END)) == expected


@pytest.mark.parametrize("size", [10, 20, 25])
def test_a_server_that_shortens_its_pages_hides_nothing(size: int, client: Sitniks, sandbox: Sandbox) -> None:
    rows = list(range(45))
    pages = [rows[start : start + size] for start in range(0, 45, size - 1)]
    answers(sandbox, *({"data": page(*one), "count": len(one)} for one in [*pages, [44]] * 2))
    assert len(client.transactions(START, END)) == 45


@pytest.mark.parametrize("cap", [50, 100])
@pytest.mark.parametrize("kind", ["capped", "capped_again"])
def test_a_list_that_the_server_cuts_is_read_in_smaller_windows(
    kind: Any, cap: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    expected = fill(shop, 260)
    sandbox.fault(Fault(kind, "sitniks", times=None, delta=cap))
    assert ids(client.transactions(START, END)) == expected


@pytest.mark.parametrize("cap", [64, 73])
def test_a_list_cut_at_any_number_shows_by_repeating_itself(
    cap: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    expected = fill(shop, 260)
    sandbox.fault(Fault("capped_again", "sitniks", times=None, delta=cap))
    assert ids(client.transactions(START, END)) == expected


def test_a_cut_list_that_cannot_be_divided_fails(client: Sitniks, shop: Shop, sandbox: Sandbox) -> None:
    """Everything was entered in one moment."""
    at = "2025-01-15T10:00:00.000Z"
    shop.put_transactions([{"id": n, "createdAt": at, "amount": 1} for n in range(80)])
    sandbox.fault(Fault("capped", "sitniks", times=None, delta=50))
    with pytest.raises(IncompleteRead, match="gives no count and may be truncated: it stops at 50 rows"):
        client.transactions(START, END)


def test_a_cut_list_that_ignores_its_filter_fails_at_once(client: Sitniks, sandbox: Sandbox) -> None:
    body = json.dumps({"data": page(*range(50))})
    sandbox.fault(Fault("status", "sitniks", status=200, body=body, times=None))
    with pytest.raises(IncompleteRead, match="ignores its date filter"):
        client.transactions(START, END)
    assert len(sandbox.requests()) < 20
