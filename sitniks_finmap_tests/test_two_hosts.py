"""Two code servers with one Dagster, as two hosts have them: each started with its own shops, keys and files."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._cli.job import _create_run
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from sitniks_finmap.defs.hosts import known_hosts
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.defs.launch import prepare_home
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap_tests.processes import until

pytestmark = [pytest.mark.runs, pytest.mark.timeout(300)]

PROGRAM = Path(sys.executable).with_name("dagster")
S = dg.DagsterRunStatus
DAY = datetime.now(UTC).date() - timedelta(days=1)
TABLE = """
[{name}]
start_date = {day}
finmap_account = "Каса"
sitniks_url = "{sandbox.sitniks_url}"
finmap_url = "{sandbox.finmap_url}"
sitniks_requests_per_second = 0
finmap_requests_per_second = 0
"""


class Deployment:
    """One Dagster, and a code server for each host."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.servers: dict[str, tuple[subprocess.Popen[bytes], int]] = {}

    def start(self, host: str, **shops: str) -> None:
        """A host with these connections, each with the shop whose keys it has."""
        (home := self.folder / host).mkdir(exist_ok=True)
        tables = [TABLE.format(name=name, day=DAY, sandbox=self.sandbox) for name in shops]
        (home / "connections.toml").write_text("".join(tables), "utf-8")
        keys = {}
        for name, shop in shops.items():
            tenant = self.sandbox.shop(shop)
            keys |= {f"{name.upper()}_SITNIKS_API_KEY": tenant.sitniks_key}
            keys |= {f"{name.upper()}_FINMAP_API_KEY": tenant.finmap_key}
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        own = {
            "SITNIKS_FINMAP_DATA": str(home / "data"), "SITNIKS_FINMAP_CONNECTIONS": str(home / "connections.toml"),
            "XDG_STATE_HOME": str(home / "state"),
        }  # fmt: skip
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "sitniks_finmap.defs.code_server", "--host", "127.0.0.1", "--port", str(port), "-m",
             "sitniks_finmap.definitions"],
            cwd=home, env={**os.environ, **own, **keys}, start_new_session=True,
        )  # fmt: skip
        self.servers[host] = process, port

    def await_servers(self) -> None:
        for _, port in self.servers.values():
            until(lambda port=port: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 90)

    def kill(self, host: str) -> None:
        """All of its processes at once, as when a machine loses its power."""
        with_children = self.servers[host][0]
        os.killpg(with_children.pid, signal.SIGKILL)
        with_children.wait(30)

    def sync(self, instance: dg.DagsterInstance, host: str, name: str) -> tuple[S, str]:
        """A sync in the code location of this host, asked for as the daemon asks; how it ended, and why."""
        entries = [
            f"- grpc_server: {{host: 127.0.0.1, port: {port}, location_name: {one}}}"
            for one, (_, port) in self.servers.items()
        ]
        (self.folder / "workspace.yaml").write_text("load_from:\n" + "\n".join(entries), "utf-8")
        with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(self.folder / "workspace.yaml")])) as process:
            workspace = process.create_request_context()
            location = workspace.get_code_location(host)
            repository = location.get_repository("__repository__")
            tags = {"connection": name, **range_tags(DAY, date.today())}  # noqa: DTZ011
            job = repository.get_full_job(f"{name}_sync")
            run = _create_run(instance, location, repository, job, {}, tags, None, None)
            instance.launch_run(run.run_id, workspace)
            until(lambda: instance.get_run_by_id(run.run_id).status in (S.SUCCESS, S.FAILURE), 120)  # type: ignore[union-attr]
        failed = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RESOURCE_INIT_FAILURE)
        why = " ".join(str(one.dagster_event.event_specific_data) for one in failed if one.dagster_event)
        return instance.get_run_by_id(run.run_id).status, why  # type: ignore[union-attr]

    def operations(self, shop: str) -> int:
        return len(self.sandbox.shop(shop).operations())


@pytest.fixture
def deployment(project: Path, sandbox: Sandbox) -> Iterator[Deployment]:
    at = datetime(DAY.year, DAY.month, DAY.day, 10, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    for shop in ("one", "two"):
        sandbox.add_shop(shop).put_transactions([{"id": f"{shop}_{n}", "createdAt": at, "amount": n} for n in (1, 2)])
    deployment = Deployment(project, sandbox)
    with ExitStack() as ends:
        yield deployment
        for process, _ in deployment.servers.values():
            ends.callback(process.wait, 30)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def instance(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_runs_are_of_their_host_and_a_dead_one_stops_none(
    deployment: Deployment, instance: dg.DagsterInstance, project: Path
) -> None:
    deployment.start("host_a", a="one")
    deployment.start("host_b", b="two")
    deployment.await_servers()
    assert deployment.sync(instance, "host_a", "a")[0] is S.SUCCESS
    assert deployment.sync(instance, "host_b", "b")[0] is S.SUCCESS
    assert (deployment.operations("one"), deployment.operations("two")) == (2, 2)
    files = sorted(path.relative_to(project).as_posix() for path in project.glob("host_*/data/*.duckdb"))
    assert files == ["host_a/data/a.duckdb", "host_b/data/b.duckdb"]
    assert [(host.name, [*host.shops]) for host in known_hosts(instance)] == [("host_a", ["a"]), ("host_b", ["b"])]

    deployment.kill("host_a")
    assert deployment.sync(instance, "host_b", "b")[0] is S.SUCCESS


def test_one_shop_in_two_slices_is_refused_by_both_servers(
    deployment: Deployment, instance: dg.DagsterInstance
) -> None:
    deployment.start("host_a", shop="one")
    deployment.start("host_b", shop="one", b="two")
    deployment.await_servers()
    deployment.sync(instance, "host_b", "b")  # announces the host with both of its shops
    for host, other in (("host_a", "host_b"), ("host_b", "host_a")):
        ended, why = deployment.sync(instance, host, "shop")
        assert ended is S.FAILURE
        assert f"shop: this shop is on two hosts, {host} and {other}" in why
    assert (deployment.operations("one"), deployment.operations("two")) == (0, 2)
