"""Checks one connection: keys, account, permissions, and whether the APIs behave as assumed."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from sitniks_finmap.clients import finmap, sitniks
from sitniks_finmap.clients.answers import ApiError, KeyRefused, Refused
from sitniks_finmap.clients.sitniks import PAGE_SIZE, Page
from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.connections_file import WrongConnection
from sitniks_finmap.figures import counted
from sitniks_finmap.people.findings import Finding
from sitniks_finmap.pipeline.directory import Directory, category_mapping, find_accounts, read_directory
from sitniks_finmap.pipeline.identity import doubt_finmap, doubt_sitniks, is_proven, suspicion
from sitniks_finmap.pipeline.installation import owned_by_others
from sitniks_finmap.pipeline.rehearsal import rejections
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings_files import is_plain
from sitniks_finmap.warehouse.duckdb_files import in_memory
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import WarehouseError, insert_rows, open_warehouse

log = logging.getLogger(__name__)

RECENT = timedelta(days=30)
CLOCK_TOLERANCE = timedelta(seconds=60)
# A person is waiting: report a side that does not answer within seconds, and do not wait for a rate limit.
BRISK = {"attempts": 2, "timeout": (5.0, 20.0), "patience": 5.0}

# The fields we read from a transaction and where each may be (only id, amount and date are required).
ASSUMED = {
    "id": ["$.id"],
    "date": ["$.date", "$.createdAt"],
    "amount": ["$.amount"],
    "description": ["$.description", "$.comment"],
    "counterparty": ["$.counterparty", "$.client", "$.order.client"],
    "source": ["$.source", "$.salesChannel", "$.order.salesChannel", "$.order.source"],
    "order": ["$.orderId", "$.order.id", "$.orderNumber"],
    "payment method": ["$.paymentMethod", "$.settlementAccount"],
}
NEEDED = ("id", "date", "amount")


@dataclass
class Told:
    """What both sides returned, for the checks that need both."""

    directory: Directory | None = None
    page: Page | None = None


def examine(connection: Connection | WrongConnection, now: datetime | None = None) -> Iterator[Finding]:
    """Yields each finding as soon as it is known; a side that refuses its key gets no further requests."""
    if isinstance(connection, WrongConnection):
        yield Finding("error", connection.why)
        return
    now = now or datetime.now(UTC)
    run = ConnectionRun(connection, open_warehouse(connection), now=lambda: now, proving=False)
    yield Finding(
        "ok",
        f"time zone {connection.timezone}, where it is {now.astimezone(connection.zone):%Y-%m-%d %H:%M}",
    )
    yield from _env(Path(".env"))
    told = Told()
    for question in (_finmap, _sitniks, _rejections):
        try:
            yield from question(run, now, told)
        except (ApiError, ConfigurationError, WarehouseError) as error:
            yield Finding("error", str(error))


def _env(path: Path) -> Iterator[Finding]:
    """Whether Dagster can read the file with the keys, and no other user can."""
    if not is_plain(path):
        yield Finding("warning", "save .env as UTF-8 without a byte order mark: Dagster reads no other encoding")
    if path.exists() and path.stat().st_mode & 0o077:
        yield Finding("warning", "other users of this machine can read the keys in .env; run `chmod 600 .env`")


def _finmap(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    connection = run.connection
    run.finmap = finmap.connect(connection, **BRISK)
    log.info("%s: asking Finmap at %s", connection.name, run.finmap.api.host)
    directory = read_directory(run.finmap, connection)
    yield Finding("ok", f"Finmap accepts the key, which can write to {counted(len(directory.accounts), 'account')}")
    yield _rate("Finmap", connection.finmap_requests_per_second)
    if not is_proven(connection, run.warehouse, "finmap") and (why := doubt_finmap(run.warehouse, run.finmap)):
        yield Finding("error", suspicion(connection, "finmap", why))
        return
    yield from _owner(run)
    for account in find_accounts(connection, directory.accounts).values():
        yield Finding("ok", f'Finmap account "{account.label}" exists, in {account.currency}, and is writable')
    if connection.categories:
        category_mapping(connection, directory)
        yield Finding("ok", f"found in Finmap: {counted(len(connection.categories), 'configured category')}")
    told.directory = directory
    yield from _clock("Finmap", run.finmap.api.clock_ahead)


def _owner(run: ConnectionRun) -> Iterator[Finding]:
    """Whether another installation writes to Finmap under this connection's name."""
    try:
        if why := owned_by_others(run.connection, run.warehouse, run.finmap):
            yield Finding("error", why)
    except (KeyRefused, Refused):
        yield Finding("warning", "Finmap shows no tags: a second installation with this name would go unnoticed")


