"""operations, finmap_operations → reconciliation, differences."""

import duckdb

from sitniks_finmap.pipeline.plan import planned
from sitniks_finmap.warehouse.schema import sql


def reconcile(con: duckdb.DuckDBPyConnection) -> None:
    """Compare both sides over all days, because one run may write what another reads back."""
    with planned(con):
        con.execute(sql("differences"))
        con.execute(sql("reconciliation"))
