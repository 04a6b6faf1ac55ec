"""What the tellers remember: `alert_states`, `outbox` and more, in one SQLite file that all of them share.

It is not in Dagster's database and not in a connection's file, because it must outlive both. Every change is one short
transaction that waits for the others (`begin immediate`); nothing is ever sent inside of one.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sitniks_finmap.alerts.conditions import DEPLOYMENT, Fact, State, shops_of
from sitniks_finmap.alerts.outbox import Outbox, create_outbox, moment_of, written
from sitniks_finmap.settings.private_files import data_folder, private_files, private_folder

WAIT = 20.0  # seconds for another teller's transaction, which takes milliseconds
SCHEMA = """
create table if not exists alert_states (
    scope text not null,        -- a connection, or * for the deployment
    condition text not null,
    state text not null,        -- JSON: a State (alerts/conditions.py)
    primary key (scope, condition)
) without rowid;
create table if not exists notes (name text primary key, value text not null) without rowid;
"""
RESERVE = 1 << 20  # bytes kept free for messages about a full disk
DAMAGE = ("not a database", "malformed", "disk image")


class StateUnusable(OSError):
    """The file of the tellers' memory cannot be used; the message says why and what to do."""


def state_path() -> Path:
    return data_folder() / "alerts.sqlite"


class Memory(Outbox):
    """An open transaction on the file."""

    def states(self) -> dict[tuple[str, str], State]:
        """Every condition that holds or held until a while ago, by scope and condition; without what we cannot read."""
        found: dict[tuple[str, str], State] = {}
        for scope, condition, text in self.con.execute("select scope, condition, state from alert_states").fetchall():
            with suppress(ValueError, TypeError, KeyError):  # of another version
                found[scope, condition] = _state_of(text)
        return found

    def keep(self, scope: str, condition: str, state: State | None) -> None:
        if state is None:
            self.con.execute("delete from alert_states where scope = ? and condition = ?", (scope, condition))
        else:
            self.con.execute(
                "insert or replace into alert_states values (?, ?, ?)", (scope, condition, _text_of(state))
            )

    def forget_scope(self, scope: str) -> None:
        """A connection that is gone from connections.toml."""
        self.con.execute("delete from alert_states where scope = ?", (scope,))
        self.con.execute("delete from notes where name = ?", (f"observed {scope}",))

    def rename_scope(self, old: str, new: str) -> None:
        """A connection has a new name: what people were told of it, and the last digest, stay."""
        for (scope, condition), state in self.states().items():
            if scope == DEPLOYMENT and old in shops_of(state.fact):
                shops = ", ".join(sorted(shops_of(state.fact) - {old} | {new}))
                fact = replace(state.fact, values={**state.fact.values, "shops": shops})
                self.keep(scope, condition, replace(state, fact=fact))
        self.con.execute("update or replace alert_states set scope = ? where scope = ?", (new, old))
        self.con.execute("delete from notes where name = ?", (f"observed {old}",))
        self.con.execute("update outbox set report_of = ? where report_of = ?", (new, old))
        for note in ("digest", "no digest", "weekly digest", "no weekly digest"):
            self.con.execute("update or replace notes set name = ? where name = ?", (f"{note} {new}", f"{note} {old}"))

    def note(self, name: str) -> str | None:
        row = self.con.execute("select value from notes where name = ?", (name,)).fetchone()
        return row[0] if row else None

    def notes(self, prefix: str) -> list[tuple[str, str]]:
        """Notes whose names begin so, each with the rest of its name."""
        rows = self.con.execute("select name, value from notes where name >= ? and name < ?", (prefix, prefix + "\x7f"))
        return [(name.removeprefix(prefix), value) for name, value in rows.fetchall()]

    def set_note(self, name: str, value: str) -> None:
        self.con.execute("insert or replace into notes values (?, ?)", (name, value))

    def forget_note(self, name: str) -> None:
        self.con.execute("delete from notes where name = ?", (name,))

    def moment(self, name: str) -> datetime | None:
        """A note that is a moment."""
        value = self.note(name)
        return datetime.fromisoformat(value) if value else None


@contextmanager
def memory() -> Iterator[Memory]:
    """One transaction on the tellers' memory; a damaged file is set aside. Raises StateUnusable."""
    path = state_path()
    try:
        private_folder(path.parent)
        _make_room(path.with_suffix(".reserve"))
        with closing(_opened(path)) as con:
            con.execute("begin immediate")
            try:
                yield Memory(con)
                con.execute("commit")
            except BaseException:
                with suppress(sqlite3.Error):
                    con.execute("rollback")
                raise
    except sqlite3.Error as error:
        raise StateUnusable(
            f"{path} cannot be used: {error}; check that it belongs to this user and that the disk has room. Until "
            "then nobody can be notified"
        ) from None


def _make_room(reserve: Path) -> None:
    """Keep a file of RESERVE bytes, and give it up on a full disk: what fills the disk must not silence its message."""
    _, _, free = shutil.disk_usage(reserve.parent)
    if free < RESERVE:
        reserve.unlink(missing_ok=True)
    elif free > 50 * RESERVE and not reserve.exists():
        with private_files():
            reserve.write_bytes(os.urandom(RESERVE))  # some file systems store zeros in no space


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if not any(sign in str(error) for sign in DAMAGE):
            raise
        os.replace(path, path.with_name(f"alerts.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.sqlite"))
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    with private_files():
        con = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
    try:
        con.executescript(SCHEMA)
        (said,) = con.execute("pragma quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"malformed: {said}")
        create_outbox(con)
    except sqlite3.Error:
        con.close()
        raise
    return con


def plain(value: Any) -> Any:
    """What JSON does not know."""
    if isinstance(value, datetime):
        return written(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return sorted(value) if isinstance(value, frozenset) else dict(value)


def fact_of(read: dict[str, Any]) -> Fact:
    since, patience = read["since"], read["patience"]
    return Fact(**{
        **read,
        "since": moment_of(since) if since else None,
        "patience": timedelta(seconds=patience) if patience is not None else None,
    })  # fmt: skip


def _text_of(state: State) -> str:
    return json.dumps(asdict(state), default=plain, ensure_ascii=False)


def _state_of(text: str) -> State:
    read = json.loads(text)
    fact = fact_of(read.pop("fact"))
    moments = ("since", "begin_told", "end_told", "told_at", "clear_since", "case_since")
    values: dict[str, Any] = {name: moment_of(v) if name in moments and v else v for name, v in read.items()}
    return State(**values, fact=fact)
