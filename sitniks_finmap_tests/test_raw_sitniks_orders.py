"""raw_sitniks_orders: the orders of the days, and those that transactions name, each asked for once a run."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from sitniks_finmap.clients.answers import Unreachable
from sitniks_finmap.clients.sitniks import Row
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.orders import BUDGET, read_orders
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap_tests.books import OpenWarehouse
from sitniks_finmap_tests.reads import FIRST, LAST, complete, extract, rows
from sitniks_finmap_tests.records import DAY
from sitniks_finmap_tests.sandbox.clients import Clock

pytestmark = pytest.mark.runs


NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
Hourly = Callable[..., ConnectionRun]
EARLY = {"start_date": date(2026, 1, 1)}
LONG_AGO = "2024-12-01T10:00:00.000Z"


@pytest.fixture
def hourly(connect: Callable[..., Connection]) -> Hourly:
    """A run at noon on 10 March 2026, whose clock only a test moves and whose warehouse stays open."""

    def hourly(**settings: Any) -> ConnectionRun:
        connection = connect(**EARLY, **settings)
        run = ConnectionRun(connection, OpenWarehouse(data_folder(), connection.name), "test-run", Clock())
        run.sitniks.api.sleep = lambda seconds: None
        return run

    return hourly


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


def test_an_order_whose_status_the_transaction_has_is_not_read(
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
    assert extract(run, FIRST, LAST, orders=True) is None
    assert max(Counter(asked_by_id(sandbox)).values()) == 1
    assert set(asked_by_id(sandbox)) == {"1", "404"}


def test_a_deleted_order_keeps_its_last_status_and_is_not_reread(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly()
    clock: Any = run.now
    shop.put_order(order(1, status="В роботі"))
    shop.put_transaction(transaction(1, "2026-03-10T11:00:00.000Z", orderId=1))
    read_hourly(run, 1)
    shop.delete_order(1)
    read_hourly(run, 1)
    assert orders(run) == [("1", 1, "В роботі", False)], "one answer is no proof"
    read_hourly(run, 2)
    assert orders(run) == [("1", 1, "В роботі", True)]
    sandbox.forget_requests()
    clock.forward(90 * 86400)
    read_hourly(run, 2)
    assert asked_by_id(sandbox) == []


def test_a_404_that_passes_takes_no_order_for_gone(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly()
    shop.put_order(order(1, status="В роботі"))
    shop.put_transaction(transaction(1, "2026-03-10T11:00:00.000Z", orderId=1))
    read_hourly(run, 1)
    sandbox.fault(Fault("status", "sitniks", path="/orders/1", status=404))
    read_hourly(run, 6)
    assert orders(run) == [("1", 1, "В роботі", False)]
    assert rows(run.warehouse, "from order_tries") == []


def test_an_order_that_comes_back_lives_again(hourly: Hourly, shop: Shop) -> None:
    run = hourly()
    listed = order(1, "2026-03-10T09:00:00.000Z")
    shop.put_transaction(transaction(1, "2026-03-10T11:00:00.000Z", orderId=1))
    shop.put_order(listed)
    read_hourly(run, 1)
    shop.delete_order(1)
    read_hourly(run, 4)
    shop.put_order(listed)
    read_hourly(run, 1)
    assert orders(run) == [("1", 1, "Новий", True), ("1", 2, "Новий", False)]


def test_a_kill_costs_few_of_the_orders_read_by_id(
    run: ConnectionRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stored in small batches."""
    shop.put_orders([order(number) for number in range(120)])
    shop.put_transactions([transaction(number, orderId=number) for number in range(120)])
    calls = itertools.count(1)
    read = run.sitniks.order

    def dying(order_id: str) -> Row | None:
        if next(calls) == 110:
            raise KeyboardInterrupt
        return read(order_id)

    monkeypatch.setattr(run.sitniks, "order", dying)
    with pytest.raises(KeyboardInterrupt):
        extract(run, DAY, DAY, orders=True)
    assert rows(run.warehouse, "select count(*) from raw_sitniks_orders") == [(100,)]


