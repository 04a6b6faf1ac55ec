"""What a connection does next: which run, for which days, and when it waits."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.finmap import connect as connect_finmap
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.due import REREAD_CHECK_EVERY, Memory, NextRun, NoRun, days_to_sync, next_run
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.store import Warehouse, insert_rows
from sitniks_finmap_tests.books import OpenWarehouse, days_ago
from sitniks_finmap_tests.deliveries import NOON, ledger, live, want, writes
from sitniks_finmap_tests.reads import everything_due, mark_read
from sitniks_finmap_tests.sandbox.clients import Clock

RETRY = timedelta(minutes=15)
FIRST = date(2025, 1, 10)  # the start date, unless a test says otherwise
NEW_YEAR = date(2026, 1, 1)
MARCH = date(2026, 3, 10)  # today
KINDS = pytest.mark.parametrize("what", ["sync", "deliver", "full re-read"])


class Ticks:
    """A connection whose sensor asks again and again what to do, each time with the memory of the time before."""

    def __init__(self, connection: Connection, clock: Clock, warehouse: Warehouse | None = None) -> None:
        self.connection = connection
        self.clock = clock
        self.warehouse = warehouse or OpenWarehouse(data_folder(), connection.name)
        self.memory = Memory()
        self.running: str | None = None

    def tick(self) -> NextRun | NoRun:
        answer = next_run(self.connection, self.warehouse, self.clock(), self.memory, lambda: self.running)
        self.memory = Memory.from_text(answer.memory.to_text())
        return answer

    def runs(self) -> list[NextRun]:
        """What it launches at this moment, tick after tick until nothing is left to do."""
        launched = []
        while isinstance(answer := self.tick(), NextRun):
            launched.append(answer)
            assert len(launched) <= 3, launched  # each kind once
        return launched

    def launches(self) -> list[str]:
        return [f"{run.what} {run.first_day} {run.last_day}" for run in self.runs()]

    def rereads(self) -> tuple[date, date] | None:
        """The days of the full re-read that it launches at this moment, or None."""
        days = [(run.first_day, run.last_day) for run in self.runs() if run.what == "full re-read"]
        return days[0] if days else None

    def waits(self) -> str:
        """Why it launches nothing."""
        answer = self.tick()
        assert isinstance(answer, NoRun), answer
        return answer.why

    def synced(self) -> "Ticks":
        """A sync was launched at this moment."""
        self.memory = Memory(last_sync=self.clock())
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()  # 10 March 2026, 12:00 UTC, 14:00 in Kyiv


@pytest.fixture
def ticks(connection: Connection, clock: Clock) -> Ticks:
    return Ticks(connection, clock)


@pytest.fixture
def synced(ticks: Ticks) -> Ticks:
    return ticks.synced()


@pytest.fixture
def since_new_year(connect: Callable[..., Connection], clock: Clock) -> Ticks:
    return Ticks(connect(start_date=NEW_YEAR), clock)


def unreadable(
    warehouse: Warehouse, first: date, last: date, since: datetime, tried: datetime, resource: str = "transactions"
) -> None:
    """Days that failed since then, and were tried last then."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    failed = {"resource": resource, "failing_since": since, "tried_at": tried, "forbidden": resource == "orders"}
    with warehouse.transaction() as con:
        insert_rows(con, "unread_days", [{**failed, "day": day, "reason": "Sitniks answered 500"} for day in days])


def delivered(warehouse: Warehouse, **rows: Any) -> None:
    """Ledger rows in this state, by transaction."""
    with warehouse.transaction() as con:
        for transaction, (state, due) in rows.items():
            con.execute(
                """
                insert or replace into finmap_upload by name
                select
                    external_id, transaction_id, 1 as generation, day, $2 as state,
                    if($2 = 'failed', null, content) as written, if($2 = 'failed', null, content) as shown,
                    if($2 = 'failed', [content], []) as intents, if($2 = 'refused', content, null) as refused,
                    1 as attempts, $3::timestamptz as next_attempt_at
                from wanted_operations where transaction_id = $1
                """,
                [transaction, state, due],
            )


# -- The days of a sync ------------------------------------------------------------------------------------------


def test_the_first_sync_reads_everything_since_the_start_date(ticks: Ticks) -> None:
    assert ticks.launches() == ["sync 2025-01-10 2026-03-10"]


