"""When things run by themselves: what the sync and the retry sensor launch, for which days, and when they wait."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.finmap import Finmap
from sitniks_finmap.clients.finmap import connect as connect_finmap
from sitniks_finmap.connections import Connection
from sitniks_finmap.defs.jobs import RANGE_END, RANGE_START
from sitniks_finmap.defs.sensor import connection_sensors
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.due import days_to_sync
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.warehouse.store import Warehouse, insert_rows
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.test_delivery import NOON, days_ago, ledger, live, want, writes

Which = Literal["sync", "retry", "full sync"]
BOTH = pytest.mark.parametrize("which", ["sync", "retry"])
RETRY = timedelta(minutes=15)


class Sensor:
    """One sensor as the daemon runs it: tick after tick, each with the cursor of the one before."""

    def __init__(self, which: Which, connection: Connection, instance: dg.DagsterInstance, clock: Clock) -> None:
        self.clock = clock
        self.instance = instance
        self.cursor: str | None = None
        sensors = connection_sensors(connection, now=clock)
        self.definition = dict(zip(("sync", "retry", "full sync"), sensors, strict=True))[which]

    def tick(self) -> dg.RunRequest | str:
        """The run that it launches, or why it launches none."""
        result: Any = self.definition(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        if isinstance(result, dg.SkipReason):
            return str(result.skip_message)
        self.cursor = result.cursor or self.cursor
        if result.run_requests:
            (request,) = result.run_requests
            return request
        return result.skip_reason.skip_message

    def launches(self) -> tuple[str, str]:
        """First and last day of the run that it launches."""
        request = self.tick()
        assert isinstance(request, dg.RunRequest), request
        return request.tags[RANGE_START], request.tags[RANGE_END]

    def waits(self) -> str:
        reason = self.tick()
        assert isinstance(reason, str), reason
        return reason


@pytest.fixture
def clock() -> Clock:
    return Clock()  # 10 March 2026, 12:00 UTC, 14:00 in Kyiv


@pytest.fixture
def sensor(connection: Connection, dagster: dg.DagsterInstance, clock: Clock) -> Callable[[Which], Sensor]:
    return lambda which: Sensor(which, connection, dagster, clock)


def read(warehouse: Warehouse, first: date, last: date, at: datetime = NOON) -> None:
    """Both resources of these days were read completely."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = [
        {"resource": resource, "day": day, "read_at": at, "run_id": "r"}
        for resource in ("transactions", "orders")
        for day in days
    ]
    with warehouse.transaction() as con:
        insert_rows(con, "complete_reads", rows, replacing=True)


def add_run(
    instance: dg.DagsterInstance, connection: str, status: dg.DagsterRunStatus, at: datetime | None = None
) -> str:
    run = dg.DagsterRun(f"{connection}_sync", make_new_run_id(), status=status, tags={"connection": connection})
    if at:
        instance.run_storage.add_historical_run(run, at)
    else:
        instance.add_run(run)
    return run.run_id


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


def test_the_first_sync_reads_everything_since_the_start_date(sensor: Callable[[Which], Sensor]) -> None:
    request = sensor("sync").tick()
    assert isinstance(request, dg.RunRequest)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2025-01-10", "2026-03-10")
    assert request.tags["connection"] == "u1"
    assert request.run_config["ops"] == {"u1__finmap_upload": {"config": {"minutes": 45}}}


def test_a_sync_reads_the_recent_days_again(sensor: Callable[[Which], Sensor], warehouse: Warehouse) -> None:
    read(warehouse, date(2025, 1, 10), date(2026, 3, 10))
    assert sensor("sync").launches() == ("2026-03-03", "2026-03-10")


def test_after_three_weeks_off_the_sync_begins_where_it_stopped(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse
) -> None:
    read(warehouse, date(2025, 1, 10), date(2026, 2, 17))
    assert sensor("sync").launches() == ("2026-02-18", "2026-03-10")


def test_a_first_import_that_died_goes_on_at_the_first_day_that_is_missing(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse
) -> None:
    read(warehouse, date(2025, 1, 10), date(2025, 1, 31))
    read(warehouse, date(2025, 3, 1), date(2026, 3, 10))
    assert sensor("sync").launches()[0] == "2025-02-01"


def test_a_day_of_which_only_one_resource_was_read_is_read_again(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse
) -> None:
    read(warehouse, date(2025, 1, 10), date(2026, 3, 10))
    with warehouse.transaction() as con:
        con.execute("delete from complete_reads where resource = 'orders' and day = '2025-06-01'")
    assert sensor("sync").launches()[0] == "2025-06-01"


