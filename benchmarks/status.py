"""`status` of one shop and of many: where a file may have changed since it was last seen, and where none did."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sitniks_finmap.days import utc_now
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.transform import derive_operations

from .contenders import Effort, in_fresh_process, measure, open_run
from .server import FIRST_DAY, LAST_DAY, Served, serving

AIM_CPU = 0.5  # seconds, of one shop
START = "import duckdb, pydantic; from pydantic import BaseModel"  # libraries that `status` cannot do without
STATUS = "import sys; sys.argv[1:] = ['status']; from sitniks_finmap.cli.entry import main; main()"
FIRST = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory() as name, serving(options.operations) as served:
        folder = Path(name)
        in_fresh_process(sync, served, folder / "data")
        os.chdir(folder)
        for connections in options.connections:
            configure(folder, connections)
            compare(folder, connections, options.rounds)


def sync(served: Served, data: Path) -> None:
    run = open_run(served, data)
    with run.warehouse.run(0):
        read_transactions(run, FIRST_DAY, LAST_DAY)
        derive_operations(run, FIRST_DAY, LAST_DAY)
        deliver(run, FIRST_DAY, LAST_DAY)
        read_back(run, FIRST_DAY, LAST_DAY, utc_now())
        with run.warehouse.transaction() as con:
            reconcile(con)


def configure(folder: Path, connections: int) -> None:
    """So many shops, each with the data of the first."""
    names = [FIRST, *(f"shop_{number:03}" for number in range(1, connections))]
    (folder / "connections.toml").write_text(
        "\n".join(f'[{name}]\nstart_date = {FIRST_DAY}\nfinmap_account = "Каса"\n' for name in names), "utf-8"
    )
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder / "data")
    for name in names:
        os.environ[f"{name.upper()}_SITNIKS_API_KEY"] = f"a-{name}"
        os.environ[f"{name.upper()}_FINMAP_API_KEY"] = f"b-{name}"
        for source in (folder / "data" / f"{FIRST}.duckdb", folder / "data" / "read" / f"{FIRST}.duckdb"):
            if name != FIRST:
                shutil.copyfile(source, source.with_name(f"{name}.duckdb"))


def compare(folder: Path, connections: int, rounds: int) -> None:
    efforts: dict[str, list[Effort]] = {"libraries": [], "anew": [], "kept": []}
    for _ in range(rounds):
        shutil.rmtree(folder / "data" / "seen", ignore_errors=True)
        efforts["libraries"].append(measure(python("-c", START)))
        efforts["anew"].append(measure(python("-c", STATUS)))
        efforts["kept"].append(measure(python("-c", STATUS)))
    cpu = {name: median(one.cpu_seconds for one in those) for name, those in efforts.items()}
    wall = {name: median(one.seconds for one in those) for name, those in efforts.items()}
    print(f"status of {connections} shops, medians of {rounds} rounds")
    for name in efforts:
        times = cpu[name] / cpu["libraries"]
        print(f"{name:<12}{wall[name]:>8.2f} s wall{cpu[name]:>8.2f} s CPU, {times:.1f} × that of the libraries")
    if connections == 1:
        print(f"aim {AIM_CPU} s of CPU: {'reached' if cpu['kept'] <= AIM_CPU else 'MISSED'}")


def python(*arguments: str) -> Callable[[], int]:
    def run() -> int:
        ended = subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
        if ended.stderr:
            raise SystemExit(ended.stderr.decode())
        return 1

    return run


if __name__ == "__main__":
    main()
