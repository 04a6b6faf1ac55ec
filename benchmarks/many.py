"""A hundred shops on one machine: how long an hour's syncs take with the real daemon, and what they cost.

python -m benchmarks.many --before v0.1.0    # beside an earlier version, which any revision names
"""

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

from sitniks_finmap.sandbox import Fault, Sandbox

from .compare import ROOT, unpack
from .deployment import configure, wait_until
from .processes import cost_of, started
from .server import Served

LONGEST = 3600.0  # seconds of a round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="an earlier version: any revision that Git knows")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--transactions", type=int, default=100, help="new ones of each shop")
    parser.add_argument("--dead", type=int, default=2, help="shops of these whose Finmap never answers well")
    parser.add_argument("--slow", type=int, default=0, help="shops after these whose Finmap answers after 20 seconds")
    parser.add_argument("--rounds", type=int, default=2, help="the first is an import, the next ones are hourly syncs")
    options = parser.parse_args()
    with TemporaryDirectory() as trees:
        versions = {"now": ROOT}
        if options.before:
            versions = {options.before: unpack(options.before, Path(trees)), **versions}
        for version, tree in versions.items():
            with TemporaryDirectory() as folder:
                os.chdir(folder)
                sell(version, tree, Path(folder), options)
                os.chdir(ROOT)


def sell(version: str, tree: Path, folder: Path, options: argparse.Namespace) -> None:
    """So many rounds with this version: sales in every shop, then one sync of each."""
    names = [f"shop_{number:03}" for number in range(options.connections)]
    processes = get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=serve, args=(there, names, options.dead, options.slow), daemon=True)
    server.start()
    served: Served = here.recv()
    for number in range(options.rounds):
        shutil.rmtree("data/dagster", ignore_errors=True)  # so that the next sync is due at once
        configure(tree, folder, names, served)
        here.send(options.transactions)
        here.recv()
        expected = (options.connections - options.dead - options.slow) * options.transactions * (number + 1)
        measure(f"{version}, round {number + 1}", tree, folder, here, expected)
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


def measure(title: str, tree: Path, folder: Path, pipe: Pipe, expected: int) -> None:
    """Starts the programs of a server, waits until Finmap has what is expected, and says what it took."""
    socket = folder / "code.sock"
    with ExitStack() as stack:

        def start(program: str, *arguments: str) -> int:
            return stack.enter_context(
                started([program, *arguments], folder / "programs.log", {"PYTHONPATH": str(tree)})
            )

        begun = time.monotonic()
        code = start("dagster", "code-server", "start", "--socket", str(socket), "-m", "sitniks_finmap.definitions")
        wait_until(socket.exists, "the code server has not started")
        daemon = start("dagster-daemon", "run", "-w", "workspace.yaml")
        webserver = start("dagster-webserver", "-h", "127.0.0.1", "-p", "3998", "-w", "workspace.yaml")
        first = most = spent = 0.0
        delivered = 0
        while delivered < expected and time.monotonic() - begun < LONGEST:
            time.sleep(2)
            pipe.send(0)
            delivered = pipe.recv()
            first = first or (time.monotonic() - begun if delivered else 0.0)
            cost = cost_of(code, daemon, webserver)
            most, spent = max(most, cost.megabytes), cost.cpu_seconds
            if sys.stderr.isatty():
                print(f"\r{title}: {delivered:,} of {expected:,}", end="", file=sys.stderr, flush=True)
        took = time.monotonic() - begun
    socket.unlink(missing_ok=True)
    took_text = f"{took:.0f} s ({first:.0f} s to the first), {spent:.0f} s of CPU, at most {most:,.0f} MB"
    print(f"{title}: {delivered:,} operations in {took_text}; an hour holds {3600 / took:.1f} of these", flush=True)


if __name__ == "__main__":
    main()