def test_the_last_day_is_today_in_the_zone_of_the_connection_and_never_before_the_start(
    connect: Callable[..., Connection], warehouse: Warehouse
) -> None:
    late = datetime(2026, 3, 10, 22, 30, tzinfo=UTC)
    connection = connect(start_date=date(2026, 3, 9))
    assert days_to_sync(connection, warehouse, late) == (date(2026, 3, 9), date(2026, 3, 11))
    assert days_to_sync(connect(timezone="Europe/London"), warehouse, late)[1] == date(2026, 3, 10)


# -- How often ---------------------------------------------------------------------------------------------------


def test_a_sync_is_launched_every_hour_and_in_between_it_says_when_the_next_is_due(
    sensor: Callable[[Which], Sensor], clock: Clock
) -> None:
    sync = sensor("sync")
    sync.launches()
    clock.forward(3599)
    assert sync.waits() == "The next sync is due at 2026-03-10 15:00:00."
    clock.forward(1)
    sync.launches()


def test_the_frequency_is_that_of_the_configuration(
    connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock
) -> None:
    sync = Sensor("sync", connect(sync_every="1d"), dagster, clock)
    sync.launches()
    clock.forward(86399)
    assert sync.waits() == "The next sync is due at 2026-03-11 14:00:00."
    clock.forward(1)
    sync.launches()


@BOTH
def test_after_a_week_off_one_run_is_launched_and_not_a_hundred(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, clock: Clock, which: Which
) -> None:
    want(warehouse, shop, {})
    one = sensor(which)
    one.launches()
    clock.forward(7 * 86400)
    one.launches()
    assert "due at" in one.waits()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moved=st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_however_the_clock_is_set_a_sync_is_never_further_away_than_its_interval(
    sensor: Callable[[Which], Sensor], clock: Clock, moved: timedelta
) -> None:
    sync = sensor("sync")
    sync.cursor = (clock.now + moved).isoformat()
    before = clock.now
    if isinstance(sync.tick(), str):
        clock.forward(3600)
        sync.launches()
    clock.now = before


@BOTH
def test_a_clock_that_is_set_back_stops_nothing(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, clock: Clock, which: Which
) -> None:
    want(warehouse, shop, {"occurred_at": days_ago(60)})
    one = sensor(which)
    one.launches()
    clock.forward(-40 * 86400)
    one.launches()


def test_each_launch_has_a_run_key_of_its_own_even_in_the_hour_that_comes_twice(
    connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock
) -> None:
    """Dagster drops a run whose key it has seen, for ever. On 25 October 2026 Kyiv has 03:30 twice."""
    sync = Sensor("sync", connect(), dagster, clock)
    clock.now = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    keys = []
    for _ in range(4):
        request = sync.tick()
        assert isinstance(request, dg.RunRequest)
        keys.append(request.run_key)
        clock.forward(3600)
    assert keys == [
        "sync 2026-10-25T02:30:00+03:00",
        "sync 2026-10-25T03:30:00+03:00",
        "sync 2026-10-25T03:30:00+02:00",
        "sync 2026-10-25T04:30:00+02:00",
    ]


def test_the_sync_and_the_retry_of_one_moment_have_different_run_keys(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop
) -> None:
    want(warehouse, shop, {})
    requests = [sensor("sync").tick(), sensor("retry").tick()]
    assert len({request.run_key for request in requests if isinstance(request, dg.RunRequest)}) == 2


# -- While something else goes on --------------------------------------------------------------------------------


@BOTH
def test_nothing_is_launched_while_a_run_holds_the_connection_and_what_was_due_follows(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, clock: Clock, which: Which
) -> None:
    want(warehouse, shop, {})
    one = sensor(which)
    with warehouse.run(wait=0):  # a run of the command line, which the daemon knows nothing of
        assert "A run is in progress" in one.waits()
    clock.forward(30)
    one.launches()


@BOTH
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_nothing_is_launched_while_a_run_of_the_connection_waits_or_has_just_begun(
    sensor: Callable[[Which], Sensor], dagster: dg.DagsterInstance, warehouse: Warehouse, shop: Shop, clock: Clock,
    which: Which, status: dg.DagsterRunStatus,
) -> None:  # fmt: skip
    clock.now = datetime.now(UTC)
    want(warehouse, shop, {})
    run_id = add_run(dagster, "u1", status)
    assert f"Run {run_id[:8]} is in progress" in sensor(which).waits()


