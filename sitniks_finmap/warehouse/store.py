"""One DuckDB file per connection, open only during a transaction and never across a network call."""

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

from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import data_folder, private_files, private_folder
from sitniks_finmap.warehouse.duckdb_files import ROW_GROUP, close_file, interruptible, literal, open_file
from sitniks_finmap.warehouse.schema import SCHEMA_VERSION, freeze_plan, migrate, version_of

log = logging.getLogger(__name__)

OPEN_DEADLINE = 30.0  # seconds to wait for another process's transaction; ours take milliseconds
SETTINGS: dict[str, Any] = {
    "memory_limit": "256MB",  # beyond this it spills to disk; a hundred connections share one machine
    "threads": 2,
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
    "pandas_analyze_sample": 1_000_000_000,  # every row: a sample may miss the longest amount, which then does not fit
}
STORAGE_VERSION = "v1.5.0"  # of the warehouse: the format of the oldest DuckDB that this project supports
FEW = 20  # up to this many rows, inserting values is faster than a DataFrame
READ_STORAGE_VERSION = "v1.0.0"  # of the read copy: BI tools ship older drivers; costs neither time nor disk
# DuckDB's messages for a damaged file; any other error leaves the file in place.
DAMAGE = re.compile(
    "not a valid DuckDB database|Corrupt (database|WAL) file|Could not read enough bytes|replaying WAL file|checksum"
)
FILE_REMEDIES = {
    "No space left on device": "the disk is full; free some space",
    "File too large": "the file cannot grow; raise the limit of this user or volume",
    "Read-only file system": "the file system is read-only; remount it",
    "Permission denied": "permission denied; give the files back to the user that runs the syncs",
    "Not a directory": "a file is in the way of the folder; move it",
}


class WarehouseError(Exception):
    """The DuckDB file cannot be used; the message says why and what to do."""


class Damaged(WarehouseError):
    """The DuckDB file was damaged and has been set aside; the next run continues without it."""


class Busy(WarehouseError):
    """Another run of the same connection is in progress."""


