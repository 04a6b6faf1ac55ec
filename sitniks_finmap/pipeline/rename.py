"""Renames a connection: its operations in Finmap keep their keys, its files are moved, its table is rewritten."""

import os
import re
import tomllib
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from sitniks_finmap.settings.connections import ConfigurationError, default_key_env
from sitniks_finmap.settings.connections_file import connections_path
from sitniks_finmap.settings.edit import replace_text
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

NAME = re.compile(r"[a-z0-9_]+")
SIDES = ("sitniks", "finmap")


def rename(old: str, new: str) -> list[str]:
    """Rename the connection `old` to `new`; return a line per step done. Also finishes a rename that was killed, or
    started by hand in connections.toml.

    Raises ConfigurationError, and WarehouseError if a run is in progress or the new name has operations of its own.
    """
    for name in (old, new):
        if not NAME.fullmatch(name):
            raise ConfigurationError(f'a name must match [a-z0-9_]+, as in "sitniks_user_1", not "{name}"')
    if old == new:
        raise ConfigurationError(f"{old} already has that name")
    path = connections_path().resolve()
    source, target = (Warehouse(data_folder(), name) for name in (old, new))
    try:
        text = path.read_bytes().decode()
        renamed = renamed_text(text, old, new, keep_prefix=not source.exists() or _posted(source)[0] > 0)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    with ExitStack() as held:
        for warehouse in (source, target):
            held.enter_context(warehouse.run(wait=0))
        prefix = tomllib.loads(renamed)[new].get("key_prefix", new)
        gone_on = _has_posted(target, prefix, configured=new in tomllib.loads(text))
        done = []
        if renamed != text:
            _replace(path, renamed)
            done.append(f'{path.name}: the table is [{new}], and writes under key_prefix = "{prefix}"')
        if source.exists() and gone_on:
            done.append(f"{source.path.name} stays where it is: {new} has posted from a file of its own")
        elif source.exists():
            done += [*_set_aside(target), *_move(source, target)]
    if not source.exists():
        source.lock_path.unlink(missing_ok=True)
    return done or [f'{new} already has this name and writes under key_prefix = "{prefix}"; nothing to do']


def renamed_text(text: str, old: str, new: str, *, keep_prefix: bool = True) -> str:
    """Return connections.toml with the table `old` renamed to `new`, keeping comments. Settings with defaults that
    depend on the name are written out: the key variables, and the key prefix unless nothing was posted under it.

    Raises ConfigurationError, or TOMLDecodeError.
    """
    tables = tomllib.loads(text)
    if old in tables and new in tables:
        raise ConfigurationError(
            f"connections.toml has both [{old}] and [{new}]; delete the one that is not the shop to be renamed"
        )
    if old not in tables and new not in tables:
        raise ConfigurationError(
            f"connections.toml has neither [{old}] nor [{new}]; it has: {', '.join(tables) or 'none'}"
        )
    by_hand = old not in tables
    table = tables[new if by_hand else old]
    if not isinstance(table, dict):
        raise ConfigurationError(f"{old} is not a table, [{old}], in connections.toml")
    settings: dict[str, str] = {"key_prefix": old} if keep_prefix and "key_prefix" not in table else {}
    for side in SIDES:
        variable = default_key_env(old, side)
        meant = not by_hand or (variable in os.environ and default_key_env(new, side) not in os.environ)
        if f"{side}_key_env" not in table and meant:
            settings[f"{side}_key_env"] = variable
    wanted = {new if name == old else name: dict(one) if isinstance(one, dict) else one for name, one in tables.items()}
    wanted[new] |= settings
    header = re.compile(rf"^([ \t]*\[\[?[ \t]*)([\"']?){re.escape(new if by_hand else old)}\2(?=[ \t]*[.\]])", re.M)
    renamed = header.sub(rf"\g<1>{new}", text)
    lines = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    own = re.compile(rf"^([ \t]*\[[ \t]*{re.escape(new)}[ \t]*\][^\n]*)(\n|\Z)", re.M)
    renamed = own.sub(lambda line: f"{line[1]}\n{lines}", renamed, count=1)
    if _parsed(renamed) != wanted:
        by_person = "; ".join(f'{name} = "{value}"' for name, value in settings.items()) or "nothing else"
        raise ConfigurationError(
            f"connections.toml cannot be edited automatically: rename the table to [{new}] and add to it: "
            f"{by_person}; then run `sitniks-finmap rename {old} {new}` again. Nothing was changed"
        )
    return renamed


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _has_posted(target: Warehouse, prefix: str, *, configured: bool) -> bool:
    """Whether the new name has posted under this prefix. Raises WarehouseError if it has under another one."""
    posted, under = _posted(target)
    if posted and under != prefix:
        rollback = f"sitniks-finmap rollback --connection {target.connection} --from DAY --to DAY"
        remedy = f"Take them out with `{rollback}`, then run this again" if configured else "Choose another name"
        raise WarehouseError(
            f'{target.connection}: has operations in Finmap under "{under}" ({posted:,}), so it cannot take over '
            f'those under "{prefix}". {remedy}. Nothing was changed'
        )
    return posted > 0


def _posted(warehouse: Warehouse) -> tuple[int, str | None]:
    """How many operations were ever sent to Finmap, and under which prefix."""
    if not warehouse.exists():
        return 0, None
    with warehouse.transaction() as con:
        return con.execute(
            "select count(*), any_value(key_prefix) from finmap_upload cross join settings where sent_at is not null"
        ).fetchone() or (0, None)


def _set_aside(target: Warehouse) -> list[str]:
    """Move aside what was read under the new name before the rename; none of it is in Finmap."""
    if not target.exists():
        return []
    aside = f"{target.connection}.before-rename-{datetime.now():%Y%m%d-%H%M%S-%f}"  # noqa: DTZ005
    for path in _files(target):
        path.rename(path.with_name(path.name.replace(target.connection, aside, 1)))
    return [f"what was read as {target.connection} before is kept as {aside}.duckdb"]


def _move(source: Warehouse, target: Warehouse) -> list[str]:
    with source.transaction():  # checkpoints the log into the file
        pass
    for path in _files(source):
        path.rename(path.with_name(path.name.replace(source.connection, target.connection, 1)))
    return [f"{source.path.name} is {target.path.name}"]


def _files(warehouse: Warehouse) -> list[Path]:
    """The existing files, the warehouse last: while it is there, the move is unfinished."""
    log = warehouse.path.with_name(f"{warehouse.path.name}.wal")
    return [path for path in (warehouse.read_path, log, warehouse.path) if path.exists()]


def _replace(path: Path, text: str) -> None:
    """Write the file atomically, keeping its permissions."""
    try:
        replace_text(path, text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be rewritten: {error.strerror}. Nothing was changed") from None
