"""Verifies that each key belongs to the company that filled the warehouse, before anything is written or judged gone.

The URLs are the same for every company; only the key determines which one answers. A verified key is remembered as a
salted hash and costs no request. A new key is examined: what the warehouse knows must still be there.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import date, datetime
from hashlib import blake2b
from typing import Literal

import duckdb

from sitniks_finmap.clients.finmap import Account, Finmap
from sitniks_finmap.clients.sitniks import Sitniks
from sitniks_finmap.figures import counted
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.schema import main_source, sql
from sitniks_finmap.warehouse.store import Warehouse, rows_as

log = logging.getLogger(__name__)

SAMPLE = 5  # operations to look up in Finmap
RECENT_DAYS = 3  # read one by one if the whole period shows nothing known
PAGES = 3  # most pages read of each period

Side = Literal["sitniks", "finmap"]
Bounds = Callable[[date, date], tuple[datetime, datetime]]  # the instants around whole local days


class WrongCompany(ConfigurationError):
    """A key seems to belong to a company other than the one that filled the warehouse; nothing was written."""


def prove_finmap(connection: Connection, warehouse: Warehouse, finmap: Finmap, now: datetime) -> None:
    """Verify that Finmap is the company that the warehouse knows. Raises WrongCompany, ApiError."""
    refuse_another_prefix(connection, warehouse)
    if warehouse.exists():
        with warehouse.transaction() as con:
            turn_to_source(con, connection)
    _prove(connection, warehouse, "finmap", lambda: doubt_finmap(warehouse, finmap), now)


def prove_sitniks(
    connection: Connection, warehouse: Warehouse, sitniks: Sitniks, bounds: Bounds, now: datetime
) -> None:
    """Verify that Sitniks is the company that the warehouse knows. Raises WrongCompany, ApiError."""
    _prove(connection, warehouse, "sitniks", lambda: doubt_sitniks(warehouse, sitniks, bounds), now)


def _prove(
    connection: Connection, warehouse: Warehouse, side: Side, doubt: Callable[[], str | None], now: datetime
) -> None:
    if is_proven(connection, warehouse, side):
        return
    if why := doubt():
        raise WrongCompany(f"{connection.name}: {suspicion(connection, side, why)}. Nothing was written")
    remember(connection, warehouse, side, now, "examined" if knows_anything(warehouse) else "first")


def knows_anything(warehouse: Warehouse) -> bool:
    """Whether the warehouse has data of a company."""
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        tables = ("raw_sitniks_transactions", "raw_sitniks_orders", "finmap_upload")
        query = "select " + " or ".join(f"exists (from {table})" for table in tables)
        (filled,) = con.execute(query).fetchone() or (False,)
    return filled


def suspicion(connection: Connection, side: Side, why: str) -> str:
    """The message about a key that could not be verified."""
    return (
        f"this looks like the {side.title()} key of another company: {why}. Put the right key into "
        f"{getattr(connection, f'{side}_key_env')} in .env; if it is the right one, run "
        f"`sitniks-finmap accept-key --connection {connection.name}`"
    )


def is_proven(connection: Connection, warehouse: Warehouse, side: Side) -> bool:
    """Whether this side's key is the one last verified. Raises MissingKey."""
    key = connection.key(side)
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        known = con.execute("select salt, key_hash from identity where side = $1", [side]).fetchone()
    return known is not None and known[1] == _hash(key, known[0])


def remember(
    connection: Connection,
    warehouse: Warehouse,
    side: Side,
    now: datetime,
    how: Literal["first", "examined", "accepted"],
) -> None:
    """Record this side's key as that of the company that fills the warehouse."""
    salt = secrets.token_hex(16)
    with warehouse.transaction() as con:
        con.execute(
            "insert or replace into identity values ($1, $2, $3, $4, $5)",
            [side, salt, _hash(connection.key(side), salt), now, how],
        )


def _hash(key: str, salt: str) -> str:
    return blake2b(key.encode(), salt=bytes.fromhex(salt), digest_size=32).hexdigest()


# -- Finmap --


