"""doctor for transactions as the source: fields, date filter, signs, settlement accounts."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb

from sitniks_finmap.clients.sitniks import PAGE_SIZE, Page
from sitniks_finmap.figures import counted
from sitniks_finmap.people.doctor_page import RECENT, rows_with
from sitniks_finmap.people.findings import Finding
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import in_memory_warehouse, sql
from sitniks_finmap.warehouse.store import insert_rows

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


def examine_transactions(run: ConnectionRun, page: Page, now: datetime) -> Iterator[Finding]:
    """Whether transactions are as assumed: fields, date filter, signs, settlement accounts."""
    if not page.rows:
        yield Finding("warning", f"no transactions in the last {RECENT.days} days: the fields could not be checked")
        return
    known = run.sitniks.settlement_accounts() if run.connection.accounts else None
    with in_memory_warehouse() as con:
        con.execute("create temp table told (amount varchar, text varchar)")
        con.execute("create temp table mapping (settlement_account varchar)")
        con.execute("create temp table known (id varchar, title varchar)")
        insert_rows(con, "told", [{"amount": row.amount, "text": row.text} for row in page.rows])
        insert_rows(con, "mapping", [{"settlement_account": name} for name in run.connection.accounts])
        names = [{name: str(one.get(name) or "") for name in ("id", "title")} for one in known or ()]
        insert_rows(con, "known", names)
        con.execute(sql("doctor"))
        for field, paths in ASSUMED.items():
            found = rows_with(
                con,
                "len(list_filter(json_extract(payload, $paths), lambda v : json_type(v) <> 'NULL')) > 0",
                paths=paths,
            )
            verdict = "ok" if found else "error" if field in NEEDED else "warning"
            yield Finding(verdict, f"field {field}: in {found} of {counted(len(page.rows), 'transaction')}")
        yield from _axis(page, rows_with(con, "filed_at < $start", start=now - RECENT - timedelta(days=1)))
        yield from _signs(page, rows_with(con, "amount < 0"))
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
