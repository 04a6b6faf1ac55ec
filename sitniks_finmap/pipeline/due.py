"""What is to be done next for a connection, and for which days; the sensor asks, and remembers."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from sitniks_finmap.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse

REREAD_CHECK_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Memory:
    """When a sync was last launched, and when the other two kinds of run were last looked for."""

    last_sync: datetime | None = None
    last_delivery_check: datetime | None = None
    last_reread_check: datetime | None = None

    def to_text(self) -> str:
        return json.dumps({name: moment.isoformat() for name, moment in asdict(self).items() if moment})

    @classmethod
    def from_text(cls, text: str | None) -> "Memory":
        """What `to_text` wrote; anything that cannot be read is an empty memory."""
        try:
            read = cls(**{name: datetime.fromisoformat(moment) for name, moment in json.loads(text or "{}").items()})
        except (ValueError, TypeError, AttributeError):
            return cls()
        moments: list[datetime | None] = [read.last_sync, read.last_delivery_check, read.last_reread_check]
        return read if all(moment is None or moment.tzinfo for moment in moments) else cls()


@dataclass(frozen=True)
class NextRun:
    """A run to launch, and what to remember once it is launched. A full re-read reads one month."""

    what: Literal["sync", "deliver", "full re-read"]
    first_day: date
    last_day: date
    memory: Memory


@dataclass(frozen=True)
class NoRun:
    """Why nothing is launched, with the moment of what comes next, and what to remember."""

    why: str
    memory: Memory


def next_run(
    connection: Connection, warehouse: Warehouse, now: datetime, memory: Memory, busy: Callable[[], str | None]
) -> NextRun | NoRun:
    """The one thing to do now: a sync that is due, else a delivery, else a month of the full re-read, or nothing.

    The cheap questions come first: `busy`, which says who is at work on the connection, is asked only if something may
    be due, and the warehouse only if nobody is.
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
    # A sync that takes longer than `sync_every` is due again at once: a month of the history takes turns with it.
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
    """A moment ahead of the clock was remembered before the clock was set back: it must not stop anything."""
    return last is None or last > now or now - last >= every


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _upcoming(connection: Connection, memory: Memory, now: datetime) -> str:
    """When the next sync and the next delivery check are due; what is due already waits for the run in progress."""

    def moment(last: datetime | None, every: timedelta) -> str:
        if last is None or _is_due(last, every, now):
            return "after this run"
        return f"at {(last + every).astimezone(connection.zone):%Y-%m-%d %H:%M:%S}"

    sync = moment(memory.last_sync, connection.sync_every)
    delivery = moment(memory.last_delivery_check, connection.retry_every)
    return f"Next sync {sync}; next delivery check {delivery}."


def days_to_sync(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date]:
    """The days that a sync reads: from `lookback_days` before today, or from the first day never read before.

    Days at either end that failed before are left out, so that they stop no others: they are tried on their own. When
    all of them failed, they are tried.
    """
    last_day = connection.today(now)
    first_day = min(first_unread_day(connection, warehouse, last_day), last_day - timedelta(connection.lookback_days))
    first_day = max(first_day, connection.start_date)
    if not warehouse.exists():
        return first_day, last_day
    with warehouse.transaction() as con:
        readable = con.execute(
            """
            select min(day)::date, max(day)::date
            from generate_series($1::date, $2::date, interval 1 day) days(day)
            where day not in (select day from unread_days where resource = 'transactions')
            """,
            [first_day, last_day],
        ).fetchone()
    return readable if readable and readable[0] else (first_day, last_day)


def first_unread_day(connection: Connection, warehouse: Warehouse, last_day: date) -> date:
    """The first day since start_date that was neither read completely nor tried; a first import goes on there.

    A day that was read before it ended is not: what came after is read when the machine has been off, too.
    """
    if not warehouse.exists():
        return connection.start_date
    with warehouse.transaction() as con:
        row = con.execute(
            sql("first_unread_day"), {"first": connection.start_date, "last": last_day, "zone": connection.timezone}
        ).fetchone()
    return row[0] if row and row[0] else last_day


def days_to_read_again(connection: Connection, warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """The month that was tried longest ago of those that are due to be read again, or None.

    Only of days that were read or tried before: a first import is the sync's.
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
    """The same, but only what failed or misses a transaction; the command tries it where the sensor does not."""
    return days_to_read_again(connection.model_copy(update={"full_resync_every": timedelta(36500)}), warehouse, now)


def unread_since(warehouse: Warehouse, moment: datetime) -> bool:
    """Whether days of transactions could not be read since then."""
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        query = "select count(*) from unread_days where resource = 'transactions' and tried_at >= $1"
        return (con.execute(query, [moment]).fetchone() or (0,))[0] > 0


def days_due(warehouse: Warehouse, now: datetime) -> tuple[date, date] | None:
    """First and last day with something that can be delivered now: failed, to be verified, changed, or backlog.

    Also what a run read and could not derive, because it died or some days of it could not be read.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        row = con.execute(
            """
            select min(day), max(day)
            from (
                select day from plan where standing = 'go' and (due_at is null or due_at <= $1)
                union all
                select day from underived_transactions
            ), settings
            where day between start_date and timezone(timezone, $1::timestamptz)::date
            """,
            [now],
        ).fetchone()
    return (row[0], row[1]) if row and row[0] else None
