"""Messages to people, really sent: one when something begins to need a human, one when it is over."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.connections import Connection
from sitniks_finmap.defs.alerts import alert_urls, checks_alert, failed_run_alert, send
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.sandbox import Shop
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.dagster_runs import QUIET

pytestmark = pytest.mark.runs

UPLOAD = "nothing_is_left_undelivered"
OPERATIONS = "sign_and_type_agree"


class Inbox:
    """A service that takes messages in apprise's JSON notation."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.messages.append((said["title"], said["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    inbox = Inbox()
    monkeypatch.setenv("ALERT_URLS", inbox.url)
    yield inbox
    inbox.close()


class Floor:
    """Runs small jobs that end as told, and lets the sensor look at each as the daemon would; says who got what."""

    def __init__(self, instance: dg.DagsterInstance, inbox: Inbox) -> None:
        self.instance = instance
        self.inbox = inbox
        self.last_run_id = ""

    def run(
        self,
        job: str = "u1_sync",
        *,
        why: str = "",
        only: str = "",
        tags: dict[str, str] | None = None,
        checks: dict[str, bool] | None = None,
    ) -> list[str]:
        """Runs `job`, failing for the reason `why`; `checks` are the evaluated ones. Returns the titles sent."""
        tags = {"connection": "u1"} if tags is None else tags
        self.last_run_id = self._execute(job, why, [dg.AssetKey(only)] if only else None, tags, checks or {})
        run = self.instance.get_run_by_id(self.last_run_id)
        ended = dg.DagsterEventType.RUN_FAILURE if why else dg.DagsterEventType.RUN_SUCCESS
        (entry,) = self.instance.all_logs(self.last_run_id, of_type=ended)
        assert run
        assert entry.dagster_event
        context = dg.build_run_status_sensor_context("alert", entry.dagster_event, self.instance, run)
        before = len(self.inbox.messages)
        if why:
            failed_run_alert(context.for_run_failure())
        else:
            checks_alert(context)
        return [title for title, _ in self.inbox.messages[before:]]

    def _execute(
        self, job: str, why: str, only: list[dg.AssetKey] | None, tags: dict[str, str], checks: dict[str, bool]
    ) -> str:
        @dg.asset
        def table() -> None:
            if why:
                raise dg.Failure(why, allow_retries=False)

        @dg.asset(deps=[table])
        def last_step() -> None:
            pass

        @dg.multi_asset_check(specs=[dg.AssetCheckSpec(name, asset="table") for name in checks] or [NO_CHECK])
        def look() -> Iterator[dg.AssetCheckResult]:
            for name, passed in (checks or {NO_CHECK.name: True}).items():
                words = {} if passed else {"problem": f"{name}: 3 are wrong.", "what_to_do": "Mend them."}
                yield dg.AssetCheckResult(asset_key="table", check_name=name, passed=passed, metadata=words)

        definitions = dg.Definitions([table, last_step], asset_checks=[look], jobs=[dg.define_asset_job(job)])
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, tags=tags, run_config=QUIET, asset_selection=only
        )
        return result.run_id


NO_CHECK = dg.AssetCheckSpec("no_other", asset="table")


@pytest.fixture
def floor(dagster: dg.DagsterInstance, inbox: Inbox) -> Floor:
    return Floor(dagster, inbox)


# -- Runs that fail ----------------------------------------------------------------------------------------------


def test_a_failing_connection_alerts_once_and_once_on_recovery(
    floor: Floor,
) -> None:
    assert floor.run() == []
    assert floor.run(why="u1: Finmap refused the key (401)") == ["u1: the sync failed"]
    assert floor.run(why="u1: Finmap refused the key (401)") == []
    assert floor.run(why="u1: another reason") == []
    assert floor.run() == ["u1: the sync works again"]
    assert floor.run() == []
    assert floor.run(why="u1: once more") == ["u1: the sync failed"]


def test_the_message_says_what_failed_and_where_to_look(floor: Floor, inbox: Inbox) -> None:
    floor.run(why="u1: Finmap refused the key (401); create a new one, then put it into .env")
    ((_, body),) = inbox.messages
    assert body.startswith("u1: Finmap refused the key (401); create a new one, then put it into .env\n")
    assert floor.last_run_id in body


def test_a_connection_that_fails_says_nothing_of_another(floor: Floor) -> None:
    floor.run(why="u1: broken")
    assert floor.run("u2_sync", tags={"connection": "u2"}) == []
    assert floor.run("u2_sync", why="u2: broken", tags={"connection": "u2"}) == ["u2: the sync failed"]


