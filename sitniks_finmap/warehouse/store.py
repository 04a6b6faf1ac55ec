"""One DuckDB file for each connection: opened for a transaction, never across a network call."""

import logging
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from sitniks_finmap.connections import Connection, data_folder
from sitniks_finmap.private_files import private_files, private_folder
from sitniks_finmap.warehouse.duckdb_files import close_file, interruptible, literal, open_file
from sitniks_finmap.warehouse.schema import SCHEMA_VERSION, is_read_copy, migrate, sql, version_of

log = logging.getLogger(__name__)

OPEN_DEADLINE = 30.0  # seconds to wait for another process's transaction; ours take milliseconds
SETTINGS: dict[str, Any] = {
    "memory_limit": "256MB",  # spills to disk beyond; a hundred connections share one machine
    "threads": 2,
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
}
STORAGE_VERSION = "v1.5.0"  # of the file that runs work on: the oldest DuckDB that this project runs with
FEW = 20  # rows that are inserted sooner as values than as a DataFrame
READ_STORAGE_VERSION = "v1.0.0"  # of the read copy: BI tools bring older drivers; costs neither time nor disk
# How DuckDB says that a file's bytes are wrong; anything else keeps the file as it is.
DAMAGE = re.compile(
    "not a valid DuckDB database|Corrupt (database|WAL) file|Could not read enough bytes|replaying WAL file|checksum"
)
FILE_REMEDIES = {
    "No space left on device": "the disk is full; free some space",
    "File too large": "the file may not grow; raise the limit of this user or volume",
    "Read-only file system": "the file system is read-only; remount it",
    "Permission denied": "this user may not write it; give the files back to the user that runs the syncs",
    "Not a directory": "a file is in the way of the folder; move it",
}


class WarehouseError(Exception):
    """The DuckDB file cannot be used; the message says why and what to do."""


class Damaged(WarehouseError):
    """The DuckDB file could not be read; it was set aside, and the next run goes on without it."""


class Busy(WarehouseError):
    """Another run of the same connection is going on."""