@pytest.mark.parametrize("kind", ["page_short", "count_lies", "page_shift", "status", "filter_ignored"])
def test_an_incomplete_list_of_orders_is_not_recorded_as_read(
    kind: Any, run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    """It stops nothing: the transactions are read all the same."""
    at = LONG_AGO if kind == "filter_ignored" else "2025-01-15T09:00:00.000Z"
    shop.put_orders([order(number, at) for number in range(70)])
    shop.put_transaction(transaction(1, orderId=1))
    sandbox.fault(Fault(kind, "sitniks", path="/orders", times=None))
    assert extract(run, DAY, DAY, orders=True) is None
    assert complete(run.warehouse, "transactions") == [(DAY, DAY, 1)]
    assert complete(run.warehouse, "orders") == [(None, None, 0)]
    assert rows(run.warehouse, "select count(*) from raw_sitniks_orders") == [(0,)]
    [(day, reason)] = rows(run.warehouse, "select day, reason from unread_days where resource = 'orders'")
    assert day == DAY
    assert reason.startswith("Sitniks")
    assert asked_by_id(sandbox) == [], "one by one they would be thousands"
    sandbox.clear_faults()
    assert extract(run, DAY, DAY, orders=True) is None
    assert rows(run.warehouse, "from unread_days") == []


def test_one_unreadable_order_stops_no_other_and_is_shown(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly()
    clock: Any = run.now
    shop.put_orders([order(number) for number in (5002, 5003, 5004)])
    shop.put_transactions([transaction(n, "2026-03-10T11:00:00.000Z", orderId=n) for n in (5002, 5003, 5004)])
    sandbox.fault(Fault("status", "sitniks", path="/orders/5003", times=None))
    read_hourly(run, 1)
    assert [one[0] for one in orders(run)] == ["5002", "5004"]
    shown = "select order_id, reason, since, tried_at from unreadable_orders"
    began = clock() - timedelta(hours=1)
    assert rows(run.warehouse, shown) == [("5003", 'Sitniks answered 500: "sandbox fault"', began, began)]
    sandbox.forget_requests()
    read_hourly(run, 24)
    assert 0 < asked_by_id(sandbox).count("5003") <= 6 * 6, "ever more rarely; six requests are one try"
    [(*_, since, _)] = rows(run.warehouse, shown)
    assert since == began
    sandbox.clear_faults()
    read_hourly(run, 24)
    assert rows(run.warehouse, shown) == []
    assert [one[0] for one in orders(run)] == ["5002", "5003", "5004"]


def test_when_no_order_answers_the_run_stops_asking(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transactions([transaction(number, orderId=number) for number in range(40)])
    sandbox.fault(Fault("status", "sitniks", path="/orders/", times=None))
    assert extract(run, DAY, DAY, orders=True) is None
    assert len(set(asked_by_id(sandbox))) == 3


def test_when_sitniks_is_down_no_order_counts_as_tried(
    hourly: Hourly, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hourly()
    day = run.now().date()
    shop.put_transaction(transaction(1, "2026-03-10T11:00:00.000Z", orderId=5002))
    read_transactions(run, day, day)
    with monkeypatch.context() as down:

        def unreachable(order_id: str) -> None:
            raise Unreachable("Sitniks did not answer (127.0.0.1:1: the connection was refused)")

        down.setattr(run.sitniks, "order", unreachable)
        read_orders(run, day, day)
    assert rows(run.warehouse, "from order_tries") == []
    shop.put_order(order(5002, "2026-02-01T10:00:00.000Z"))
    read_orders(run, day, day)
    assert [one[0] for one in orders(run)] == ["5002"]


def test_a_key_without_the_right_to_orders_reads_transactions(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transactions([transaction(number, orderId=number) for number in range(40)])
    shop.forbid("sitniks", "/orders")
    for _ in range(2):
        assert extract(run, FIRST, LAST, orders=True) is None
    assert rows(run.warehouse, "select forbidden, count(*) from unread_days group by all") == [(True, 31)]
    assert len(sandbox.requests(path="/orders")) == 2, "it is asked once a run"
    shop.restore("sitniks")
    assert extract(run, FIRST, LAST, orders=True) is None
    assert rows(run.warehouse, "from unread_days") == []


def test_order_ids_as_numbers_or_text_mean_the_same_orders(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
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


# -- How often an order is asked for --


def read_hourly(run: ConnectionRun, times: int, days: int = 7) -> None:
    """Syncs of the last days without news, an hour apart."""
    clock: Any = run.now
    for _ in range(times):
        today = clock().date()
        assert extract(run, today - timedelta(days), today, orders=True) is None
        clock.forward(3600)


def cash_on_delivery(shop: Shop, count: int) -> None:
    """Payments of the last six days for orders of the month before."""
    shop.put_orders([order(number, "2026-02-01T10:00:00.000Z", "Відправлено") for number in range(count)])
    shop.put_transactions(
        [
            transaction(n, (NOON - timedelta(hours=1 + 140 * n / count)).strftime("%Y-%m-%dT%H:%M:%S.000Z"), orderId=n)
            for n in range(count)
        ]
    )


@pytest.mark.parametrize("final", [[], ["Виконано"]])
def test_an_hour_without_news_rereads_few_orders(
    final: list[str], hourly: Hourly, shop: Shop, sandbox: Sandbox, record_property: Any
) -> None:
    """Before, each of the 120 was asked for by each sync."""
    run = hourly(final_order_statuses=final)
    cash_on_delivery(shop, 120)
    read_hourly(run, 1)
    assert len(asked_by_id(sandbox)) == 120
    asked = []
    for _ in range(12):
        sandbox.forget_requests()
        read_hourly(run, 1)
        asked.append(len(asked_by_id(sandbox)))
    record_property("said", f"orders asked for by 12 hourly syncs without news, of 120: {asked}")
    assert max(asked) <= 20
    assert sum(asked) < 120, "one of twelve"
    shop.put_order(order(3, "2026-02-01T10:00:00.000Z", "Виконано"))
    read_hourly(run, 24)
    assert ("3", 2, "Виконано", False) in orders(run)


def test_the_newest_orders_are_read_first_within_the_budget(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly()
    clock: Any = run.now
    cash_on_delivery(shop, 300)
    read_hourly(run, 1)
    clock.forward(3 * 86400)
    sandbox.forget_requests()
    read_hourly(run, 1)
    assert sorted(map(int, asked_by_id(sandbox))) == list(range(BUDGET))


def test_an_order_in_a_final_status_is_never_asked_for(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly(final_order_statuses=["Виконано"])
    shop.put_orders([order(1, status="Виконано"), order(2, status="В роботі")])
    shop.put_transactions([transaction(n, "2026-03-10T11:00:00.000Z", orderId=n) for n in (1, 2)])
    read_hourly(run, 1)
    sandbox.forget_requests()
    read_hourly(run, 8)
    assert "2" in asked_by_id(sandbox)
    assert "1" not in asked_by_id(sandbox)


def test_a_missing_order_is_asked_for_ever_more_rarely(hourly: Hourly, shop: Shop, sandbox: Sandbox) -> None:
    run = hourly()
    shop.put_transaction(transaction(1, "2026-03-10T11:00:00.000Z", orderId=404))
    read_hourly(run, 24)
    assert 2 <= len(asked_by_id(sandbox)) <= 6
    assert rows(run.warehouse, "from unreadable_orders") == [], "it is not unreadable: there is none"


def test_orders_with_a_known_status_are_read_within_the_budget(
    keep_books: Callable[..., Any], sandbox: Sandbox
) -> None:
    """Thousands of them, at the first sync that knows the final statuses."""
    books = keep_books(final_order_statuses=["Виконано"])
    told = {"status": {"title": "В роботі"}}
    for number in range(1, 81):
        books.sell(number, order={"id": number, **told})
        books.shop.put_order(order(number, "2026-02-01T10:00:00.000Z", "В роботі"))
    books.read()
    sandbox.forget_requests()
    books.clock.forward(3600)
    books.read()
    assert len(asked_by_id(sandbox)) == BUDGET
