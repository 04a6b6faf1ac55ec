"""Reads back what Finmap has: turns `sent` into `verified`, and finds people's edits and deletions."""

import logging
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from urllib.parse import unquote

import duckdb

from sitniks_finmap.clients.finmap import Operation
from sitniks_finmap.clients.sitniks import IncompleteRead
from sitniks_finmap.content import Content
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.figures import counted
from sitniks_finmap.pipeline.courier import save_shown
from sitniks_finmap.pipeline.ledger import Entry, State, entry_of, entry_when_missing, entry_when_seen, save_entries
from sitniks_finmap.pipeline.reading import days_of
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.progress import Progress
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import insert_rows

log = logging.getLogger(__name__)

LOOK_UPS = 500  # lookups by key in one run of what no list showed, least recently checked first
LISTED = "finmap"  # in complete_reads: the days of which Finmap listed all operations
FEW = 200  # up to so many operations, two pages of the list, all days are listed; more are listed in turn
ROUNDS = 24  # runs in which every day of orders is listed once
RECENT = 2  # days that every run lists
LONGEST = timedelta(days=3)  # no day of a run was listed longer ago
LISTED_FROM = 20  # from this many unseen operations, read a month outside the run's days as a list, not by key
BEYOND = timedelta(days=366)  # how far beyond the first and last day to search when rebuilding the ledger
PASSES = 5
PART_OF_ORDER = re.compile(r"order-.+\.(prepayment|sale|refund|partial|cogs|restock)", re.DOTALL)


def read_back(run: ConnectionRun, first_day: date, last_day: date, now: datetime) -> int:
    """Read the operations of these days from Finmap, and any others written and not seen since, and update the ledger;
    return how many were shown. With orders as the source, a run lists a share of the days before yesterday.

    Raises ApiError; the ledger is then at most partly updated.
    """
    with run.warehouse.transaction() as con:
        own = _days_to_list(con, first_day, last_day, now)
        spans = [*own, *_months_unseen(con, first_day, last_day)]
    operations = _listed_all(run, spans)
    with run.warehouse.transaction() as con:
        operations = recognised(con, operations)
        for span in spans:
            con.execute("delete from finmap_operations where occurred_at between $1 and $2", [*window(run, *span)])
        save_shown(con, operations, now)
        adopt(con, run, operations, now)
        days = [day for span in own for day in days_of(*span)]
        which = {"first_day": first_day, "last_day": last_day, "days": days, "now": now, "most": LOOK_UPS}
        hidden = [key for (key,) in con.execute(sql("hidden"), which).fetchall()]
    failpoint("read_back_committed")
    found = {external_id: run.finmap.details(external_id) for external_id in hidden}
    with run.warehouse.transaction() as con:
        shown = [operation for operation in found.values() if operation]
        save_shown(con, shown, now)
        gone = [external_id for external_id, operation in found.items() if operation is None]
        con.execute("delete from finmap_operations where list_contains($1::varchar[], external_id)", [gone])
        update_ledger(con, gone, now)
        listed_now = {"resource": LISTED, "read_at": now, "run_id": run.run_id}
        insert_rows(con, "complete_reads", [{**listed_now, "day": day} for day in days], replacing=True)
    failpoint("read_back_committed")
    return len(operations) + len(shown)


def update_ledger(con: duckdb.DuckDBPyConnection, gone: list[str], now: datetime) -> None:
    """Update the ledger with what Finmap showed at `now`, and with what was looked up and not found."""
    con.execute(sql("seen_unchanged"), {"now": now})
    rows = con.execute(sql("seen_changed"), {"now": now}).fetchall()
    entries = []
    for ledger, theirs in rows:
        entry = entry_of(ledger)
        if entry.state is not State.REFUSED or entry.delivered:
            entries.append(entry_when_seen(entry, Content(**theirs), now, lambda label: label, late=False))
    missing = con.execute("select l from finmap_upload l where list_contains($1::varchar[], external_id)", [gone])
    entries += [entry_when_missing(entry_of(ledger), now) for (ledger,) in missing.fetchall()]
    save_entries(con, entries)


def _days_to_list(
    con: duckdb.DuckDBPyConnection, first_day: date, last_day: date, now: datetime
) -> list[tuple[date, date]]:
    """The spans of these days to be listed now."""
    which = {"first_day": first_day, "last_day": last_day, "now": now}
    sizes = {"few": FEW, "recent": RECENT, "rounds": ROUNDS, "longest": LONGEST}
    return con.execute(sql("days_to_read_back"), which | sizes).fetchall()


def _months_unseen(con: duckdb.DuckDBPyConnection, first_day: date, last_day: date) -> list[tuple[date, date]]:
    """The months outside these days with many operations written and not seen since, to be read as lists."""
    which = {"first_day": first_day, "last_day": last_day, "many": LISTED_FROM}
    return con.execute(sql("unseen_months"), which).fetchall()


def recognised(con: duckdb.DuckDBPyConnection, operations: Iterable[Operation]) -> list[Operation]:
    """Restore the original case of our keys, which a server may lowercase."""
    known = {key for (key,) in con.execute("select external_id from finmap_upload").fetchall()}
    lower: dict[str, list[str]] = {}
    for key in known:
        lower.setdefault(key.casefold(), []).append(key)
    return [
        Operation(alike[0], one.content, one.id)
        if one.external_id not in known and len(alike := lower.get(one.external_id.casefold(), [])) == 1
        else one
        for one in operations
    ]


