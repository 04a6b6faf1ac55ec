"""Warehouses that tests begin with, and pieces of their SQL, for tests of one macro alone."""

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sitniks_finmap.settings.private_files import private_files, private_folder
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse

ROW = (
    "insert into settings (connection, timezone, comment_fields, source_as_tag, on_change, on_delete, "
    "max_change_share, first_import, start_date, sitniks_url, finmap_url) "
    "values ('u1', 'Europe/Kyiv', ['description'], false, 'update', 'ask', 0.2, 'post', "
    "'2025-01-10', 'https://sitniks', 'https://finmap')"
)


def begun(warehouse: Warehouse) -> Warehouse:
    """The warehouse with its file, empty if there was none: to copy one takes a fifth of the time to make one."""
    private_folder(warehouse.path.parent)
    if not warehouse.path.exists():
        with private_files():
            warehouse.path.write_bytes(_empty())
    return warehouse


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        made = Warehouse(Path(folder), "empty")
        with made.transaction():
            pass
        return made.path.read_bytes()


def macro_text(macro: str) -> str:
    """The statement of sql/views.sql that makes this macro."""
    found = re.search(rf"create or replace macro {macro}\(.*?\n\]?.*?;\n", sql("macros"), re.DOTALL)
    assert found, macro
    return found[0]


def count(con: duckdb.DuckDBPyConnection, table: str = "settings") -> int:
    found = con.execute(f"select count(*) from {table}").fetchone()
    assert found
    return found[0]
