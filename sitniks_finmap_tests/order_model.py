"""A model of what Finmap shall have of an order, by the stages that it went through, and a warehouse to check it in.

The model is written the other way round than the SQL: it follows the money from one stage to the next.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.warehouse.schema import in_memory_warehouse, sql
from sitniks_finmap.warehouse.store import insert_rows

CREATED = datetime(2026, 2, 1, 10, tzinfo=UTC)
FIRST_SEEN = datetime(2026, 2, 2, 12, tzinfo=UTC)
TITLES = {
    "none": "В дорозі",
    "prepaid": "Передплата",
    "paid": "Виконано",
    "refunded": "Повернено",
    "partly_refunded": "Частково повернено",
    "cancelled": "Відмінено",
}
Signed = dict[str, Decimal]


@dataclass(frozen=True)
class Version:
    """What one version of an order says about money."""

    stage: str
    total: Decimal = Decimal(100)
    prepayment: Decimal | None = Decimal(30)
    cost: Decimal | None = Decimal(20)


def expected(versions: Sequence[Version]) -> Signed:
    """Part → signed amount: what these versions, in this order, shall be in Finmap."""
    prepayment: Decimal | None = None  # received
    total: Decimal | None = None  # of a sale
    cost: Decimal | None = None
    cancelled = back = False  # since the money came
    ever_paid = False
    returned: str | None = None
    left: Decimal | None = None
    part_seen = False
    for one in versions:
        if one.stage in ("paid", "prepaid"):
            cancelled = back = part_seen = False
            returned = left = None
            if one.stage == "prepaid":
                total = None
                prepayment = prepayment if one.prepayment is None else one.prepayment
            else:
                total, ever_paid = one.total, True
        elif one.stage in ("refunded", "partly_refunded") and (total is not None or prepayment is not None):
            returned = one.stage
            if one.stage == "partly_refunded":
                part_seen, left = True, one.total
        elif one.stage == "cancelled":
            cancelled, back = True, False
        elif one.stage == "none":
            cancelled, back = False, True
        if ever_paid and cost is None:
            cost = one.cost
    if returned is None and back:
        return {}
    parts: Signed = {}
    if prepayment:
        parts["prepayment"] = prepayment
    if total is not None and not (returned is None and cancelled):
        parts["sale"] = total - (prepayment or 0)
        if not parts["sale"]:
            del parts["sale"]
    received = sum(parts.values(), Decimal(0))
    if total is not None and not (returned is None and cancelled) and cost and received:
        parts["cogs"] = -cost
    if part_seen and total is not None and left is not None and 0 < total - left <= received:
        parts["partial"] = left - total
    if returned == "refunded" and received + parts.get("partial", Decimal(0)) > 0:
        parts["refund"] = -received - parts.get("partial", Decimal(0))
    if returned == "refunded" and "cogs" in parts:
        parts["restock"] = -parts["cogs"]
    return parts


@contextmanager
def order_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory of a shop with orders."""
    with in_memory_warehouse() as con:
        con.execute(
            """
            insert into settings by name
            select 'u1' as connection, 'Europe/Kyiv' as timezone, ['order_number'] as comment_fields,
                true as source_as_tag, 'update' as on_change, 'ask' as on_delete, 0.2 as max_change_share,
                'post' as first_import, date '2026-01-01' as start_date, '' as sitniks_url, '' as finmap_url,
                'meaning' as meaning_hash, 'u1' as key_prefix, 'orders' as source, 'stock' as stock_account,
                date '2025-11-02' as first_read_day
            """
        )
        con.execute("insert into account_mapping values (null, 'money', 'UAH')")
        con.executemany(
            "insert into order_statuses values ($1, $2, null)",
            [(t, stage) for stage, t in TITLES.items() if stage != "none"],
        )
        yield con


def payload(number: int, version: Version) -> dict[str, Any]:
    lines = [] if version.cost is None else [{"costPrice": str(version.cost), "quantity": 1}]
    return {
        "id": number, "orderNumber": number, "createdAt": CREATED.isoformat().replace("+00:00", "Z"),
        "status": {"id": 1, "title": TITLES[version.stage]}, "totalPriceDiscount": str(version.total),
        "payment": {"amount": version.prepayment and str(version.prepayment)}, "products": lines,
    }  # fmt: skip


def put_orders(con: duckdb.DuckDBPyConnection, orders: Mapping[int, Sequence[Version]]) -> None:
    """The versions of these orders, each seen a day after the one before."""
    rows = [
        {
            "order_id": str(number), "version": at, "day": CREATED.date(),
            "payload": json.dumps(payload(number, version)), "content_hash": str(at),
            "first_seen_at": FIRST_SEEN + timedelta(days=at - 1), "last_seen_at": FIRST_SEEN + timedelta(days=at - 1),
        }
        for number, versions in orders.items()
        for at, version in enumerate(versions, 1)
    ]  # fmt: skip
    insert_rows(con, "raw_sitniks_orders", rows)
    con.execute(sql("order_fields"))


def derive_orders(con: duckdb.DuckDBPyConnection) -> dict[int, Signed]:
    """Derives everything; each order's parts and their signed amounts."""
    days = {"first": date(2026, 1, 1), "last": date(2026, 12, 1), "now": datetime(2026, 12, 1, tzinfo=UTC)}
    con.execute(sql("chosen_days"), days)
    steps = ("live_records", "order_stages", "derived_orders", "operations", "rejected_transactions", "unbooked_orders")
    for step in steps:
        con.execute(sql(step))
    found: dict[int, Signed] = {}
    for order_id, part, amount in con.execute(
        "select order_key::integer, split_part(transaction_id, '.', 2), if(type = 'income', amount, -amount) "
        "from operations"
    ).fetchall():
        found.setdefault(order_id, {})[part] = amount
    return found
