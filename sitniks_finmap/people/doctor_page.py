"""What doctor asks of a page of Sitniks' list, whichever list it is."""

from datetime import timedelta

import duckdb

RECENT = timedelta(days=30)  # what doctor looks at


def rows_with(con: duckdb.DuckDBPyConnection, condition: str, **values: object) -> int:
    """How many rows of the table `page` meet a condition."""
    (count,) = con.execute(f"select count(*) from page where {condition}", values).fetchone() or (0,)
    return count
