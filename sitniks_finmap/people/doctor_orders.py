"""doctor for orders as the source: statuses, fields, and how the API behaves. Names and counts only."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb

from sitniks_finmap.clients.answers import ApiError, Refused
from sitniks_finmap.clients.sitniks import PAGE_SIZE, Page, Sitniks
from sitniks_finmap.clients.sitniks_list import Row
from sitniks_finmap.figures import counted
from sitniks_finmap.names import normal_name
from sitniks_finmap.people.doctor_page import RECENT, rows_with
from sitniks_finmap.people.findings import Finding, Verdict
from sitniks_finmap.pipeline.order_statuses import Lists, find_statuses, saved_lists
from sitniks_finmap.pipeline.orders import LONGEST_ORDER_ID, ORDER_ID
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.schema import in_memory_warehouse, sql
from sitniks_finmap.warehouse.store import insert_rows

PAGES = 20  # most pages to read: a person is waiting
SHOWN = 40  # most names of fields


def _has(*paths: str) -> str:
    """The condition that one of these paths has a value."""
    return " or ".join(f"json_type(payload, '{path}') <> 'NULL'" for path in paths)


# The fields that we read of an order: what counts the orders that have one, and how bad it is if none has.
FIELDS: dict[str, tuple[str, Verdict]] = {
    "id": (_has("$.id"), "error"),
    "created": (_has("$.createdAt"), "error"),
    "status": ("status is not null", "error"),
    "total": (_has("$.totalPriceDiscount", "$.totalPrice"), "error"),
    "number": (_has("$.orderNumber"), "warning"),
    "last change": (_has("$.updatedAt"), "ok"),
    "prepayment": (_has("$.payment.amount"), "ok"),
    "client": (_has("$.client"), "ok"),
    "sales channel": (_has("$.salesChannel"), "ok"),
    "delivery": (_has("$.delivery"), "ok"),
    "payment method": (_has("$.paymentMethod", "$.settlementAccount"), "ok"),
    "currency": (_has("$.currency"), "ok"),
    "lines": ("lines > 0", "ok"),
    "quantity of every line": ("lines > 0 and quantities = lines", "ok"),
    "cost price of every line": ("lines > 0 and costs = lines", "ok"),
}
OF_STOCK = ("lines", "quantity of every line", "cost price of every line")


def latest_orders(sitniks: Sitniks, now: datetime) -> Page:
    """Reads the orders of the last 30 days, newest first, at most 1,000 of them, as one page. Raises ApiError."""
    rows: dict[str, Row] = {}
    page = Page([])
    for number in range(PAGES):
        page = sitniks.page("/orders", now - RECENT, now, number * PAGE_SIZE)
        before = len(rows)
        rows |= {row.id: row for row in page.rows}
        if len(page.rows) < PAGE_SIZE or len(rows) == before:
            break
    return Page(list(rows.values()), page.counts)


def examine_orders(run: ConnectionRun, page: Page, now: datetime) -> Iterator[Finding]:
    """Whether orders are as assumed: statuses, fields, date filter, reading by ID; what Sitniks has beyond that."""
    statuses: list[dict[str, str]] = []
    try:
        statuses = run.sitniks.order_statuses()
        lists = find_statuses(run.connection, statuses, saved_lists(run))
        yield from _renamed(lists, statuses)
    except ApiError as error:
        yield Finding("error", f"the order statuses cannot be read: {error}")
    except ConfigurationError as error:
        yield Finding("error", str(error))
    with in_memory_warehouse() as con:
        _load(con, run.connection, page, statuses)
        seen = f"the latest {counted(len(page.rows), 'order')}" if _is_cut(page) else "the last 30 days"
        yield from _statuses(con, page, seen)
        if not page.rows:
            yield Finding("warning", f"no orders in the last {RECENT.days} days: the fields could not be checked")
        else:
            yield from _fields(run.connection, con, page)
            yield from _axis(con, page, now)
            yield from _one_order(run, con, page)
    yield from _updates(run, page)
    if supply := run.sitniks.supply():
        yield Finding("ok", f"GET /supplies answers, which is not used yet; its fields: {', '.join(names_of(supply))}")


def orders_by_status(
    connection: Connection, page: Page, statuses: list[dict[str, str]]
) -> list[tuple[str, str, int, str | None]]:
    """ID and title of every status, the number of these orders that have it, and its stage, most orders first."""
    with in_memory_warehouse() as con:
        _load(con, connection, page, statuses)
        return con.execute("from statuses").fetchall()


def _renamed(lists: Lists, statuses: list[dict[str, str]]) -> Iterator[Finding]:
    """Statuses that were renamed in Sitniks since they were listed."""
    titles = {one["id"]: one["title"] for one in statuses}
    for (stage, status), ids in lists.items():
        for id in sorted(ids - {status.strip()}):
            if id in titles and normal_name(titles[id]) != normal_name(status):
                yield Finding(
                    "warning", f'the status "{status}" is called "{titles[id]}" in Sitniks now (ID {id}). It still '
                    f"counts as {stage}; correct orders.{stage} in connections.toml",
                )  # fmt: skip


def _is_cut(page: Page) -> bool:
    return page.count is not None and page.count > len(page.rows)


def _load(con: duckdb.DuckDBPyConnection, connection: Connection, page: Page, statuses: list[dict[str, str]]) -> None:
    con.execute("create temp table told (text varchar)")
    con.execute("create temp table known (id varchar, title varchar)")
    con.execute("create temp table listed (stage varchar, status varchar)")
    insert_rows(con, "told", [{"text": row.text} for row in page.rows])
    insert_rows(con, "known", statuses)
    lists = connection.orders.statuses if connection.orders else []
    insert_rows(con, "listed", [{"stage": stage, "status": status} for stage, status in lists])
    con.execute(sql("doctor_orders"))


def _statuses(con: duckdb.DuckDBPyConnection, page: Page, seen: str) -> Iterator[Finding]:
    """Every status with its number of orders and its stage: the owner decides which list it belongs to."""
    rows = con.execute("from statuses").fetchall()
    for id, title, orders, stage in rows:
        which = f" (ID {id})" if id else ""
        yield Finding("ok", f'status "{title}"{which}: {counted(orders, "order")} in {seen}, {stage or "in no list"}')
    if page.rows and not any(orders for *_, orders, stage in rows if stage in ("paid", "prepaid")):
        yield Finding("warning", f"no order in {seen} has a status of the lists paid and prepaid: are they complete?")


def _fields(connection: Connection, con: duckdb.DuckDBPyConnection, page: Page) -> Iterator[Finding]:
    for field, (condition, verdict) in FIELDS.items():
        found = rows_with(con, condition)
        if connection.orders and (
            (field in OF_STOCK and connection.orders.stock_account)
            or (field == "last change" and connection.orders.history_date == "updated")
            or (field == "prepayment" and connection.orders.prepaid)
        ):
            verdict = "warning"
        yield Finding("ok" if found else verdict, f"field {field}: in {found:,} of {counted(len(page.rows), 'order')}")
    unknown = con.execute(f"select name from unknown_fields limit {SHOWN + 1}").fetchall()
    names = [name for (name,) in unknown]
    if names:
        told = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
        yield Finding(
            "ok", f"fields of orders that are not used: {told}. Please report one that tells when an order was paid "
            "or refunded",
        )  # fmt: skip


def _axis(con: duckdb.DuckDBPyConnection, page: Page, now: datetime) -> Iterator[Finding]:
    old = rows_with(con, "filed_at < $start", start=now - RECENT - timedelta(days=1))
    if old > len(page.rows) / 2:
        yield Finding("error", "most orders are older than requested: the date filter does not use createdAt")
    else:
        yield Finding("ok", "the date filter uses createdAt")


def _one_order(run: ConnectionRun, con: duckdb.DuckDBPyConnection, page: Page) -> Iterator[Finding]:
    """Whether an order read by its ID is the same as in the list: otherwise each reading would make a new version."""
    row = next((r for r in page.rows if re.fullmatch(ID, r.id) and len(r.id) <= LONGEST_ORDER_ID), None)
    if row is None:
        return
    path = "GET /orders/{id}"
    try:
        single = run.sitniks.order(row.id)
    except ApiError as error:
        yield Finding("error", f"{path}: {error}")
        return
    if single is None:
        yield Finding("error", f"{path} does not find an order of the list: a deleted order cannot be told from others")
        return
    [(same, differing)] = con.execute(sql("doctor_one_order"), {"listed": row.text, "single": single.text}).fetchall()
    names = ", ".join(differing or ["nothing by name"])
    if not same:
        yield Finding(
            "warning", f"{path} shows an order with other values than the list does, in: {names}. Was it changed at "
            "this moment? If not, report it",
        )  # fmt: skip
    elif differing:
        yield Finding("ok", f"{path} shows what is read as the list does; only these fields differ: {names}")
    else:
        yield Finding("ok", f"{path} shows an order exactly as the list does")


ID = ORDER_ID.replace(r"\p{L}\p{N}_", r"\w")  # Python's spelling of RE2's classes


def _updates(run: ConnectionRun, page: Page) -> Iterator[Finding]:
    """Whether changed orders could be listed, which would save re-reading."""
    if not page.rows:
        return
    try:
        ignored = run.sitniks.ignores_updates()
    except Refused as refused:
        yield Finding("ok", f"orders cannot be listed by their last change: {refused}")
        return
    except ApiError as error:
        yield Finding("warning", str(error))
        return
    if ignored:
        yield Finding("ok", "GET /orders ignores updatedAtFrom, as assumed: orders are read again by their ID")
    else:
        yield Finding("ok", "GET /orders filters by updatedAtFrom, which is not used yet; please report it")


def names_of(record: dict[str, Any]) -> list[str]:
    """Names of the fields of a record, and of the objects in it. Names that may be something else are left out."""
    names: list[str] = []
    for name, value in record.items():
        inner = value[0] if isinstance(value, list) and value else value
        names.append(name)
        names += [f"{name}.{one}" for one in inner] if isinstance(inner, dict) else []
    return [name for name in names if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]{0,80}", name)][:SHOWN]
