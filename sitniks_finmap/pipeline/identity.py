"""Each side proves to be the company that the warehouse was filled from, before anything is written or judged gone.

The URLs are the same for every company; only the key says which one answers. A key that proved itself before is known
by a salted hash and costs no request. Another one is examined: what the warehouse knows must still be there.
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
from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.figures import counted
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, rows_as

log = logging.getLogger(__name__)

SAMPLE = 5  # operations that are looked up in Finmap
RECENT_DAYS = 3  # looked through one by one when the whole period showed nothing known
PAGES = 3  # of each period

Side = Literal["sitniks", "finmap"]
Bounds = Callable[[date, date], tuple[datetime, datetime]]  # the instants around whole local days


class WrongCompany(ConfigurationError):
    """A side does not prove to be the company that the warehouse was filled from; nothing was written."""


def prove_finmap(connection: Connection, warehouse: Warehouse, finmap: Finmap, now: datetime) -> None:
    """Returns when Finmap is the company that the warehouse knows. Raises WrongCompany, ApiError."""
    refuse_another_prefix(connection, warehouse)
    _prove(connection, warehouse, "finmap", lambda: doubt_finmap(warehouse, finmap), now)


def prove_sitniks(
    connection: Connection, warehouse: Warehouse, sitniks: Sitniks, bounds: Bounds, now: datetime
) -> None:
    """Returns when Sitniks is the company that the warehouse knows. Raises WrongCompany, ApiError."""
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
    """Whether the warehouse was filled from a company already."""
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        query = "select exists (from raw_sitniks_transactions) or exists (from finmap_upload)"
        (filled,) = con.execute(query).fetchone() or (False,)
    return filled


def suspicion(connection: Connection, side: Side, why: str) -> str:
    """What a person is told about a key that did not prove itself."""
    return (
        f"this looks like the {side.title()} key of another company: {why}. Put the right key into "
        f"{getattr(connection, f'{side}_key_env')} in .env; if it is the right one, run "
        f"`sitniks-finmap accept-key --connection {connection.name}`"
    )


def is_proven(connection: Connection, warehouse: Warehouse, side: Side) -> bool:
    """Whether this side's key is the one that proved itself last. Raises MissingKey."""
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
    """Writes down that this side's key is that of the company which the warehouse is filled from."""
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

    The accounts that operations go to are still there, and of a few operations that were seen in Finmap at least one
    still is: people may have deleted some.
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
    """Raises ConfigurationError when Finmap has operations under another prefix than the one configured now."""
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


def refuse_moved_accounts(
    con: duckdb.DuckDBPyConnection,
    connection: Connection,
    wanted: dict[str | None, str],
    found: dict[str | None, Account],
) -> None:
    """Raises ConfigurationError when the name of an account stands for another account than until now.

    Where the text in connections.toml changed, a person has chosen. `wanted` and `found` are by settlement account:
    the configured ID or name, and the account that it is now.
    """
    before = con.execute(
        "select m.settlement_account, m.account, a.label from account_mapping m join finmap_accounts a using (account)"
    ).fetchall()
    for settlement, account, label in before:
        now = found.get(settlement)
        if now and now.id != account and wanted[settlement].strip() == label.strip():
            raise ConfigurationError(
                f'{connection.name}: the Finmap account "{label}" was {account} until now, and {now.id} has that name '
                "today. Nothing was posted: write the ID of the one that is meant into connections.toml"
            )


# -- Sitniks --


def doubt_sitniks(warehouse: Warehouse, sitniks: Sitniks, bounds: Bounds) -> str | None:
    """Why Sitniks does not look like the company that the warehouse knows, or None. Raises ApiError.

    Of what its list shows over the days that were read, something is known, by ID and date.
    """
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        days = [
            day
            for (day,) in con.execute(
                "select distinct day from latest_transactions where gone_at is null order by day desc"
            ).fetchall()
        ]
    if not days:
        return None
    for first, last in [(days[-1], days[0]), *((day, day) for day in days[:RECENT_DAYS])]:
        if _shows_known_transactions(warehouse, sitniks, *bounds(first, last)):
            return None
    return f"of the transactions known since {days[-1]} its list shows none"


def _shows_known_transactions(warehouse: Warehouse, sitniks: Sitniks, start: datetime, end: datetime) -> bool:
    skip = 0
    for _ in range(PAGES):
        page = sitniks.page("/transactions", start, end, skip)
        if not page.rows:
            return False
        shown = {"id": [r.id for r in page.rows], "text": [r.text for r in page.rows]}
        with warehouse.transaction() as con, rows_as(con, "shown", shown):
            known = con.execute(sql("known_in_sitniks")).fetchall()
        if known:
            return True
        skip += len(page.rows)
    return False
