"""Jobs from the command line: runs like any other in the UI, and what is said when Dagster cannot be used."""

import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.webserver import DagsterWebserver

from sitniks_finmap.cli.terminal import run
from sitniks_finmap.defs.launch import instance, prepare_home, run_job
from sitniks_finmap.defs.storage import RunsUnavailable
from sitniks_finmap.people.query import read_only
from sitniks_finmap.pipeline import deliver
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse
from sitniks_finmap_tests.processes import Other, Pipe, processes, until
from sitniks_finmap_tests.records import transaction

pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]  # processes that import Dagster anew
ROOT = Path(__file__).parents[1]
Ask = Callable[..., dict[str, Any]]


# -- Runs as the UI sees them --


@pytest.fixture
def ask(
    connect: Callable[..., Connection],
    sandbox: Sandbox,
    home: dg.DagsterInstance,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ask]:
    """The GraphQL of a webserver over two connections, u1 and u2, with the workspace.yaml of the project."""
    sandbox.add_shop("other")
    connect("u2", "other")
    connect("u1")
    monkeypatch.setenv("SITNIKS_FINMAP_CONNECTIONS", str(project / "connections.toml"))
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(project / "data"))
    target = WorkspaceFileTarget(paths=[str(ROOT / "workspace.yaml")])
    with WorkspaceProcessContext(home, target, version="test") as context:
        application = DagsterWebserver(context).create_asgi_app()
        server = uvicorn.Server(uvicorn.Config(application, log_level="critical", lifespan="off"))
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/graphql"

        def ask(query: str, **variables: Any) -> dict[str, Any]:
            answer = requests.post(url, json={"query": query, "variables": variables}, timeout=60).json()
            assert "errors" not in answer, answer
            return answer["data"]

        yield ask
        server.should_exit = True
        thread.join()


@pytest.fixture
def home() -> Iterator[dg.DagsterInstance]:
    with instance() as dagster:
        yield dagster


RUNS = """
    query ($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
        runId status hasReExecutePermission pipelineSnapshotId parentPipelineSnapshotId
        repositoryOrigin { repositoryName repositoryLocationName }
    } } } }
"""
JOBS = """
    { repositoriesOrError { ... on RepositoryConnection { nodes {
        name location { name } pipelines { name pipelineSnapshotId runs(limit: 9) { runId } }
    } } } }
"""


def test_runs_of_the_command_are_runs_of_the_location(
    ask: Ask, home: dg.DagsterInstance, connection: Connection
) -> None:
    day = connection.start_date
    runs = {run_job(home, connection, what, day, day).run_id: what for what in ("sync", "preview", "deliver")}
    (repository,) = ask(JOBS)["repositoriesOrError"]["nodes"]
    jobs = {job["name"]: job for job in repository["pipelines"]}
    # Timeline and the page of a job ask for runs with the label of the location
    label = f"{repository['name']}@{repository['location']['name']}"
    found = ask(RUNS, filter={"tags": [{"key": ".dagster/repository", "value": label}]})["runsOrError"]["results"]
    assert {run["runId"]: run["status"] for run in found} == dict.fromkeys(runs, "SUCCESS")
    for one in found:
        job = jobs["u1_deliver" if runs[one["runId"]] == "deliver" else "u1_sync"]
        assert one["runId"] in [run["runId"] for run in job["runs"]]
        # the UI warns before it re-executes unless origin and snapshot are those of a job that it has loaded
        assert one["repositoryOrigin"] == {
            "repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]
        }  # fmt: skip
        assert job["pipelineSnapshotId"] in (one["pipelineSnapshotId"], one["parentPipelineSnapshotId"])
        assert one["hasReExecutePermission"]


