"""The most memory that extract and transform take for many transactions, and how long each step is."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sitniks_finmap.pipeline.directory import read_directory, save_directory
from sitniks_finmap.pipeline.reading import months, store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive

from .contenders import in_fresh_process, open_run, peak_megabytes
from .extraction import extract
from .server import FIRST_DAY, LAST_DAY, Served, serving

AIM_MEGABYTES = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=200_000)
    options = parser.parse_args()
    with serving(options.transactions, orders=True) as served, TemporaryDirectory() as folder:
        operations, peak = in_fresh_process(carry, served, Path(folder))
    if operations != options.transactions:
        raise SystemExit(f"{operations} operations of {options.transactions} transactions")
    verdict = "reached" if peak < AIM_MEGABYTES else "MISSED"
    print(f"{options.transactions:,} transactions, {options.transactions // 2:,} orders: at most {peak:.0f} MB; "
          f"aim below {AIM_MEGABYTES} MB: {verdict}")  # fmt: skip


def carry(served: Served, folder: Path) -> tuple[int, float]:
    """Every step up to the operations; how many there are then, and the peak of memory."""
    run = open_run(served, folder)
    print(f"{'before the first step':<24}{'':>12} {peak_megabytes():>6.0f} MB at most until now", flush=True)
    for title, step in STEPS.items():
        with _reported(title):
            step(run)
    with run.warehouse.transaction() as con:
        (operations,) = con.execute("select count(*) from operations").fetchone() or (0,)
    return operations, peak_megabytes()


def extract_orders(run: ConnectionRun) -> None:
    for first, last in months(FIRST_DAY, LAST_DAY):
        rows = run.sitniks.orders(*run.bounds(first, last))
        with run.warehouse.transaction() as con:
            store(con, run, "orders", rows, first, last)


def transform(run: ConnectionRun) -> None:
    directory = read_directory(run.finmap, run.connection)
    with run.warehouse.transaction() as con:
        save_directory(con, run.connection, directory)
        derive(con, FIRST_DAY, LAST_DAY)


STEPS: dict[str, Callable[[ConnectionRun], object]] = {
    "extract transactions": extract,
    "extract orders": extract_orders,
    "transform": transform,
    "extract again, unchanged": extract,
    "transform again": transform,
}


@contextmanager
def _reported(title: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    print(f"{title:<24}{seconds:>8.1f} s   {peak_megabytes():>6.0f} MB at most until now", flush=True)


if __name__ == "__main__":
    main()
