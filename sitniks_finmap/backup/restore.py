"""Restores a backup as a whole: verify, unpack beside, then move into place.

Nothing that is here changes before everything is verified and unpacked. From then on a journal says what is still to be
moved: if the process is killed, no command works on half of the data (`data_folder` refuses), and the next `restore`
moves the rest. What was here is set aside, never deleted.
"""

import json
import logging
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from filelock import FileLock, Timeout

from sitniks_finmap.backup.archive import ArchiveError, Manifest, opened, room_in, unpack
from sitniks_finmap.backup.members import (
    CONNECTIONS,
    ENV,
    REPLACED_DAGSTER,
    REPLACED_DATA,
    Installation,
    this_installation,
)
from sitniks_finmap.settings.private_files import UNFINISHED_RESTORE, private_files, private_folder
from sitniks_finmap.settings.text_files import load_env
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

log = logging.getLogger(__name__)

ASIDE = "before-restore"


@dataclass(frozen=True)
class Restored:
    """What was restored, and where what was here before is now."""

    manifest: Manifest | None  # None: a restore that was killed before is complete now
    connections: list[str]
    keys: bool
    dagster: bool
    aside: list[Path]


def restore_backup(path: Path, *, replacing: bool, connection: str | None = None) -> Restored:
    """Restores an archive, or the data of one connection in it beside what else is here; `replacing` sets aside what is
    here. A restore that was killed is finished instead.

    Raises ArchiveError, ConfigurationError, OSError.
    """
    path = path.absolute()
    with private_files():
        if half := unfinished():
            return _finished(half)
        with opened(path) as (tar, manifest):
            if connection:
                manifest = _of_one(manifest, connection, path)
            _load_env_of(tar, manifest)  # it may say where the data folder is
            if half := unfinished():
                return _finished(half)
            ours = this_installation()
            with _alone(ours):
                _refuse_runs(ours, connection)
                replaced = _replaced(ours, manifest, connection)
                if replaced and not replacing:
                    raise ArchiveError(
                        f"{replaced[0]} is here already; --replace sets aside what is here and restores the backup in "
                        "its place. Nothing was changed"
                    )
                with room_in(ours.data, "Nothing was changed"):
                    _stage(ours, tar, manifest)
                _write_journal(ours, manifest, replaced)
                aside = finish(ours)
        names = sorted(
            Path(one).stem for one in manifest.members if one.startswith("data/") and one.endswith(".duckdb")
        )
        _publish(ours, names)
    held = manifest.members
    return Restored(manifest, names, ENV in held, "dagster/history/runs.db" in held, aside)


def _of_one(manifest: Manifest, connection: str, path: Path) -> Manifest:
    """Only the data of this connection: its settings and keys are written anew where it moves to."""
    member = f"data/{connection}.duckdb"
    if member not in manifest.members:
        there = ", ".join(sorted(Path(one).stem for one in manifest.members if one.endswith(".duckdb"))) or "none"
        raise ArchiveError(f"{path} has no data of {connection}; it has that of: {there}. Nothing was changed")
    return replace(manifest, members={member: manifest.members[member]})


def unfinished() -> Installation | None:
    """The installation here, if a restore of it was killed while it moved files into place."""
    journal = Path(os.environ.get("SITNIKS_FINMAP_DATA") or "data").absolute() / UNFINISHED_RESTORE
    try:
        kept = json.loads(journal.read_text("utf-8"))["installation"]
    except FileNotFoundError:
        return None
    return Installation(**{name: Path(one) for name, one in kept.items()})


def _finished(half: Installation) -> Restored:
    with _alone(half):
        aside = finish(half)
    _publish(half, half.warehouses())
    return Restored(None, half.warehouses(), half.env.exists(), (half.dagster / "history").exists(), aside)


def _load_env_of(tar: tarfile.TarFile, manifest: Manifest) -> None:
    if ENV not in manifest.members:
        return
    with TemporaryDirectory() as folder, room_in(Path(folder).parent, "Nothing was changed"):
        unpack(tar, ENV, Path(folder) / ENV, manifest.members[ENV])
        load_env(Path(folder) / ENV)


