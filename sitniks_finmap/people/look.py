"""What the warehouse of a connection holds now. Calls neither API."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import duckdb

from sitniks_finmap.clients.reasons import without_echo
from sitniks_finmap.people.findings import Seen, State
from sitniks_finmap.people.kept import keep, kept, stamp_of
from sitniks_finmap.people.summary import summarize
from sitniks_finmap.pipeline.checks import checks_of
from sitniks_finmap.pipeline.plan import planned
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.last_runs import last_runs
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse

Also = Callable[[duckdb.DuckDBPyConnection], None]  # reads more of the same moment; the table `planned` is there
APPEARS_WITHIN = timedelta(hours=2)  # how long Finmap may take to show what it accepted
# The checks whose failure no other finding explains better.
CHECKED = ("transaction_ids_are_unique", "sign_and_type_agree")


def look(
    connection: Connection, warehouse: Warehouse, now: datetime, days: tuple[date, date] | None = None,
    also: Also | None = None,
) -> State | None:  # fmt: skip
    """Everything about these days (default: all), in one short transaction; None if there is no file yet.

    All days are not read again as long as neither the file nor the time changes the answer. Raises WarehouseError.
    """
    if not warehouse.exists():
        return None
    stamp = stamp_of(connection, warehouse)
    if days is None and also is None and (known := kept(warehouse, stamp, now)):
        return _state(known, connection, now, running=False)
    with warehouse.transaction() as con, planned(con):
        seen = _read(con, connection, now, days)
        until = _changes_at(con, connection, now)
        if also:
            also(con)
    running = warehouse.is_running()
    if not running and any(run.unfinished for run in seen.runs):
        with warehouse.transaction() as con:
            ended = last_runs(con) != seen.runs
        if ended:  # meanwhile: what was read is from the middle of it
            return look(connection, warehouse, now, days, also)
    if days is None and not running and stamp_of(connection, warehouse) == stamp:
        keep(warehouse, seen, stamp, now, until)
    return _state(seen, connection, now, running=running)


def _state(seen: Seen, connection: Connection, now: datetime, *, running: bool) -> State:
    return State(**vars(seen), connection=connection, now=now, running=running)


def _read(
    con: duckdb.DuckDBPyConnection, connection: Connection, now: datetime, days: tuple[date, date] | None
) -> Seen:
    first_day, last_day = days or (date.min, date.max)
    patience = _patience(connection)
    recent = {"recent_day": (now - patience).astimezone(connection.zone).date()}
    first_read, last_read = con.execute(sql("first_and_last_read"), recent).fetchone() or (None, None)
    given = {
        "now": now,
        "first": first_day,
        "last": last_day,
        "zone": connection.timezone,
        "start_date": connection.start_date,
        "read_day": (now - patience).astimezone(connection.zone).date() - timedelta(days=1),
        "read_again_by": now - _read_again_within(connection),
        "everything": days is None,
        "seen_by": now - patience - APPEARS_WITHIN,
    }
    problems: Counter[tuple[str, str]] = Counter()
    for problem, reason, told, records in con.execute(sql("status"), given).fetchall() if first_read else []:
        problems[problem, without_echo(reason or "", told or "")] += records
    checks = [check for check in checks_of(connection.source) if check.name in CHECKED]
    wrong = [int((con.execute(check.wrong).fetchone() or (0,))[0]) for check in checks]
    midnight = datetime.combine(connection.today(now), time.min, connection.zone)
    (delivered_today,) = con.execute(sql("delivered_since"), {"moment": midnight}).fetchone() or (0,)
    return Seen(
        first_read,
        last_read,
        last_runs(con),
        summarize(con, first_day, last_day),
        [(*what, records) for what, records in problems.items()],
        [(check.name, check.description, count) for check, count in zip(checks, wrong, strict=True) if count],
        delivered_today,
    )


def _changes_at(con: duckdb.DuckDBPyConnection, connection: Connection, now: datetime) -> datetime:
    """When time alone next changes what is read: what is due, late or overdue then, or another day."""
    patience = _patience(connection)
    given = {"now": now, "seen_within": patience + APPEARS_WITHIN, "read_again_within": _read_again_within(connection)}
    (due,) = con.execute(sql("next_change"), given).fetchone() or (None,)
    midnight = datetime.combine(connection.today(now) + timedelta(days=1), time.min, connection.zone)
    # Days are counted by the shop's clock, some only after `patience`.
    before = datetime.combine((now - patience).astimezone(connection.zone).date() + timedelta(days=1), time.min)
    late = before.replace(tzinfo=connection.zone).astimezone(UTC) + patience
    return min(one for one in (due, midnight, late) if one)


def _patience(connection: Connection) -> timedelta:
    """How late a sync may be before anything is missed."""
    return 2 * connection.sync_every


def _read_again_within(connection: Connection) -> timedelta:
    return 2 * connection.full_resync_every
