"""A year of a shop in one step, for what looks at all of it: no server, no HTTP."""

from datetime import date
from pathlib import Path

import duckdb

from sitniks_finmap.pipeline.reconcile import reconcile

YEAR = Path(__file__).with_name("year_of_sales.sql").read_text("utf-8")


def fill(con: duckdb.DuckDBPyConnection, today: date, count: int) -> None:
    """`count` operations in a warehouse whose settings are saved, equal on both sides, and reconciled."""
    values = {"today": today, "count": count}
    for statement in con.extract_statements(YEAR):
        con.execute(statement, {name: values[name] for name in statement.named_parameters})
    reconcile(con)
