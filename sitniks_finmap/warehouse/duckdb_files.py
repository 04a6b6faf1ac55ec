"""Opens DuckDB files by attaching them to an instance that outlives the open file.

Opening a file takes 6 ms of CPU with an existing instance, 30 to 50 with a new one; a sync opens its file fifty times.
An open file has an instance to itself, so that it spills next to the file and a failure affects no other file. A closed
file is detached: checkpointed, unlocked, free for other processes; the next file takes over its instance.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

# Rows that one thread reads or compresses at a time, with all their texts in memory. Of the default, 122,880, most
# shops have but one group, and a group of orders does not fit into our memory limit.
ROW_GROUP = 16_384


@dataclass
class Instance:
    root: duckdb.DuckDBPyConnection
    settings: dict[str, Any]
    users: int = 0
    failed: bool = False  # possibly invalid: not to be reused


# One thread at a time: another might see an instance that is not fully initialized (no pandas_scan).
_LOCK = threading.Lock()
_instances: dict[tuple[int, Path], Instance] = {}  # by process, so that a fork leaves its parent's alone


def open_file(path: Path, settings: dict[str, Any], storage_version: str) -> duckdb.DuckDBPyConnection:
    """Open this file; a new one is created for DuckDB `storage_version` and later.

    Raises duckdb.Error if it cannot be opened: another process holds it, or it is damaged.
    """
    key = os.getpid(), path.absolute()
    with _LOCK:
        if key not in _instances:
            _instances[key] = _instance_for(path, settings)
        instance = _instances[key]
        instance.users += 1
        con = instance.root.cursor()
        try:
            if instance.users == 1:
                as_new = "" if path.exists() else f", storage_version '{storage_version}'"
                con.execute(f"attach {literal(path)} as warehouse (row_group_size {ROW_GROUP}{as_new})")
            con.execute("use warehouse")
        except BaseException:
            _leave(key, con, failed=True)
            raise
        return con


def close_file(con: duckdb.DuckDBPyConnection, path: Path, *, failed: bool) -> None:
    """Close this connection, and the file after its last user. Raises duckdb.Error if the checkpoint fails."""
    with _LOCK:
        _leave((os.getpid(), path.absolute()), con, failed=failed)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt when a signal interrupts a query, whatever its handler raised.

    DuckDB replaces the handler's exception with a RuntimeError, which looks like a bug of ours.
    """
    try:
        yield
    except RuntimeError as error:
        if "Query interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from None


@contextmanager
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a temporary in-memory database; interruptible."""
    with interruptible(), duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        yield con


def literal(path: Path) -> str:
    return "'" + path.as_posix().replace("'", "''") + "'"


def _instance_for(path: Path, settings: dict[str, Any]) -> Instance:
    """An instance that spills next to this file: an idle one with these settings if there is one, else a new one."""
    spill = Path(f"{path}.tmp")
    ours = os.getpid()
    idle = [_instances.pop(key) for key in [*_instances] if key[0] == ours and not _instances[key].users]
    found: Instance | None = None
    for instance in idle:
        if not found and instance.settings == settings:
            with suppress(duckdb.Error):  # one that has spilled stays where it did
                instance.root.execute(f"set temp_directory = {literal(spill)}")
                found = instance
        if instance is not found:
            instance.root.close()
    return found or Instance(duckdb.connect(config=settings | {"temp_directory": str(spill)}), dict(settings))


def _leave(key: tuple[int, Path], con: duckdb.DuckDBPyConnection, *, failed: bool) -> None:
    instance = _instances[key]
    instance.users -= 1
    instance.failed |= failed
    con.close()
    if instance.users:
        return
    try:
        if not instance.failed:
            instance.root.execute("detach warehouse")
    except duckdb.Error:
        instance.failed = True
        raise
    finally:
        if instance.failed:
            _instances.pop(key).root.close()
