"""raw_sitniks_orders: the orders of the days, and those that transactions name, each asked for once a run."""

import itertools
from collections import Counter
from datetime import date
from typing import Any
from urllib.parse import unquote

import pytest

from sitniks_finmap.http import Unavailable
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sitniks import Row
from sitniks_finmap_tests.test_raw_sitniks_transactions import DAY, FIRST, LAST, complete, extract, rows, run

__all__ = ["run"]  # the fixture

LONG_AGO = "2024-12-01T10:00:00.000Z"


def transaction(number: int, at: str = "2025-01-15T10:00:00.000Z", **fields: Any) -> dict[str, Any]:
    return {"id": f"tx_{number}", "createdAt": at, "amount": 100, **fields}


def order(number: int, at: str = LONG_AGO, status: str = "Новий") -> dict[str, Any]:
    return {"id": number, "orderNumber": 100 + number, "createdAt": at, "status": {"id": 1, "title": status}}


def asked_by_id(sandbox: Sandbox) -> list[str]:
    return [request.path.removeprefix("/orders/") for request in sandbox.requests(path="/orders/")]


def orders(run: ConnectionRun) -> list[tuple[Any, ...]]:
    """Id, version, status and whether it is gone, of every version."""
    return rows(
        run.warehouse,
        "select order_id, version, payload ->> '$.status.title', gone_at is not null from raw_sitniks_orders "
        "order by order_id, version",
    )


def test_orders_of_the_days_are_kept_verbatim_with_every_version(run: ConnectionRun, shop: Shop) -> None:
    first = '{"id": 991,  "createdAt": "2025-01-15T22:30:00.000Z", "totalPrice": 10.50, "status": {"title": "Новий"}}'
    changed = first.replace("Новий", "Виконано")
    for text in (first, first, changed):
        shop.put_order(text)
        assert extract(run, DAY, date(2025, 1, 16), orders=True) is None
    assert rows(
        run.warehouse, "select order_id, version, day, payload::varchar from raw_sitniks_orders order by version"
    ) == [("991", 1, date(2025, 1, 16), first), ("991", 2, date(2025, 1, 16), changed)]
    assert complete(run.warehouse, "orders") == [(DAY, date(2025, 1, 16), 2)]


