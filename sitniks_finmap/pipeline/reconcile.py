"""operations, finmap_operations → reconciliation, differences."""

import duckdb

from sitniks_finmap.warehouse.schema import sql


def reconcile(con: duckdb.DuckDBPyConnection) -> None:
    """Compares both sides, over all days: what one run wrote and another one read back is not left out."""
    con.execute("create or replace temp table planned as from plan")
    con.execute(sql("differences"))
    con.execute(sql("reconciliation"))
    con.execute("drop table planned")
