"""raw_sitniks_transactions: every version verbatim, on its local day; what was read completely, and no more."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.sitniks import Row
from sitniks_finmap.defs.assets.extract import extract_assets
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.pipeline.due import days_to_sync, first_unread_day
from sitniks_finmap.pipeline.reading import months, store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.dagster_runs import QUIET
from sitniks_finmap_tests.deliveries import run_of
from sitniks_finmap_tests.processes import Other, read_when_asked
from sitniks_finmap_tests.reads import FIRST, LAST, complete, extract, rows
from sitniks_finmap_tests.records import BATCHES, DAY, KYIV, instants, written_as

NOON_OF_DAY = datetime(2025, 1, 15, 12, tzinfo=UTC)


def materialize(run: ConnectionRun, first: date, last: date) -> dg.ExecuteInProcessResult:
    """The same as one Dagster run of both assets."""
    return dg.materialize(
        extract_assets(run.connection),
        resources={run.connection.name: run},
        tags=range_tags(first, last),
        run_config=QUIET,
        raise_on_error=False,
    )


def row(text: str, id: str = "tx_1") -> Row:
    return Row(id, None, None, text)


def keep(con: duckdb.DuckDBPyConnection, run: ConnectionRun, *kept: Row, day: date = DAY) -> None:
    """One complete read of a day."""
    store(con, run, "transactions", list(kept), day, day)


# -- Versions --


def test_a_transaction_is_kept_exactly_as_sitniks_answered_it(run: ConnectionRun, shop: Shop) -> None:
    text = '{"id":  "tx_1", "createdAt":"2025-01-15T10:00:00.000Z",\n\t"amount":1500.10, "x": [1.0, {"ї": "\\u0457"}]}'
    shop.put_transaction(text)
    assert extract(run, DAY, DAY) is None
    assert rows(
        run.warehouse, "select transaction_id, version, day, amount, payload::varchar, run_id, gone_at "
        "from raw_sitniks_transactions",
    ) == [("tx_1", 1, DAY, "1500.10", text, "test-run", None)]  # fmt: skip


def test_reading_again_adds_nothing_but_that_it_was_seen(run: ConnectionRun, shop: Shop) -> None:
    shop.put_transactions([{"id": n, "createdAt": "2025-01-15T10:00:00.000Z", "amount": n} for n in range(60)])
    versions = "select * exclude (last_seen_at) from raw_sitniks_transactions order by transaction_id"
    seen = "select min(last_seen_at) from raw_sitniks_transactions"
    extract(run, DAY, DAY)
    before, seen_before = rows(run.warehouse, versions), rows(run.warehouse, seen)
    extract(run, DAY, DAY)
    assert len(before) == 60
    assert rows(run.warehouse, versions) == before
    assert rows(run.warehouse, seen) > seen_before


def test_every_version_is_kept_and_the_highest_is_current(run: ConnectionRun) -> None:
    texts = [f'{{"id": "tx_1", "date": "2025-01-15", "amount": {amount}}}' for amount in (1, 2, 2, 1)]
    for text in texts:
        with run.warehouse.transaction() as con:
            keep(con, run, row(text))
    assert rows(run.warehouse, "select version, payload::varchar from raw_sitniks_transactions order by version") == [
        (1, texts[0]),
        (2, texts[1]),
        (3, texts[3]),
    ]
    assert rows(run.warehouse, "select version from latest_transactions") == [(3,)]


def test_a_transaction_that_returns_is_a_new_version(run: ConnectionRun) -> None:
    text = '{"id": "tx_1", "date": "2025-01-15"}'
    with run.warehouse.transaction() as con:
        keep(con, run, row(text))
        con.execute("update raw_sitniks_transactions set gone_at = now()")
        keep(con, run, row(text))
    assert rows(run.warehouse, "select version, gone_at from latest_transactions") == [(2, None)]


def test_rows_that_are_not_even_objects_are_kept_too(run: ConnectionRun, sandbox: Sandbox) -> None:
    body = '{"data": [null, "x", [1], {"amount": NaN}, {"id": "\\ud800"}], "count": 5}'
    sandbox.fault(Fault("status", "sitniks", status=200, body=body))
    assert extract(run, DAY, DAY) is None
    assert rows(run.warehouse, "select count(*), min(day), max(day) from raw_sitniks_transactions") == [(5, DAY, DAY)]


# -- Days --


def test_the_local_day_of_any_instant_matches_python(run: ConnectionRun) -> None:
    styles = st.sampled_from(["utc", "offset", "compact offset", "naive"])
    fields = st.sampled_from(["createdAt", "date"])
    run.connection = run.connection.model_copy(update={"start_date": date(1995, 1, 1)})
    run.now = lambda: datetime(2099, 1, 1, tzinfo=UTC)
    with run.warehouse.transaction() as con:

        @settings(BATCHES, max_examples=15)
        @given(st.lists(st.tuples(instants, styles, fields), min_size=20, max_size=40))
        def check(batch: list[tuple[datetime, str, str]]) -> None:
            con.execute("delete from raw_sitniks_transactions")
            keep(con, run, *(
                row(f'{{"id": {n}, "{field}": "{written_as(instant, style)}"}}', str(n))
                for n, (instant, style, field) in enumerate(batch)
            ))  # fmt: skip
            found = dict(con.execute("select transaction_id::int, day from raw_sitniks_transactions").fetchall())
            assert found == {n: instant.astimezone(KYIV).date() for n, (instant, _, _) in enumerate(batch)}

        check()


def test_the_day_is_cut_in_the_zone_of_the_connection(connect: Any) -> None:
    for number, zone in enumerate(("America/New_York", "Asia/Tokyo", "UTC")):
        connection = connect(f"u{number}", timezone=zone)
        run = ConnectionRun(connection, open_warehouse(connection))
        moments = [datetime(2025, 3, 9, tzinfo=UTC) + timedelta(minutes=29 * n) for n in range(60)]
        with run.warehouse.transaction() as con:
            keep(con, run, *(row(f'{{"createdAt": "{at.isoformat()}"}}', at.isoformat()) for at in moments))
        found = dict(rows(run.warehouse, "select transaction_id, day from raw_sitniks_transactions"))
        assert found == {at.isoformat(): at.astimezone(ZoneInfo(zone)).date() for at in moments}


@pytest.mark.parametrize(
    ("stamps", "day"),
    [
        ('"createdAt": "2025-01-15T21:59:59.999Z"', date(2025, 1, 15)),
        ('"createdAt": "2025-01-15T22:00:00.000Z"', date(2025, 1, 16)),
        ('"date": "2025-01-15 23:59:59"', date(2025, 1, 15)),
        ('"date": "2025-01-15"', date(2025, 1, 15)),
        ('"date": "2025-01-15 10:30"', date(2025, 1, 15)),
        ('"createdAt": "2025-01-14T10:00:00.000Z", "date": "2025-01-15 10:30:00"', date(2025, 1, 14)),
        ('"createdAt": "вчора", "date": "2025-01-15 10:30:00"', date(2025, 1, 15)),
        ('"createdAt": null', date(2025, 1, 10)),
        ('"createdAt": "2025-02-30T10:00:00Z"', date(2025, 1, 10)),
        ('"createdAt": "2025-01-15T10:00:00+99:99"', date(2025, 1, 10)),
        ('"createdAt": "15/01/2025"', date(2025, 1, 10)),
        ('"createdAt": 1736935200', date(2025, 1, 10)),
    ],
)
def test_the_day_comes_from_created_at_or_date_or_the_window(stamps: str, day: date, run: ConnectionRun) -> None:
    """The first of these that is readable decides."""
    with run.warehouse.transaction() as con:
        store(con, run, "transactions", [row(f'{{"id": "tx_1", {stamps}}}')], date(2025, 1, 10), date(2025, 1, 31))
    assert rows(run.warehouse, "select day from raw_sitniks_transactions") == [(day,)]


def test_an_undated_transaction_stays_on_its_first_day(run: ConnectionRun) -> None:
    for first, text in ((date(2025, 1, 10), '{"id": "tx_1"}'), (date(2025, 1, 12), '{"id": "tx_1", "amount": 1}')):
        with run.warehouse.transaction() as con:
            keep(con, run, row(text), day=first)
    assert rows(run.warehouse, "select version, day from latest_transactions") == [(2, date(2025, 1, 10))]


# -- Windows --


@given(st.dates(date(2015, 1, 1), date(2036, 12, 31)), st.integers(0, 1200))
def test_windows_hold_every_day_once_and_end_with_the_month(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    windows = list(months(first, last))
    assert [day for window in windows for day in every_day(*window)] == list(every_day(first, last))
    for begin, end in windows:
        assert (begin.year, begin.month) == (end.year, end.month)


def every_day(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


@pytest.fixture
def import_run(connect: Callable[..., Connection]) -> ConnectionRun:
    """The run of a connection whose days begin with FIRST."""
    return run_of(connect(start_date=FIRST))


def fill_windows(shop: Shop) -> None:
    """Three transactions in each window, of three orders that are older."""
    shop.put_transactions(
        [
            {"id": f"{day}-{n}", "createdAt": f"2025-{day}T10:00:{n:02}.000Z", "amount": n, "orderId": n}
            for day in ("01-31", "02-15", "03-01")
            for n in range(1, 4)
        ]
    )


def test_a_range_is_read_in_months_bounded_by_local_days(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    assert extract(run, date(2025, 2, 27), date(2025, 4, 2), orders=True) is None
    asked = [(r.parameters["createdAtFrom"], r.parameters["createdAtTo"]) for r in sandbox.requests(path="/transact")]
    assert asked == [
        ("2025-02-26T21:59:59.999Z", "2025-02-28T22:00:00.000Z"),
        ("2025-02-28T21:59:59.999Z", "2025-03-31T21:00:00.000Z"),
        ("2025-03-31T20:59:59.999Z", "2025-04-02T21:00:00.000Z"),
    ]
    for resource in ("transactions", "orders"):
        assert complete(run.warehouse, resource) == [(date(2025, 2, 27), date(2025, 4, 2), 35)]


def test_what_lies_on_a_bound_is_read_once_and_on_its_own_day(run: ConnectionRun, shop: Shop) -> None:
    for name, at in (("before", "2025-01-14T21:59:59.999Z"), ("first", "2025-01-14T22:00:00.000Z"),
                     ("last", "2025-01-15T21:59:59.999Z"), ("after", "2025-01-15T22:00:00.000Z")):  # fmt: skip
        shop.put_transaction({"id": name, "createdAt": at, "amount": 1})
    assert extract(run, DAY, DAY) is None
    found = dict(rows(run.warehouse, "select transaction_id, day from raw_sitniks_transactions"))
    assert found == {"before": date(2025, 1, 14), "first": DAY, "last": DAY, "after": date(2025, 1, 16)}


def die_in_window(run: ConnectionRun, resource: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the given window the run is stopped."""
    calls = itertools.count(1)
    read = getattr(run.sitniks, resource)

    def dying(start: datetime, end: datetime) -> list[Row]:
        if next(calls) >= number:
            raise KeyboardInterrupt
        return cast(list[Row], read(start, end))

    monkeypatch.setattr(run.sitniks, resource, dying)


