"""What was last seen of each connection, kept in `<data folder>/seen/`: a shop at rest is looked at without its file
being opened, so that a fleet of a hundred costs little. Whoever deletes these files loses nothing.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from sitniks_finmap import __version__
from sitniks_finmap.people.findings import Seen
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import private_files, private_folder
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError


@dataclass(frozen=True)
class Kept:
    stamp: str
    at: datetime
    until: datetime  # when time alone changes it
    seen: Seen


def stamp_of(connection: Connection, warehouse: Warehouse) -> str:
    """Changes whenever what is seen may: with the file, a run, the settings, the keys, another version of this code."""
    found = []
    log = warehouse.path.with_name(warehouse.path.name + ".wal")
    for path in (warehouse.path, log, warehouse.read_path, warehouse.ran_path):
        with suppress(OSError):
            stat = path.stat()
            found.append((path.name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, stat.st_mode))
    aside = sorted(path.name for path in warehouse.path.parent.glob(f"{warehouse.connection}.damaged-*"))
    try:
        running = warehouse.is_running()
    except WarehouseError:
        running = None
    usable = os.access(warehouse.path, os.R_OK | os.W_OK)
    settings = sha256(connection.model_dump_json().encode()).hexdigest()
    return json.dumps([found, usable, aside, running, settings, connection.problem(), _version()])


def kept(warehouse: Warehouse, stamp: str, now: datetime) -> Seen | None:
    """What was seen last, if nothing has changed since."""
    try:
        last = _adapter().validate_json(_path(warehouse).read_bytes())
    except (OSError, ValidationError):
        return None
    return last.seen if last.stamp == stamp and last.at <= now < last.until else None


def keep(warehouse: Warehouse, seen: Seen, stamp: str, at: datetime, until: datetime) -> None:
    """Keep what was seen, if the disk has room for it."""
    path = _path(warehouse)
    fresh = path.with_suffix(f".{uuid4().hex}.fresh")
    try:
        private_folder(path.parent)
        with private_files():
            fresh.write_bytes(_adapter().dump_json(Kept(stamp, at, until, seen)))
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _path(warehouse: Warehouse) -> Path:
    return warehouse.path.parent / "seen" / f"{warehouse.connection}.json"


@cache
def _adapter() -> TypeAdapter[Kept]:
    return TypeAdapter(Kept)


@cache
def _version() -> str:
    """Of this package; of a working copy, which has the same number for long, also the age of its files."""
    folders = (Path(str(files("sitniks_finmap"))) / name for name in ("sql", "people"))
    with suppress(OSError):
        newest = max(path.stat().st_mtime_ns for folder in folders for path in folder.glob("*.*"))
        return f"{__version__} {newest}"
    return __version__
