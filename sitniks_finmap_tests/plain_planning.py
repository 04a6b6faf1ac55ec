"""DuckDB without its optimizer: for a few rows it takes longer to plan a query than to run it."""

from collections.abc import Callable

import duckdb

from sitniks_finmap.warehouse.store import Warehouse

Prepare = Callable[[Warehouse, duckdb.DuckDBPyConnection], None]


def planning_plainly(prepare: Prepare) -> Prepare:
    """`Warehouse._prepare`, which then plans every query of that connection as it is written."""

    def prepare_and_plan_plainly(warehouse: Warehouse, con: duckdb.DuckDBPyConnection) -> None:
        prepare(warehouse, con)
        con.execute("pragma disable_optimizer")

    return prepare_and_plan_plainly
