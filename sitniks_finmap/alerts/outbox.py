"""The messages that are still to be sent, in the tellers' memory: the table `outbox`."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sitniks_finmap.alerts.leases import Lease

SCHEMA = """
create table if not exists outbox (
    id integer primary key,
    recipient text not null,    -- environment variable and position in it, as people know it
    address text,               -- a hash of the URL without its password (alerts/addresses.py): never the URL
    title text not null,
    body text not null,
    created_at text not null,
    attempts integer not null default 0,
    unknowns integer not null default 0,    -- attempts after which it may have arrived
    outcome text not null default '',       -- of the last attempt: alerts/delivery.py
    next_at text not null,
    tone text not null default 'info',      -- warning, failure, success: how a service may show it
    report_of text,             -- the shop whose report goes along, if there is one when it is sent
    lease text,                 -- JSON: alerts/leases.py
    sent_at text                -- or given up
);
"""
ADDED = {  # columns that a file of an earlier version lacks
    "address": "text",
    "unknowns": "integer not null default 0",
    "outcome": "text not null default ''",
    "lease": "text",
    "tone": "text not null default 'info'",
    "report_of": "text",
}
COLUMNS = (
    "id, recipient, address, title, body, created_at, attempts, unknowns, outcome, next_at, lease, tone, report_of"
)


@dataclass(frozen=True)
class Message:
    """A message to one recipient that is still to be sent."""

    id: int
    recipient: str
    address: str | None
    title: str
    body: str
    created_at: datetime
    attempts: int
    unknowns: int
    outcome: str
    next_at: datetime
    lease: str | None
    tone: str = "info"
    report_of: str | None = None

    @property
    def to(self) -> str:
        return self.address or self.recipient

    def age(self, now: datetime) -> timedelta:
        return now - self.created_at


class Outbox:
    """The outbox, in an open transaction."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self.con = con

    def queue(
        self, recipient: str, title: str, body: str, now: datetime, tone: str = "info", report_of: str | None = None
    ) -> None:
        """A message to a recipient, by its name (alerts/recipients.py)."""
        label, address = _split(recipient)
        at = written(now)
        self.con.execute(
            "insert into outbox (recipient, address, title, body, created_at, next_at, tone, report_of) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            (label, address, title, body, at, at, tone, report_of),
        )

    def unsent(self) -> dict[str, list[Message]]:
        """The unsent messages to each recipient, in order."""
        rows = self.con.execute(f"select {COLUMNS} from outbox where sent_at is null order by id").fetchall()
        found: dict[str, list[Message]] = {}
        for row in rows:
            values = dict(zip(COLUMNS.split(", "), row, strict=True))
            moments = {name: moment_of(values[name]) for name in ("created_at", "next_at")}
            message = Message(**{**values, **moments})
            found.setdefault(message.to, []).append(message)
        return found

    def count_unsent(self) -> int:
        return self.con.execute("select count(*) from outbox where sent_at is null").fetchone()[0]

    def lease(self, message: Message, lease: Lease) -> None:
        self.con.execute("update outbox set lease = ? where id = ?", (lease.text(), message.id))

    def sent(self, message: Message, now: datetime) -> None:
        self.con.execute("update outbox set sent_at = ?, lease = null where id = ?", (written(now), message.id))

    def failed(self, message: Message, outcome: str, unknowns: int, next_at: datetime) -> None:
        self.con.execute(
            "update outbox set attempts = attempts + 1, outcome = ?, unknowns = ?, lease = null, next_at = ? "
            "where id = ?",
            (outcome, unknowns, written(next_at), message.id),
        )

    def hurry(self, message: Message, outcome: str, but: set[int], now: datetime) -> None:
        """Makes the other messages to the same recipient due whose last attempt ended so."""
        for other in self.unsent().get(message.to, []):
            if other.outcome == outcome and other.id not in but:
                self.con.execute("update outbox set next_at = ? where id = ?", (written(now), other.id))

    def forget_sent(self, before: datetime) -> None:
        self.con.execute("delete from outbox where sent_at < ?", (written(before),))

    # -- Recipients that moved or changed --------------------------------------------------------------------------

    def recipients(self) -> list[tuple[str, str | None]]:
        """Label and address of everybody who is to get something."""
        rows = self.con.execute("select distinct recipient, address from outbox where sent_at is null")
        return [(label, address) for label, address in rows.fetchall()]

    def rename(self, label: str, address: str, name: str) -> None:
        """The recipient has moved within its variable."""
        self.con.execute(
            "update outbox set recipient = ? where recipient = ? and address = ? and sent_at is null",
            (_split(name)[0], label, address),
        )

    def address(self, label: str, names: list[str]) -> None:
        """Addresses what an earlier version queued; if it meant several recipients, to each of them."""
        if not names:
            return
        first, *others = [_split(name) for name in names]
        for other in others:
            self.con.execute(
                "insert into outbox (recipient, address, title, body, created_at, next_at, tone) "
                "select ?, ?, title, body, created_at, next_at, tone from outbox "
                "where recipient = ? and address is null and sent_at is null order by id",
                (*other, label),
            )
        self.con.execute(
            "update outbox set recipient = ?, address = ? where recipient = ? and address is null and sent_at is null",
            (*first, label),
        )

    def take_over(self, label: str, address: str, name: str) -> None:
        """Gives messages to another recipient, unless it was there already and got them itself."""
        found = self.con.execute(
            "select id from outbox as one where recipient = ? and address = ? and sent_at is null and not exists "
            "(select 1 from outbox where address = ? and created_at <= one.created_at)",
            (label, address, _split(name)[1]),
        ).fetchall()
        for (number,) in found:
            self.con.execute("update outbox set recipient = ?, address = ? where id = ?", (*_split(name), number))


def create_outbox(con: sqlite3.Connection) -> None:
    """Creates the table, or brings that of an earlier version up to date."""
    con.executescript(SCHEMA)
    there = {row[1] for row in con.execute("pragma table_info(outbox)")}
    for name, kind in ADDED.items():
        if name not in there:
            try:
                con.execute(f"alter table outbox add column {name} {kind}")
            except sqlite3.OperationalError as error:  # another process was faster
                if "duplicate column" not in str(error):
                    raise


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _split(name: str) -> tuple[str, str | None]:
    """Label and address."""
    variable, position, *address = name.split(" ")
    return f"{variable} {position}", address[0] if address else None
