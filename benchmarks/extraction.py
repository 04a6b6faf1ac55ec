"""Reading and storing transactions: ours, dlt's rest_api source, and a bare loop that stores nothing."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import requests

from sitniks_finmap.clients.sitniks import PAGE_SIZE
from sitniks_finmap.pipeline.reading import months, store
from sitniks_finmap.pipeline.run import ConnectionRun

from .contenders import Effort, in_fresh_process, measure, open_run, show, show_ratio
from .server import FIRST_DAY, LAST_DAY, Served, serving

AIM_DLT = 5.0
AIM_BARE = 1 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    contenders: dict[str, Callable[[Served, Path], Effort]] = {"ours": ours, "dlt": dlt_rest_api, "bare loop": bare}
    efforts: dict[str, list[Effort]] = {name: [] for name in contenders}
    with serving(options.transactions) as served:
        for _ in range(options.rounds):
            for name, contender in contenders.items():
                with TemporaryDirectory() as folder:
                    effort = in_fresh_process(contender, served, Path(folder))
                if effort.items != options.transactions:
                    raise SystemExit(f"{name} has {effort.items} of {options.transactions} transactions")
                efforts[name].append(effort)
    print(f"{options.transactions:,} transactions, medians of {options.rounds} rounds")
    for name in contenders:
        show(name, "rows", efforts[name])
    show_ratio("ours to dlt", efforts["ours"], efforts["dlt"], AIM_DLT)
    show_ratio("ours to the bare loop", efforts["ours"], efforts["bare loop"], AIM_BARE)


# -- Ours: month by month into the warehouse, as the asset raw_sitniks_transactions does it. --


def ours(served: Served, folder: Path) -> Effort:
    extract(open_run(served, folder / "warm_up", sitniks="warm_up"))
    run = open_run(served, folder)
    return measure(lambda: extract(run))


def extract(run: ConnectionRun) -> int:
    """Returns how many transactions the warehouse has afterwards."""
    for first, last in months(FIRST_DAY, LAST_DAY):
        rows = run.sitniks.transactions(*run.bounds(first, last))
        with run.warehouse.transaction() as con:
            store(con, run, "transactions", rows, first, last)
    with run.warehouse.transaction() as con:
        return _count(con, "raw_sitniks_transactions")


# -- dlt, as its documentation sets up such a source. --


def dlt_rest_api(served: Served, folder: Path) -> Effort:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    merge(served, "warm_up", folder)
    return measure(lambda: merge(served, "demo", folder))


def merge(served: Served, shop: str, folder: Path) -> int:
    """Returns how many transactions the database has afterwards."""
    import dlt  # pyright: ignore[reportMissingImports]  # in the extra `benchmark` only
    from dlt.sources.rest_api import rest_api_source  # pyright: ignore[reportMissingImports]

    database = folder / f"{shop}.duckdb"
    pipeline = dlt.pipeline(
        f"benchmark_{shop}",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="benchmark",
    )
    pipeline.run(rest_api_source(_source(served, shop)))
    with duckdb.connect(database) as con:
        return _count(con, "benchmark.transactions")


def _source(served: Served, shop: str) -> Any:
    return {
        "client": {
            "base_url": served.sitniks_url + "/",
            "auth": {"type": "bearer", "token": served.sitniks_keys[shop]},
            "paginator": {
                "type": "offset",
                "limit": PAGE_SIZE,
                "limit_param": "limit",
                "offset_param": "skip",
                "total_path": "count",
            },
        },
        "resources": [
            {
                "name": "transactions",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {"path": "transactions", "data_selector": "data"},
            }
        ],
    }


# -- The bare loop: the least that reading can cost in Python. --


def bare(served: Served, _: Path) -> Effort:
    read(served, "warm_up")
    return measure(lambda: read(served, "demo"))


def read(served: Served, shop: str) -> int:
    """Returns how many transactions came."""
    rows: list[dict[str, Any]] = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {served.sitniks_keys[shop]}"
        while True:
            params = {"limit": PAGE_SIZE, "skip": len(rows)}
            page = session.get(f"{served.sitniks_url}/transactions", params=params, timeout=60).json()
            rows += page["data"]
            if len(rows) >= page["count"]:
                return len(rows)


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    (count,) = con.execute(f"select count(*) from {table}").fetchone() or (0,)
    return count


if __name__ == "__main__":
    main()
