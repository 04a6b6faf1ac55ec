"""DuckDB files as this process opens them: attached to an instance that stays when the file is closed again.

To open a file costs 6 ms of CPU with an instance at hand, 30 to 50 with a new one; a sync opens its file fifty times.
One instance for one file: what it spills lies beside the file, and what breaks it breaks nothing else. A closed file
is detached: checkpointed, unlocked, free for any other process.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass
class Instance:
    root: duckdb.DuckDBPyConnection
    users: int = 0
    failed: bool = False  # and perhaps invalid: not for a next user


# One thread at a time: another one may find an instance that is not furnished yet (no pandas_scan).
_LOCK = threading.Lock()
_instances: dict[tuple[int, Path], Instance] = {}  # by process: a forked one does not touch its parent's


def open_file(path: Path, settings: dict[str, Any], storage_version: str) -> duckdb.DuckDBPyConnection:
    """A connection to this file; a new file is made for DuckDB from `storage_version` on.

    Raises duckdb.Error when it cannot be opened: another process holds it, or it is damaged.
    """
    key = os.getpid(), path.absolute()
    with _LOCK:
        if key not in _instances:
            for other in [one for one, instance in _instances.items() if one[0] == key[0] and not instance.users]:
                _instances.pop(other).root.close()
            _instances[key] = Instance(duckdb.connect(config=settings | {"temp_directory": f"{path}.tmp"}))
        instance = _instances[key]
        instance.users += 1
        con = instance.root.cursor()
        try:
            if instance.users == 1:
                as_new = "" if path.exists() else f"(storage_version '{storage_version}')"
                con.execute(f"attach {literal(path)} as warehouse {as_new}")
            con.execute("use warehouse")
        except BaseException:
            _leave(key, con, failed=True)
            raise
        return con


def close_file(con: duckdb.DuckDBPyConnection, path: Path, *, failed: bool) -> None:
    """The last user closes the file. Raises duckdb.Error when what was committed cannot be checkpointed."""
    with _LOCK:
        _leave((os.getpid(), path.absolute()), con, failed=failed)


@contextmanager
def interruptible() -> Iterator[None]:
    """Around queries: raises KeyboardInterrupt when a signal ends one, whatever its handler raised.

    DuckDB drops the handler's exception and raises a RuntimeError, which reads like a fault of ours.
    """
    try:
        yield
    except RuntimeError as error:
        if "Query interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from None


@contextmanager
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of nobody's, gone afterwards; interruptible."""
    with interruptible(), duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        yield con


def literal(path: Path) -> str:
    return "'" + path.as_posix().replace("'", "''") + "'"


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
