"""The programs of a server: what a sync without news costs, and what they all cost while nothing is due.

python -m benchmarks.deployment --before v0.1.0    # beside an earlier version, which any revision names
"""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from sitniks_finmap.pipeline.due import Memory

from .compare import ROOT, unpack
from .processes import Cost, cost_of, started
from .server import Served, serving

STATUS = dg.DagsterRunStatus
FINISHED = [STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED]
LONGEST = 1800.0  # seconds until all syncs have ended
SETTLING = 20.0  # seconds from then on until nothing is due


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="an earlier version: any revision that Git knows")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--syncs", type=int, default=10, help="how many of these shops are due")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the idle programs are watched")
    options = parser.parse_args()
    with TemporaryDirectory() as trees:
        versions = {"now": ROOT}
        if options.before:
            versions = {options.before: unpack(options.before, Path(trees)), **versions}
        for connections in options.connections:
            for version, tree in versions.items():
                with TemporaryDirectory() as folder:
                    os.chdir(folder)
                    title = f"{version}, {connections} shops"
                    measure(title, tree, Path(folder), connections, min(options.syncs, connections), options.seconds)
                    os.chdir(ROOT)


def measure(title: str, tree: Path, folder: Path, connections: int, syncs: int, seconds: float) -> None:
    names = [f"shop_{number:03}" for number in range(connections)]
    with serving(1, further_shops=names) as served, ExitStack() as stack:
        configure(tree, folder, names, served)

        def start(program: str, *arguments: str) -> int:
            return stack.enter_context(
                started([program, *arguments], folder / "programs.log", {"PYTHONPATH": str(tree)})
            )

        socket = folder / "code.sock"
        code = start("dagster", "code-server", "start", "--socket", str(socket), "-m", "sitniks_finmap.definitions")
        wait_until(socket.exists, "the code server has not started")
        before = cost_of(code)
        with dg.DagsterInstance.get() as instance:
            let_wait(instance, folder, names[syncs:])
            leaders = {
                "code server": code,
                "daemon": start("dagster-daemon", "run", "-w", "workspace.yaml"),
                "webserver": start("dagster-webserver", "-h", "127.0.0.1", "-p", "3998", "-w", "workspace.yaml"),
            }
            wait_until(lambda: count(instance, FINISHED) >= syncs, f"not all of {syncs} syncs have ended")
            time.sleep(SETTLING)
            failed = count(instance, [STATUS.FAILURE])
        after = cost_of(code)
        runs, rest = (after.ended - before.ended) / syncs, (after.living - before.living) / syncs
        costs = f"{runs:.2f} s of CPU in its process, {rest:.2f} s in the code server; {failed} failed"
        print(f"{title:<24}a sync takes {costs}", flush=True)
        show_idle(title, leaders, seconds)


def show_idle(title: str, leaders: dict[str, int], seconds: float) -> None:
    before = {name: cost_of(leader) for name, leader in leaders.items()}
    time.sleep(seconds)
    costs = {name: idle_cost(before[name], cost_of(leader), seconds) for name, leader in leaders.items()}
    costs["all"] = (sum(share for share, _ in costs.values()), sum(size for _, size in costs.values()))
    for name, (share, size) in costs.items():
        print(f"{title:<24}idle {name:<12}{share:>6.1f} % of a core{size:>8.0f} MB", flush=True)


def idle_cost(before: Cost, after: Cost, seconds: float) -> tuple[float, float]:
    return (after.cpu_seconds - before.cpu_seconds) / seconds * 100, after.megabytes


def wait_until(happened: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + LONGEST
    while not happened():
        if time.monotonic() > end:
            raise SystemExit(f"{otherwise} within {LONGEST:.0f} s")
        time.sleep(1)


def count(instance: dg.DagsterInstance, statuses: list[STATUS]) -> int:
    return instance.get_runs_count(dg.RunsFilter(statuses=statuses))


def configure(tree: Path, folder: Path, names: list[str], served: Served) -> None:
    start = datetime.now(UTC).date() - timedelta(days=14)
    tables = [
        f'[{name}]\nstart_date = {start}\nfinmap_account = "Каса"\nsitniks_url = "{served.sitniks_url}"\n'
        f'finmap_url = "{served.finmap_url}"\n'
        for name in names
    ]
    (folder / "connections.toml").write_text("\n".join(tables), "utf-8")
    (folder / "workspace.yaml").write_text(
        f"load_from:\n  - grpc_server:\n      socket: {folder}/code.sock\n      location_name: sitniks_finmap\n"
    )
    for name in names:
        os.environ[f"{name.upper()}_SITNIKS_API_KEY"] = served.sitniks_keys[name]
        os.environ[f"{name.upper()}_FINMAP_API_KEY"] = served.finmap_keys[name]
    home = folder / "data" / "dagster"
    home.mkdir(parents=True)
    shutil.copyfile(tree / "dagster.yaml", home / "dagster.yaml")
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder / "data")
    os.environ["DAGSTER_HOME"] = str(home)


def let_wait(instance: dg.DagsterInstance, folder: Path, names: list[str]) -> None:
    """Lets the sensors of these shops believe that they have just synced."""
    now = datetime.now(UTC)
    cursor = Memory(now, now, now).to_text()
    with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(folder / "workspace.yaml")])) as process:
        location = process.create_request_context().get_code_location("sitniks_finmap")
        for sensor in location.get_repository("__repository__").get_sensors():
            if sensor.name.removesuffix("_sensor") in names:
                data = SensorInstigatorData(cursor=cursor, sensor_type=sensor.sensor_type)
                origin, status = sensor.get_remote_origin(), InstigatorStatus.DECLARED_IN_CODE
                instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status, data))


if __name__ == "__main__":
    main()
