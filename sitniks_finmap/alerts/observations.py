"""What was last observed of each connection, so that a look a minute costs little: a file that did not change since is
not opened again for a while. Shared by all tellers.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.alerts.observe import EVERYTHING, Look
from sitniks_finmap.alerts.state import Memory, fact_of, plain
from sitniks_finmap.people.kept import stamp_of
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=30)  # some findings depend on the time
LONG_AGO = datetime.min.replace(tzinfo=UTC)
See = Callable[[Connection, Warehouse, datetime], Look]


def look_at(
    connections: Iterable[Connection], known: Mapping[str, tuple[str, Look]], now: datetime, seconds: float, see: See
) -> dict[str, tuple[str, Look]]:
    """A look at each connection, with its stamp: a known one if nothing has changed. After so many seconds, the rest
    are left for the next time; those that were looked at longest ago come first.
    """
    started = time.monotonic()
    looks: dict[str, tuple[str, Look]] = {}
    for connection in sorted(
        connections, key=lambda one: known[one.name][1].at.timestamp() if one.name in known else 0
    ):
        warehouse = open_warehouse(connection)
        stamp = stamp_of(connection, warehouse)
        before = known.get(connection.name)
        if before and before[0] == stamp and timedelta() <= now - before[1].at < FRESH:
            looks[connection.name] = before
        elif time.monotonic() - started < seconds:
            looks[connection.name] = (stamp, _seen(connection, warehouse, now, see))
    return looks


def _seen(connection: Connection, warehouse: Warehouse, now: datetime, see: See) -> Look:
    """Never raises: a bug that one shop brings out silences no other, and is told itself."""
    try:
        return see(connection, warehouse, now)
    except Exception as error:
        log.exception("%s: could not be looked at", connection.name)
        return Look(connection.name, now, {"blind": Fact(why=type(error).__name__)}, EVERYTHING)


def without_keys(connections: Iterable[Connection]) -> bool:
    """Whether this process was never given a key, like a watcher in a container of its own."""
    names = {name for one in connections for name in (one.sitniks_key_env, one.finmap_key_env)}
    return not Path(".env").exists() and not any(os.environ.get(name) for name in names)


def known_looks(kept: Memory) -> dict[str, tuple[str, Look]]:
    """What the tellers observed last, by connection."""
    found = {}
    for scope, text in kept.notes("observed "):
        with suppress(ValueError, TypeError, KeyError):
            found[scope] = _read(scope, json.loads(text))
    return found


def keep_look(kept: Memory, stamp: str, look: Look) -> None:
    kept.set_note(f"observed {look.scope}", json.dumps({"stamp": stamp, **asdict(look)}, default=plain))


def _read(scope: str, read: dict[str, Any]) -> tuple[str, Look]:
    facts = {name: fact_of(fact) for name, fact in read["facts"].items()}
    last = fact_of(read["last_sync"]) if read["last_sync"] else None
    return read["stamp"], Look(scope, datetime.fromisoformat(read["at"]), facts, frozenset(read["unknown"]), last)
