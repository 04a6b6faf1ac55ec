"""The sensor of a connection: what Dagster is told to launch, with what, and for whom it waits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.defs.connection_definitions import connection_definitions
from sitniks_finmap.defs.jobs import RANGE_END, RANGE_START
from sitniks_finmap.failpoint import KILLED, arm
from sitniks_finmap.pipeline.due import Memory
from sitniks_finmap.sandbox import Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.dagster_runs import add_run, status_of
from sitniks_finmap_tests.reads import everything_due
from sitniks_finmap_tests.sandbox.clients import Clock

KINDS = ["sync", "deliver", "full re-read"]
LOOKED = {"sync": (), "deliver": ("last_sync",), "full re-read": ("last_sync", "last_delivery_check")}
EACH = pytest.mark.parametrize("what", KINDS)


class Sensor:
    """The sensor as the daemon runs it: tick after tick, each with the cursor of the one before."""

    def __init__(self, connection: Connection, instance: dg.DagsterInstance, clock: Clock) -> None:
        self.clock = clock
        self.instance = instance
        self.cursor: str | None = None
        self.repository = connection_definitions(connection, now=clock).get_repository_def()
        self.definition = self.repository.get_sensor_def(f"{connection.name}_sensor")

    def tick(self) -> dg.RunRequest | str:
        """The run that it launches, or why it launches none."""
        with dg.build_sensor_context(self.instance, cursor=self.cursor, repository_def=self.repository) as context:
            answer = self.definition.evaluate_tick(context)
        self.cursor = answer.cursor
        if answer.run_requests:
            (request,) = answer.run_requests
            return request
        assert answer.skip_message
        return answer.skip_message

    def launches(self) -> dg.RunRequest:
        request = self.tick()
        assert isinstance(request, dg.RunRequest), request
        return request

    def waits(self) -> str:
        reason = self.tick()
        assert isinstance(reason, str), reason
        return reason

    def up_to(self, what: str) -> "Sensor":
        """What goes before this kind of run was done just now."""
        self.cursor = Memory(**dict.fromkeys(LOOKED[what], self.clock.now)).to_text()
        return self


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 90),
        ({"sync_every": "1m"}, 30),
        ({"retry_every": "10m"}, 60),
        ({"sync_every": "1d", "retry_every": "6h"}, 90),
    ],
)
def test_a_shop_is_looked_at_as_often_as_it_may_be_due(
    connect: Callable[..., Connection], settings: dict[str, str], seconds: int
) -> None:
    repository = connection_definitions(connect(**settings)).get_repository_def()
    assert repository.get_sensor_def("u1_sensor").minimum_interval_seconds == seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()  # 10 March 2026, 12:00 UTC, 14:00 in Kyiv


@pytest.fixture
def sensor(connection: Connection, dagster: dg.DagsterInstance, clock: Clock) -> Sensor:
    return Sensor(connection, dagster, clock)


@pytest.fixture
def due(warehouse: Warehouse, shop: Shop) -> None:
    """Each kind of run has something to do."""
    everything_due(warehouse, shop)


# -- What is launched --------------------------------------------------------------------------------------------


def test_a_run_has_its_job_days_connection_and_minutes(sensor: Sensor, due: None) -> None:
    requests = [sensor.launches() for _ in KINDS]
    assert [(one.job_name, one.tags[RANGE_START], one.tags[RANGE_END]) for one in requests] == [
        ("u1_sync", "2026-01-09", "2026-03-10"),
        ("u1_deliver", "2026-01-09", "2026-01-09"),
        ("u1_sync", "2025-01-10", "2025-01-31"),
    ]
    for request in requests:
        assert request.tags["connection"] == "u1"
        assert request.run_config["ops"] == {"u1__finmap_upload": {"config": {"minutes": 45}}}


def test_the_sensor_remembers_and_says_what_is_next(sensor: Sensor, clock: Clock) -> None:
    sensor.launches()
    sensor.waits()
    clock.forward(600)
    due = "Nothing is due. Next sync at 2026-03-10 15:00:00; next delivery check at 2026-03-10 14:15:00."
    assert sensor.waits() == due
    clock.forward(3000)
    sensor.launches()


@pytest.mark.parametrize("cursor", ["garbled", "2026-03-10T12:00:00+00:00", '{"last_sync": 5}'])
def test_a_garbled_or_old_cursor_starts_afresh(sensor: Sensor, clock: Clock, cursor: str) -> None:
    sensor.cursor = cursor
    assert sensor.launches().job_name == "u1_sync"
    assert sensor.cursor == Memory(last_sync=clock.now).to_text()


def test_before_the_start_date_it_skips_with_the_reason(
    connect: Callable[..., Connection], dagster: dg.DagsterInstance, clock: Clock
) -> None:
    sensor = Sensor(connect(start_date=clock.now.date() + timedelta(days=2)), dagster, clock)
    assert sensor.waits() == "The import starts on 2026-03-12."


def test_an_hour_that_comes_twice_has_two_run_keys(sensor: Sensor, clock: Clock) -> None:
    """Dagster drops a run whose key it has seen, for ever. On 25 October 2026 Kyiv has 03:30 twice."""
    clock.now = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    keys = []
    for _ in range(4):
        keys.append(sensor.launches().run_key)
        clock.forward(3600)
    assert keys == [
        "sync 2026-10-25T02:30:00+03:00",
        "sync 2026-10-25T03:30:00+03:00",
        "sync 2026-10-25T03:30:00+02:00",
        "sync 2026-10-25T04:30:00+02:00",
    ]


def test_runs_of_one_moment_have_different_run_keys(sensor: Sensor, due: None) -> None:
    assert len({sensor.launches().run_key for _ in KINDS}) == 3


@EACH
def test_a_tick_that_is_killed_before_it_answers_is_repeated(
    sensor: Sensor, due: None, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", die)
    cursor = sensor.up_to(what).cursor
    arm("cursor_advanced:1")
    try:
        with pytest.raises(SystemExit, match=str(KILLED)):
            sensor.tick()
    finally:
        arm(None)
    assert sensor.cursor == cursor
    assert str(sensor.launches().run_key).startswith(what)


# -- While something else goes on --------------------------------------------------------------------------------


@EACH
def test_nothing_is_launched_while_a_run_holds_the_connection(
    sensor: Sensor, warehouse: Warehouse, due: None, clock: Clock, what: str
) -> None:
    """What was due follows."""
    sensor.up_to(what)
    with warehouse.run(wait=0):  # a run of the command line, which the daemon knows nothing of
        assert "A run is in progress" in sensor.waits()
    clock.forward(30)
    assert str(sensor.launches().run_key).startswith(what)


@EACH
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_nothing_is_launched_while_a_run_waits_or_has_just_begun(
    sensor: Sensor, dagster: dg.DagsterInstance, clock: Clock, due: None, what: str, status: dg.DagsterRunStatus
) -> None:
    run_id = add_run(dagster, "u1", status, clock.now)
    assert f"Run {run_id[:8]} is in progress" in sensor.up_to(what).waits()


def test_the_run_of_another_connection_is_no_reason_to_wait(
    sensor: Sensor, dagster: dg.DagsterInstance, clock: Clock
) -> None:
    add_run(dagster, "u2", dg.DagsterRunStatus.STARTED, clock.now)
    sensor.launches()


@EACH
def test_a_killed_run_blocks_nothing_and_is_shown_as_failed(
    sensor: Sensor, dagster: dg.DagsterInstance, due: None, clock: Clock, what: str
) -> None:
    run_id = add_run(dagster, "u1", dg.DagsterRunStatus.STARTED, clock.now - timedelta(minutes=30))
    sensor.up_to(what).launches()
    assert status_of(dagster, run_id) is dg.DagsterRunStatus.FAILURE


def test_a_long_run_is_not_taken_for_a_killed_one(
    sensor: Sensor, dagster: dg.DagsterInstance, warehouse: Warehouse, clock: Clock
) -> None:
    run_id = add_run(dagster, "u1", dg.DagsterRunStatus.STARTED, clock.now - timedelta(hours=3))
    with warehouse.run(wait=0):
        sensor.waits()
    assert status_of(dagster, run_id) is dg.DagsterRunStatus.STARTED


def test_while_nothing_can_be_due_dagster_is_not_asked(
    sensor: Sensor, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the database of Dagster was asked")

    sensor.launches()
    sensor.waits()
    monkeypatch.setattr(dagster, "get_run_records", asked)
    assert "Nothing is due." in sensor.waits()


# -- Keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["SITNIKS", "FINMAP"])
def test_a_missing_key_is_a_failed_tick_that_names_it(
    sensor: Sensor, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is launched until the key is there; it shows even while nothing is due."""
    monkeypatch.setenv(f"U1_{side}_API_KEY", "  ")
    with pytest.raises(dg.Failure, match=f"u1: the environment variable U1_{side}_API_KEY is not set"):
        sensor.tick()
    assert sensor.cursor is None
    monkeypatch.setenv(f"U1_{side}_API_KEY", "a-key")
    sensor.launches()
    assert "Nothing is due." in sensor.waits()
    monkeypatch.delenv(f"U1_{side}_API_KEY")
    with pytest.raises(dg.Failure):
        sensor.tick()