def adopt(con: duckdb.DuckDBPyConnection, run: ConnectionRun, operations: list[Operation], now: datetime) -> None:
    """Add operations with a key of ours that the ledger lacks: the file was lost, or a list omitted them.

    A generation later than one known to be in Finmap is not ours, unless the ledger was rebuilt.
    """
    known = {key for (key,) in con.execute("select external_id from finmap_upload").fetchall()}
    fresh = [entry for one in operations if one.external_id not in known and (entry := _entry(run, one, now))]
    if fresh:
        named = {"transaction_ids": [one.transaction_id for one in fresh]}
        ours = {transaction_id for (transaction_id,) in con.execute(sql("adoptable"), named).fetchall()}
        save_entries(con, [one for one in fresh if one.transaction_id in ours])
    con.execute(sql("adopt"))


def rebuild_ledger(
    run: ConnectionRun, first_day: date, last_day: date, now: datetime, *, anew: bool = False
) -> tuple[int, int]:
    """Fill the ledger from Finmap by externalId, so that nothing is sent twice and no edit is overwritten.

    Existing entries are kept, unless `anew`, for use after another installation wrote. Reads until two passes agree, a
    year beyond both ends, because people move operations. Ignores externalIds that are not in our format. Returns how
    many operations Finmap has, and how many of them are new to the ledger. Raises IncompleteRead, ApiError.
    """
    operations = _read_twice(run, first_day - BEYOND, last_day + BEYOND)
    with run.warehouse.transaction() as con:
        operations = recognised(con, operations)
        entries = [entry for operation in operations if (entry := _entry(run, operation, now))]
        refuse_the_other_form(run, entries)
        save_shown(con, operations, now)
        known = {key for (key,) in con.execute("select external_id from finmap_upload").fetchall()}
        fresh = [entry for entry in entries if anew or entry.external_id not in known]
        save_entries(con, fresh)
        if anew or not known:
            con.execute("delete from rebuilt_ledger")
            if entries:
                con.execute("insert into rebuilt_ledger values ($1)", [now])
                con.execute(sql("hold_after_loss"), {"now": now})
    failpoint("ledger_rebuilt")
    return len(entries), len(fresh)


def refuse_the_other_form(run: ConnectionRun, entries: list[Entry]) -> None:
    """Raise ConfigurationError if Finmap has operations of this connection from the other source."""
    source = run.connection.source
    others = [one for one in entries if bool(PART_OF_ORDER.fullmatch(one.transaction_id)) != (source == "orders")]
    if others:
        other = "transactions" if source == "orders" else "orders"
        raise ConfigurationError(
            f"{run.connection.name}: Finmap already has {counted(len(others), 'operation')} of this connection from "
            f'{other}; with source = "{source}" the same money would be posted a second time. Nothing was posted. Set '
            f'source = "{other}", or put a new connection in its place, with a start_date after the last day of this '
            "one"
        )


def _read_twice(run: ConnectionRun, first_day: date, last_day: date) -> list[Operation]:
    before: dict[str, Operation] | None = None
    for _ in range(PASSES):
        read = {one.id or one.external_id: one for one in listed(run, first_day, last_day)}
        if before is not None and before.keys() == read.keys():
            return list(read.values())
        before = read
    raise IncompleteRead(
        f"Finmap's list of operations was read {PASSES} times and differed every time. Nothing was sent; "
        "the next sync reads it again"
    )


def _listed_all(run: ConnectionRun, spans: list[tuple[date, date]]) -> list[Operation]:
    operations: list[Operation] = []
    with Progress(run.connection.name, "days read back") as progress:
        done, total = 0, sum(len(days_of(*span)) for span in spans)
        for span in spans:
            progress.report(done, total)
            operations += listed(run, *span)
            done += len(days_of(*span))
    return operations


def listed(run: ConnectionRun, first_day: date, last_day: date) -> list[Operation]:
    """Read the connection's operations dated in these days, dropping rows repeated because the list shifted."""
    start, end = window(run, first_day, last_day)
    seen = {(o.id or o.external_id): o for o in run.finmap.operations(start, end, f"{run.connection.key_prefix}:")}
    return list(seen.values())


def window(run: ConnectionRun, first_day: date, last_day: date) -> tuple[datetime, datetime]:
    """First and last millisecond of whole local days."""
    start = datetime.combine(first_day, time.min, run.connection.zone)
    end = datetime.combine(last_day + timedelta(days=1), time.min, run.connection.zone)
    return start, end - timedelta(milliseconds=1)


def _entry(run: ConnectionRun, operation: Operation, now: datetime) -> Entry | None:
    """Create an entry from what Finmap shows; who wrote it is unknown."""
    parts = operation.external_id.split(":")
    if len(parts) not in (2, 3) or not parts[1] or (len(parts) == 3 and not parts[2].isdigit()):
        return None
    generation = int(parts[2]) if len(parts) == 3 else 1
    day = operation.content.occurred_at.astimezone(run.connection.zone).date()
    return Entry(
        # Fields that we never send are a person's.
        operation.external_id, unquote(parts[1]), generation, day, State.VERIFIED,
        shown=replace(operation.content, project=None, counterparty=None),
        sent_at=now, verified_at=now, looked_at=now,
    )  # fmt: skip
