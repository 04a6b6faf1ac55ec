"""The SQL of the warehouse: statement files, the documented tables, schema versions and migrations."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

import duckdb

from sitniks_finmap.warehouse.duckdb_files import in_memory, interruptible

SCHEMA_VERSION = 6
PLAN_IS_A_VIEW = 3  # since this version
VIEWS = ("views", "plan", "questions")


@cache
def sql(name: str) -> str:
    """The text of sql/<name>.sql."""
    return files("sitniks_finmap").joinpath("sql", f"{name}.sql").read_text("utf-8")


@contextmanager
def in_memory_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty warehouse in memory for one transaction, of which nothing stays; interruptible."""
    with interruptible():
        con = _empty(os.getpid()).cursor()
        try:
            con.execute("set timezone = 'UTC'")
            con.begin()
            yield con
        finally:
            con.close()


@cache
def _empty(process: int) -> duckdb.DuckDBPyConnection:
    """One for each process, as none outlives a fork: to make one takes 0.1 s of CPU."""
    con = duckdb.connect()
    for step in ("macros", "schema", "views"):
        con.execute(sql(step))
    return con


@cache
def documented() -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """Table → its description, and name, type and description of each column, from the schema's comments."""
    with in_memory() as con:
        con.execute(sql("schema"))
        tables = con.execute("select table_name, coalesce(comment, '') from duckdb_tables()").fetchall()
        columns = con.execute(
            "select table_name, column_name, data_type, coalesce(comment, '') from duckdb_columns() "
            "where not internal order by column_index"
        ).fetchall()
    return {table: (about, [row[1:] for row in columns if row[0] == table]) for table, about in tables}


def version_of(con: duckdb.DuckDBPyConnection) -> int:
    """The schema version of an open warehouse; 0 for a new file."""
    try:
        return (con.execute("select max(version) from schema_version").fetchone() or (0,))[0]
    except duckdb.CatalogException:
        return 0


def main_source(con: duckdb.DuckDBPyConnection) -> str:
    """What operations are derived from: transactions or orders."""
    return (con.execute("from main_source").fetchone() or ("transactions",))[0]


def _is_read_copy(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the file is a read copy that someone put in place of the warehouse: its plan is a table."""
    (found,) = con.execute(
        "select count(*) from duckdb_tables() where table_name = 'plan' and database_name = current_database()"
    ).fetchone() or (0,)
    return found > 0 and version_of(con) >= PLAN_IS_A_VIEW


def freeze_plan(con: duckdb.DuckDBPyConnection, copy: str) -> None:
    """Store the current plan as a table of an attached copy: the view needs a DuckDB as recent as ours.

    The hash goes with it, so that a copy that is put in place of the warehouse gets its views again.
    """
    con.execute(f'drop view "{copy}".plan')
    con.execute(f'drop macro "{copy}".views_hash')
    con.execute(f'create table "{copy}".plan as from plan')


def migrate(con: duckdb.DuckDBPyConnection, version: int) -> None:
    """Migrate a warehouse to SCHEMA_VERSION in one transaction.

    Macros and views that another version of the package made are made anew, and so are those of a read copy.
    """
    steps = [f"migrations/{n}" for n in range(version + 1, SCHEMA_VERSION + 1)] if version else ["schema"]
    if not steps and _views_are_ours(con):
        return
    plan_is_frozen = _is_read_copy(con)
    con.begin()
    if plan_is_frozen:
        con.execute("drop table plan")
    for step in ("macros", *steps, *VIEWS):
        con.execute(sql(step))
    con.execute(f"create or replace macro views_hash() as '{_hash_of_views()}'")
    if steps:
        con.execute("insert into schema_version values ($1)", [SCHEMA_VERSION])
    con.commit()


def _views_are_ours(con: duckdb.DuckDBPyConnection) -> bool:
    try:
        return con.execute("select views_hash()").fetchone() == (_hash_of_views(),)
    except duckdb.CatalogException:
        return False


@cache
def _hash_of_views() -> str:
    # Lines between them, so that no read copy has this hash: those of versions that left it there had none.
    return hashlib.sha256("\n".join(sql(name) for name in ("macros", *VIEWS)).encode()).hexdigest()[:16]
