"""Detects that Finmap has the same transactions under another name: the same shop in a second installation, or renamed.

Two such installations share no key, so Finmap itself would take both. Each looks before it posts: at everything before
a first import, and at the days of its next operations before each chunk of them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import unquote

import duckdb

from sitniks_finmap.clients.answers import Refused
from sitniks_finmap.clients.finmap import Finmap, read_operation
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import Warehouse

PAYMENT = re.compile(r"order-(?P<order>.+)\.(prepayment|sale)", re.DOTALL)
SEVERAL = 3  # equal operations under another name that prove a duplicate; all of them if fewer are there
AROUND = timedelta(days=1)
Ours = dict[str, set[Any]]  # transaction or order → what it is recognised by


class PostedElsewhere(ConfigurationError):
    """Finmap has the same transactions under another name; nothing more was posted."""


def refuse_doubles(connection: Connection, warehouse: Warehouse, finmap: Finmap, now: datetime) -> None:
    """Refuse a first import if Finmap has our transactions or orders under another name.

    Compares type, amount and day of each transaction; the payments of an order with every amount that it named, because
    another installation may have seen it earlier. Several must match, and no fewer than differ under that name, because
    two shops of one company may use the same IDs. Raises PostedElsewhere, ApiError.
    """
    with warehouse.transaction() as con:
        ours = _ours(con, connection)
        first, last = con.execute("select min(occurred_at), max(occurred_at) from operations").fetchone() or (
            None,
            None,
        )
    if not ours or not first or not last:
        return
    if connection.source == "orders":  # another installation may have dated them by when it saw them
        first, last = min(first, datetime.combine(connection.start_date, time.min, connection.zone)), now
    _refuse(connection, ours, finmap.rows(first - AROUND, last + AROUND), whole=True)


def refuse_doubles_around(connection: Connection, warehouse: Warehouse, finmap: Finmap, days: Iterable[date]) -> None:
    """The same before the operations of these days are created: two installations may both have begun when Finmap was
    empty. Raises PostedElsewhere, ApiError.
    """
    chosen = sorted(days)
    first, last = chosen[0] - AROUND, chosen[-1] + AROUND
    with warehouse.transaction() as con:
        ours = _ours(con, connection, first, last)
    start = datetime.combine(first, time.min, connection.zone)
    end = datetime.combine(last + AROUND, time.min, connection.zone)
    _refuse(connection, ours, finmap.rows(start, end), whole=False)


def _refuse(connection: Connection, ours: Ours, rows: Iterable[dict[str, Any]], *, whole: bool) -> None:
    of_orders = connection.source == "orders"
    noun = "order" if of_orders else "transaction"
    for name, found in sorted(_compared(connection, ours, rows).items(), key=lambda one: -sum(one[1].values())):
        equal = sum(found.values())
        if equal >= max(min(SEVERAL, len(found)), len(found) - equal):
            which = f"this {noun}" if len(ours) == 1 else f"{equal:,} of these {len(ours):,} {noun}s"
            raise PostedElsewhere(
                f'{connection.name}: Finmap already has {which} under "{name}" '
                f'("{name}:{"order-<order>" if of_orders else "<transaction>"}"). '
                f"{'Nothing was posted' if whole else 'Nothing more was posted'}. If {connection.name} is the new name "
                f"of {name}, run `sitniks-finmap rename {name} {connection.name}`; if both are the same shop, let "
                "only one of them run"
            )


def _compared(connection: Connection, ours: Ours, rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, bool]]:
    """Other name → transaction or order of ours that Finmap has under it → whether it is the same."""
    of_orders = connection.source == "orders"
    compared: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in rows:
        name, _, rest = str(row.get("externalId") or "").partition(":")
        key = unquote(rest.split(":")[0])
        payment = PAYMENT.fullmatch(key)
        known = ours.get(payment["order"] if payment else "") if of_orders else ours.get(key)
        if not rest or name == connection.key_prefix or known is None:
            continue
        try:
            has = read_operation(row).content
        except Refused:  # not ours, and nothing to compare
            continue
        day = has.occurred_at.astimezone(connection.zone).date()
        same = has.amount in known if of_orders else (has.type, has.amount, day) in known
        unit = payment["order"] if payment and of_orders else key
        compared[name][unit] = compared[name].get(unit, True) and same
    return compared


def _ours(
    con: duckdb.DuckDBPyConnection, connection: Connection, first: date = date.min, last: date = date.max
) -> Ours:
    """Our transactions of these days by type, amount and day; our orders by the amounts that each of them named."""
    if connection.source == "orders":  # total, prepayment, and the rest
        rows = con.execute(
            "select order_id, list(total), list(prepayment), list(total - prepayment) from order_stages "
            "group by order_id"
        ).fetchall()
        return {id: {amount for amounts in told for amount in amounts if amount} for id, *told in rows}
    rows = con.execute(
        "select transaction_id, type, amount, occurred_at from operations where day between $1 and $2", [first, last]
    ).fetchall()
    return {id: {(type, amount, at.astimezone(connection.zone).date())} for id, type, amount, at in rows}