def test_an_order_outside_the_days_is_read_by_its_id(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_orders([order(1), order(2, "2025-01-15T09:00:00.000Z"), order(3)])
    shop.put_transactions([transaction(1, orderId=1), transaction(2, order={"id": 2}), transaction(3)])
    assert extract(run, DAY, DAY, orders=True) is None
    assert asked_by_id(sandbox) == ["1"]
    assert orders(run) == [("1", 1, "Новий", False), ("2", 1, "Новий", False)]


def test_an_order_whose_status_the_transaction_tells_is_not_asked_for(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_transactions([
        transaction(1, order={"id": 1, "status": {"title": "Виконано"}}),
        transaction(2, orderId=2, orderStatus="Виконано"),
        transaction(3, orderId=3, orderStatus=None, order={"status": None}),
    ])  # fmt: skip
    assert extract(run, DAY, DAY, orders=True) is None
    assert asked_by_id(sandbox) == ["3"]


def test_each_order_is_asked_for_at_most_once_a_run(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_orders([order(1), order(2, "2025-01-31T10:00:00.000Z")])
    shop.put_transactions(
        [
            transaction(number, f"2025-{day}T10:00:00.000Z", orderId=identity)
            for number, (day, identity) in enumerate(itertools.product(("01-31", "02-15", "03-01"), (1, 1, 2, 404)))
        ]
    )
    for _ in range(2):
        sandbox.forget_requests()
        assert extract(run, FIRST, LAST, orders=True) is None
        assert max(Counter(asked_by_id(sandbox)).values()) == 1
        assert set(asked_by_id(sandbox)) == {"1", "404"}


def test_a_deleted_order_keeps_its_status_as_last_known_and_is_not_asked_for_again(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_order(order(1, status="В роботі"))
    shop.put_transaction(transaction(1, orderId=1))
    assert extract(run, DAY, DAY, orders=True) is None
    shop.delete_order(1)
    assert extract(run, DAY, DAY, orders=True) is None
    assert orders(run) == [("1", 1, "В роботі", True)]
    sandbox.forget_requests()
    assert extract(run, DAY, DAY, orders=True) is None
    assert asked_by_id(sandbox) == []
    assert orders(run) == [("1", 1, "В роботі", True)]


def test_an_order_that_comes_back_lives_again(run: ConnectionRun, shop: Shop) -> None:
    listed = order(1, "2025-01-15T09:00:00.000Z")
    shop.put_transaction(transaction(1, orderId=1))
    for there in (True, False, True):
        if there:
            shop.put_order(listed)
        else:
            shop.delete_order(1)
        assert extract(run, DAY, DAY, orders=True) is None
    assert orders(run) == [("1", 1, "Новий", True), ("1", 2, "Новий", False)]


def test_orders_read_by_id_are_kept_in_small_batches_so_that_a_kill_costs_little(
    run: ConnectionRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put_orders([order(number) for number in range(120)])
    shop.put_transactions([transaction(number, orderId=number) for number in range(120)])
    calls = itertools.count(1)
    read = run.sitniks.order

    def dying(order_id: str) -> Row | None:
        if next(calls) == 110:
            raise Unavailable("Sitniks did not answer")
        return read(order_id)

    monkeypatch.setattr(run.sitniks, "order", dying)
    assert str(extract(run, DAY, DAY, orders=True)) == "u1: Sitniks did not answer"
    assert rows(run.warehouse, "select count(*) from raw_sitniks_orders") == [(100,)]


@pytest.mark.parametrize("kind", ["page_short", "count_lies", "page_shift"])
def test_a_list_of_orders_that_is_not_whole_fails_and_is_not_recorded_as_read(
    kind: Any, run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_orders([order(number, "2025-01-15T09:00:00.000Z") for number in range(70)])
    sandbox.fault(Fault(kind, "sitniks", path="/orders", times=None))
    assert str(extract(run, DAY, DAY, orders=True)).startswith(
        "u1: Sitniks' list /orders was read 3 times and never whole"
    )
    assert complete(run.warehouse, "transactions") == [(DAY, DAY, 1)]
    assert complete(run.warehouse, "orders") == [(None, None, 0)]
    assert rows(run.warehouse, "select count(*) from raw_sitniks_orders") == [(0,)]


def test_ids_that_are_numbers_here_and_texts_there_are_the_same_orders(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_orders([order(number, "2025-01-15T09:00:00.000Z") for number in (1, 2)])
    shop.put_transactions([transaction(1, orderId="1"), transaction(2, orderId=2)])
    sandbox.fault(Fault("ids_as_strings", "sitniks", path="/orders", times=None))
    assert extract(run, DAY, DAY, orders=True) is None
    assert asked_by_id(sandbox) == []
    assert [one[0] for one in orders(run)] == ["1", "2"]


def test_an_order_id_that_nothing_answers_to_stops_nothing(run: ConnectionRun, shop: Shop) -> None:
    strange = ["?", "a/b", "1%20", "немає", "x" * 300, {"title": "7"}]
    shop.put_transactions([transaction(number, orderId=one) for number, one in enumerate(strange)])
    shop.put_transaction(transaction(99, orderId=1))
    shop.put_order(order(1))
    assert extract(run, DAY, DAY, orders=True) is None
    assert [one[0] for one in orders(run)] == ["1"]


def test_what_no_order_is_called_is_not_asked_for(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    """A server answers an address that it cannot read with a web page, and the whole sync would fail on it."""
    strange = [
        "?",
        "a/b",
        "..",
        ".",
        "1%20",
        "x" * 300,
        "\x00",
        "a b",
        "<script>",
        "'; drop",
        "№7",
        "немає",
        "A-7.1",
        12,
    ]
    shop.put_transactions([transaction(number, orderId=one) for number, one in enumerate(strange)])
    assert extract(run, DAY, DAY, orders=True) is None
    assert sorted(map(unquote, asked_by_id(sandbox))) == ["12", "A-7.1", "немає"]
