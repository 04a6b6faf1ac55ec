"""operations, finmap_operations → reconciliation, differences."""

import duckdb

from sitniks_finmap.warehouse.schema import sql


def reconcile(con: duckdb.DuckDBPyConnection) -> None:
    """Compare both sides over all days, because one run may write what another reads back."""
    con.execute("create or replace temp table planned as from plan")
    con.execute(sql("differences"))
    con.execute(sql("reconciliation"))
    con.execute("drop table planned")
