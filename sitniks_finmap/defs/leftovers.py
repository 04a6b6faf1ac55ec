"""Deletes what Dagster leaves on disk when a run is deleted: event files, compute logs, rows, free pages.

Dagster's `delete_run` empties the tables of a run but keeps its files. This covers Dagster's defaults, SQLite files and
local compute logs; with other storages there is nothing to do.
"""

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage

log = logging.getLogger(__name__)

SETTLED = timedelta(hours=1)  # younger files without a run are left for the next night
TICK_LOGS = {".out", ".err", ".complete", ".partial"}
DATABASE_FILES = ("", "-wal", "-shm", "-journal")
BUSY = 5.0  # seconds to wait for a database's lock; the next night retries
# Dagster's own writers wait 30 s for the lock; none of them may fail because of a vacuum.
LONGEST_VACUUM = 10.0
WORTH_A_VACUUM = 1_000_000  # free bytes


def delete_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """Deletes the event file and the compute logs of a run that was deleted."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if isinstance(events := instance.event_log_storage, SqliteEventLogStorage):
        _delete_database(Path(events.path_for_shard(run_id)))


def delete_orphans(instance: dg.DagsterInstance, now: datetime, keep: timedelta) -> None:
    """Deletes what belongs to runs that no longer exist, and the logs of sensor ticks older than `keep`.

    Safe while runs are in progress: files and rows are listed before the runs, and a run exists before its first file
    or row.
    """
    files = dict(_files_of_runs(instance))
    with_rows = _runs_in_index(instance)
    known = set(instance.get_run_ids())
    for path, run_id in files.items():
        if run_id not in known and _modified(path) < (now - SETTLED).timestamp():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else _delete_database(path)
    _delete_rows(instance, with_rows - known)
    for path in _tick_logs(instance):
        if _modified(path) < (now - keep).timestamp():
            path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def shrink_databases(instance: dg.DagsterInstance) -> None:
    """Vacuums those of Dagster's databases that are at least a quarter free."""
    for path in _databases(instance):
        try:
            with closing(sqlite3.connect(path, timeout=BUSY, isolation_level=None)) as con:
                free, pages, size = (con.execute(f"pragma {what}").fetchone()[0] for what in (
                    "freelist_count", "page_count", "page_size",
                ))  # fmt: skip
                if free * size >= WORTH_A_VACUUM and free * 4 >= pages:
                    deadline = time.monotonic() + LONGEST_VACUUM
                    con.set_progress_handler(lambda end=deadline: time.monotonic() > end, 1_000)
                    con.execute("vacuum")
                    con.set_progress_handler(None, 0)
                    con.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            log.warning("%s could not be shrunk (%s); its free pages are reused, and the next night retries",
                        path.name, error)  # fmt: skip


def size_on_disk(instance: dg.DagsterInstance) -> int:
    """Bytes of all files of the instance."""
    home = Path(instance.root_directory)
    return sum(_size(path) for path in home.rglob("*"))


def _files_of_runs(instance: dg.DagsterInstance) -> Iterator[tuple[Path, str]]:
    """The event files and log folders that are named after a run, and its id."""
    if isinstance(events := instance.event_log_storage, SqliteEventLogStorage):
        for path in Path(events.path_for_shard("any")).parent.glob("*.db"):
            if _is_run_id(path.stem):
                yield path, path.stem
    if logs := _log_folder(instance):
        for path in logs.iterdir():
            if path.is_dir() and _is_run_id(path.name):
                yield path, path.name


def _tick_logs(instance: dg.DagsterInstance) -> list[Path]:
    """Log files of sensors and schedules: `<repository>/<sensor>/<tick>.err`. Nothing else is at that depth."""
    if logs := _log_folder(instance):
        return [p for p in logs.glob("*/*/*") if p.suffix in TICK_LOGS and not _is_run_id(p.parent.parent.name)]
    return []


def _log_folder(instance: dg.DagsterInstance) -> Path | None:
    manager = instance.compute_log_manager
    if not isinstance(manager, LocalComputeLogManager):
        return None
    folder = Path(manager.get_captured_local_path(["any"], "out")).parent
    return folder if folder.is_dir() else None


def _runs_in_index(instance: dg.DagsterInstance) -> set[str]:
    """The runs with rows in the database of all runs; rows without a run (an empty id) do not count."""
    if not isinstance(events := instance.event_log_storage, SqliteEventLogStorage):
        return set()
    with closing(sqlite3.connect(events.path_for_shard("index"), timeout=BUSY)) as con:
        rows = con.execute("select run_id from event_logs union select run_id from asset_check_executions").fetchall()
    return {run_id for (run_id,) in rows if run_id}


def _delete_rows(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> None:
    """Deletes the rows of deleted runs; Dagster itself leaves those of asset checks."""
    if not isinstance(events := instance.event_log_storage, SqliteEventLogStorage):
        return
    with closing(sqlite3.connect(events.path_for_shard("index"), timeout=BUSY)) as con:
        for run_id in run_ids:
            with con:  # commit each, so that no writer waits long
                con.execute("delete from asset_check_executions where run_id = ?", [run_id])
                con.execute(
                    "delete from asset_event_tags where event_id in (select id from event_logs where run_id = ?)",
                    [run_id],
                )
                con.execute("delete from event_logs where run_id = ?", [run_id])


def _databases(instance: dg.DagsterInstance) -> list[Path]:
    paths = []
    if isinstance(events := instance.event_log_storage, SqliteEventLogStorage):
        paths.append(Path(events.path_for_shard("index")))
    for storage in (instance.run_storage, instance.schedule_storage):
        if isinstance(storage, SqliteRunStorage | SqliteScheduleStorage):
            with storage.connect() as con:
                paths.append(Path(con.engine.url.database or ""))
    return [path for path in paths if path.is_file()]


def _delete_database(path: Path) -> None:
    for suffix in DATABASE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_run_id(name: str) -> bool:
    with suppress(ValueError):
        return str(UUID(name)) == name
    return False


def _modified(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return float("inf")


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        if not path.is_dir():
            return path.stat().st_size
    return 0