def doubt_finmap(warehouse: Warehouse, finmap: Finmap) -> str | None:
    """Why Finmap does not look like the company that the warehouse knows, or None. Raises ApiError.

    Expects one of the accounts that operations go to, and at least one of a few operations seen before: people may have
    deleted some.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        accounts = {account for (account,) in con.execute("select account from account_mapping").fetchall()}
        sample = con.execute(sql("known_in_finmap"), {"most": SAMPLE}).fetchall()
    if accounts and accounts.isdisjoint(account.id for account in finmap.accounts()):
        return "it has none of the accounts that operations went to"
    if sample and not any(_shows(finmap, external_id, known_as) for external_id, known_as in sample):
        return f"it shows none of {counted(len(sample), 'operation')} seen there before"
    return None


def _shows(finmap: Finmap, external_id: str, known_as: str | None) -> bool:
    found = finmap.details(external_id)
    return found is not None and (known_as is None or found.id in (None, known_as))


def refuse_another_prefix(connection: Connection, warehouse: Warehouse) -> None:
    """Raise ConfigurationError if Finmap has operations under a prefix other than the configured one."""
    if not warehouse.exists():
        return
    with warehouse.transaction() as con:
        row = con.execute(
            "select key_prefix from settings where key_prefix <> $1 and exists (from finmap_upload)",
            [connection.key_prefix],
        ).fetchone()
    if row:
        raise ConfigurationError(
            f'{connection.name}: its operations are in Finmap under "{row[0]}"; under "{connection.key_prefix}" each '
            f'would be posted again. Set key_prefix = "{row[0]}" in connections.toml'
        )


def turn_to_source(con: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Let the file serve the connection's source: forget what was derived from another, if nothing of it was posted.
    The transactions of a new shop may turn out to be unreadable.

    Raises ConfigurationError if something was posted: the same money would be posted again.
    """
    refuse_another_source(con, connection)
    if con.execute("from settings where source <> $1", [connection.source]).fetchone():
        con.execute(sql("forget_derived"))


def refuse_another_source(con: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Raise ConfigurationError if something was posted from another source: the same money would be posted again."""
    row = con.execute(
        "select source from settings where source <> $1 and exists (from finmap_upload)", [connection.source]
    ).fetchone()
    if row:
        raise ConfigurationError(
            f'{connection.name}: its operations come from {row[0]}; with source = "{connection.source}" the same money '
            f'would be posted a second time. Set source = "{row[0]}", or put a new connection in its place, with '
            "a start_date after the last day of this one"
        )


def refuse_moved_accounts(
    con: duckdb.DuckDBPyConnection,
    connection: Connection,
    wanted: dict[str | None, str],
    found: dict[str | None, Account],
) -> None:
    """Raise ConfigurationError if an account name now refers to a different account.

    If the text in connections.toml changed, that was a person's choice. `wanted` and `found` map settlement accounts to
    the configured ID or name, and to the account that it refers to now.
    """
    before = con.execute(
        "select m.settlement_account, m.account, a.label from account_mapping m join finmap_accounts a using (account)"
    ).fetchall()
    for settlement, account, label in before:
        now = found.get(settlement)
        if now and now.id != account and wanted[settlement].strip() == label.strip():
            raise ConfigurationError(
                f'{connection.name}: the Finmap account "{label}" used to be {account}, but now it is {now.id}. '
                "Nothing was posted: write the ID of the right one into connections.toml"
            )


# -- Sitniks --


def doubt_sitniks(warehouse: Warehouse, sitniks: Sitniks, bounds: Bounds) -> str | None:
    """Why Sitniks does not look like the company that the warehouse knows, or None. Raises ApiError.

    Expects its list to show at least one known transaction or order, by ID and date, over the days that were read.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        source = main_source(con)
        days = [day for (day,) in con.execute(sql("known_days")).fetchall()]
    if not days:
        return None
    for first, last in [(days[-1], days[0]), *((day, day) for day in days[:RECENT_DAYS])]:
        if _shows_known_records(warehouse, sitniks, f"/{source}", *bounds(first, last)):
            return None
    return f"its list shows none of the {source} known since {days[-1]}"


def _shows_known_records(warehouse: Warehouse, sitniks: Sitniks, path: str, start: datetime, end: datetime) -> bool:
    skip = 0
    for _ in range(PAGES):
        page = sitniks.page(path, start, end, skip)
        if not page.rows:
            return False
        shown = {"id": [r.id for r in page.rows], "text": [r.text for r in page.rows]}
        with warehouse.transaction() as con, rows_as(con, "shown", shown):
            known = con.execute(sql("known_in_sitniks")).fetchall()
        if known:
            return True
        skip += len(page.rows)
    return False
