"""Detects two transactions with the same id on days that are read separately, which one day's list cannot show."""

import logging
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime

from sitniks_finmap.clients.sitniks_list import Row, several_records
from sitniks_finmap.figures import counted
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import rows_as

log = logging.getLogger(__name__)

DAYS_REREAD = 20  # most days re-read because of one read; further ones wait for the next


def with_doubles(run: ConnectionRun, rows: list[Row], start: datetime, end: datetime) -> list[Row]:
    """Return the rows of a complete read from `start` to `end`, merged with records of other days that share an id.

    If an id was last known on another day, that day is read again: if the record is still there, two records share the
    id and it is unknown which is valid; if not, it was moved. Raises ApiError, IncompleteRead.
    """
    known = known_elsewhere(run, rows, start, end)
    days = sorted(known)[:DAYS_REREAD]
    others: dict[str, dict[str, None]] = defaultdict(dict)
    for day in days:
        for row in run.sitniks.transactions(*run.bounds(day, day)):
            if row.id in known[day]:
                others[row.id][row.text] = None
    if others:
        log.warning("%s: transactions of several days share an ID: %s", run.connection.name, counted(len(others), "ID"))
    return [
        replace(several_records(row, [row.text, *others[row.id]]), id=row.id) if row.id in others else row
        for row in rows
    ]


def known_elsewhere(run: ConnectionRun, rows: list[Row], start: datetime, end: datetime) -> dict[date, set[str]]:
    """The changed ids that were last known on a day outside the bounds, by that day."""
    if not rows or not run.warehouse.exists():
        return {}
    told = {"id": [r.id for r in rows], "amount": [r.amount for r in rows], "text": [r.text for r in rows]}
    with run.warehouse.transaction() as con, rows_as(con, "told", told):
        found = con.execute(
            sql("known_elsewhere"), {"start": start, "end": end, "zone": run.connection.timezone}
        ).fetchall()
    known: dict[date, set[str]] = defaultdict(set)
    for id, day in found:
        known[day].add(id)
    return known