class Warehouse:
    """The staged data of one connection in `<folder>/<connection>.duckdb`; schema in sql/schema.sql."""

    def __init__(self, folder: Path, connection: str) -> None:
        self.connection = connection
        self.path = folder / f"{connection}.duckdb"
        self.read_path = folder / "read" / f"{connection}.duckdb"
        self.lock_path = folder / f"{connection}.lock"
        self.ran_path = folder / "seen" / f"{connection}.ran"  # touched by each run, also one that cannot open the file

    def exists(self) -> bool:
        """Whether the file exists. Raises WarehouseError without permission to check."""
        with explain_os_errors(self.path, self.connection):
            return self.path.exists()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the file for one transaction: committed at the end, rolled back on an exception, always closed.

        Raises WarehouseError if the file stays locked, cannot be written or has a newer version; also Damaged.
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
                # Retry only while another process holds the lock; other errors do not go away.
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
        con.execute("set timezone = 'UTC'; set enable_progress_bar = false")  # it would corrupt --json output
        version = version_of(con)
        if version > SCHEMA_VERSION:
            raise WarehouseError(
                f"{self.connection}: {self.path} was written by a newer sitniks_finmap (schema {version}, this one "
                f"knows {SCHEMA_VERSION}); upgrade this installation"
            )
        migrate(con, version)

    def _set_aside(self, opened: int | None, why: str) -> str:
        """Move a damaged file aside, overwriting nothing, and restore what is possible; return a message for people.

        A damaged log (`.wal`) holds at most the last transaction, so it is simply removed. A damaged file is replaced
        by the read copy, if that is readable. `opened` identifies the damaged file: if another process has replaced it
        since, nothing is moved.
        """
        log_path = self.path.with_name(self.path.name + ".wal")
        only_log = "WAL" in why
        aside = f"{self.connection}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}"  # noqa: DTZ005
        instead = "Another process has already replaced it"
        if _identity(self.path) == opened:
            for path in (log_path,) if only_log else (log_path, self.path):
                if path.exists():
                    path.rename(path.with_name(path.name.replace(self.connection, aside, 1)))
            instead = "Only the last transaction is lost" if only_log else self._restore()
        what = log_path if only_log else self.path
        said = (
            f"{self.connection}: {what} was damaged and is kept as {aside}.*. {instead}. Nothing is sent twice: the "
            "next run finds what Finmap has by its keys"
        )
        log.error("%s. DuckDB said: %s", said, why.splitlines()[0])
        return said

    def _restore(self) -> str:
        """Recreate the file from the read copy, if that is readable; return a message about what was done."""
        nothing = "There was no usable copy to replace it: the next run reads everything again"
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
        return f"It was replaced by the read copy of {made:%Y-%m-%d %H:%M}"

    def publish(self) -> None:
        """Atomically replace the copy at `read_path`, which people, BI tools and `sql` open."""
        private_folder(self.read_path.parent)
        fresh = self.read_path.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        with self._opened() as con:
            (database,) = con.execute("select current_database()").fetchone() or ("",)
            copy_database(con, database, fresh, READ_STORAGE_VERSION)
            con.execute(f'attach {literal(fresh)} as "the copy" (row_group_size {ROW_GROUP})')
            freeze_plan(con, "the copy")
            con.execute('detach "the copy"')
        os.replace(fresh, self.read_path)

    def copy_to(self, path: Path) -> None:
        """Copy the file as it is between two transactions; others wait meanwhile. Raises WarehouseError."""
        with self._opened() as con:
            (database,) = con.execute("select current_database()").fetchone() or ("",)
            copy_database(con, database, path, STORAGE_VERSION)

    @contextmanager
    def run(self, wait: float) -> Iterator[None]:
        """Lock the connection for one run, and publish the read copy when the run ends or fails.

        A kill releases the lock. Raises Busy if another run holds it for longer than `wait` seconds.
        """
        lock = FileLock(self.lock_path, mode=0o600)
        try:
            with explain_os_errors(self.path, self.connection):
                private_folder(self.path.parent)
                lock.acquire(timeout=0)
        except Timeout:
            log.info("%s: another run is in progress; waiting for it", self.connection)
            try:
                lock.acquire(timeout=wait)
            except Timeout:
                raise Busy(
                    f"{self.connection}: another run is still in progress; see it in the Dagster UI, then try again"
                ) from None
        try:
            self._note_run()
            yield
        finally:
            try:
                if self.exists():
                    self.publish()
            except (WarehouseError, duckdb.Error, OSError) as error:
                # The run's result stands; people see the previous copy.
                log.error("%s: the read copy could not be updated: %s", self.connection, error)
            finally:
                lock.release()

    def _note_run(self) -> None:
        with suppress(OSError):  # of a full disk, the run says more
            private_folder(self.ran_path.parent)
            with private_files():
                self.ran_path.touch()

    def is_running(self) -> bool:
        """Whether a run in any process holds the lock now."""
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
    """Convert an OSError to a WarehouseError that names the file and the remedy."""
    try:
        yield
    except Timeout:  # of a lock; a subclass of OSError
        raise
    except OSError as error:
        remedy = next((remedy for sign, remedy in FILE_REMEDIES.items() if sign in str(error)), error.strerror)
        whose = f"{connection}: " if connection else ""
        raise WarehouseError(f"{whose}{error.filename or path} cannot be used: {remedy}") from None


def copy_database(con: duckdb.DuckDBPyConnection, database: str, path: Path, storage_version: str) -> None:
    """Copy an attached database into a new private file for DuckDB `storage_version` and later."""
    con.execute(
        f"attach {literal(path)} as \"the copy\" (storage_version '{storage_version}', row_group_size {ROW_GROUP})"
    )
    con.execute(f'copy from database "{database}" to "the copy"')
    con.execute('detach "the copy"')


def _identity(path: Path) -> int | None:
    """The inode of the file, or None."""
    with suppress(FileNotFoundError):
        return path.stat().st_ino
    return None


@contextmanager
def rows_as(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, list[Any]]) -> Iterator[None]:
    """Expose these columns, all of the same length, as a temporary table."""
    import pandas as pd  # takes half a second, which read-only commands avoid

    con.register(name, pd.DataFrame(columns, dtype=object))
    yield
    con.unregister(name)


def insert_rows(
    con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]], *, replacing: bool = False
) -> None:
    """Insert rows that all have the same columns, `replacing` those with the same primary key if set."""
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
    """Replace the contents of a table with these rows."""
    con.execute(f"delete from {table}")
    insert_rows(con, table, rows)


def open_warehouse(connection: Connection) -> Warehouse:
    """Return a connection's warehouse in the data folder; its file need not exist. Raises ConfigurationError."""
    return Warehouse(data_folder(), connection.name)
