"""Makes a backup while runs go on: each database is copied as it is between two of its transactions.

Dagster's databases come first, and of them the cursors of its sensors: restored together with younger warehouses, an
older cursor makes one sync too many, a younger one could leave one out.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tarfile import PAX_FORMAT
from tarfile import open as open_tar

from filelock import FileLock, Timeout

from sitniks_finmap import __version__
from sitniks_finmap.backup.archive import ArchiveError, Manifest, Writer, room_in
from sitniks_finmap.backup.members import CONNECTIONS, ENV, Installation, this_installation
from sitniks_finmap.settings.private_files import private_files
from sitniks_finmap.warehouse.store import Warehouse

SQLITE_WAIT = 30.0  # seconds
WHOLE_FILES = ("installation", "connections.last-good.json")
ALERTS = "alerts.sqlite"


@dataclass(frozen=True)
class Made:
    """What is in a backup that was made."""

    path: Path
    size: int
    connections: list[str]
    keys: bool
    dagster: bool  # whether Dagster's runs are in it


def make_backup(path: Path, *, keys: bool) -> Made:
    """Makes a new archive, readable by its owner only.

    Raises ArchiveError, ConfigurationError, WarehouseError, OSError.
    """
    ours = this_installation()
    path = path.absolute()
    if not ours.warehouses() and not ours.connections.exists():
        raise ArchiveError(f"there is nothing to back up: neither {ours.connections} nor a shop's file in {ours.data}")
    if not path.parent.is_dir():
        raise ArchiveError(f"{path.parent} is not a folder")
    with room_in(path.parent, "No backup was made"), private_files(), _workshop(path) as folder:
        draft = folder / "archive"
        manifest = Manifest(datetime.now(UTC).isoformat(timespec="seconds"), __version__, _version_of("dagster"))
        with open_tar(draft, "w", format=PAX_FORMAT) as tar:
            writer = Writer(tar, manifest)
            _add_all(writer, ours, folder / "copy", keys=keys)
            writer.finish(folder / "copy")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        _refuse_existing(path)
        draft.rename(path)
    held = manifest.members
    return Made(path, path.stat().st_size, ours.warehouses(), ENV in held, "dagster/history/runs.db" in held)


def _add_all(writer: Writer, ours: Installation, copy: Path, *, keys: bool) -> None:
    for member in ("dagster/dagster.yaml", *ours.dagster_databases(), f"data/{ALERTS}"):
        source = ours.place_of(member)
        if not source.is_file():
            continue
        copied = _copy_sqlite(source, copy) if source.suffix in (".db", ".sqlite") else _copy_file(source, copy)
        if copied:
            writer.add(member, copy)
    for name in ours.warehouses():
        copy.unlink(missing_ok=True)
        Warehouse(ours.data, name).copy_to(copy)
        writer.add(f"data/{name}.duckdb", copy)
    for member in (*(f"data/{name}" for name in WHOLE_FILES), CONNECTIONS, *([ENV] if keys else [])):
        if _copy_file(ours.place_of(member), copy):
            writer.add(member, copy)


def _copy_file(source: Path, copy: Path) -> bool:
    """Copies a small file, which is only ever replaced as a whole; whether it was there."""
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return False
    copy.write_bytes(content)
    return True


def _copy_sqlite(original: Path, copy: Path) -> bool:
    """Copies a database between two transactions; whether it was there still, for old runs are deleted every night."""
    copy.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{original.as_uri()}?mode=rw", uri=True, timeout=SQLITE_WAIT)) as there,
            closing(sqlite3.connect(copy)) as here,
        ):
            there.backup(here)
            here.execute("pragma journal_mode = delete")
    except sqlite3.Error as error:
        if not original.exists():
            return False
        raise ArchiveError(
            f"{original} cannot be copied: {error}; check that it belongs to this user and that the disk has room. No "
            "backup was made"
        ) from None
    return True


@contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """A private folder beside the archive for what is not finished; one that a kill left behind is cleared."""
    _refuse_existing(path)
    folder = path.with_name(f".{path.name}.making")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(folder / "lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ArchiveError(f"another command is making {path}; wait for it, or choose another name") from None
    try:
        for left in folder.iterdir():
            if left.name != "lock":
                left.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise ArchiveError(f"{path} exists already, and no backup overwrites anything; choose another name")


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
