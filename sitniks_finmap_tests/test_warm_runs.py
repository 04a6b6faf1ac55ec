"""Runs of a code server with many shops: forked from a warm process, started, watched and ended like any others."""

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._cli.job import _create_run
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.server import DagsterApiServer

from sitniks_finmap import definitions
from sitniks_finmap.defs import warm
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.defs.launch import prepare_home
from sitniks_finmap.defs.warm import FEWEST, WARM, fork_runs, keep_warm
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.deliveries import live, once_each
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.records import DAY, put_many

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(sys.executable).with_name("dagster")
S = dg.DagsterRunStatus
SYNC = "u1_sync", DAY - timedelta(days=2), DAY


class Server:
    """A code server, and the runs that it is asked to start."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceRequestContext, pid: int) -> None:
        self.instance = instance
        self.workspace = workspace
        self.pid = pid

    def start(self, job: str, first_day: date, last_day: date) -> str:
        location = self.workspace.get_code_location("shops")
        repository = location.get_repository("__repository__")
        tags = {"connection": job.partition("_")[0], **range_tags(first_day, last_day)}
        found = repository.get_full_job(job)
        run = _create_run(self.instance, location, repository, found, {}, tags, None, None)
        self.instance.launch_run(run.run_id, self.workspace)
        return run.run_id

    def status(self, run_id: str) -> S:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run.status

    def ended(self, run_id: str) -> S:
        until(lambda: self.status(run_id) in (S.SUCCESS, S.FAILURE, S.CANCELED), 90)
        return self.status(run_id)

    def process_of(self, run_id: str) -> int:
        """The process ID of the run, as Dagster's first event of it says."""

        def said() -> list[str]:
            events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
            return re.findall(r"Started process for run \(pid: (\d+)\)", " ".join(one.message for one in events))

        until(said, 60)
        return int(said()[0])


@pytest.fixture
def server(
    project: Path, sandbox: Sandbox, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    for number in range(2, FEWEST + 1):
        connect(f"u{number}", sandbox.add_shop(f"shop_{number}").name)
    connect("u1")
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    prepare_home()
    socket = str(project / "code.sock")
    with dg.DagsterInstance.get() as instance:
        process = subprocess.Popen(  # noqa: S603
            [PROGRAM, "code-server", "start", "--socket", socket, "-m", "sitniks_finmap.definitions"],
            start_new_session=True,
        )
        try:
            until(lambda: Path(socket).exists(), 60)
            target = GrpcServerTarget(host="localhost", socket=socket, port=None, location_name="shops")
            with WorkspaceProcessContext(instance, target) as workspace:
                yield Server(instance, workspace.create_request_context(), process.pid)
        finally:
            process.terminate()
            process.wait(60)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text("utf-8").replace("\0", " ")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


@pytest.fixture
def half_done(server: Server, sandbox: Sandbox, shop: Shop) -> str:
    """A run that has sent some of twelve operations."""
    put_many(shop, 12)
    sandbox.fault(Fault("slow", "finmap", method="POST", times=12, seconds=2))
    run_id = server.start(*SYNC)
    until(lambda: live(shop), 60)
    return run_id


@pytest.mark.kill
def test_a_killed_run_is_reported_and_finished_by_the_next(server: Server, shop: Shop, half_done: str) -> None:
    os.kill(server.process_of(half_done), signal.SIGKILL)
    assert server.ended(half_done) is S.FAILURE
    assert server.ended(server.start(*SYNC)) is S.SUCCESS
    assert live(shop) == once_each(12)


@pytest.mark.kill
def test_a_run_that_is_ended_stops_between_two_operations(server: Server, shop: Shop, half_done: str) -> None:
    assert server.instance.run_launcher.terminate(half_done)
    assert server.ended(half_done) is S.CANCELED
    assert server.ended(server.start(*SYNC)) is S.SUCCESS
    assert live(shop) == once_each(12)


@pytest.mark.kill
def test_runs_are_forked_from_one_process_with_one_thread(server: Server, sandbox: Sandbox, shop: Shop) -> None:
    put_many(shop, 2)
    sandbox.fault(Fault("slow", "finmap", method="POST", times=4, seconds=2))
    runs = [server.start(*SYNC), server.start("u2_sync", DAY, DAY)]
    [process] = {parent_of(server.process_of(one)) for one in runs}
    assert WARM in command_of(process)
    assert len(list(Path(f"/proc/{process}/task").iterdir())) == 1
    assert {server.ended(one) for one in runs} == {S.SUCCESS}
    os.kill(process, signal.SIGKILL)  # as the system does that is out of memory
    assert server.ended(server.start(*SYNC)) is S.SUCCESS


@pytest.mark.kill
def test_a_run_whose_warm_process_dies_doubles_nothing(server: Server, sandbox: Sandbox, shop: Shop) -> None:
    """Dagster no longer knows how it ended; it goes on, and the next run waits for it."""
    put_many(shop, 12)
    sandbox.fault(Fault("slow", "finmap", method="POST", times=12, seconds=2))
    orphan = server.start(*SYNC)
    pid = server.process_of(orphan)
    until(lambda: live(shop), 60)
    os.kill(parent_of(pid), signal.SIGKILL)
    following = server.start(*SYNC)
    assert server.ended(following) is S.SUCCESS
    assert live(shop) == once_each(12)
    until(lambda: not Path(f"/proc/{pid}").exists(), 60)
    assert live(shop) == once_each(12)
    assert server.ended(orphan) in (S.SUCCESS, S.FAILURE)


def test_settings_changed_since_are_those_that_a_run_loads(
    connection: Connection, connect: Callable[..., Connection], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "kept", None)
    running, before = definitions.load()
    try:
        keep_warm(running, before)
    finally:
        gc.unfreeze()
    assert definitions.defs() is before
    connect("u2", sandbox.add_shop("other").name, source_as_tag=True)
    after = definitions.defs()
    assert after is not before
    assert after.resolve_job_def("u2_sync")


def test_a_few_shops_have_no_warm_process(monkeypatch: pytest.MonkeyPatch) -> None:
    start_run = DagsterApiServer.StartRun
    monkeypatch.setattr(DagsterApiServer, "StartRun", start_run)
    fork_runs(FEWEST - 1)
    assert DagsterApiServer.StartRun is start_run
    fork_runs(FEWEST)
    assert DagsterApiServer.StartRun is not start_run