def test_the_run_of_another_connection_is_no_reason_to_wait(
    sensor: Callable[[Which], Sensor], dagster: dg.DagsterInstance
) -> None:
    add_run(dagster, "u2", dg.DagsterRunStatus.STARTED)
    sensor("sync").launches()


@BOTH
def test_a_run_that_was_killed_blocks_nothing_and_is_shown_as_failed(
    sensor: Callable[[Which], Sensor], dagster: dg.DagsterInstance, warehouse: Warehouse, shop: Shop, clock: Clock,
    which: Which,
) -> None:  # fmt: skip
    want(warehouse, shop, {})
    run_id = add_run(dagster, "u1", dg.DagsterRunStatus.STARTED, clock.now - timedelta(minutes=30))
    sensor(which).launches()
    run = dagster.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_long_run_that_holds_the_connection_is_not_taken_for_a_killed_one(
    sensor: Callable[[Which], Sensor], dagster: dg.DagsterInstance, warehouse: Warehouse, clock: Clock
) -> None:
    run_id = add_run(dagster, "u1", dg.DagsterRunStatus.STARTED, clock.now - timedelta(hours=3))
    with warehouse.run(wait=0):
        sensor("sync").waits()
    run = dagster.get_run_by_id(run_id)
    assert run
    assert run.status is dg.DagsterRunStatus.STARTED


@BOTH
@pytest.mark.parametrize("side", ["SITNIKS", "FINMAP"])
def test_a_connection_whose_key_is_missing_shows_a_failed_tick_that_names_the_variable_and_launches_nothing(
    sensor: Callable[[Which], Sensor], which: Which, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"U1_{side}_API_KEY", "  ")
    one = sensor(which)
    with pytest.raises(dg.Failure, match=f"u1: the environment variable U1_{side}_API_KEY is not set"):
        one.tick()
    assert one.cursor is None
    monkeypatch.setenv(f"U1_{side}_API_KEY", "a-key")
    if which == "sync":
        one.launches()


# -- Retries -----------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_retry_before_the_first_sync(sensor: Callable[[Which], Sensor], project: Path) -> None:
    assert sensor("retry").waits() == "Nothing failed, nothing waits."
    assert not (project / "data").exists() or not list((project / "data").glob("*.duckdb"))


def test_only_the_days_with_something_due_are_delivered(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, clock: Clock
) -> None:
    rows = [{"transaction_id": f"tx_{n}", "occurred_at": days_ago(n)} for n in range(8)]
    want(warehouse, shop, *rows)
    now = clock.now
    delivered(
        warehouse,
        tx_0=("verified", None), tx_1=("refused", None), tx_2=("failed", now + timedelta(seconds=1)),
        tx_3=("failed", now), tx_4=("sent", None), tx_5=("sent", now), tx_6=("sent", now + timedelta(minutes=9)),
        tx_7=("withdrawn", None),
    )  # fmt: skip

    request = sensor("retry").tick()

    assert isinstance(request, dg.RunRequest)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-03-03", "2026-03-07")
    assert request.run_config["ops"] == {"u1__finmap_upload": {"config": {"minutes": 45}}}