def test_a_sync_reads_the_recent_days_again(ticks: Ticks) -> None:
    mark_read(ticks.warehouse, FIRST, MARCH)
    assert ticks.launches() == ["sync 2026-03-03 2026-03-10"]


def test_after_three_weeks_off_a_sync_begins_where_it_stopped(ticks: Ticks) -> None:
    mark_read(ticks.warehouse, FIRST, date(2026, 2, 17))
    assert ticks.launches() == ["sync 2026-02-18 2026-03-10"]


def test_a_first_import_that_died_goes_on_at_the_first_gap(ticks: Ticks) -> None:
    mark_read(ticks.warehouse, FIRST, date(2025, 1, 31))
    mark_read(ticks.warehouse, date(2025, 3, 1), MARCH)
    assert ticks.launches() == ["sync 2025-02-01 2026-03-10"]


def test_a_day_of_which_only_one_resource_was_read_is_read_again(ticks: Ticks) -> None:
    mark_read(ticks.warehouse, FIRST, MARCH)
    with ticks.warehouse.transaction() as con:
        con.execute("delete from complete_reads where resource = 'orders' and day = '2025-06-01'")
    assert ticks.launches() == ["sync 2025-06-01 2026-03-10"]


def test_the_last_day_is_today_where_the_shop_is(connect: Callable[..., Connection], warehouse: Warehouse) -> None:
    late = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
    connection = connect(start_date=date(2026, 3, 9))
    assert days_to_sync(connection, warehouse, late) == (date(2026, 3, 9), date(2026, 3, 11))
    assert days_to_sync(connect(timezone="Europe/London"), warehouse, late)[1] == date(2026, 3, 10)


def test_nothing_is_launched_before_the_start_date(connect: Callable[..., Connection], clock: Clock) -> None:
    ticks = Ticks(connect(start_date=date(2026, 3, 12)), clock)
    assert ticks.waits() == "The import starts on 2026-03-12."
    clock.forward(34 * 3600 - 1)  # 11 March, 23:59:59 in Kyiv
    assert ticks.waits() == "The import starts on 2026-03-12."
    clock.forward(1)
    assert ticks.launches() == ["sync 2026-03-12 2026-03-12"]


# -- How often ---------------------------------------------------------------------------------------------------


def test_a_sync_is_launched_every_hour_and_not_in_between(ticks: Ticks, clock: Clock) -> None:
    ticks.launches()
    clock.forward(3599)
    assert "Nothing is due. Next sync at 2026-03-10 15:00:00;" in ticks.waits()
    clock.forward(1)
    assert ticks.launches() == ["sync 2025-01-10 2026-03-10"]


def test_how_often_syncs_run_is_a_setting(connect: Callable[..., Connection], clock: Clock) -> None:
    ticks = Ticks(connect(sync_every="1d"), clock)
    ticks.launches()
    clock.forward(86399)
    assert "Next sync at 2026-03-11 14:00:00;" in ticks.waits()
    clock.forward(1)
    assert ticks.launches() == ["sync 2025-01-10 2026-03-11"]


def test_after_a_week_off_one_run_is_launched_and_not_a_hundred(ticks: Ticks, shop: Shop, clock: Clock) -> None:
    want(ticks.warehouse, shop, {})
    launched = ["sync 2025-01-10 2026-03-10", "deliver 2026-03-10 2026-03-10"]
    assert ticks.launches() == launched
    clock.forward(7 * 86400)
    assert ticks.launches() == [launched[0].replace("03-10", "03-17"), launched[1]]
    assert "Next sync at" in ticks.waits()


MOVED = st.none() | st.timedeltas(timedelta(days=-400), timedelta(days=400))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sync=MOVED, delivery=MOVED, reread=MOVED)
def test_however_the_clock_is_set_nothing_waits_too_long(
    ticks: Ticks, clock: Clock, sync: timedelta | None, delivery: timedelta | None, reread: timedelta | None
) -> None:
    begun = clock.now
    ticks.memory = Memory(*(None if moved is None else begun + moved for moved in (sync, delivery, reread)))
    first = ticks.launches()
    looks = {
        "sync": (ticks.memory.last_sync, ticks.connection.sync_every),
        "delivery": (ticks.memory.last_delivery_check, ticks.connection.retry_every),
        "reread": (ticks.memory.last_reread_check, REREAD_CHECK_EVERY),
    }
    late = {kind for kind, (last, every) in looks.items() if not (last and begun - every < last <= begun)}
    assert late == set()
    clock.forward(3600)
    assert len(first + ticks.launches()) >= 1
    clock.now = begun