def test_an_import_that_dies_keeps_the_windows_that_it_finished(
    import_run: ConnectionRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_windows(shop)
    die_in_window(import_run, "transactions", 3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        extract(import_run, FIRST, LAST)
    assert complete(import_run.warehouse, "transactions") == [(FIRST, date(2025, 2, 28), 29)]
    assert rows(
        import_run.warehouse, "select day, count(*) from raw_sitniks_transactions group by all order by day"
    ) == [(FIRST, 3), (date(2025, 2, 15), 3)]


def test_an_import_killed_in_transactions_begins_again(
    import_run: ConnectionRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders are read after all windows of transactions, so none of theirs is read yet."""
    fill_windows(shop)
    with monkeypatch.context() as death:
        die_in_window(import_run, "transactions", 3, death)
        with pytest.raises(KeyboardInterrupt):
            extract(import_run, FIRST, LAST, orders=True)
    assert first_unread_day(import_run.connection, import_run.warehouse, LAST) == FIRST
    assert extract(import_run, FIRST, LAST, orders=True) is None
    assert first_unread_day(import_run.connection, import_run.warehouse, LAST) == LAST
    assert rows(import_run.warehouse, "select count(*), max(version) from raw_sitniks_transactions") == [(9, 1)]


def test_an_import_killed_in_orders_resumes_in_its_window(
    import_run: ConnectionRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_windows(shop)
    with monkeypatch.context() as death:
        die_in_window(import_run, "orders", 3, death)
        with pytest.raises(KeyboardInterrupt):
            extract(import_run, FIRST, LAST, orders=True)
    assert first_unread_day(import_run.connection, import_run.warehouse, LAST) == date(2025, 3, 1)
    assert extract(import_run, date(2025, 3, 1), LAST, orders=True) is None
    assert first_unread_day(import_run.connection, import_run.warehouse, LAST) == LAST
    assert rows(import_run.warehouse, "select count(*) from latest_transactions") == [(9,)]


def read_completely(run: ConnectionRun, first: date, last: date, at: datetime) -> None:
    """As if both resources of these days had been read at that moment."""
    with run.warehouse.transaction() as con:
        for resource in ("transactions", "orders"):
            store(con, run, cast(Any, resource), [], first, last)
        con.execute("update complete_reads set read_at = $1 where day between $2 and $3", [at, first, last])


def test_nothing_was_read_before_the_first_run(connection: Connection) -> None:
    run = run_of(connection)
    assert first_unread_day(run.connection, run.warehouse, date(2025, 2, 1)) == run.connection.start_date
    assert not run.warehouse.exists()


def test_a_day_left_out_is_the_first_to_be_read(run: ConnectionRun) -> None:
    read_completely(run, date(2025, 1, 10), date(2025, 1, 19), datetime(2025, 2, 1, tzinfo=UTC))
    read_completely(run, date(2025, 1, 21), date(2025, 1, 31), datetime(2025, 2, 1, tzinfo=UTC))
    assert first_unread_day(run.connection, run.warehouse, date(2025, 1, 31)) == date(2025, 1, 20)


def test_a_day_read_before_its_end_is_read_again_weeks_later(
    run: ConnectionRun,
) -> None:
    noon = datetime(2025, 1, 20, 12, tzinfo=KYIV)
    read_completely(run, date(2025, 1, 10), date(2025, 1, 20), noon)
    weeks_later = datetime(2025, 2, 10, 12, tzinfo=KYIV)
    assert days_to_sync(run.connection, run.warehouse, weeks_later) == (date(2025, 1, 20), date(2025, 2, 10))


def test_without_lookback_the_end_of_yesterday_is_not_lost(connect: Any) -> None:
    connection = connect(lookback_days=0)
    run = ConnectionRun(connection, open_warehouse(connection))
    read_completely(run, date(2025, 1, 10), date(2025, 1, 20), datetime(2025, 1, 20, 23, 30, tzinfo=KYIV))
    after_midnight = datetime(2025, 1, 21, 0, 30, tzinfo=KYIV)
    assert days_to_sync(connection, run.warehouse, after_midnight) == (date(2025, 1, 20), date(2025, 1, 21))
    read_completely(run, date(2025, 1, 20), date(2025, 1, 21), after_midnight)
    assert days_to_sync(connection, run.warehouse, after_midnight) == (date(2025, 1, 21), date(2025, 1, 21))


# -- What cannot be read --

PERMANENT = [
    pytest.param({"kind": "page_short", "delta": 50}, id="pages are empty"),
    pytest.param({"kind": "count_lies", "delta": -70}, id="count is that of the page"),
    pytest.param({"kind": "html"}, id="HTML"),
    pytest.param({"kind": "status", "status": 401}, id="401"),
]


@pytest.mark.parametrize("fault", PERMANENT)
def test_an_incomplete_read_fails_and_never_looks_empty(
    fault: dict[str, Any], run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_transactions([{"id": n, "createdAt": "2025-01-15T10:00:00.000Z", "amount": n} for n in range(120)])
    sandbox.fault(Fault(api="sitniks", times=None, **fault))
    assert str(extract(run, DAY, DAY)).startswith("u1: Sitniks")
    assert rows(run.warehouse, "select count(*) from complete_reads") == [(0,)]
    assert rows(run.warehouse, "select count(*) from raw_sitniks_transactions") == [(0,)]


def test_what_passes_ends_in_a_whole_read(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transactions([{"id": n, "createdAt": "2025-01-15T10:00:00.000Z", "amount": n} for n in range(120)])
    for kind in ("page_shift", "html", "truncated", "page_repeat", "total_instead_of_count", "named_array"):
        sandbox.fault(Fault(kind, "sitniks", after=1))
    assert extract(run, DAY, DAY) is None
    assert complete(run.warehouse, "transactions") == [(DAY, DAY, 1)]
    assert rows(run.warehouse, "select count(distinct transaction_id) from raw_sitniks_transactions") == [(120,)]


def test_a_failed_read_names_connection_list_and_what_was_seen(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_transaction({"id": 1, "createdAt": "2025-01-15T10:00:00.000Z", "counterparty": "Іваненко"})
    sandbox.fault(Fault("count_lies", "sitniks", times=None))
    said = str(extract(run, DAY, DAY))
    assert said.startswith("u1: Sitniks' list /transactions was read 3 times and was never complete: 1 distinct row")
    assert "counts 2" in said
    assert "Іваненко" not in said


# -- One unreadable month --

FEBRUARY = datetime(2025, 2, 15, 10, 0, 1, tzinfo=UTC)


def days(first: date, last: date) -> set[str]:
    return {day.isoformat() for day in every_day(first, last)}


def test_one_unreadable_month_stops_no_other(import_run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    fill_windows(shop)
    sandbox.fault(Fault("status", "sitniks", times=None, holding=FEBRUARY, path="/transactions"))
    said = extract(import_run, FIRST, LAST)
    assert said
    assert said.startswith(
        'u1: Sitniks answered 500: "sandbox fault" (when reading 2025-02-01 to 2025-02-28). What could be read is kept'
    )
    assert rows(import_run.warehouse, "select day, count(*) from latest_transactions group by all order by day") == [
        (FIRST, 3),
        (date(2025, 3, 1), 3),
    ]
    assert complete(import_run.warehouse, "transactions") == [(FIRST, LAST, 3)]
    [(reason, count)] = rows(import_run.warehouse, "select reason, count(*) from unread_days group by all")
    assert (reason, count) == ('Sitniks answered 500: "sandbox fault"', 28)
    sandbox.clear_faults()
    assert extract(import_run, FIRST, LAST) is None
    assert rows(import_run.warehouse, "from unread_days") == []


def test_in_dagster_only_the_days_that_could_not_be_read_fail(
    import_run: ConnectionRun, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    fill_windows(shop)
    sandbox.fault(Fault("status", "sitniks", times=None, holding=FEBRUARY, path="/transactions"))
    assets = extract_assets(import_run.connection)
    result = dg.materialize(
        assets,
        resources={"u1": import_run},
        tags=range_tags(FIRST, LAST),
        run_config=QUIET,
        raise_on_error=False,
        instance=dagster,
    )
    assert not result.success
    found = {
        event.partition: event.metadata["rows"].value
        for event in result.asset_materializations_for_node("u1__raw_sitniks_transactions")
    }
    assert found == {"2025-01-31": 3, "2025-03-01": 3, "2025-03-02": 0}
    definition = assets[0].partitions_def
    assert definition
    status = dagster.get_status_by_partition(assets[0].key, definition.get_partition_keys(), definition)
    assert status
    by_status = {name: {day for day, one in status.items() if one and one.value == name} for name in ("FAILED",)}
    assert complete(import_run.warehouse, "orders") == [(FIRST, LAST, 31)], "no step follows one that failed"
    assert by_status["FAILED"] == days(date(2025, 2, 1), date(2025, 2, 28))


def test_the_month_that_was_tried_longest_ago_is_tried_first(connect: Any, shop: Shop, sandbox: Sandbox) -> None:
    """And when several fail in a row, Sitniks is down: the others are not even asked."""
    run = run_of(connect(start_date=date(2025, 1, 1)))
    sandbox.fault(Fault("status", "sitniks", times=None, path="/transactions"))

    def asked() -> list[str]:
        sandbox.forget_requests()
        assert extract(run, date(2025, 1, 1), date(2025, 6, 30))
        return list(dict.fromkeys(one.parameters["createdAtTo"][:7] for one in sandbox.requests(path="/transactions")))

    assert asked() == ["2025-01", "2025-02", "2025-03"]
    assert asked() == ["2025-04", "2025-05", "2025-06"]
    assert asked() == ["2025-01", "2025-02", "2025-03"]


def test_a_refused_key_is_not_tried_month_by_month(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    shop.revoke("sitniks")
    assert "refused the key (401)" in str(extract(run, date(2025, 1, 10), date(2025, 6, 30)))
    assert len(sandbox.requests()) == 1


# -- A list that shows other days than were asked for --


@pytest.mark.parametrize("field", ["createdAt", "date"])
def test_a_list_that_ignores_its_filter_fails_the_read(
    field: str, run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    shop.put_transactions([{"id": n, field: f"2024-03-{1 + n % 28:02} 10:00:00", "amount": 1} for n in range(40)])
    shop.put_transaction({"id": "today", field: "2025-01-15 10:00:00", "amount": 1})
    sandbox.fault(Fault("filter_ignored", "sitniks", times=None))
    assert "list /transactions ignores its date filter" in str(extract(run, DAY, DAY))
    assert rows(run.warehouse, "select count(*) from raw_sitniks_transactions") == [(0,)]
    sandbox.clear_faults()
    assert extract(run, DAY, DAY) is None
    assert rows(run.warehouse, "select transaction_id from raw_sitniks_transactions") == [("today",)]


def test_a_few_strays_are_fine_and_so_are_payments_entered_later(run: ConnectionRun, shop: Shop) -> None:
    """Of each of two lists most lie elsewhere by their own date; the filter works, as a window without rows shows."""
    entered = datetime(2025, 1, 15, 10, tzinfo=UTC)
    for n in range(30):
        shop.put_transaction({"id": n, "date": "2025-01-03 10:00:00", "amount": 1}, entered)
    shop.put_transaction({"id": "stray", "createdAt": "2024-01-01T10:00:00Z", "amount": 1}, entered)
    assert extract(run, DAY, DAY) is None
    assert rows(run.warehouse, "select count(*) from raw_sitniks_transactions") == [(31,)]


def test_a_filter_on_another_axis_than_created_at_fails_the_read(run: ConnectionRun, shop: Shop) -> None:
    for n in range(10):
        shop.put_transaction({"id": n, "createdAt": "2025-01-03T10:00:00Z", "amount": 1}, NOON_OF_DAY)
    assert "ignores its date filter" in str(extract(run, DAY, DAY))


# -- Others at the warehouse --


def test_the_warehouse_is_free_while_the_network_is_awaited(
    import_run: ConnectionRun, shop: Shop, project: Path
) -> None:
    fill_windows(shop)
    reader = Other(read_when_asked, project / "data")
    answers: list[str] = []

    class Meanwhile:
        """In place of the rate limiter: just before a request is sent, somebody else reads."""

        def wait(self) -> None:
            reader.pipe.send(True)
            assert reader.pipe.poll(30)
            answers.append(reader.pipe.recv())

    import_run.sitniks.api.limiter = cast(Any, Meanwhile())
    assert extract(import_run, FIRST, LAST, orders=True) is None
    reader.pipe.send(False)
    assert len(answers) == 3 + 3 + 3  # windows of transactions, windows of orders, orders by id
    assert set(answers) == {"read"}


def test_in_dagster_an_incomplete_read_fails_the_run(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    """No asset is materialized."""
    shop.put_transaction({"id": 1, "createdAt": "2025-01-15T10:00:00.000Z", "amount": 1})
    sandbox.fault(Fault("count_lies", "sitniks", times=None))
    result = materialize(run, DAY, DAY)
    assert not result.success
    [event] = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data
    assert str(event.step_failure_data.user_failure_data.description).startswith("u1: Sitniks' list /transactions")
    assert result.get_asset_materialization_events() == []


def test_each_day_has_its_own_numbers_in_dagster(run: ConnectionRun, shop: Shop) -> None:
    for day, count in ((15, 2), (16, 0), (17, 1)):
        for n in range(count):
            shop.put_transaction({"id": f"{day}-{n}", "createdAt": f"2025-01-{day}T10:00:00Z", "amount": 1})
    result = materialize(run, DAY, date(2025, 1, 17))
    found = {}
    assert result.success
    for event in result.asset_materializations_for_node("u1__raw_sitniks_transactions"):
        found[event.partition] = event.metadata["rows"].value
    assert found == {"2025-01-15": 2, "2025-01-16": 0, "2025-01-17": 1}
