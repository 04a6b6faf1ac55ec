"""What is to be done next for a connection, and for which days."""

from datetime import date, datetime, timedelta

from sitniks_finmap.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse


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
    """The same, but only what failed or misses a transaction; the command tries it where no sensor does."""
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
