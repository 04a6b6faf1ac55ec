"""A hundred shops on one machine: how long an hour's syncs take with the real daemon, and what they cost."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

from sitniks_finmap.defs.launch import prepare_home
from sitniks_finmap.sandbox import Fault, Sandbox

from .server import Served

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--transactions", type=int, default=100, help="new ones of each shop")
    parser.add_argument("--dead", type=int, default=2, help="shops of these whose Finmap never answers well")
    parser.add_argument("--slow", type=int, default=0, help="shops after these whose Finmap answers after 20 seconds")
    parser.add_argument("--rounds", type=int, default=2, help="the first is an import, the next ones are hourly syncs")
    options = parser.parse_args()
    names = [f"shop_{number:03}" for number in range(options.connections)]
    processes = get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=serve, args=(there, names, options.dead, options.slow), daemon=True)
    server.start()
    served: Served = here.recv()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        configure(Path(folder), names, served)
        for number in range(options.rounds):
            shutil.rmtree("data/dagster", ignore_errors=True)  # so that the next sync is due at once
            prepare_home()
            here.send(options.transactions)
            here.recv()
            expected = (options.connections - options.dead - options.slow) * options.transactions * (number + 1)
            measure(f"round {number + 1}", here, expected)
    here.send(None)
    server.join(10)


def serve(pipe: Pipe, names: list[str], dead: int, slow: int) -> None:
    with Sandbox(keep_requests=1000) as sandbox:
        shops = [sandbox.add_shop(name) for name in names]
        for shop in shops[:dead]:
            sandbox.fault(Fault("status", "finmap", shop=shop.name, method="POST", times=None, status=503))
        for shop in shops[dead : dead + slow]:
            sandbox.fault(Fault("slow", "finmap", shop=shop.name, times=None, seconds=20))
        hindered = {shop.name for shop in shops[: dead + slow]}
        keys = [{shop.name: getattr(shop, f"{api}_key") for shop in shops} for api in ("sitniks", "finmap")]
        pipe.send(Served(sandbox.sitniks_url, sandbox.finmap_url, *keys))
        sold = 0
        while (asked := pipe.recv()) is not None:
            if asked:
                now = datetime.now(UTC)
                for shop in shops:
                    shop.put_transactions(
                        [
                            {
                                "id": f"tx_{sold + n}",
                                "createdAt": (now - timedelta(minutes=30, seconds=n)).isoformat(),
                                "amount": f"{100 + n}.50",
                                "description": "Оплата замовлення",
                            }
                            for n in range(asked)
                        ]
                    )
                sold += asked
            pipe.send(sum(len(shop.operations()) for shop in shops if shop.name not in hindered))


def configure(folder: Path, names: list[str], served: Served) -> None:
    start = datetime.now(UTC).date() - timedelta(days=14)
    tables = [
        f'[{name}]\nstart_date = {start}\nfinmap_account = "Каса"\nsitniks_url = "{served.sitniks_url}"\n'
        f'finmap_url = "{served.finmap_url}"\n'
        for name in names
    ]
    (folder / "connections.toml").write_text("\n".join(tables), "utf-8")
    (folder / "workspace.yaml").write_text("load_from:\n  - python_module: sitniks_finmap.definitions\n")
    for name in names:
        os.environ[f"{name.upper()}_SITNIKS_API_KEY"] = served.sitniks_keys[name]
        os.environ[f"{name.upper()}_FINMAP_API_KEY"] = served.finmap_keys[name]
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder / "data")
    os.environ["DAGSTER_HOME"] = str(folder / "data" / "dagster")


def measure(title: str, pipe: Pipe, expected: int) -> None:
    """Starts the daemon, waits until Finmap has what is expected, and says what it took."""
    with open("daemon.log", "ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-p", "3999"],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    started = time.monotonic()
    first = most = cpu = 0.0
    seen: dict[int, float] = {}
    delivered = 0
    try:
        while delivered < expected and time.monotonic() - started < 3600:
            time.sleep(2)
            pipe.send(0)
            delivered = pipe.recv()
            first = first or (time.monotonic() - started if delivered else 0.0)
            memory, spent = _tree(daemon.pid)
            most = max(most, memory)
            seen |= spent
            cpu = sum(seen.values())
            print(f"\r{title}: {delivered:,} of {expected:,}, {most:,.0f} MB", end="", file=sys.stderr, flush=True)
    finally:
        os.killpg(daemon.pid, signal.SIGINT)
        try:
            daemon.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
    took = time.monotonic() - started
    print(f"\n{title}: {delivered:,} operations in {took:.0f} s ({first:.0f} s to the first), "
          f"{cpu:.0f} s of CPU, at most {most:,.0f} MB; an hour holds {3600 / took:.1f} of these")  # fmt: skip


def _tree(leader: int) -> tuple[float, dict[int, float]]:
    """Megabytes resident (shared pages once) of all processes of a session, and CPU seconds of each."""
    memory, spent = 0.0, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != leader:
                continue
            spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / TICKS
            rollup = (folder / "smaps_rollup").read_text()
            memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return memory, spent


if __name__ == "__main__":
    main()