@KINDS
def test_a_clock_that_is_set_back_stops_nothing(ticks: Ticks, shop: Shop, clock: Clock, what: str) -> None:
    everything_due(ticks.warehouse, shop)
    assert what in [run.what for run in ticks.runs()]
    clock.forward(-40 * 86400)
    assert what in [run.what for run in ticks.runs()]


# -- One thing at a time -----------------------------------------------------------------------------------------


def test_sync_goes_before_delivery_and_delivery_before_reread(ticks: Ticks, shop: Shop) -> None:
    everything_due(ticks.warehouse, shop)
    launched = []
    for _ in range(3):
        answer = ticks.tick()
        assert isinstance(answer, NextRun)
        launched.append(answer.what)
    assert launched == ["sync", "deliver", "full re-read"]
    assert isinstance(ticks.tick(), NoRun)


def test_syncs_that_never_end_in_time_take_turns_with_rereads(ticks: Ticks, shop: Shop, clock: Clock) -> None:
    """A sync that takes longer than `sync_every` is due again as soon as it ends."""
    everything_due(ticks.warehouse, shop)
    launched = []
    for _ in range(4):
        answer = ticks.tick()
        assert isinstance(answer, NextRun)
        launched.append(answer.what)
        clock.forward(3700)
    assert launched == ["sync", "full re-read", "sync", "full re-read"]


def test_each_run_waits_for_the_one_before_and_then_follows(ticks: Ticks, shop: Shop, clock: Clock) -> None:
    everything_due(ticks.warehouse, shop)
    launched = []
    for _ in range(3):
        ticks.running = "Run 1a2b3c4d is in progress"
        for _ in range(3):
            remembered = ticks.memory
            assert ticks.running in ticks.waits()
            assert ticks.memory == remembered
            clock.forward(30)
        ticks.running = None
        answer = ticks.tick()
        assert isinstance(answer, NextRun)
        launched.append(answer.what)
    assert launched == ["sync", "deliver", "full re-read"]


def test_a_reread_delays_a_sync_by_its_own_run_at_most(since_new_year: Ticks, clock: Clock) -> None:
    # January stays due: no run here reads it.
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=8))
    run, tick = timedelta(minutes=25), timedelta(minutes=1)
    ends = NOON
    syncs, rereads = [], 0
    for _ in range(6 * 60):
        since_new_year.running = "Run 1a2b3c4d is in progress" if clock.now < ends else None
        answer = since_new_year.tick()
        if isinstance(answer, NextRun):
            ends = clock.now + run
            rereads += answer.what == "full re-read"
            syncs += [clock.now] if answer.what == "sync" else []
        clock.forward(tick.total_seconds())
    waited = [later - earlier for earlier, later in pairwise(syncs)]
    assert len(syncs) >= 4
    assert max(waited) <= timedelta(hours=1) + run
    assert rereads >= 4


def test_a_sync_that_is_due_goes_before_a_delivery_that_waited(synced: Ticks, shop: Shop, clock: Clock) -> None:
    want(synced.warehouse, shop, {})
    clock.forward(59 * 60)
    assert synced.launches() == ["deliver 2026-03-10 2026-03-10"]
    clock.forward(15 * 60)
    assert [run.what for run in synced.runs()] == ["sync", "deliver"]


# -- Why nothing is launched -------------------------------------------------------------------------------------


def test_whoever_looks_is_told_the_next_moments(synced: Ticks, clock: Clock) -> None:
    clock.forward(600)
    due = "Nothing is due. Next sync at 2026-03-10 15:00:00; next delivery check at 2026-03-10 14:25:00."
    assert synced.waits() == due  # it looked
    clock.forward(1)
    assert synced.waits() == due  # it did not have to


def test_while_a_run_goes_on_the_next_moments_are_told_too(ticks: Ticks, clock: Clock) -> None:
    ticks.running = "Run 1a2b3c4d is in progress"
    assert ticks.waits() == f"{ticks.running}. Next sync after this run; next delivery check after this run."
    ticks.synced()
    clock.forward(60)
    later = "Next sync at 2026-03-10 15:00:00; next delivery check after this run."
    assert ticks.waits() == f"{ticks.running}. {later}"


