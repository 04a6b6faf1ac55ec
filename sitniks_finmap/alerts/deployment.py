"""What is wrong with the deployment as a whole: the daemon, the code location, the disk, connections.toml."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sitniks_finmap.alerts.conditions import Fact
from sitniks_finmap.alerts.state import Memory

SILENCE = timedelta(seconds=300)  # heartbeats of a large deployment lie up to 268 s apart
LEAST_SHARE, LEAST_BYTES = 0.05, 1_000_000_000
ENOUGH = 1.2  # times as much must be free again before it is over
HEARTBEAT, TELLER = "heartbeat", "teller"  # notes
UNREADABLE, READABLE = "unreadable", "readable"  # notes: since when Dagster's database is away, and is back
UNREADABLE_FOR = timedelta(minutes=4)  # less than the watcher's interval: the second look in vain tells


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of Dagster's daemon, and which process gave it."""

    at: datetime
    daemon: str
    notifying: bool = True  # whether the sensor `alerts` is on


Heard = Heartbeat | Literal["itself", "unknown"] | None  # None: there never was one


def daemon_facts(memory: Memory, heard: Heard, now: datetime) -> tuple[dict[str, Fact], frozenset[str]]:
    """Whether the daemon lives and carries out our sensor: the facts, and what is unknown.

    "itself": it is the daemon that asks, which proves both. "unknown": Dagster's database cannot be read, which is told
    instead, unless the daemon was silent before. If the database was lost, the last known heartbeat counts.
    """
    if heard != "unknown" and memory.note(UNREADABLE):
        memory.forget_note(UNREADABLE)
        memory.set_note(READABLE, now.isoformat())
    if heard == "itself":
        memory.set_note(TELLER, now.isoformat())
        return {}, frozenset()
    noted = json.loads(memory.note(HEARTBEAT) or "null")
    if isinstance(heard, Heartbeat):
        noted = _noted(noted, heard, now)
        memory.set_note(HEARTBEAT, json.dumps(noted))
    if noted is None:
        return {}, frozenset({"daemon", "location", "notifying"})  # no daemon was ever seen
    at, seen, started = (min(datetime.fromisoformat(noted[name]), now) for name in ("at", "seen", "started"))
    # A heartbeat in the future: the clock was set back. Then it is as old as our knowledge of it.
    last = seen if datetime.fromisoformat(noted["at"]) > now else at
    if heard == "unknown":
        unreadable = memory.moment(UNREADABLE)
        if unreadable is None or unreadable > now:
            memory.set_note(UNREADABLE, (unreadable := now).isoformat())
        last = max(last, memory.moment(TELLER) or last)
        if unreadable - last <= SILENCE:
            is_told = now - unreadable >= UNREADABLE_FOR
            facts = {"daemon": Fact(since=unreadable, values={"case": "database"})} if is_told else {}
            return facts, frozenset({"daemon", "location", "notifying"})
    back = memory.moment(READABLE)  # neither the daemon nor its sensor had a chance before
    if back and back > now:  # the clock was set back
        back = now
        memory.set_note(READABLE, now.isoformat())
    if now - last > SILENCE:
        if back and now - back <= SILENCE:
            return {}, frozenset({"daemon", "location", "notifying"})
        return {"daemon": Fact(since=last)}, frozenset({"location", "notifying"})
    teller = memory.moment(TELLER)
    if teller and teller > now:
        teller = now
        memory.set_note(TELLER, now.isoformat())
    quiet_since = max(teller or started, started, back or started)
    if now - quiet_since <= SILENCE:
        return {}, frozenset()
    if not noted.get("notifying", True):  # then its silence says nothing about the code location
        return {"notifying": Fact(since=quiet_since)}, frozenset({"location"})
    return {"location": Fact(since=quiet_since)}, frozenset({"notifying"})


def daemon_lives(memory: Memory, now: datetime) -> bool:
    """Whether the daemon itself has looked lately."""
    teller = memory.moment(TELLER)
    return teller is not None and now - teller <= SILENCE


def _noted(before: dict[str, Any] | None, heard: Heartbeat, now: datetime) -> dict[str, Any]:
    """What is known of the heartbeat, and since when of it and of its process."""
    at, said = heard.at.astimezone(UTC).isoformat(), now.astimezone(UTC).isoformat()
    known = before or {}
    return {
        "at": at,
        "daemon": heard.daemon,
        "notifying": heard.notifying,
        "seen": known["seen"] if known.get("at") == at else said,
        "started": known["started"] if known.get("daemon") == heard.daemon else said,
    }


def disk_facts(folders: Iterable[Path], *, is_open: bool) -> dict[str, Fact]:
    """Whether a folder's disk is nearly full; once it was, until clearly more is free."""
    times = ENOUGH if is_open else 1
    for folder in folders:
        existing = next((one for one in (folder, *folder.parents) if one.exists()), None)
        if existing is None:
            continue
        total, _, free = shutil.disk_usage(existing)
        if free < LEAST_BYTES * times or free < LEAST_SHARE * total * times:
            share = str(100 * free // total)
            return {"disk": Fact(values={"folder": str(existing), "free": str(free // 1_000_000), "share": share})}
    return {}
