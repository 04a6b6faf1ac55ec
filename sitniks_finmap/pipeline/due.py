"""Decides what a connection does next and for which days; the sensor asks and keeps the memory."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse

REREAD_CHECK_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Memory:
    """When a sync was last launched, and when the other two kinds of run were last checked."""

    last_sync: datetime | None = None
    last_delivery_check: datetime | None = None
    last_reread_check: datetime | None = None

    def to_text(self) -> str:
        return json.dumps({name: moment.isoformat() for name, moment in asdict(self).items() if moment})

    @classmethod
    def from_text(cls, text: str | None) -> "Memory":
        """Parse the output of `to_text`; anything unreadable is an empty memory."""
        try:
            read = cls(**{name: datetime.fromisoformat(moment) for name, moment in json.loads(text or "{}").items()})
        except (ValueError, TypeError, AttributeError):
            return cls()
        moments: list[datetime | None] = [read.last_sync, read.last_delivery_check, read.last_reread_check]
        return read if all(moment is None or moment.tzinfo for moment in moments) else cls()


@dataclass(frozen=True)
class NextRun:
    """A run to launch, and the memory to keep once it is launched. A full re-read covers one month."""

    what: Literal["sync", "deliver", "full re-read"]
    first_day: date
    last_day: date
    memory: Memory


@dataclass(frozen=True)
class NoRun:
    """Why nothing is launched and when the next runs are due, and the memory to keep."""

    why: str
    memory: Memory


def next_run(
    connection: Connection, warehouse: Warehouse, now: datetime, memory: Memory, busy: Callable[[], str | None]
) -> NextRun | NoRun:
    """Decide what to do now: a due sync, else a delivery, else a month of the full re-read, or nothing.

    Cheap checks come first: `busy`, which says what is already running, is called only if something may be due, and the
    warehouse is read only if nothing is running.
    """
    if connection.today(now) < connection.start_date:
        return NoRun(f"The import starts on {connection.start_date}.", memory)
    sync = _is_due(memory.last_sync, connection.sync_every, now)
    delivery = _is_due(memory.last_delivery_check, connection.retry_every, now)
    reread = _is_due(memory.last_reread_check, REREAD_CHECK_EVERY, now)
    if not (sync or delivery or reread):
        return NoRun(f"Nothing is due. {_upcoming(connection, memory, now)}", memory)
    if who := busy():
        return NoRun(f"{who}. {_upcoming(connection, memory, now)}", memory)
    # A sync that takes longer than `sync_every` is due again immediately: alternate it with the full re-read.
    if sync and not (reread and _is_later(memory.last_sync, memory.last_reread_check)):
        return NextRun("sync", *days_to_sync(connection, warehouse, now), replace(memory, last_sync=now))
    if delivery and not sync:
        memory = replace(memory, last_delivery_check=now)
        if days := days_due(warehouse, now):
            return NextRun("deliver", *days, memory)
    if reread:
        memory = replace(memory, last_reread_check=now)
        if days := days_to_read_again(connection, warehouse, now):
            return NextRun("full re-read", *days, memory)
    if sync:
        return NextRun("sync", *days_to_sync(connection, warehouse, now), replace(memory, last_sync=now))
    return NoRun(f"Nothing is due. {_upcoming(connection, memory, now)}", memory)


def _is_due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    """A remembered time in the future means that the clock was set back: treat it as due."""
    return last is None or last > now or now - last >= every


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _upcoming(connection: Connection, memory: Memory, now: datetime) -> str:
    """Say when the next sync and delivery check are due; what is already due follows the run in progress."""

    def moment(last: datetime | None, every: timedelta) -> str:
        if last is None or _is_due(last, every, now):
            return "after this run"
        return f"at {(last + every).astimezone(connection.zone):%Y-%m-%d %H:%M:%S}"

    sync = moment(memory.last_sync, connection.sync_every)
    delivery = moment(memory.last_delivery_check, connection.retry_every)
    return f"Next sync {sync}; next delivery check {delivery}."


def days_to_sync(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date]:
    """The days that a sync reads: from `lookback_days` before today, or from the first unread day if earlier.

    Days at either end that failed before are left out, so as not to block others: they are retried separately. If all
    of them failed, all are tried.
    """
    last_day = connection.today(now)
    first_day = min(first_unread_day(connection, warehouse, last_day), last_day - timedelta(connection.lookback_days))
    first_day = max(first_day, connection.start_date)
    if not warehouse.exists():
        return first_day, last_day
    with warehouse.transaction() as con:
        readable = con.execute(sql("readable_days"), {"first": first_day, "last": last_day}).fetchone()
    return readable if readable and readable[0] else (first_day, last_day)


def first_unread_day(connection: Connection, warehouse: Warehouse, last_day: date) -> date:
    """The first day since start_date that was neither read completely nor tried; a first import resumes there.

    A day that was read before it ended does not count as read, so that nothing is missed while the machine was off.
    """
    if not warehouse.exists():
        return connection.start_date
    with warehouse.transaction() as con:
        row = con.execute(
            sql("first_unread_day"), {"first": connection.start_date, "last": last_day, "zone": connection.timezone}
        ).fetchone()
    return row[0] if row and row[0] else last_day


def days_to_read_again(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """The least recently tried month among those due to be read again, or None.

    Covers only days that were read or tried before: a first import is up to the sync.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        row = con.execute(
            sql("months_to_read_again"),
            {
                "first": connection.start_date,
                "today": connection.today(now),
                "recent": connection.today(now) - timedelta(connection.lookback_days),
                "zone": connection.timezone,
                "now": now,
                "every": connection.full_resync_every,
                "soon": connection.sync_every,
            },
        ).fetchone()
    return (row[0], row[1]) if row else None


def days_to_try_again(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """Like `days_to_read_again`, but only what failed or misses a transaction; for the command without the sensor."""
    return days_to_read_again(connection.model_copy(update={"full_resync_every": timedelta(36500)}), warehouse, now)


def unread_since(warehouse: Warehouse, moment: datetime) -> bool:
    """Whether any day of transactions could not be read since then."""
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        query = "select count(*) from unread_days where resource = (from main_source) and tried_at >= $1"
        return (con.execute(query, [moment]).fetchone() or (0,))[0] > 0


def days_due(warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """First and last day with something to deliver now: failed, unverified, changed, or backlog.

    Also days that a run read but did not derive, because it died or other days of it could not be read.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        row = con.execute(sql("days_due"), {"now": now}).fetchone()
    return (row[0], row[1]) if row and row[0] else None
