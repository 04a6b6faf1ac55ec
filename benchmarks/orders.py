"""The time and memory to derive the operations of many orders, which DuckDB makes up by itself: no server, no HTTP."""

import argparse
import os
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sitniks_finmap.clients.finmap import Account, Directory
from sitniks_finmap.pipeline.directory import save_directory
from sitniks_finmap.pipeline.order_statuses import save_statuses, unresolved_lists
from sitniks_finmap.pipeline.reading import read_fields
from sitniks_finmap.pipeline.transform import derive
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse

from .contenders import Effort, in_fresh_process, measure, peak_megabytes

AIM_SECONDS = 2.0
AIM_MEGABYTES = 600
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
FIRST_DAY = date(2024, 1, 1)
CHANGED = 100  # one order in so many has a new version at the second derivation
SETTINGS = {
    "name": "benchmark",
    "start_date": FIRST_DAY,
    "finmap_account": "Каса",
    "source": "orders",
    "orders": {
        "paid": ["Виконано"],
        "prepaid": ["Передплата"],
        "refunded": ["Повернено"],
        "partly_refunded": ["Частково повернено"],
        "cancelled": ["Відмінено"],
        "stock_account": "Склад",
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for _ in range(options.rounds):
        with TemporaryDirectory() as folder:
            os.environ["SITNIKS_FINMAP_DATA"] = folder
            versions = in_fresh_process(fill, options.orders)
            effort, peak = in_fresh_process(derived)
            nothing = in_fresh_process(derived)
            few = in_fresh_process(derived_again)
        verdict = "reached" if effort.seconds < AIM_SECONDS and peak < AIM_MEGABYTES else "MISSED"
        print(f"{options.orders:,} orders in {versions:,} versions: {effort.items:,} operations, {_told(effort, peak)}")
        print(f"  aim below {AIM_SECONDS:.0f} s and {AIM_MEGABYTES} MB: {verdict}")
        print(f"  once more, when nothing has changed: {_told(*nothing)}")
        print(f"  once more, after one order in {CHANGED} has changed: {_told(*few)}", flush=True)


def _told(effort: Effort, peak: float) -> str:
    return f"{effort.seconds:.2f} s wall, {effort.cpu_seconds:.2f} s CPU, at most {peak:.0f} MB"


def warehouse() -> Warehouse:
    return open_warehouse(connection())


def connection() -> Connection:
    return Connection.model_validate(SETTINGS)


def fill(orders: int) -> int:
    """A warehouse with so many orders, read and none of them derived; how many versions they have."""
    accounts = [Account("account-1", "Каса", "UAH"), Account("account-2", "Склад", "UAH")]
    with warehouse().transaction() as con:
        save_statuses(con, unresolved_lists(connection()))
        save_directory(con, connection(), Directory(accounts, {}))
        con.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"), {"orders": orders})
        read_fields(con)
        (versions,) = con.execute("select count(*) from raw_sitniks_orders").fetchone() or (0,)
    return versions


def derived() -> tuple[Effort, float]:
    """What it takes to derive all that changed, with the peak of memory."""
    with warehouse().transaction() as con:

        def work() -> int:
            derive(con, FIRST_DAY, NOW.date(), NOW)
            (operations,) = con.execute("select count(*) from operations").fetchone() or (0,)
            return operations

        effort = measure(work)
    return effort, peak_megabytes()


def derived_again() -> tuple[Effort, float]:
    """The same, once a few orders have a new version."""
    with warehouse().transaction() as con:
        con.execute(
            "insert into raw_sitniks_orders select * replace (version + 1 as version) from latest_orders "
            "where order_id::bigint % $1 = 0",
            [CHANGED],
        )
    return derived()


if __name__ == "__main__":
    main()
