"""The table of connections.toml that would use orders, for a company whose transactions cannot be read."""

import json
from datetime import date
from typing import Any

from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import connections_path
from sitniks_finmap.settings.text_files import read_toml

# Settings that only transactions have, or that this table sets itself.
LEFT_OUT = ("source", "accounts", "rules", "unmapped_accounts", "categories", "orders", "channels")


def orders_table(connection: Connection, titles: list[str]) -> str:
    """The connection's table with orders as its source; each list of statuses is the owner's to fill."""
    own = read_toml(connections_path()).get(connection.name, {})
    kept = [f"{name} = {_toml(value)}" for name, value in own.items() if name not in LEFT_OUT]
    return "\n".join([
        f"[{connection.name}]",
        'source = "orders"',
        *kept,
        "",
        f"[{connection.name}.orders]",
        f"# The statuses of this company: {', '.join(map(_toml, titles)) or 'none'}",
        "paid = []              # required: orders that are paid in full",
        "prepaid = []           # orders whose prepayment was received",
        "refunded = []          # orders whose money was returned in full",
        "partly_refunded = []   # orders whose money was returned in part",
        "cancelled = []         # cancelled orders",
        '# stock_account = "Склад"   # a Finmap account of its own, to move the cost of goods as well',
    ])  # fmt: skip


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)