def test_a_successful_delivery_does_not_end_a_sync_failure(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sitniks refuses its key while failed operations are delivered every 15 minutes: one message, not a hundred."""
    monkeypatch.setattr("sitniks_finmap.defs.alerts.EARLIER", 2)  # more deliveries between two syncs than are looked at
    assert floor.run(why="u1: Sitniks refused the key (401)") == ["u1: the sync failed"]
    assert [floor.run("u1_deliver") for _ in range(3)] == [[], [], []]
    assert floor.run(why="u1: Sitniks refused the key (401)") == []
    assert floor.run("u1_deliver") == []
    assert floor.run() == ["u1: the sync works again"]


def test_a_successful_preview_does_not_end_a_sync_failure(floor: Floor) -> None:
    """A preview is the sync job without its last step."""
    assert floor.run(why="u1: Finmap refused the key (403)") == ["u1: the sync failed"]
    assert floor.run(only="table") == []
    assert floor.run(why="u1: Finmap refused the key (403)") == []


def test_a_run_that_belongs_to_no_connection_is_nobodys_alert(floor: Floor) -> None:
    assert floor.run("housekeeping", why="broken", tags={}) == []
    assert floor.run("housekeeping", tags={}, checks={UPLOAD: False}) == []


def test_a_run_that_a_person_started_at_an_asset_is_told_of_too(floor: Floor) -> None:
    """It has no tag: its assets, here of the connection "table", say whose it is."""
    assert floor.run(why="table: Finmap did not answer", tags={}, only="table") == ["table: the sync failed"]


# -- Checks that fail --------------------------------------------------------------------------------------------


def test_a_failing_check_alerts_once_and_once_when_all_pass(floor: Floor, inbox: Inbox) -> None:
    assert floor.run(checks={OPERATIONS: True, UPLOAD: True}) == []
    assert floor.run(checks={OPERATIONS: True, UPLOAD: False}) == [f"u1: {UPLOAD}: 3 are wrong."]
    assert inbox.messages[-1][1] == "Mend them."
    assert floor.run(checks={OPERATIONS: True, UPLOAD: False}) == []
    assert floor.run(checks={OPERATIONS: False, UPLOAD: False}) == [f"u1: {OPERATIONS}: 3 are wrong."]
    assert floor.run(checks={OPERATIONS: True, UPLOAD: False}) == []
    assert floor.run(checks={OPERATIONS: True, UPLOAD: True}) == ["u1: all checks pass again"]
    assert inbox.messages[-1][1] == 'No longer failing: "nothing is left undelivered".'
    assert floor.run(checks={OPERATIONS: True, UPLOAD: True}) == []


def test_a_check_that_fails_in_the_first_run_of_all_is_told(floor: Floor) -> None:
    assert floor.run(checks={UPLOAD: False}) == [f"u1: {UPLOAD}: 3 are wrong."]


def test_a_check_alert_says_what_is_wrong_and_what_to_do(
    connection: Connection, shop: Shop, dagster: dg.DagsterInstance, inbox: Inbox, connect: Callable[..., Connection]
) -> None:
    connection = connect(first_import="review")
    shop.put_transactions([{"id": "tx_1", "createdAt": "2025-01-15T10:00:00Z", "amount": 5}])
    look_at(dagster, run_job(dagster, connection, "sync", date(2025, 1, 15), date(2025, 1, 15)).run_id)
    ((title, body),) = inbox.messages
    assert title == "u1: Changes pending your decision: 1."
    assert body == (
        "`sitniks-finmap preview --connection u1` shows each with its reason; then run "
        "`sitniks-finmap approve --connection u1` or `sitniks-finmap dismiss --connection u1`."
    )


def test_a_check_that_stops_a_run_is_told_in_words(
    connection: Connection, shop: Shop, dagster: dg.DagsterInstance, inbox: Inbox
) -> None:
    shop.put_transactions([{"id": "tx_1", "createdAt": "2025-01-15T10:00:00Z", "amount": 5}])
    assert run_job(dagster, connection, "stage", date(2025, 1, 15), date(2025, 1, 15)).success
    with open_warehouse(connection).transaction() as con:
        con.execute("insert into operations from operations")
    ended = run_job(dagster, connection, "sync", date(2025, 1, 16), date(2025, 1, 16))
    assert not ended.success
    look_at(dagster, ended.run_id)
    ((title, body),) = inbox.messages
    assert title == "u1: the sync failed"
    assert body.startswith("Operations that share a transaction or an externalId with another one: 1 of 2. Nothing was")


def look_at(instance: dg.DagsterInstance, run_id: str) -> None:
    """What the daemon does when a run has ended."""
    run = instance.get_run_by_id(run_id)
    assert run
    failed = run.status is dg.DagsterRunStatus.FAILURE
    ended = dg.DagsterEventType.RUN_FAILURE if failed else dg.DagsterEventType.RUN_SUCCESS
    (entry,) = instance.all_logs(run_id, of_type=ended)
    assert entry.dagster_event
    context = dg.build_run_status_sensor_context("alert", entry.dagster_event, instance, run)
    failed_run_alert(context.for_run_failure()) if failed else checks_alert(context)


def test_a_check_that_was_not_evaluated_raises_no_alert(floor: Floor) -> None:
    """A preview evaluates the checks of operations and not those of finmap_upload: that is no all-clear."""
    assert floor.run(checks={OPERATIONS: True, UPLOAD: False}) == [f"u1: {UPLOAD}: 3 are wrong."]
    assert floor.run(checks={OPERATIONS: True}) == []
    assert floor.run(checks={OPERATIONS: True, UPLOAD: False}) == []
    assert floor.run("u1_deliver", checks={UPLOAD: True}) == ["u1: all checks pass again"]
    assert floor.run(checks={OPERATIONS: True, UPLOAD: True}) == []


# -- The way of a message ----------------------------------------------------------------------------------------


def test_without_alert_urls_the_message_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ALERT_URLS", " ")
    assert not send("u1: the sync failed", "why")
    assert "u1: the sync failed: why" in caplog.text


def test_everybody_gets_it(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Inbox()
    monkeypatch.setenv("ALERT_URLS", f" {inbox.url},\n{other.url} ")
    assert len(alert_urls()) == 2
    assert send("u1: the sync failed", "чому")
    assert inbox.messages == other.messages == [("u1: the sync failed", "чому")]
    other.close()


def test_an_unreachable_alert_service_stops_nobody(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The other services get the message, the caller goes on, and the token is not logged."""
    monkeypatch.setenv("ALERT_URLS", f"json://user:t0kensecret@127.0.0.1:1/ {inbox.url} nonsense://t0kensecret/x")
    with caplog.at_level(logging.DEBUG):
        send("u1: the sync failed", "why")
    assert [title for title, _ in inbox.messages] == ["u1: the sync failed"]
    assert "could not be sent to every service" in caplog.text
    assert "t0kensecret" not in caplog.text
