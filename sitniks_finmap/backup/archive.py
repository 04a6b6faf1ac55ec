"""The format of a backup: a tar of plain files, and a manifest with the SHA-256 of each."""

import errno
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from operator import index
from pathlib import Path
from typing import Any

from sitniks_finmap.backup.members import ALLOWED, MANIFEST
from sitniks_finmap.warehouse.schema import SCHEMA_VERSION
from sitniks_finmap.warehouse.store import WarehouseError

FORMAT = 1
CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ArchiveError(OSError):
    """A backup or restore cannot be done; the message says why and what to do."""


@contextmanager
def room_in(folder: Path, what: str) -> Iterator[None]:
    """Raises ArchiveError that names this folder if its disk is full."""
    try:
        yield
    except (OSError, WarehouseError) as error:
        if getattr(error, "errno", None) not in FULL and "the disk is full" not in str(error):
            raise
        raise ArchiveError(f"there is no room in {folder}; free some space, or use another disk. {what}") from None


@dataclass
class Manifest:
    """What is in an archive, and what wrote it."""

    made_at: str
    sitniks_finmap: str
    dagster: str
    schema: int = SCHEMA_VERSION  # of the warehouses
    format: int = FORMAT
    members: dict[str, str] = field(default_factory=dict)  # name → SHA-256


class Writer:
    """Adds files to an archive, and notes the hash of each."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self.tar = tar
        self.manifest = manifest

    def add(self, member: str, path: Path) -> None:
        self.manifest.members[member] = hash_of(path)
        self.tar.add(path, member, recursive=False, filter=_plain)

    def finish(self, path: Path) -> None:
        """Adds the manifest, last: an archive that was cut off has none."""
        path.write_text(json.dumps(asdict(self.manifest), indent=1), "utf-8")
        self.tar.add(path, MANIFEST, recursive=False, filter=_plain)


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[tuple[tarfile.TarFile, Manifest]]:
    """An archive of which every byte was verified. Raises ArchiveError, OSError."""
    try:
        with tarfile.open(path, "r:") as tar:
            manifest = _manifest(tar, path)
            _verify(tar, manifest, path)
            yield tar, manifest
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{path} is not a whole backup ({error}); take another one. Nothing was changed") from None


def unpack(tar: tarfile.TarFile, member: str, path: Path, sha256: str) -> None:
    """Writes one member to a new private file, on the disk. Raises ArchiveError if it is not what was verified."""
    source = tar.extractfile(member)
    if source is None:
        raise ArchiveError(f"{member} is not a file in the archive")
    with source, path.open("xb") as to:
        shutil.copyfileobj(source, to, CHUNK)
        to.flush()
        os.fsync(to.fileno())
    if hash_of(path) != sha256:
        raise ArchiveError(f"{member} has changed while it was read; take another backup. Nothing was changed")


def _manifest(tar: tarfile.TarFile, path: Path) -> Manifest:
    try:
        source = tar.extractfile(MANIFEST)
        read: dict[str, Any] = json.loads(source.read(64 * CHUNK)) if source else {}
        wanted, schema = index(read["format"]), index(read["schema"])
    except (KeyError, ValueError, TypeError):
        raise ArchiveError(
            f"{path} is not a backup of sitniks-finmap, or was cut off; take another one. Nothing was changed"
        ) from None
    if wanted > FORMAT or schema > SCHEMA_VERSION:
        raise ArchiveError(
            f"{path} was made by a newer version, sitniks-finmap {read.get('sitniks_finmap')}; install that version "
            "or a later one, then restore. Nothing was changed"
        )
    members = read.get("members")
    if not isinstance(members, dict):
        raise ArchiveError(f"{path}: its manifest lists no files; take another one. Nothing was changed")
    return Manifest(
        str(read.get("made_at")), str(read.get("sitniks_finmap")), str(read.get("dagster")), schema, wanted, members
    )


def _verify(tar: tarfile.TarFile, manifest: Manifest, path: Path) -> None:
    """Raises ArchiveError unless the archive has exactly the files of its manifest, each unchanged and in its place."""
    found = tar.getmembers()
    names = [one.name for one in found if one.name != MANIFEST]
    strange = [one.name for one in found if one.name != MANIFEST and not (ALLOWED.fullmatch(one.name) and one.isreg())]
    if strange:
        raise ArchiveError(f"{path} contains {strange[0]!r}, which no backup has. Nothing was changed")
    if sorted(names) != sorted(manifest.members):
        raise ArchiveError(f"{path} has other files than its manifest; take another one. Nothing was changed")
    for name in names:
        source = tar.extractfile(name)
        if source is None or hashlib.file_digest(source, "sha256").hexdigest() != manifest.members[name]:  # type: ignore[arg-type]
            raise ArchiveError(f"{path} is damaged: {name} has changed; take another one. Nothing was changed")


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Neither users nor permissions of this machine."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info