class Warehouse:
    """The staged data of one connection in `<folder>/<connection>.duckdb`, schema in sql/schema.sql."""

    def __init__(self, folder: Path, connection: str) -> None:
        self.connection = connection
        self.path = folder / f"{connection}.duckdb"
        self.read_path = folder / "read" / f"{connection}.duckdb"
        self.lock_path = folder / f"{connection}.lock"

    def exists(self) -> bool:
        """Raises WarehouseError when this user may not look."""
        with explain_os_errors(self.path, self.connection):
            return self.path.exists()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside one transaction: committed at the end, rolled back by an exception, always closed.

        Raises WarehouseError when the file stays busy, cannot be written, or is of a newer version, and Damaged.
        """
        with self._opened() as con:
            try:
                con.begin()
                yield con
                con.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    con.rollback()
                raise

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with explain_os_errors(self.path, self.connection):
            opened = _identity(self.path)
        try:
            with private_files(), interruptible():
                with explain_os_errors(self.path, self.connection):
                    con = self._open()
                failed = True
                try:
                    opened = opened or _identity(self.path)
                    yield con
                    failed = False
                finally:
                    close_file(con, self.path, failed=failed)
        except duckdb.Error as error:
            if DAMAGE.search(str(error)):
                raise Damaged(self._set_aside(opened, str(error))) from None
            for sign, remedy in FILE_REMEDIES.items():
                if sign in str(error):
                    why = f"{self.connection}: {self.path} cannot be written: {remedy}. What was committed is safe"
                    raise WarehouseError(why) from None
            raise

    def _open(self) -> duckdb.DuckDBPyConnection:
        private_folder(self.path.parent)
        deadline = time.monotonic() + OPEN_DEADLINE
        while True:
            try:
                con = open_file(self.path, SETTINGS, STORAGE_VERSION)
                break
            except duckdb.Error as error:
                if DAMAGE.search(str(error)) or any(sign in str(error) for sign in FILE_REMEDIES):
                    raise
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
            close_file(con, self.path, failed=True)
            raise
        return con

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("set timezone = 'UTC'; set enable_progress_bar = false")  # the bar would be drawn into --json
        version = version_of(con)
        if version > SCHEMA_VERSION:
            raise WarehouseError(
                f"{self.connection}: {self.path} was written by a newer sitniks_finmap (schema {version}, this one "
                f"knows {SCHEMA_VERSION}); upgrade this installation"
            )
        if is_read_copy(con):
            con.execute("drop table plan")
            con.execute(sql("plan"))
        if version < SCHEMA_VERSION:
            migrate(con, version)

    def _set_aside(self, opened: int | None, why: str) -> str:
        """Moves a damaged file away, never over another one, and puts what can be had in its place; tells it.

        A damaged log (`.wal`) holds at most the last transaction: without it the file is as before that one. For a
        damaged file the read copy steps in, if it can be read whole. `opened` is the file that was found damaged:
        where another process has replaced it since, nothing is moved.
        """
        log_path = self.path.with_name(self.path.name + ".wal")
        only_log = "WAL" in why
        aside = f"{self.connection}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}"  # noqa: DTZ005
        instead = "Another process has done so already"
        if _identity(self.path) == opened:
            for path in (log_path,) if only_log else (log_path, self.path):
                if path.exists():
                    path.rename(path.with_name(path.name.replace(self.connection, aside, 1)))
            instead = "Without its log it is as before the last transaction" if only_log else self._restore()
        what = log_path if only_log else self.path
        said = (
            f"{self.connection}: {what} was damaged and is kept as {aside}.*. {instead}. Nothing is sent twice: the "
            "next run finds what Finmap has by its keys"
        )
        log.error("%s. DuckDB said: %s", said, why.splitlines()[0])
        return said

    def _restore(self) -> str:
        """Makes the file from the read copy, which proves the copy readable; says what was done."""
        nothing = "There was no copy to take its place: the next run reads everything again"
        if not self.read_path.exists():
            return nothing
        made = datetime.fromtimestamp(self.read_path.stat().st_mtime)  # noqa: DTZ006
        fresh = self.path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        try:
            with private_files(), duckdb.connect(config=SETTINGS) as con:
                con.execute(f'attach {literal(self.read_path)} as "read copy" (read_only)')
                copy_database(con, "read copy", fresh, STORAGE_VERSION)
        except duckdb.Error:
            fresh.unlink(missing_ok=True)
            return nothing
        os.replace(fresh, self.path)
        return f"The read copy of {made:%Y-%m-%d %H:%M} took its place"

    def publish(self) -> None:
        """Puts a fresh copy at `read_path`, at once and whole: what people, BI tools and `sql` open."""
        private_folder(self.read_path.parent)
        fresh = self.read_path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        with self._opened() as con:
            (database,) = con.execute("select current_database()").fetchone() or ("",)
            copy_database(con, database, fresh, READ_STORAGE_VERSION)
            # As it is now, in a table: the view needs a DuckDB as new as ours.
            con.execute(f'attach {literal(fresh)} as "the copy"')
            con.execute('drop view "the copy".plan')
            con.execute('create table "the copy".plan as from plan')
            con.execute('detach "the copy"')
        os.replace(fresh, self.read_path)

    @contextmanager
    def run(self, wait: float) -> Iterator[None]:
        """Holds the connection for one run, and publishes the read copy at its end, however it ends.

        A kill releases the connection. Raises Busy when it stays held for `wait` seconds.
        """
        lock = FileLock(self.lock_path, mode=0o600)
        try:
            with explain_os_errors(self.path, self.connection):
                private_folder(self.path.parent)
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
            try:
                if self.exists():
                    self.publish()
            except (WarehouseError, duckdb.Error, OSError) as error:
                # The run ends as it ended; people see the copy before this one.
                log.error("%s: the read copy could not be made anew: %s", self.connection, error)
            finally:
                lock.release()

    def is_running(self) -> bool:
        """Whether a run holds the connection at this moment, in any process."""
        lock = FileLock(self.lock_path, mode=0o600)
        try:
            with explain_os_errors(self.path, self.connection):
                if not self.lock_path.exists():
                    return False
                lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False


@contextmanager
def explain_os_errors(path: Path, connection: str | None = None) -> Iterator[None]:
    """Says which file the system refused, and what to do: raises WarehouseError for an OSError."""
    try:
        yield
    except Timeout:  # of a lock; filelock calls it an OSError, too
        raise
    except OSError as error:
        remedy = next((remedy for sign, remedy in FILE_REMEDIES.items() if sign in str(error)), error.strerror)
        whose = f"{connection}: " if connection else ""
        raise WarehouseError(f"{whose}{error.filename or path} cannot be used: {remedy}") from None


def copy_database(con: duckdb.DuckDBPyConnection, database: str, path: Path, storage_version: str) -> None:
    """Copies all of an attached database into a new private file that DuckDB from `storage_version` on opens."""
    con.execute(f"attach {literal(path)} as \"the copy\" (storage_version '{storage_version}')")
    con.execute(f'copy from database "{database}" to "the copy"')
    con.execute('detach "the copy"')


def _identity(path: Path) -> int | None:
    """Which file lies there, or None."""
    with suppress(FileNotFoundError):
        return path.stat().st_ino
    return None


@contextmanager
def rows_as(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, list[Any]]) -> Iterator[None]:
    """These columns, all of one length, as a table of this name, for as long as it takes."""
    import pandas as pd  # half a second, which a command that only reads does not pay

    con.register(name, pd.DataFrame(columns, dtype=object))
    yield
    con.unregister(name)


def insert_rows(
    con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]], *, replacing: bool = False
) -> None:
    """Inserts many rows at once, which all have the same columns; `replacing` those with the same primary key."""
    if not rows:
        return
    names = ", ".join(rows[0])
    verb = "insert or replace into" if replacing else "insert into"
    if len(rows) <= FEW:
        one = f"({', '.join('?' * len(rows[0]))})"
        values = [row[name] for row in rows for name in rows[0]]
        con.execute(f"{verb} {table} ({names}) values {', '.join([one] * len(rows))}", values)
        return
    with rows_as(con, "incoming_rows", {name: [row[name] for row in rows] for name in rows[0]}):
        con.execute(f"{verb} {table} ({names}) select {names} from incoming_rows")


def replace_table(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """The table holds just these rows afterwards."""
    con.execute(f"delete from {table}")
    insert_rows(con, table, rows)


def open_warehouse(connection: Connection) -> Warehouse:
    """The warehouse of a connection in the data folder; its file need not exist yet. Raises ConfigurationError."""
    return Warehouse(data_folder(), connection.name)
