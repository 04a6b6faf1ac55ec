"""DuckDB on one thread and without its optimizer: to plan a query takes longer than to run it on a few rows."""

from typing import Any

import duckdb


def _optimizers() -> str:
    with duckdb.connect(config={"threads": 1}) as con:  # begins no thread: processes that import this are forked
        return ",".join(name for (name,) in con.execute("select name from duckdb_optimizers()").fetchall())


# Added to the settings with which a warehouse opens its file.
PLAIN: dict[str, Any] = {"threads": 1, "disabled_optimizers": _optimizers()}