def _stage(ours: Installation, tar: tarfile.TarFile, manifest: Manifest) -> None:
    """Unpacks everything beside what is here; on a full disk, nothing of it stays."""
    staging = _staging(ours)
    shutil.rmtree(staging, ignore_errors=True)
    private_folder(staging)
    try:
        for number, (member, sha256) in enumerate(manifest.members.items()):
            unpack(tar, member, staging / str(number), sha256)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _publish(ours: Installation, names: list[str]) -> None:
    """Writes the copies that people read, which also proves that each file opens."""
    for name in names:
        try:
            Warehouse(ours.data, name).publish()
        except (WarehouseError, duckdb.Error, OSError) as error:
            log.error("%s: restored, but its read copy could not be written: %s", name, error)


def finish(ours: Installation) -> list[Path]:
    """Moves what is still to be moved, as the journal says; returns the folders and files that were set aside."""
    journal = ours.data / UNFINISHED_RESTORE
    steps = json.loads(journal.read_text("utf-8"))
    aside = []
    for source, target in steps["aside"]:
        if os.path.lexists(source) and not os.path.lexists(target):
            private_folder(Path(target).parent)
            os.replace(source, target)
        aside.append(Path(target))
    for source, target in steps["into_place"]:
        if Path(source).exists():
            private_folder(Path(target).parent)
            _move(Path(source), Path(target))
    _sync_folder(ours.data)
    journal.unlink()
    shutil.rmtree(_staging(ours), ignore_errors=True)
    return sorted({one.parent if one.parent.name.startswith(ASIDE) else one for one in aside})


def _write_journal(ours: Installation, manifest: Manifest, replaced: list[Path]) -> None:
    """From here on the restore happens, whatever is killed: the journal appears at once, after all files are there."""
    when = f"{ASIDE}-{datetime.now():%Y%m%d-%H%M%S-%f}"  # noqa: DTZ005
    into_place = [(str(_staging(ours) / str(n)), str(ours.place_of(one))) for n, one in enumerate(manifest.members)]
    steps = {
        "installation": {name: str(one) for name, one in vars(ours).items()},
        "aside": [(str(one), str(_aside(ours, one, when))) for one in replaced],
        "into_place": into_place,
    }
    draft = _staging(ours) / "journal"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(steps, file)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(_staging(ours))
    os.replace(draft, ours.data / UNFINISHED_RESTORE)
    _sync_folder(ours.data)


def _replaced(ours: Installation, manifest: Manifest, connection: str | None) -> list[Path]:
    """What is here and would be replaced, or would no longer belong to what is restored."""
    of_one = (f"{connection}.duckdb", f"{connection}.duckdb.wal", f"read/{connection}.duckdb")
    found = [one for pattern in (of_one if connection else REPLACED_DATA) for one in sorted(ours.data.glob(pattern))]
    if any(one.startswith("dagster/") for one in manifest.members):
        found += [ours.dagster / one for one in REPLACED_DAGSTER if (ours.dagster / one).exists()]
    for member, there in ((CONNECTIONS, ours.connections), (ENV, ours.env)):
        if member in manifest.members and os.path.lexists(there):
            found.append(there)
    return found


def _aside(ours: Installation, path: Path, when: str) -> Path:
    """Where something is set aside: on its own disk, for a rename is all or nothing."""
    if path in (ours.connections, ours.env):
        return path.with_name(f"{path.name}.{when}")
    return path.parent / when / path.name


def _move(source: Path, target: Path) -> None:
    """Moves a file; on another disk, too, it appears as a whole."""
    if source.stat().st_dev == target.parent.stat().st_dev:
        os.replace(source, target)
        return
    near = target.with_name(f".{target.name}.restoring")
    shutil.copyfile(source, near)
    os.replace(near, target)
    source.unlink()


def _staging(ours: Installation) -> Path:
    return ours.data / "restoring"


@contextmanager
def _alone(ours: Installation) -> Iterator[None]:
    private_folder(ours.data)
    try:
        with FileLock(ours.data / "restoring.lock", mode=0o600).acquire(timeout=0):
            yield
    except Timeout:
        raise ArchiveError(f"another restore into {ours.data} is in progress; wait for it") from None


def _refuse_runs(ours: Installation, connection: str | None) -> None:
    for name in [connection] if connection else ours.warehouses():
        if Warehouse(ours.data, name).is_running():
            raise ArchiveError(f"{name}: a run is in progress; stop Dagster and wait for it. Nothing was changed")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