# -- What it costs to ask ----------------------------------------------------------------------------------------

NOWHERE: Any = None  # a warehouse that cannot be asked


def test_while_nothing_can_be_due_nobody_is_asked(connection: Connection) -> None:
    def asked() -> NoReturn:
        raise AssertionError("it asked whether a run is in progress")

    looked = Memory(NOON - timedelta(minutes=59), NOON - timedelta(minutes=14), NOON - timedelta(minutes=4))
    answer = next_run(connection, NOWHERE, NOON, looked, asked)
    assert isinstance(answer, NoRun)
    assert answer.memory == looked


def test_while_a_run_goes_on_the_warehouse_is_not_asked(connection: Connection) -> None:
    answer = next_run(connection, NOWHERE, NOON, Memory(), lambda: "A run is in progress")
    assert isinstance(answer, NoRun)
    assert answer.memory == Memory()


# -- Memory ------------------------------------------------------------------------------------------------------

MOMENTS = st.none() | st.datetimes(timezones=st.sampled_from([UTC]))


@given(memory=st.builds(Memory, MOMENTS, MOMENTS, MOMENTS))
def test_memory_comes_back_as_it_was_written(memory: Memory) -> None:
    assert Memory.from_text(memory.to_text()) == memory


@pytest.mark.parametrize(
    "text",
    [
        None, "", "garbled", "2026-03-10T12:00:00+00:00", "[]", "5", "null", '{"last_sync"', '{"last_sync": 5}',
        '{"last_sync": null}', '{"last_sync": "yesterday"}', '{"last_sync": "2026-03-10T12:00:00"}',
        '{"last_sync": "2026-03-10T12:00:00+00:00", "of_another_version": "2026-03-10T12:00:00+00:00"}',
    ],
)  # fmt: skip
def test_a_memory_that_cannot_be_read_starts_afresh(ticks: Ticks, text: str | None) -> None:
    ticks.memory = Memory.from_text(text)
    assert ticks.memory == Memory()
    assert ticks.launches() == ["sync 2025-01-10 2026-03-10"]


