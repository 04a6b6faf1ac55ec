"""Warehouses that tests begin with, and pieces of their SQL, for tests of one macro alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from sitniks_finmap.settings.private_files import private_files, private_folder
from sitniks_finmap.warehouse.duckdb_files import close_file, open_file
from sitniks_finmap.warehouse.schema import migrate, sql
from sitniks_finmap.warehouse.store import SETTINGS, STORAGE_VERSION, Warehouse

MADE = pytest.mark.parametrize("new_files", ["made"], indirect=True)  # not copied

ROW = (
    "insert into settings (connection, timezone, comment_fields, source_as_tag, on_change, on_delete, "
    "max_change_share, first_import, start_date, sitniks_url, finmap_url) "
    "values ('u1', 'Europe/Kyiv', ['description'], false, 'update', 'ask', 0.2, 'post', "
    "'2025-01-10', 'https://sitniks', 'https://finmap')"
)


def open_begun(path: Path, settings: dict[str, Any], storage_version: str) -> duckdb.DuckDBPyConnection:
    """Opens a file as the warehouse does, but a new one is a copy of an empty one: to make one takes 150 ms of CPU."""
    _put_empty(path)
    return open_file(path, settings, storage_version)


def begun(warehouse: Warehouse) -> Warehouse:
    """The warehouse with its file, empty if there was none."""
    private_folder(warehouse.path.parent)
    with private_files():
        _put_empty(warehouse.path)
    return warehouse


@contextmanager
def attached(warehouse: Warehouse) -> Iterator[None]:
    """Another connection of this process has the file open."""
    con = open_file(warehouse.path, SETTINGS, STORAGE_VERSION)
    try:
        yield
    finally:
        close_file(con, warehouse.path, failed=False)


def _put_empty(path: Path) -> None:
    """Unless something of it is there. Whole or not at all; where a file cannot be made, DuckDB says so."""
    if path.exists() or path.with_name(f"{path.name}.wal").exists():
        return
    made = path.with_name(f".{uuid4().hex}")
    with suppress(OSError):
        made.write_bytes(_empty())
        with suppress(FileExistsError):
            path.hardlink_to(made)
    with suppress(OSError):
        made.unlink()


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder, private_files():
        path = Path(folder, "empty.duckdb")
        con = open_file(path, SETTINGS, STORAGE_VERSION)
        migrate(con, 0)
        close_file(con, path, failed=False)
        return path.read_bytes()


def macro_text(macro: str) -> str:
    """The statement of sql/views.sql that makes this macro."""
    found = re.search(rf"create or replace macro {macro}\(.*?\n\]?.*?;\n", sql("macros"), re.DOTALL)
    assert found, macro
    return found[0]


def count(con: duckdb.DuckDBPyConnection, table: str = "settings") -> int:
    found = con.execute(f"select count(*) from {table}").fetchone()
    assert found
    return found[0]
