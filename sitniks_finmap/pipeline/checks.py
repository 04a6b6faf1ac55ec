"""Checks: queries that count violations of what people rely on; a blocking check stops delivery."""

from dataclasses import dataclass

import duckdb

from sitniks_finmap.warehouse.schema import main_source, sql
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError


class CheckFailed(WarehouseError):
    """A blocking check failed; nothing was delivered."""


@dataclass(frozen=True)
class Check:
    """A check of a table: sql/checks/<name>.sql counts the violations; its other columns go to the metadata.

    `problem` and `remedy` are shown when it fails: what is wrong, formatted with the columns of the query, and what to
    do, formatted with the {connection} and one {for_example}.
    """

    table: str
    name: str
    description: str
    counted: str  # what the column `wrong` counts, as the UI shows it
    problem: str
    remedy: str
    blocking: bool = False
    source: str | None = None  # only for connections with this source

    @property
    def wrong(self) -> str:
        """The query; its first column is `wrong`."""
        return sql(f"checks/{self.name}")


OUR_DEFECT = (
    "Nothing was delivered, and nothing in Finmap changed. Run `sitniks-finmap sync --connection {connection} "
    "--full`. If it fails again, this is a bug in sitniks_finmap, not in your data: report it with this message."
)
EXPLAIN = "`sitniks-finmap explain {for_example} --connection {connection}` shows what happened to one of them."
LIST_DIFFERENCES = (
    '`sitniks-finmap sql --connection {connection} "from differences where not explained"` lists the records'
)


MISSING_TABLES = {"transactions": (), "orders": ("raw_sitniks_transactions",)}