def _sitniks(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    run.sitniks = sitniks.connect(run.connection, **BRISK)
    log.info("%s: asking Sitniks at %s", run.connection.name, run.sitniks.api.host)
    page = run.sitniks.page("/transactions", now - RECENT, now)
    yield Finding("ok", "Sitniks accepts the key; GET /transactions answers")
    yield _rate("Sitniks", run.connection.sitniks_requests_per_second)
    if not is_proven(run.connection, run.warehouse, "sitniks") and (
        why := doubt_sitniks(run.warehouse, run.sitniks, run.bounds)
    ):
        yield Finding("error", suspicion(run.connection, "sitniks", why))
        return
    yield from _clock("Sitniks", run.sitniks.api.clock_ahead)
    if page.count is None:
        yield Finding("warning", "Sitniks does not count its list: a read is trusted only if two reads agree")
    yield from _fields(run, page, now)
    told.page = page
    try:
        run.sitniks.page("/orders", now - RECENT, now)
    except (KeyRefused, Refused) as refused:
        yield Finding(
            "warning", f"GET /orders: {refused} Payments are still delivered; comments lack details from orders"
        )
    except ApiError as error:
        yield Finding("error", f"GET /orders: {error}")
    else:
        yield Finding("ok", "GET /orders answers: order statuses can be read")


def _rejections(run: ConnectionRun, now: datetime, told: Told) -> Iterator[Finding]:
    """Whether the latest transactions would become operations with the current connections.toml."""
    if not (told.directory and told.page and told.page.rows):
        return
    why = rejections(run, told.directory, told.page.rows)
    latest = counted(len(told.page.rows), "transaction")
    for reason, count in why.items():
        settings = "account" in reason or "currency" in reason
        remedy = "; correct the account in connections.toml" if settings else ""
        yield Finding(
            "error" if settings else "warning",
            f"of the latest {latest}, {count:,} would be rejected: {reason}{remedy}",
        )
    if not why:
        yield Finding("ok", f"none of the latest {latest} would be rejected")


def _fields(run: ConnectionRun, page: Page, now: datetime) -> Iterator[Finding]:
    """Whether transactions are as assumed: fields, date filter, signs, settlement accounts."""
    if not page.rows:
        yield Finding("warning", f"no transactions in the last {RECENT.days} days: the fields could not be checked")
        return
    known = run.sitniks.settlement_accounts() if run.connection.accounts else None
    with in_memory() as con:
        for step in ("macros", "schema", "views"):
            con.execute(sql(step))
        con.execute("create temp table told (amount varchar, text varchar)")
        con.execute("create temp table mapping (settlement_account varchar)")
        con.execute("create temp table known (id varchar, title varchar)")
        insert_rows(con, "told", [{"amount": row.amount, "text": row.text} for row in page.rows])
        insert_rows(con, "mapping", [{"settlement_account": name} for name in run.connection.accounts])
        names = [{name: str(one.get(name) or "") for name in ("id", "title")} for one in known or ()]
        insert_rows(con, "known", names)
        con.execute(sql("doctor"))
        for field, paths in ASSUMED.items():
            found = _count(
                con,
                "len(list_filter(json_extract(payload, $paths), lambda v : json_type(v) <> 'NULL')) > 0",
                paths=paths,
            )
            verdict = "ok" if found else "error" if field in NEEDED else "warning"
            yield Finding(verdict, f"field {field}: in {found} of {counted(len(page.rows), 'transaction')}")
        yield from _axis(page, _count(con, "filed_at < $start", start=now - RECENT - timedelta(days=1)))
        yield from _signs(page, _count(con, "amount < 0"))
        yield from _settlement_accounts(run.connection, con, page, listed=known is not None)


def _axis(page: Page, outside: int) -> Iterator[Finding]:
    # A few may have a wrong createdAt; if most do, the filter uses another field.
    if outside > len(page.rows) / 2:
        yield Finding("error", "most transactions are older than requested: the date filter does not use createdAt")
    else:
        yield Finding("ok", "the date filter uses createdAt")


def _signs(page: Page, negative: int) -> Iterator[Finding]:
    """A negative amount is an expense. If there are none, another field may hold the direction."""
    rows = len(page.rows)
    full = rows >= PAGE_SIZE or (page.count or 0) > rows
    if full and not negative:
        yield Finding(
            "warning",
            f"none of {rows} amounts is negative, so all of them would be posted as income. If they include "
            "commissions, deliveries or refunds, do not sync yet: see docs/assumptions.md, and report it",
        )
    elif full:
        yield Finding("ok", f"{negative} of {rows} amounts are negative: they are expenses")


def _settlement_accounts(
    connection: Connection, con: duckdb.DuckDBPyConnection, page: Page, *, listed: bool
) -> Iterator[Finding]:
    """Whether the mapping of accounts, if there is one, matches the settlement accounts of Sitniks."""
    if not connection.accounts:
        return
    seen = f"the latest {counted(len(page.rows), 'transaction')}"
    where = f"Sitniks' settlement accounts and {seen}" if listed else seen
    unmatched = con.execute("from unmatched").fetchall()
    for (name,) in unmatched:
        yield Finding(
            "warning",
            f'[{connection.name}.accounts] maps "{name}", which is not among {where}; was it renamed in Sitniks?',
        )
    unmapped = con.execute("from unmapped").fetchall()
    if unmapped:
        names = ", ".join(f'"{name}" ({count})' for name, count in unmapped)
        yield Finding(
            "warning",
            f"[{connection.name}.accounts] does not map {names}, counted in {seen}; "
            f'unmapped money goes to "{connection.finmap_account}"',
        )
    if not unmatched and not unmapped:
        yield Finding("ok", f"every settlement account of {seen} is mapped")


def _count(con: duckdb.DuckDBPyConnection, condition: str, **values: object) -> int:
    (count,) = con.execute(f"select count(*) from page where {condition}", values).fetchone() or (0,)
    return count


def _clock(side: str, ahead: timedelta | None) -> Iterator[Finding]:
    if ahead is not None and abs(ahead) > CLOCK_TOLERANCE:
        seconds = round(ahead.total_seconds())
        yield Finding("warning", f"this machine's clock differs from {side}'s by {seconds} s; synchronize it with NTP")


def _rate(side: str, per_second: float) -> Finding:
    return Finding("ok", f"requests to {side}: " + (f"at most {per_second:g}/s" if per_second else "no limit"))
