"""Loads connections.toml: finds the file, refuses what is invalid, and chooses the connections of a command."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sitniks_finmap.names import nearest, normal_name
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.text_files import Unreadable, bare_key, read_toml
from sitniks_finmap.settings.wrong import explain_settings


@dataclass(frozen=True)
class WrongConnection:
    """An invalid table in connections.toml; the other connections still run."""

    name: str
    why: str

    def problem(self) -> str:
        return self.why


def connections_path() -> Path:
    return Path(os.environ.get("SITNIKS_FINMAP_CONNECTIONS") or "connections.toml").absolute()


def load_connections(path: Path | None = None) -> tuple[list[Connection], list[WrongConnection]]:
    """Load every connection in the file: the valid ones, and the invalid ones with the reason.

    Raises ConfigurationError if the file itself cannot be read or is not TOML.
    """
    return connections_of(read_tables(path))


def read_tables(path: Path | None = None) -> dict[str, Any]:
    """The tables of the file as they are. Raises ConfigurationError."""
    path = path or connections_path()
    try:
        return read_toml(path)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} does not exist; start from the connections.toml of the project, or set SITNIKS_FINMAP_CONNECTIONS"
        ) from None
    except Unreadable as error:
        raise ConfigurationError(str(error)) from None


def connections_of(tables: dict[str, Any]) -> tuple[list[Connection], list[WrongConnection]]:
    """The valid connections in these tables, and the invalid ones with the reason."""
    right: list[Connection] = []
    wrong: list[WrongConnection] = []
    for name, table in tables.items():
        read = read_connection(name, table)
        (right if isinstance(read, Connection) else wrong).append(read)  # type: ignore[arg-type]
    return each_company_once(right, wrong)


def each_company_once(
    right: list[Connection], wrong: list[WrongConnection]
) -> tuple[list[Connection], list[WrongConnection]]:
    """Accept only the first connection with a given pair of keys or a given key prefix: a second one would post
    everything twice, or overwrite the first one's operations.
    """
    first: dict[tuple[str, str], str] = {}
    prefixes: dict[str, str] = {}
    accounts: dict[tuple[str, str], Connection] = {}  # key and account in Finmap → the first that posts there
    unique: list[Connection] = []
    for connection in right:
        if other := prefixes.get(connection.key_prefix):
            why = f'{connection.name}: key_prefix: {other} already writes to Finmap under "{connection.key_prefix}"'
            wrong.append(WrongConnection(connection.name, why))
            continue
        sides = (connection.sitniks_key_env, connection.finmap_key_env)
        sitniks, finmap = (bare_key(os.environ.get(variable, "")).casefold() for variable in sides)
        pair = (sitniks, finmap)
        if all(pair) and pair in first:
            why = (
                f"{connection.name}: has the same two keys as {first[pair]}: everything would be posted twice. Delete "
                "one of the two tables, or give it keys of its own"
            )
            wrong.append(WrongConnection(connection.name, why))
            continue
        account = (finmap, normal_name(connection.finmap_account))
        if finmap and (other := accounts.setdefault(account, connection)).source != connection.source:
            why = (
                f'{connection.name}: posts {connection.source} to "{connection.finmap_account}", the Finmap account to '
                f"which {other.name} posts {other.source}: the same money might be there twice. Give one of them an "
                "account of its own"
            )
            wrong.append(WrongConnection(connection.name, why))
            continue
        first[pair] = prefixes[connection.key_prefix] = connection.name
        unique.append(connection)
    return unique, wrong


def read_connection(name: str, table: Any) -> Connection | WrongConnection:
    if not isinstance(table, dict):
        return WrongConnection(name, f"{name}: put settings into a table, [sitniks_user_1], not at the top level")
    secret = next((field for field in table if _holds_a_key(field)), None)
    if secret:
        return WrongConnection(
            name,
            f"{name}: {secret}: a key does not belong in the file; put it into the environment or .env and name "
            f"the variable here as {secret.split('_')[0]}_key_env",
        )
    try:
        return Connection.model_validate({**table, "name": name})
    except ValidationError as error:
        return WrongConnection(name, f"{name}: {explain_settings(name, error.errors())}")


def _holds_a_key(field: str) -> bool:
    words = field.lower().split("_")
    return "key" in words and words[-1] != "env" and field not in Connection.model_fields


def choose_any(name: str | None) -> list[Connection | WrongConnection]:
    """Every connection, valid or not, or the named one, for reports. Raises ConfigurationError."""
    right, wrong = load_connections()
    return [one for one in (*wrong, *right) if name in (None, one.name)] or [*choose(name)]


def choose(name: str | None) -> list[Connection]:
    """The valid connections, or the named one. Raises ConfigurationError that lists the existing names."""
    right, wrong = load_connections()
    if not right and not wrong:
        raise ConfigurationError(
            f"{connections_path()} has no connection; add a table for each shop: [sitniks_user_1] with start_date and "
            "finmap_account (see docs/configuration.md)"
        )
    if name is None:
        return right
    for connection in right:
        if connection.name == name:
            return [connection]
    for other in wrong:
        if other.name == name:
            raise ConfigurationError(other.why)
    known = ", ".join(one.name for one in right) or "none"
    meant = nearest(name, [one.name for one in (*right, *wrong)])
    raise ConfigurationError(f"there is no connection {name}; connections.toml has: {known}{meant}")