CHECKS = [
    Check(
        "raw_sitniks_orders",
        "every_day_was_read",
        "Every day of orders could be read when Sitniks was last asked.",
        "unread_days",
        "Days of orders that Sitniks could not return: {wrong}, from {for_example} on.",
        "They are read again automatically. If the problem persists, run `sitniks-finmap doctor --connection "
        "{connection}` for details, and send the days to Sitniks support.",
        source="orders",
    ),
    Check(
        "raw_sitniks_transactions",
        "every_day_was_read",
        "Every day of transactions could be read when Sitniks was last asked.",
        "unread_days",
        "Days of transactions that Sitniks could not return: {wrong}, from {for_example} on.",
        "They are read again automatically. If the problem persists, run `sitniks-finmap doctor --connection "
        "{connection}` for details, and send the days to Sitniks support.",
    ),
    Check(
        "raw_sitniks_orders",
        "every_order_was_read",
        "Every order could be read. An unread order keeps its last known status and holds up no payment.",
        "unread",
        "Orders that Sitniks could not return: {orders}; days of orders: {days}. Their statuses stay as last known.",
        "They are read again automatically. Run `sitniks-finmap doctor --connection {connection}` to see whether the "
        "Sitniks key lacks the right to read orders.",
        source="transactions",
    ),
    Check(
        "raw_sitniks_orders",
        "every_order_was_read",
        "Every order could be read. The operations of an unread order stay as last known.",
        "unread",
        "Orders that Sitniks could not return: {orders}; days of orders: {days}. Their operations stay as last known.",
        "They are read again automatically. If the problem persists, run `sitniks-finmap doctor --connection "
        "{connection}` for details, and send the orders to Sitniks support.",
        source="orders",
    ),
    Check(
        "operations",
        "transaction_ids_are_unique",
        "No transaction has two operations, and no externalId belongs to two.",
        "duplicates",
        "Operations that share a transaction or an externalId with another one: {wrong} of {operations}.",
        OUR_DEFECT,
        blocking=True,
        source="transactions",
    ),
    Check(
        "operations",
        "transaction_ids_are_unique",
        "No part of an order has two operations, and no externalId belongs to two.",
        "duplicates",
        "Operations that share a part of an order or an externalId with another one: {wrong} of {operations}.",
        OUR_DEFECT,
        blocking=True,
        source="orders",
    ),
    Check(
        "operations",
        "sign_and_type_agree",
        "A negative amount is an expense and a positive one an income, and amounts match Sitniks.",
        "contradictions",
        "Operations whose type or amount contradicts the amount in Sitniks: {wrong}.",
        OUR_DEFECT,
        blocking=True,
        source="transactions",
    ),
    Check(
        "operations",
        "every_live_order_is_accounted_for",
        "Every live order is booked, rejected with a reason, or unbooked with a reason.",
        "unaccounted",
        "Live orders that are neither booked nor rejected nor unbooked, or two of these: {wrong} of {live_orders}.",
        OUR_DEFECT,
        blocking=True,
        source="orders",
    ),
    Check(
        "operations",
        "every_live_transaction_is_accounted_for",
        "Every live transaction is either an operation or rejected with a reason.",
        "unaccounted",
        "Live transactions that are neither an operation nor rejected, or both: {wrong} of {live_transactions}.",
        OUR_DEFECT,
        blocking=True,
        source="transactions",
    ),
    Check(
        "finmap_upload",
        "nothing_is_left_undelivered",
        "No operation failed or was refused by Finmap. What a run had no time to deliver is backlog, not a failure.",
        "undelivered",
        "Operations that are not in Finmap as they should be: {wrong} ({failed} failed, {refused} refused by Finmap).",
        "Failed operations are retried automatically. Refused ones are sent again once they are corrected in Sitniks, "
        f"or the accounts and categories in connections.toml. {EXPLAIN}",
    ),
    Check(
        "reconciliation",
        "no_unexplained_difference",
        "Every difference between Sitniks and Finmap has a known reason.",
        "unexplained",
        "Records that differ between Sitniks and Finmap without a known reason: {wrong} ({missing} missing in Finmap, "
        "{unexpected} only in Finmap, {different} with other values).",
        f"{LIST_DIFFERENCES}. Correct them in Finmap or in Sitniks, then run "
        "`sitniks-finmap sync --connection {connection}`.",
    ),
    Check(
        "reconciliation",
        "nothing_else_is_posted_here",
        "Nobody else posts to the Finmap accounts of this connection, such as a bank feed: its money would count "
        "twice. Looked at once a week.",
        "operations_of_others",
        "Operations of the last 30 days in the Finmap accounts of this connection that it did not post: {wrong} "
        "({income} income, {expense} expense).",
        "If a bank feed or a person posts the same money as this connection, it counts twice: stop the feed, or give "
        'this connection an account of its own. If it is other money, set bank_feed = "accepted" in the table of '
        "{connection} in connections.toml. `sitniks-finmap doctor --connection {connection}` counts again.",
    ),
    Check(
        "reconciliation",
        "no_changes_are_pending",
        "No planned change is pending a person's decision.",
        "pending",
        "Changes pending your decision: {wrong}.",
        "`sitniks-finmap preview --connection {connection}` shows each with its reason; then run "
        "`sitniks-finmap approve --connection {connection}` or `sitniks-finmap dismiss --connection {connection}`.",
    ),
]


def checks_of(source: str) -> list[Check]:
    """The checks of a connection with this source."""
    return [check for check in CHECKS if check.source in (None, source) and check.table not in MISSING_TABLES[source]]


def guard_delivery(warehouse: Warehouse) -> None:
    """Evaluate the blocking checks, which Dagster runs only in a sync, not when delivery runs alone.

    Raises CheckFailed.
    """
    with warehouse.transaction() as con:
        source = main_source(con)
        blocking = [check for check in checks_of(source) if check.blocking]
        failed = [(check, wrong) for check in blocking if (wrong := evaluate(con, check)["wrong"])]
    if failed:
        what = "; ".join(f"{check.name} ({wrong} wrong): {check.description}" for check, wrong in failed)
        raise CheckFailed(
            f"{warehouse.connection}: nothing was delivered, because the staged data fails {what} "
            "Run `sitniks-finmap sync --full`; if it still fails, report it as a bug"
        )


def evaluate(con: duckdb.DuckDBPyConnection, check: Check) -> dict[str, int]:
    row = con.execute(check.wrong)
    return dict(zip([column[0] for column in row.description], row.fetchone() or (), strict=True))