@given(memory=st.builds(Memory, MOMENTS, MOMENTS, MOMENTS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_moment_in_memory_is_too_odd(connection: Connection, memory: Memory) -> None:
    answer = next_run(connection, NOWHERE, NOON, memory, lambda: "A run is in progress")
    assert isinstance(answer, NoRun)


# -- Deliveries --------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_deliver_before_the_first_sync(synced: Ticks, project: Path) -> None:
    assert "Nothing is due." in synced.waits()
    assert not (project / "data").exists() or not list((project / "data").glob("*.duckdb"))


def test_only_the_days_with_something_due_are_delivered(synced: Ticks, shop: Shop, clock: Clock) -> None:
    rows = [{"transaction_id": f"tx_{n}", "occurred_at": days_ago(n)} for n in range(8)]
    want(synced.warehouse, shop, *rows)
    now = clock.now
    delivered(
        synced.warehouse,
        tx_0=("verified", None), tx_1=("refused", None), tx_2=("failed", now + timedelta(seconds=1)),
        tx_3=("failed", now), tx_4=("sent", None), tx_5=("sent", now), tx_6=("sent", now + timedelta(minutes=9)),
        tx_7=("withdrawn", None),
    )  # fmt: skip
    assert synced.launches() == ["deliver 2026-03-03 2026-03-07"]


def test_what_a_run_had_no_time_for_is_taken_up(synced: Ticks, shop: Shop) -> None:
    want(synced.warehouse, shop, {"transaction_id": "tx_1"}, {"transaction_id": "tx_2", "occurred_at": days_ago(9)})
    delivered(synced.warehouse, tx_1=("sent", None))
    assert synced.launches() == ["deliver 2026-03-01 2026-03-01"]


def test_when_nothing_is_due_the_next_look_is_after_15_minutes(synced: Ticks, shop: Shop, clock: Clock) -> None:
    want(synced.warehouse, shop, {"transaction_id": "tx_1"})
    delivered(synced.warehouse, tx_1=("failed", clock.now + timedelta(minutes=1)))
    assert "next delivery check at 2026-03-10 14:15:00." in synced.waits()
    clock.forward(899)
    assert "next delivery check at 2026-03-10 14:15:00." in synced.waits()
    clock.forward(1)
    assert synced.launches() == ["deliver 2026-03-10 2026-03-10"]


@pytest.fixture
def sandbox(clock: Clock) -> Any:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


def test_only_failed_operations_are_retried_every_15_minutes(
    synced: Ticks, shop: Shop, sandbox: Sandbox, clock: Clock
) -> None:
    """Until they succeed, and each attempt is counted."""
    warehouse = synced.warehouse
    finmap = connect_finmap(synced.connection, sleep=lambda seconds: None)
    want(warehouse, shop, *({"transaction_id": f"tx_{n}", "occurred_at": days_ago(n % 3)} for n in range(9)))
    courier = Courier(warehouse, finmap, retry_every=RETRY, now=clock)
    sandbox.fault(Fault("error_201", "finmap", times=8, after=7))
    (first,) = synced.runs()
    courier.deliver(first.first_day, first.last_day)
    failed = {name for name, row in ledger(warehouse).items() if row["state"] == "failed"}
    assert len(failed) == 2

    rounds = 0
    sandbox.forget_requests()
    while clock.now < NOON + timedelta(hours=2):
        clock.forward(450)
        for run in synced.runs():
            if run.what == "deliver":
                rounds += 1
                assert clock.now == NOON + rounds * RETRY
                courier.deliver(run.first_day, run.last_day, minutes=45, every_failed=False)

    assert rounds == 4  # 8 errors: the first delivery's two, three rounds of two, then none
    assert len(writes(sandbox)) == 8
    assert {name: row["attempts"] for name, row in ledger(warehouse).items() if row["attempts"] > 1} == dict.fromkeys(
        failed, 5
    )
    assert set(live(shop).values()) == {1}
    assert len(live(shop)) == 9


def test_what_was_read_and_not_derived_is_delivered(keep_books: Callable[..., Any]) -> None:
    """As after a run of which some days could not be read, or one that was killed in between."""
    books = keep_books()
    books.sell(1)
    read_transactions(books.run, date(2026, 3, 1), MARCH)
    ticks = Ticks(books.run.connection, books.clock, books.warehouse).synced()
    assert ticks.launches() == ["deliver 2026-03-09 2026-03-09"]
    books.sync()
    books.clock.forward(3600)
    assert [run.what for run in ticks.runs()] == ["sync"]


# -- The whole history, now and then -----------------------------------------------------------------------------

JANUARY = (NEW_YEAR, date(2026, 1, 31))


def test_after_seven_days_the_history_is_read_a_month_at_a_time(since_new_year: Ticks, clock: Clock) -> None:
    assert since_new_year.launches() == ["sync 2026-01-01 2026-03-10"]  # what was never read is the sync's
    clock.forward(300)
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=7))
    clock.now = NOON
    since_new_year.synced()
    assert since_new_year.launches() == []
    since_new_year.synced()  # and looks again
    clock.forward(1)
    launched = []
    while run := since_new_year.rereads():
        launched.append(run)
        mark_read(since_new_year.warehouse, *run, clock.now)
        clock.forward(300)
    assert launched == [JANUARY, (date(2026, 2, 1), date(2026, 2, 28)), (date(2026, 3, 1), MARCH)]


def test_between_two_months_of_the_history_lie_five_minutes(since_new_year: Ticks, clock: Clock) -> None:
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=8))
    assert since_new_year.rereads() == JANUARY
    clock.forward(299)
    assert since_new_year.rereads() is None
    clock.forward(1)
    assert since_new_year.rereads() == JANUARY


def test_recent_days_alone_are_no_reason_for_a_full_reread(since_new_year: Ticks) -> None:
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=1))
    mark_read(since_new_year.warehouse, date(2026, 3, 3), MARCH, NOON - timedelta(days=8))
    assert since_new_year.rereads() is None


def test_a_month_that_failed_or_was_half_read_comes_again(since_new_year: Ticks, clock: Clock) -> None:
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=8))
    assert since_new_year.rereads() == JANUARY
    clock.forward(300)
    assert since_new_year.rereads() == JANUARY
    with since_new_year.warehouse.transaction() as con:
        con.execute("update complete_reads set read_at = $1 where resource = 'transactions'", [NOON])
    clock.forward(300)
    assert since_new_year.rereads() == JANUARY


