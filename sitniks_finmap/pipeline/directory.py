"""Resolves the accounts and categories that a connection names to those in Finmap."""

import logging
import re
import unicodedata
from typing import TypeVar

import duckdb

from sitniks_finmap.clients.answers import Unavailable
from sitniks_finmap.clients.finmap import Account, Directory, Finmap, Label
from sitniks_finmap.names import normal_name
from sitniks_finmap.pipeline.identity import refuse_moved_accounts
from sitniks_finmap.pipeline.reading import save_settings
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection, built_in_rules
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import replace_table

log = logging.getLogger(__name__)


def read_directory(finmap: Finmap, connection: Connection) -> Directory:
    """Read from Finmap what this connection refers to. Raises ApiError."""
    if not connection.categories:
        return Directory(finmap.accounts(), {})
    return Directory(
        finmap.accounts(), {"income": finmap.categories("income"), "expense": finmap.categories("expense")}
    )


def save_directory(con: duckdb.DuckDBPyConnection, connection: Connection, directory: Directory) -> None:
    """Save the accounts and the configured mappings and rules. Raises ConfigurationError."""
    wanted: dict[str | None, str] = {None: connection.finmap_account, **connection.accounts, **connection.channels}
    found = find_accounts(connection, directory.accounts)
    accounts = {one: found[name] for one, name in wanted.items()}
    refuse_moved_accounts(con, connection, wanted, accounts)
    save_settings(con, connection)
    save_stock_account(con, connection, found)
    replace_table(
        con,
        "finmap_accounts",
        [{"account": a.id, "label": a.label, "currency": a.currency} for a in directory.accounts],
    )
    replace_table(
        con,
        "account_mapping",
        [{"settlement_account": one, "account": a.id, "currency": a.currency} for one, a in accounts.items()],
    )
    check_mapping(con, connection)
    replace_table(con, "category_mapping", category_mapping(connection, directory))
    rules = [*connection.rules, *built_in_rules()]
    replace_table(
        con,
        "classification_rules",
        [
            {
                "position": position,
                "classification": rule.classification,
                "sign": rule.sign,
                "sources": [searched_for(word) for word in rule.source],
                "descriptions": [searched_for(word) for word in rule.description],
            }
            for position, rule in enumerate(rules, 1)
        ],
    )
    con.execute(sql("meaning_hash"))


def save_stock_account(con: duckdb.DuckDBPyConnection, connection: Connection, found: dict[str, Account]) -> None:
    """Save the stock account. Raises ConfigurationError if its name now refers to a different account."""
    wanted = connection.orders.stock_account if connection.orders else None
    now = found[wanted] if wanted else None
    before = con.execute(
        "select s.stock_account, a.label from settings s join finmap_accounts a on a.account = s.stock_account"
    ).fetchone()
    if now and wanted and before and before[0] != now.id and before[1].strip() == wanted.strip():
        raise ConfigurationError(
            f'{connection.name}: the Finmap account "{before[1]}" used to be {before[0]}, but now it is {now.id}. '
            "Nothing was posted: write the ID of the right one as orders.stock_account into connections.toml"
        )
    con.execute("update settings set stock_account = $1", [now.id if now else None])


def check_references(run: ConnectionRun) -> None:
    """Find a wrong account, category or Finmap key before minutes of reading. Raises ConfigurationError, KeyRefused.

    If Finmap is unavailable, the check is skipped: reading does not need Finmap. The next step of the run uses what was
    read, too.
    """
    try:
        directory = run.directory = read_directory(run.finmap, run.connection)
    except Unavailable as error:
        log.info("%s: %s; its accounts are checked after reading", run.connection.name, error)
        return
    find_accounts(run.connection, directory.accounts)
    category_mapping(run.connection, directory)