# -- Ctrl-C --


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_canceled_and_lets_go(
    number: signal.Signals, connection: Connection, shop: Shop, sandbox: Sandbox, home: dg.DagsterInstance
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    day = connection.start_date
    shop.put_transaction(transaction(1, day))
    sandbox.fault(Fault("slow_after", api="finmap", method="POST", path="/operations", seconds=2))

    def interrupt() -> None:
        until(shop.operations, seconds=60)  # stored, and not answered yet
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_job(home, connection, "sync", day, day)
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    (record,) = home.get_run_records()
    assert record.dagster_run.status is dg.DagsterRunStatus.CANCELED
    assert not open_warehouse(connection).is_running()
    sandbox.clear_faults()
    assert run_job(home, connection, "sync", day, day).success
    assert [row["externalId"] for row in shop.operations()] == ["u1:tx_1"]


ENDLESS = "select max(one.range + other.range) from range(10000000) one, range(10000000) other"


@contextmanager
def a_signal_soon(number: signal.Signals) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # as in what a test runner starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, signal.pthread_kill, (threading.main_thread().ident or 0, number))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_in_a_query_is_canceled_too(
    number: signal.Signals, connection: Connection, home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB drops what the signal raises: the run failed by an "unexpected RuntimeError"."""
    before = signal.getsignal(signal.SIGTERM)

    def query(warehouse: Warehouse) -> None:
        with warehouse.transaction() as con, a_signal_soon(number):
            con.execute("set threads = 1")  # DuckDB may not notice a signal while other threads of it work
            con.execute(ENDLESS)

    day = connection.start_date
    try:
        with monkeypatch.context() as patch:
            patch.setattr(deliver, "guard_delivery", query)
            with pytest.raises(KeyboardInterrupt):
                run_job(home, connection, "sync", day, day)
    finally:
        signal.signal(signal.SIGTERM, before)
    (record,) = home.get_run_records()
    assert record.dagster_run.status is dg.DagsterRunStatus.CANCELED
    with open_warehouse(connection).transaction() as con:
        ended = con.execute("select error from last_runs where what = 'sync'").fetchone()
    assert ended == ("u1: the run was interrupted; the next one continues where it stopped",)


def test_a_long_query_can_be_interrupted(connection: Connection, home: dg.DagsterInstance) -> None:
    assert run_job(home, connection, "sync", connection.start_date, connection.start_date).success
    with pytest.raises(KeyboardInterrupt), a_signal_soon(signal.SIGINT):
        read_only(ENDLESS, connection)


# -- Dagster's home --


@pytest.mark.parametrize("home", ["data/dagster", "/tmp/what?/dagster", "/tmp/100%20/dagster"])  # noqa: S108
def test_a_home_that_dagster_cannot_use_is_said_before(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    with pytest.raises(ConfigurationError, match="DAGSTER_HOME"):
        prepare_home()


def test_invalid_dagster_settings_are_reported_with_their_file() -> None:
    (prepare_home() / "dagster.yaml").write_text("telemetry: 1\n")
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml"), instance():
        pass


def test_a_locked_database_of_runs_is_reported_with_the_remedy(
    connection: Connection, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with instance() as dagster:
        assert dagster.get_run_records() == []
    with closing(sqlite3.connect(prepare_home() / "history" / "runs.db", isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        day = connection.start_date
        assert not run("sync", connection, (day, day))
    said = capsys.readouterr().out
    assert said.startswith("✗ u1: Dagster's database of runs")
    assert "database is locked. Stop the program that uses it" in said
    assert "Traceback" not in said


def open_new_homes(pipe: Pipe, together: Barrier, homes: list[Path]) -> None:
    """Opens each home at the same moment as another process; says what went wrong in them."""
    pipe.send("ready")
    failures = []
    for home in homes:
        os.environ["DAGSTER_HOME"] = str(home)
        together.wait(60)
        try:
            with instance() as dagster:
                dagster.get_run_records()
        except Exception as error:
            failures.append(f"{home.name}: {error}")
    pipe.send(failures)


def test_two_commands_may_be_the_first_at_the_same_moment(project: Path) -> None:
    """Dagster makes its tables without a lock; ten of twelve pairs failed at "table runs already exists"."""
    together = processes.Barrier(2)
    homes = [project / f"home{number}" for number in range(6)]
    both = [Other(open_new_homes, together, homes) for _ in range(2)]
    assert [one.pipe.recv() for one in both] == [[], []]


def test_what_is_no_matter_of_the_database_stays_what_it_is(connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), instance():
        raise ZeroDivisionError
    with instance():
        (prepare_home() / "history" / "runs.db").write_bytes(b"no database")
    with pytest.raises(RunsUnavailable, match="cannot be used"), instance() as dagster:
        dagster.get_run_records()