def test_how_often_the_history_is_read_is_a_setting(connect: Callable[..., Connection], clock: Clock) -> None:
    often = Ticks(connect(start_date=NEW_YEAR, full_resync_every="1d"), clock)
    mark_read(often.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=2))
    assert often.rereads() == JANUARY


def test_a_start_date_moved_ahead_does_not_stop_the_reread(connect: Callable[..., Connection], clock: Clock) -> None:
    moved = Ticks(connect(start_date=date(2026, 2, 10)), clock)
    mark_read(moved.warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=8))
    assert moved.rereads() == (date(2026, 2, 10), date(2026, 2, 28))


# -- What could not be read --------------------------------------------------------------------------------------


def test_a_month_that_failed_in_a_first_import_stops_no_sync(
    connect: Callable[..., Connection], warehouse: Warehouse
) -> None:
    connection = connect(start_date=NEW_YEAR)
    mark_read(warehouse, NEW_YEAR, MARCH)
    with warehouse.transaction() as con:
        con.execute("delete from complete_reads where resource = 'transactions' and month(day) = 2")
    unreadable(warehouse, date(2026, 2, 1), date(2026, 2, 28), NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 3, 3), MARCH)
    with warehouse.transaction() as con:
        con.execute("delete from complete_reads where day = '2026-03-01'")
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 3, 1), MARCH)


def test_recent_days_that_failed_do_not_stop_the_others(
    connect: Callable[..., Connection], warehouse: Warehouse
) -> None:
    connection = connect(start_date=NEW_YEAR, lookback_days=20)
    mark_read(warehouse, NEW_YEAR, MARCH)
    unreadable(warehouse, date(2026, 2, 18), date(2026, 2, 28), NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 3, 1), MARCH)
    with warehouse.transaction() as con:
        con.execute("delete from unread_days")
    unreadable(warehouse, date(2026, 3, 1), MARCH, NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 2, 18), date(2026, 2, 28))
    unreadable(warehouse, date(2026, 2, 18), date(2026, 2, 28), NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 2, 18), MARCH), "when all failed, they are tried"


def test_the_next_try_goes_to_the_month_not_tried_longest(since_new_year: Ticks, clock: Clock) -> None:
    warehouse = since_new_year.warehouse
    mark_read(warehouse, NEW_YEAR, MARCH, NOON - timedelta(days=8))
    launched = []
    for _ in range(4):  # January fails each time
        days = since_new_year.rereads()
        assert days
        first, last = days
        launched.append(first.month)
        with warehouse.transaction() as con:
            con.execute(
                "update complete_reads set read_at = $1 where resource = 'orders' and day between $2 and $3",
                [clock.now, first, last],
            )
        if first.month == 1 and len(launched) == 1:
            unreadable(warehouse, first, last, clock.now, clock.now)
        elif first.month == 1:
            with warehouse.transaction() as con:
                con.execute("update unread_days set tried_at = $1", [clock.now])
        else:
            mark_read(warehouse, first, last, clock.now)
        clock.forward(300 if len(launched) < 3 else 3600)
    assert launched == [1, 2, 3, 1]


@pytest.mark.runs
def test_a_month_that_stays_unreadable_is_tried_ever_more_rarely(since_new_year: Ticks, clock: Clock) -> None:
    mark_read(since_new_year.warehouse, date(2026, 2, 1), MARCH)
    unreadable(since_new_year.warehouse, *JANUARY, NOON, NOON)
    tries = []
    for hour in range(1, 73):
        clock.forward(3600)
        if since_new_year.rereads():
            tries.append(hour)
            with since_new_year.warehouse.transaction() as con:
                con.execute("update unread_days set tried_at = $1", [clock.now])
    assert tries == [1, 2, 4, 8, 16, 32, 56]


def test_without_the_right_to_orders_the_history_is_left_alone(since_new_year: Ticks, clock: Clock) -> None:
    mark_read(since_new_year.warehouse, NEW_YEAR, MARCH)
    with since_new_year.warehouse.transaction() as con:
        con.execute("delete from complete_reads where resource = 'orders'")
    unreadable(since_new_year.warehouse, NEW_YEAR, MARCH, NOON, NOON, resource="orders")
    clock.forward(5 * 86400)
    assert since_new_year.rereads() is None
    mark_read(since_new_year.warehouse, date(2026, 3, 9), MARCH, clock.now)  # the right was given
    clock.forward(300)
    assert since_new_year.rereads() == JANUARY