def check_mapping(con: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Raise ConfigurationError if two spellings of one settlement account map to two Finmap accounts."""
    doubled = con.execute(sql("doubled_names")).fetchone()
    if doubled:
        names = " and ".join(f'"{name}"' for name in doubled[0])
        raise ConfigurationError(
            f"{connection.name}: accounts has {names}, which are spellings of the same name; keep one of them, or use "
            "the IDs of the settlement accounts"
        )


def searched_for(word: str) -> str:
    """Normalize a word of a rule for the search: lower case, NFC, plain spaces."""
    return re.sub(r"\s", " ", unicodedata.normalize("NFC", word)).lower()


Named = TypeVar("Named", Account, Label)


def named(wanted: str, things: list[Named]) -> list[Named]:
    """The things with this ID, else with exactly this name, else with a spelling of this name."""
    return (
        [one for one in things if one.id == wanted]
        or [one for one in things if one.label.strip() == wanted.strip()]
        or [one for one in things if normal_name(one.label) == normal_name(wanted)]
    )


def find_accounts(connection: Connection, accounts: list[Account]) -> dict[str, Account]:
    """Find the account of each ID or name in the connection's settings.

    Raises ConfigurationError that names every wrong one and lists the existing accounts.
    """
    found: dict[str, Account] = {}
    wrong = []
    names = [connection.finmap_account, *connection.accounts.values(), *connection.channels.values()]
    if connection.orders and connection.orders.stock_account:
        names.append(connection.orders.stock_account)
    for wanted in dict.fromkeys(names):
        matching = named(wanted, accounts)
        if len(matching) == 1:
            found[wanted] = matching[0]
            continue
        what = "is the name of several accounts" if matching else "is not among the accounts of the key"
        remedy = f"{'write the ID as' if matching else 'correct'} {_settings(connection, wanted)} in connections.toml"
        wrong.append(f'Finmap account "{wanted}" {what}; {remedy}')
    if wrong:
        there = ", ".join(f"{account.label} ({account.id}, {account.currency})" for account in accounts) or "none"
        raise ConfigurationError(f"{connection.name}: {'. '.join(wrong)}. The accounts are: {there}")
    if connection.source == "orders":
        refuse_unfit_accounts(connection, found)
    return found


def refuse_unfit_accounts(connection: Connection, found: dict[str, Account]) -> None:
    """Raise ConfigurationError unless all accounts of orders share a currency and none of them is the stock account:
    orders have no currency.
    """
    if len({account.currency for account in found.values()}) > 1:
        told = ", ".join(f"{account.label} ({account.currency})" for account in found.values())
        raise ConfigurationError(f"{connection.name}: orders have no currency, so all accounts need the same: {told}")
    stock = found.get(connection.orders.stock_account or "") if connection.orders else None
    money = [found[name] for name in (connection.finmap_account, *connection.channels.values())]
    if stock and stock.id in {account.id for account in money}:
        raise ConfigurationError(
            f'{connection.name}: orders.stock_account is the account of the money, "{stock.label}"; the cost of goods '
            "needs an account of its own"
        )


def _settings(connection: Connection, account: str) -> str:
    """The settings that name this Finmap account."""
    names = ["finmap_account"] if account == connection.finmap_account else []
    names += [f'accounts."{title}"' for title, wanted in connection.accounts.items() if wanted == account]
    names += [f'channels."{title}"' for title, wanted in connection.channels.items() if wanted == account]
    names += ["orders.stock_account"] if connection.orders and connection.orders.stock_account == account else []
    return " and ".join(names) or "the account"


def category_mapping(connection: Connection, directory: Directory) -> list[dict[str, str]]:
    """Build the rows of category_mapping: an income category for income, an expense category for expense.

    Raises ConfigurationError that lists every name that neither type has, or that one type has twice.
    """
    rows: list[dict[str, str]] = []
    wrong, missing = [], False
    for classification, wanted in connection.categories.items():
        for type, labels in directory.categories.items():
            found = named(wanted, labels)
            if len(found) > 1:
                wrong.append(
                    f'"{wanted}" is the name of several {type} categories; write the ID as '
                    f"categories.{classification} in connections.toml, one of "
                    + ", ".join(category.id for category in found)
                )
            rows += [{"classification": classification, "type": type, "category": c.id} for c in found]
        if classification not in {row["classification"] for row in rows}:
            missing = True
            wrong.append(
                f'there is no Finmap category "{wanted}" for {classification}; correct '
                f"categories.{classification} in connections.toml"
            )
    if wrong:
        there = "; ".join(
            f"{type}: {', '.join(c.label for c in labels) or 'none'}" for type, labels in directory.categories.items()
        )
        raise ConfigurationError(
            f"{connection.name}: {'. '.join(wrong)}" + (f". The categories are: {there}" if missing else "")
        )
    return rows
