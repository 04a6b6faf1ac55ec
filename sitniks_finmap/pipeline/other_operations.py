"""Counts the operations of others in the accounts of the money: if a bank feed posts there too, money counts twice."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.finmap import ACCOUNT_FIELD, Finmap
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import load_connections
from sitniks_finmap.warehouse.store import replace_table

log = logging.getLogger(__name__)

RECENT = timedelta(days=30)
LOOK_EVERY = timedelta(days=7)


@dataclass(frozen=True)
class OtherOperations:
    """How many operations are not from any of our connections."""

    income: int
    expense: int

    @property
    def total(self) -> int:
        return self.income + self.expense


def look_for_other_operations(run: ConnectionRun, now: datetime) -> None:
    """Once a week, count the operations of others for the check `nothing_else_is_posted_here`. Raises WarehouseError.

    If Finmap does not answer, the next run tries again.
    """
    with run.warehouse.transaction() as con:
        if run.connection.bank_feed == "accepted":
            con.execute("delete from other_operations")
            return
        (looked_at,) = con.execute("select max(looked_at) from other_operations").fetchone() or (None,)
        accounts = [account for (account,) in con.execute("select distinct account from account_mapping").fetchall()]
    if not accounts or (looked_at and timedelta() <= now - looked_at < LOOK_EVERY):
        return
    try:
        others = count_other_operations(run.finmap, run.connection, accounts, now)
    except ApiError as error:
        log.info("%s: operations of others were not looked for: %s", run.connection.name, error)
        return
    with run.warehouse.transaction() as con:
        row = {"looked_at": now, "income": others.income, "expense": others.expense}
        replace_table(con, "other_operations", [row])


def count_other_operations(
    finmap: Finmap, connection: Connection, accounts: Iterable[str], now: datetime
) -> OtherOperations:
    """Count the incomes and expenses of the last 30 days in these accounts that no connection of ours posted.

    Raises ApiError.
    """
    found = other_operations_by_account(finmap, connection, now)
    counted = [found[account] for account in set(accounts) & found.keys()]
    return OtherOperations(sum(one.income for one in counted), sum(one.expense for one in counted))


def other_operations_by_account(finmap: Finmap, connection: Connection, now: datetime) -> dict[str, OtherOperations]:
    """Account ID → the incomes and expenses of the last 30 days there that no connection of ours posted.

    Raises ApiError.
    """
    ours = _prefixes(connection)
    found: dict[str, tuple[str, str]] = {}
    for row in finmap.rows(now - RECENT, now):
        type, key = str(row.get("type")), str(row.get("externalId") or "").casefold()
        if type in ACCOUNT_FIELD and not key.startswith(ours):
            account = str(row.get(ACCOUNT_FIELD[type]))
            found[str(row.get("id") or len(found))] = (account, type)  # a row is repeated if the list shifts
    counts = Counter(found.values())
    return {one: OtherOperations(counts[one, "income"], counts[one, "expense"]) for one, _ in counts}


def _prefixes(connection: Connection) -> tuple[str, ...]:
    """What the keys of all our connections begin with: several may share an account."""
    names = {connection.key_prefix}
    try:
        right, wrong = load_connections()
        names |= {one.key_prefix for one in right} | {one.name for one in wrong}
    except ConfigurationError:
        pass
    return tuple(f"{name}:" for name in names)