def test_what_a_run_had_no_time_for_is_taken_up(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"}, {"transaction_id": "tx_2", "occurred_at": days_ago(9)})
    delivered(warehouse, tx_1=("sent", None))
    assert sensor("retry").launches() == ("2026-03-01", "2026-03-01")


def test_when_nothing_is_due_the_next_look_is_after_15_minutes(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, clock: Clock
) -> None:
    want(warehouse, shop, {"transaction_id": "tx_1"})
    delivered(warehouse, tx_1=("failed", clock.now + timedelta(minutes=1)))
    retry = sensor("retry")
    assert retry.waits() == "Nothing failed, nothing waits."
    clock.forward(899)
    assert retry.waits() == "The next look is due at 2026-03-10 14:15:00."
    clock.forward(1)
    retry.launches()


def test_a_sync_that_is_due_goes_before_a_retry_and_a_recent_one_does_not(
    sensor: Callable[[Which], Sensor], dagster: dg.DagsterInstance, warehouse: Warehouse, shop: Shop, clock: Clock
) -> None:
    want(warehouse, shop, {})
    add_run(dagster, "u1", dg.DagsterRunStatus.SUCCESS, clock.now - timedelta(minutes=59))
    sensor("retry").launches()
    clock.forward(120)
    assert sensor("retry").waits() == "A sync is due and goes first: it brings what is new."


@pytest.fixture
def finmap(connection: Connection) -> Finmap:
    return connect_finmap(connection, sleep=lambda seconds: None)


@pytest.fixture
def sandbox(clock: Clock) -> Any:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


def test_failed_operations_are_retried_every_15_minutes_only_they_until_they_succeed_and_counted(
    sensor: Callable[[Which], Sensor], warehouse: Warehouse, shop: Shop, sandbox: Sandbox, clock: Clock, finmap: Finmap
) -> None:
    want(warehouse, shop, *({"transaction_id": f"tx_{n}", "occurred_at": days_ago(n % 3)} for n in range(9)))
    courier = Courier(warehouse, finmap, retry_every=RETRY, now=clock)
    sandbox.fault(Fault("error_201", "finmap", times=8, after=7))
    retry = sensor("retry")
    courier.deliver(*map(date.fromisoformat, retry.launches()))
    failed = {name for name, row in ledger(warehouse).items() if row["state"] == "failed"}
    assert len(failed) == 2

    rounds = 0
    sandbox.forget_requests()
    while clock.now < NOON + timedelta(hours=2):
        clock.forward(300)
        request = retry.tick()
        if isinstance(request, dg.RunRequest):
            rounds += 1
            assert clock.now == NOON + rounds * RETRY
            days = (date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END))
            courier.deliver(*days, minutes=45, every_failed=False)

    assert rounds == 4  # 8 errors: the first delivery's two, three rounds of two, then none
    assert len(writes(sandbox)) == 8
    assert {name: row["attempts"] for name, row in ledger(warehouse).items() if row["attempts"] > 1} == dict.fromkeys(
        failed, 5
    )
    assert set(live(shop).values()) == {1}
    assert len(live(shop)) == 9


# -- The whole history, now and then -----------------------------------------------------------------------------

NEW_YEAR = date(2026, 1, 1)


def history(warehouse: Warehouse, first: date, last: date, days_ago: int) -> None:
    read(warehouse, first, last, NOON - timedelta(days=days_ago))


@pytest.fixture
def full_sync(connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock) -> Sensor:
    return Sensor("full sync", connect(start_date=NEW_YEAR), dagster, clock)


def test_after_seven_days_the_history_is_read_again_a_month_at_a_time(full_sync: Sensor, warehouse: Warehouse) -> None:
    assert "All of the history was read within 7d" in full_sync.waits()  # nothing was read at all: that is the sync's
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=7)
    assert "All of the history was read within 7d" in full_sync.waits()
    full_sync.clock.forward(1)
    launched = []
    while isinstance(request := full_sync.tick(), dg.RunRequest):
        assert request.job_name is None  # the sensor's own job, the whole sync
        first, last = (date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END))
        launched.append((first, last))
        read(warehouse, first, last, full_sync.clock.now)
        full_sync.clock.forward(300)
    assert launched == [
        (NEW_YEAR, date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
        (date(2026, 3, 1), date(2026, 3, 10)),
    ]


def test_recent_days_alone_are_no_reason_for_a_full_sync(full_sync: Sensor, warehouse: Warehouse) -> None:
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=1)
    history(warehouse, date(2026, 3, 3), date(2026, 3, 10), days_ago=8)
    assert "All of the history" in full_sync.waits()


def test_a_month_that_failed_comes_again_and_one_of_which_only_one_list_was_read_too(
    full_sync: Sensor, warehouse: Warehouse
) -> None:
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=8)
    assert full_sync.launches() == full_sync.launches() == ("2026-01-01", "2026-01-31")
    with warehouse.transaction() as con:
        con.execute("update complete_reads set read_at = $1 where resource = 'transactions'", [NOON])
    assert full_sync.launches() == ("2026-01-01", "2026-01-31")


def test_how_often_the_history_is_read_again_stands_in_the_configuration(
    connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock, warehouse: Warehouse
) -> None:
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=2)
    often = Sensor("full sync", connect(start_date=NEW_YEAR, full_resync_every="1d"), dagster, clock)
    assert often.launches() == ("2026-01-01", "2026-01-31")


def test_a_start_date_that_was_moved_ahead_does_not_stop_the_full_sync(
    connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock, warehouse: Warehouse
) -> None:
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=8)
    moved = Sensor("full sync", connect(start_date=date(2026, 2, 10)), dagster, clock)
    assert moved.launches() == ("2026-02-10", "2026-02-28")


def test_the_full_sync_lets_a_run_of_the_connection_finish(
    full_sync: Sensor, warehouse: Warehouse, dagster: dg.DagsterInstance
) -> None:
    history(warehouse, NEW_YEAR, date(2026, 3, 10), days_ago=8)
    with warehouse.run(wait=0):
        assert "the history can wait" in full_sync.waits()
    assert full_sync.launches() == ("2026-01-01", "2026-01-31")


