"""Resolves the accounts and categories that a connection names to those in Finmap."""

import logging
import re
import unicodedata
from dataclasses import dataclass
from typing import TypeVar

import duckdb

from sitniks_finmap.clients.answers import Unavailable
from sitniks_finmap.clients.finmap import Account, Finmap, Label
from sitniks_finmap.connections import ConfigurationError, Connection, built_in_rules
from sitniks_finmap.pipeline.identity import refuse_moved_accounts
from sitniks_finmap.pipeline.reading import save_settings
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import replace_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Directory:
    """What operations can refer to in Finmap: the accounts of the key, the categories of each type."""

    accounts: list[Account]
    categories: dict[str, list[Label]]


def read_directory(finmap: Finmap, connection: Connection) -> Directory:
    """Read from Finmap what this connection refers to. Raises ApiError."""
    if not connection.categories:
        return Directory(finmap.accounts(), {})
    return Directory(
        finmap.accounts(), {"income": finmap.categories("income"), "expense": finmap.categories("expense")}
    )


def save_directory(con: duckdb.DuckDBPyConnection, connection: Connection, directory: Directory) -> None:
    """Save the accounts and the configured mappings and rules. Raises ConfigurationError."""
    wanted: dict[str | None, str] = {None: connection.finmap_account, **connection.accounts}
    found = find_accounts(connection, directory.accounts)
    accounts = {one: found[name] for one, name in wanted.items()}
    refuse_moved_accounts(con, connection, wanted, accounts)
    save_settings(con, connection)
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


def check_references(run: ConnectionRun) -> None:
    """Find a wrong account, category or Finmap key before minutes of reading. Raises ConfigurationError, KeyRefused.

    If Finmap is unavailable, the check is skipped: reading does not need Finmap.
    """
    try:
        directory = read_directory(run.finmap, run.connection)
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


def normal_name(name: str) -> str:
    """Normalize a name for comparison, like the SQL macro of the same name."""
    plain = re.sub("[’ʼ‘`´]", "'", unicodedata.normalize("NFC", name))
    return " ".join("".join(one for one in plain if unicodedata.category(one) != "Cf").lower().split())


def find_accounts(connection: Connection, accounts: list[Account]) -> dict[str, Account]:
    """Find the account of each ID or name in the connection's settings.

    Raises ConfigurationError that names every wrong one and lists the existing accounts.
    """
    found: dict[str, Account] = {}
    wrong = []
    for wanted in dict.fromkeys([connection.finmap_account, *connection.accounts.values()]):
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
    return found


def _settings(connection: Connection, account: str) -> str:
    """The settings that name this Finmap account."""
    names = ["finmap_account"] if account == connection.finmap_account else []
    names += [f'accounts."{title}"' for title, wanted in connection.accounts.items() if wanted == account]
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
