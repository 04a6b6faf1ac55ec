"""Which host has which shops, where one Dagster has a code server on each of several hosts.

Each host tells the others about its slice of connections.toml: the names, and a salted hash of each key. A shop or a
key that is in two slices is refused on both: locks, rate limits and files are those of one host.
"""

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.private_files import data_folder, private_files, private_folder
from sitniks_finmap.settings.text_files import bare_key

Side = Literal["sitniks", "finmap"]
SIDES: tuple[Side, ...] = ("sitniks", "finmap")


class OnTwoHosts(ConfigurationError):
    """A shop or a key is in the slices of two hosts; nothing was read or posted."""


@dataclass(frozen=True)
class Claim:
    """A shop of a host: what it is called in Finmap, and hashes of its keys ("" if one is missing)."""

    key_prefix: str
    sitniks: str
    finmap: str


@dataclass(frozen=True)
class Host:
    """What a host last said of itself: its code location's name, when, and its shops."""

    name: str
    seen: datetime
    installation: str
    salt: str
    shops: dict[str, Claim]

    def to_text(self) -> str:
        return json.dumps({**asdict(self), "seen": self.seen.astimezone(UTC).isoformat()})


def this_host(name: str, connections: Iterable[Connection], now: datetime) -> Host:
    """This host, as it tells the others."""
    salt = secrets.token_hex(16)
    shops = {one.name: Claim(one.key_prefix, *(_hash(_key(one, side), salt) for side in SIDES)) for one in connections}
    return Host(name, now, installation_here(), salt, shops)


def host_of(text: str) -> Host | None:
    """What another host said; None if a version said it that we cannot read."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        read = json.loads(text)
        shops = {name: Claim(**claim) for name, claim in read.pop("shops").items()}
        return Host(**{**read, "seen": datetime.fromisoformat(read["seen"]), "shops": shops})
    return None


def refuse_second_host(connection: Connection, here: str | None, others: Iterable[Host]) -> None:
    """Raises OnTwoHosts if another host has this shop, its name in Finmap, or one of its keys."""
    for other in others:
        gone = f"if {other.name} is gone for good, run `sitniks-finmap hosts --forget {other.name}`"
        for shop, claim in other.shops.items():
            if shop == connection.name:
                raise OnTwoHosts(
                    f"{connection.name}: this shop is on two hosts, {here or 'this one'} and {other.name}. Neither "
                    f"reads or posts anything for it. Delete its table from connections.toml on one of them; {gone}"
                )
            if claim.key_prefix == connection.key_prefix:
                raise OnTwoHosts(
                    f'{connection.name}: {shop} on the host {other.name} writes to Finmap under "{claim.key_prefix}", '
                    f"too. Nothing was read or posted. If both are one shop, delete one of the tables; {gone}"
                )
            for side in SIDES:
                key = _key(connection, side)
                if key and getattr(claim, side) == _hash(key, other.salt):
                    raise OnTwoHosts(
                        f"{connection.name}: its {side.title()} key, {getattr(connection, f'{side}_key_env')}, is that "
                        f"of {shop} on the host {other.name}, too: two hosts do not share its rate limit, and do not "
                        "know what the other posts. Nothing was read or posted. Give it a key of its own, or let one "
                        f"host have both shops (docs/hosts.md); {gone}"
                    )


def installation_here() -> str:
    """The ID of this installation, if it has one already."""
    with suppress(OSError, UnicodeDecodeError):
        return (data_folder() / "installation").read_text("ascii").strip()
    return ""


def name_here() -> str | None:
    """The name of this host's code location, as Dagster last told it; None if it has not yet."""
    with suppress(OSError, UnicodeDecodeError):
        return _name_path().read_text("utf-8").strip() or None
    return None


def note_name(name: str) -> None:
    """Keeps the name for commands, which Dagster does not tell it."""
    private_folder(_name_path().parent)
    fresh = _name_path().with_suffix(f".{os.getpid()}")
    with private_files():
        fresh.write_text(f"{name}\n", "utf-8")
    os.replace(fresh, _name_path())


def _name_path() -> Path:
    return data_folder() / "host"


def _key(connection: Connection, side: Side) -> str:
    return bare_key(os.environ.get(getattr(connection, f"{side}_key_env"), "")).casefold()


def _hash(key: str, salt: str) -> str:
    return blake2b(key.encode(), salt=bytes.fromhex(salt), digest_size=32).hexdigest() if key else ""
