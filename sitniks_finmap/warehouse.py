"""One DuckDB file for each connection: opened for a transaction, never across a network call."""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
OPEN_DEADLINE = 30.0  # seconds to wait for another process's transaction; ours take milliseconds
SETTINGS: dict[str, Any] = {
    "memory_limit": "256MB",  # spills to disk beyond; a hundred connections share one machine
    "threads": 2,
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
}


class WarehouseError(Exception):
    """The DuckDB file cannot be used; the message says why and what to do."""


class Busy(WarehouseError):
    """Another run of the same connection is going on."""


@cache
def sql(name: str) -> str:
    """The text of sql/<name>.sql."""
    return files("sitniks_finmap").joinpath("sql", f"{name}.sql").read_text("utf-8")


@cache
def columns(table: str) -> list[tuple[str, str, str]]:
    """Name, type and meaning of each column of a table, as the schema documents them."""
    with duckdb.connect() as con:
        con.execute(sql("schema"))
        return con.execute(
            "select column_name, data_type, coalesce(comment, '') from duckdb_columns() "
            "where table_name = $1 order by column_index",
            [table],
        ).fetchall()


@cache
def meaning(table: str) -> str:
    """What one row of a table is, as the schema documents it."""
    with duckdb.connect() as con:
        con.execute(sql("schema"))
        found = con.execute("select comment from duckdb_tables() where table_name = $1", [table]).fetchone()
    return found[0] if found else ""


class Warehouse:
    """The staged data of one connection in `<folder>/<connection>.duckdb`, schema in sql/schema.sql."""

    def __init__(self, folder: Path, connection: str) -> None:
        self.connection = connection
        self.path = folder / f"{connection}.duckdb"
        self.read_path = folder / "read" / f"{connection}.duckdb"
        self.lock_path = folder / f"{connection}.lock"

    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end, rolled back by an exception, always closed.

        Raises WarehouseError when the file stays busy, is damaged, or is of a newer version.
        """
        with private_files():
            con = self._open()
            try:
                con.begin()
                yield con
                con.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    con.rollback()
                raise
            finally:
                con.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        private_folder(self.path.parent)
        deadline = time.monotonic() + OPEN_DEADLINE
        while True:
            try:
                con = duckdb.connect(self.path, config=SETTINGS | {"storage_compatibility_version": "v1.5.0"})
                break
            except duckdb.Error as error:
                # The lock of another process; anything else that keeps the file shut does not pass by itself.
                if "set lock on file" not in str(error) or time.monotonic() > deadline:
                    raise WarehouseError(
                        f"{self.connection}: {self.path} cannot be opened; close the program that holds it "
                        f"(people read {self.read_path}). DuckDB says: {error}"
                    ) from None
                time.sleep(random.uniform(0.01, 0.05))  # noqa: S311
        try:
            self._prepare(con)
        except BaseException:
            con.close()
            raise
        return con

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("set timezone = 'UTC'")
        if not con.execute("select 1 from duckdb_tables() where table_name = 'schema_version'").fetchone():
            con.begin()
            con.execute(sql("schema"))
            con.commit()
        (version,) = con.execute("select max(version) from schema_version").fetchone() or (0,)
        if version > SCHEMA_VERSION:
            raise WarehouseError(
                f"{self.connection}: {self.path} was written by a newer sitniks_finmap (schema {version}, this one "
                f"knows {SCHEMA_VERSION}); upgrade this installation"
            )

    def publish(self) -> None:
        """Puts a fresh copy at `read_path`, at once and whole: what people, BI tools and `sql` open."""
        private_folder(self.read_path.parent)
        fresh = self.read_path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        with private_files():
            con = self._open()
            try:
                (database,) = con.execute("select current_database()").fetchone() or ("",)
                path = fresh.as_posix().replace("'", "''")
                con.execute(f"attach '{path}' as \"read copy\" (storage_version 'v1.5.0')")
                con.execute(f'copy from database "{database}" to "read copy"')
                con.execute('detach "read copy"')
            finally:
                con.close()
        os.replace(fresh, self.read_path)

    @contextmanager
    def run(self, wait: float) -> Iterator[None]:
        """Holds the connection for one run; a kill releases it. Raises Busy when it stays held for `wait` seconds."""
        private_folder(self.path.parent)
        lock = FileLock(self.lock_path, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another run is going on; waiting for it", self.connection)
            try:
                lock.acquire(timeout=wait)
            except Timeout:
                raise Busy(
                    f"{self.connection}: another run is still going on; see it in the Dagster UI, then try again"
                ) from None
        try:
            yield
        finally:
            lock.release()

    def is_running(self) -> bool:
        """Whether a run holds the connection at this moment, in any process."""
        if not self.lock_path.exists():
            return False
        lock = FileLock(self.lock_path, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False


def private_folder(folder: Path) -> None:
    """Makes a folder that only its owner may enter; one that exists is left as it is."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)  # with parents=True the parents would be open to everybody


_PRIVATE = threading.Lock()
_private: list[int] = []  # the umask before, once for each thread that is inside


@contextmanager
def private_files() -> Iterator[None]:
    """Whatever is made meanwhile only its owner may read: DuckDB makes a file, its WAL and what it spills by itself,
    and the folder may be open to others. The umask is the process's: the last thread that leaves restores it.
    """
    with _PRIVATE:
        _private.append(_private[0] if _private else os.umask(0o077))
    try:
        yield
    finally:
        with _PRIVATE:
            before = _private.pop()
            if not _private:
                os.umask(before)


def insert_rows(
    con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]], *, replacing: bool = False
) -> None:
    """Inserts many rows at once, which all have the same columns; `replacing` those with the same primary key."""
    if not rows:
        return
    frame = pd.DataFrame(rows, dtype=object)
    names = ", ".join(frame.columns)
    con.register("incoming_rows", frame)
    verb = "insert or replace into" if replacing else "insert into"
    con.execute(f"{verb} {table} ({names}) select {names} from incoming_rows")
    con.unregister("incoming_rows")


def replace_table(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """The table holds just these rows afterwards."""
    con.execute(f"delete from {table}")
    insert_rows(con, table, rows)
