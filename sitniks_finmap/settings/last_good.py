"""The last good version of connections.toml: what Dagster goes on with while the file, or a table of it, is invalid.

Each connection's table is kept as it was when it was last valid, in `<data>/connections.last-good.json`. A table that
somebody deletes from a readable file is forgotten: that shop stops. Commands that people run do not go on with it: they
refuse an invalid file, because somebody is there to correct it.
"""

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import (
    WrongConnection,
    choose,
    connections_of,
    connections_path,
    each_company_once,
    read_connection,
    read_tables,
)
from sitniks_finmap.settings.private_files import data_folder, private_files, private_folder
from sitniks_finmap.settings.text_files import bare_key

log = logging.getLogger(__name__)

SECRET_NAMES = ("API_KEY", "TOKEN", "PASSWORD", "ALERT_URLS", "HEARTBEAT_URL")  # endings of variables
SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Running:
    """What runs now: the connections, those that are invalid, and why the file itself cannot be read, if so.

    A connection may be in both lists: then it goes on with its last good table.
    """

    connections: list[Connection]
    wrong: list[WrongConnection] = field(default_factory=list)
    problem: str | None = None

    @property
    def goes_on(self) -> set[str]:
        """The connections that run with their last good table."""
        names = {one.name for one in self.connections}
        return names if self.problem else names & {one.name for one in self.wrong}


def last_good_path() -> Path:
    return data_folder() / "connections.last-good.json"


def load_running() -> Running:
    """The connections that run now. Remembers each valid table. Raises nothing about the file."""
    kept = _read()
    try:
        tables = read_tables()
        if not tables and kept and _is_blank():
            raise ConfigurationError(f"{connections_path()} is empty; restore it")
    except ConfigurationError as error:
        right, _ = connections_of(kept)
        return Running(right, [], str(error))
    right, wrong = connections_of(tables)
    _remember({one.name: tables[one.name] for one in right}, kept, {one.name for one in wrong})
    before = [read_connection(one.name, kept[one.name]) for one in wrong if one.name in kept]
    # The valid ones first: a shop that is in the file under another name now must not be posted twice.
    running, _ = each_company_once([*right, *(one for one in before if isinstance(one, Connection))], [])
    return Running(running, wrong)


def running_connection(name: str) -> Connection:
    """The connection as it runs now. Raises ConfigurationError that says why it does not."""
    for connection in load_running().connections:
        if connection.name == name:
            return connection
    return choose(name)[0]


def _is_blank() -> bool:
    """Whether the file has no content at all: cut off by a full disk, not emptied by a person who left a comment."""
    return not connections_path().read_bytes().strip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n\f\v")  # of any encoding


def _read() -> dict[str, Any]:
    try:
        read = json.loads(last_good_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _remember(right: dict[str, Any], kept: dict[str, Any], wrong: set[str]) -> None:
    """Keep the valid tables, and those that are invalid now but once were valid."""
    now = {name: table for name, table in kept.items() if name in wrong}
    secrets = _secrets()
    for name, table in right.items():
        plain = json.loads(json.dumps(table, default=_plain))
        if _holds_one_of(secrets, plain):
            log.warning("%s: a value of its table is also the value of a secret variable: it is not kept", name)
            continue
        now[name] = plain
    if now == kept:
        return
    path = last_good_path()
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        private_folder(path.parent)
        with private_files():
            fresh.write_text(json.dumps(now, ensure_ascii=False, indent=1), "utf-8")
        os.replace(fresh, path)
    except OSError as error:
        log.error("the last good version of connections.toml could not be saved: %s", error.strerror)
        with suppress(OSError):
            fresh.unlink()


def _plain(value: Any) -> str:
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no setting is a {type(value).__name__}")


def _secrets() -> set[str]:
    """The values in the environment under the names of secrets."""
    found = {bare_key(value) for name, value in os.environ.items() if name.endswith(SECRET_NAMES)}
    return {secret for secret in found if len(secret) >= SHORTEST_SECRET}


def _holds_one_of(secrets: set[str], table: Any) -> bool:
    text = json.dumps(table, ensure_ascii=False)
    return any(secret in text for secret in secrets)