# -- What could not be read --


def unreadable(
    warehouse: Warehouse, first: date, last: date, since: datetime, tried: datetime, resource: str = "transactions"
) -> None:
    """Days that failed since then, and were tried last then."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    failed = {"resource": resource, "failing_since": since, "tried_at": tried, "forbidden": resource == "orders"}
    with warehouse.transaction() as con:
        insert_rows(con, "unread_days", [{**failed, "day": day, "reason": "Sitniks answered 500"} for day in days])


MARCH = date(2026, 3, 10)


def test_a_month_that_failed_in_a_first_import_is_not_the_syncs_any_more(
    connect: Callable[..., Connection], warehouse: Warehouse
) -> None:
    connection = connect(start_date=NEW_YEAR)
    read(warehouse, NEW_YEAR, MARCH)
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
    read(warehouse, NEW_YEAR, MARCH)
    unreadable(warehouse, date(2026, 2, 18), date(2026, 2, 28), NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 3, 1), MARCH)
    with warehouse.transaction() as con:
        con.execute("delete from unread_days")
    unreadable(warehouse, date(2026, 3, 1), MARCH, NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 2, 18), date(2026, 2, 28))
    unreadable(warehouse, date(2026, 2, 18), date(2026, 2, 28), NOON, NOON)
    assert days_to_sync(connection, warehouse, NOON) == (date(2026, 2, 18), MARCH), "when all failed, they are tried"


def test_the_next_try_goes_to_the_month_that_was_not_tried_longest(full_sync: Sensor, warehouse: Warehouse) -> None:
    history(warehouse, NEW_YEAR, MARCH, days_ago=8)
    launched = []
    for _ in range(4):  # January fails each time
        first, last = (date.fromisoformat(day) for day in full_sync.launches())
        launched.append(first.month)
        with warehouse.transaction() as con:
            con.execute(
                "update complete_reads set read_at = $1 where resource = 'orders' and day between $2 and $3",
                [full_sync.clock.now, first, last],
            )
        if first.month == 1 and len(launched) == 1:
            unreadable(warehouse, first, last, full_sync.clock.now, full_sync.clock.now)
        elif first.month == 1:
            with warehouse.transaction() as con:
                con.execute("update unread_days set tried_at = $1", [full_sync.clock.now])
        else:
            read(warehouse, first, last, full_sync.clock.now)
        full_sync.clock.forward(300 if len(launched) < 3 else 3600)
    assert launched == [1, 2, 3, 1]


@pytest.mark.runs
def test_a_month_that_stays_unreadable_is_tried_ever_more_rarely(full_sync: Sensor, warehouse: Warehouse) -> None:
    read(warehouse, date(2026, 2, 1), MARCH)
    unreadable(warehouse, NEW_YEAR, date(2026, 1, 31), NOON, NOON)
    tries = []
    for hour in range(1, 73):
        full_sync.clock.forward(3600)
        if isinstance(full_sync.tick(), dg.RunRequest):
            tries.append(hour)
            with warehouse.transaction() as con:
                con.execute("update unread_days set tried_at = $1", [full_sync.clock.now])
    assert tries == [1, 2, 4, 8, 16, 32, 56]


def test_without_the_right_to_orders_the_history_is_not_read_over_and_over(
    full_sync: Sensor, warehouse: Warehouse
) -> None:
    read(warehouse, NEW_YEAR, MARCH)
    with warehouse.transaction() as con:
        con.execute("delete from complete_reads where resource = 'orders'")
    unreadable(warehouse, NEW_YEAR, MARCH, NOON, NOON, resource="orders")
    full_sync.clock.forward(5 * 86400)
    assert "All of the history" in full_sync.waits()
    read(warehouse, date(2026, 3, 9), MARCH, full_sync.clock.now)  # the right was given
    assert full_sync.launches() == ("2026-01-01", "2026-01-31")


def test_what_was_read_and_not_derived_is_delivered(
    keep_books: Callable[..., Any], dagster: dg.DagsterInstance
) -> None:
    """As after a run of which some days could not be read, or one that was killed in between."""
    books = keep_books()
    books.sell(1)
    read_transactions(books.run, date(2026, 3, 1), MARCH)
    retry = Sensor("retry", books.run.connection, dagster, books.clock)
    assert retry.launches() == ("2026-03-09", "2026-03-09")
    books.sync()
    books.clock.forward(3600)
    assert "Nothing failed" in retry.waits()
