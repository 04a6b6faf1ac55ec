"""Searching everything that a run wrote for a key or a customer."""

from pathlib import Path

import duckdb


def as_text(path: Path) -> str:
    """Every value of every table."""
    with duckdb.connect(path) as con:
        tables = [name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()]
        return "".join(str(con.execute(f"from {table}").fetchall()) for table in tables)


def in_any_form(word: str) -> list[bytes]:
    """A word as bytes, and as JSON writes it in ASCII."""
    return [word.encode(), word.encode("ascii", "backslashreplace"), word.encode("utf-16-le")]
