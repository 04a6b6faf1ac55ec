"""The time to read and to render the report of a year, and its size. `status` pays for the findings, too."""

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sitniks_finmap.clients.finmap import Account, Directory
from sitniks_finmap.people.look import look
from sitniks_finmap.pipeline.directory import save_directory
from sitniks_finmap.report.shop import page_of, report_of
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.years import fill

AIM_SECONDS, AIM_BYTES = 1.0, 400_000
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DIRECTORY = Directory([Account("acc1", "Каса", "UAH"), Account("acc3", "Долари", "USD")], {"income": [], "expense": []})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=36_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    connection = Connection.model_validate(
        {"name": "u1", "start_date": date(2025, 11, 27), "finmap_account": "Каса"}
    )  # fmt: skip
    os.environ |= {connection.sitniks_key_env: "a", connection.finmap_key_env: "b"}  # without them, nothing is judged
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder), "u1")
        with warehouse.transaction() as con:
            save_directory(con, connection, DIRECTORY)
            fill(con, NOW.date(), options.operations)
        for _ in range(options.rounds):
            _, findings = measured(lambda: look(connection, warehouse, NOW))
            report, reading = measured(lambda: report_of(connection, warehouse, NOW))
            html, rendering = measured(partial(page_of, report, NOW))
            size = len(html.encode())
            print(
                f"findings alone {findings}; findings and figures {reading}; rendering {rendering} "
                f"(aim {AIM_SECONDS} s); {size:,} bytes (aim {AIM_BYTES:,})"
            )


def measured(work: Callable[[], Any]) -> tuple[Any, str]:
    """What it returned, and the wall time and CPU that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, f"{time.perf_counter() - wall:.2f} s ({time.process_time() - cpu:.2f} s of CPU)"


if __name__ == "__main__":
    main()
