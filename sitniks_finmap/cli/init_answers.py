"""What `init` knows while it asks: the options, the files as they are, and the answers so far."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from sitniks_finmap.cli.asking import Asker
from sitniks_finmap.people.probe import FinmapSide, SitniksSide
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import WrongConnection, connections_of, read_connection
from sitniks_finmap.settings.value_types import FIRST_FINMAP_DAY, LOOPBACK

# What the two sides are asked with, before the other settings are known.
ASKED_WITH = (
    "sitniks_url", "finmap_url", "sitniks_requests_per_second", "finmap_requests_per_second", "sitniks_key_env",
    "finmap_key_env", "key_prefix", "timezone",
)  # fmt: skip
# A new shop has its own keys, first day and readers of messages.
NOT_CLONED = ("sitniks_key_env", "finmap_key_env", "key_prefix", "start_date", "alerts", "heartbeat_url")


@dataclass(frozen=True)
class Options:
    """The options of the command; None, or empty, is what is to be asked."""

    connection: str | None = None
    clone: str | None = None
    sitniks_key: str | None = None
    finmap_key: str | None = None
    source: str | None = None
    statuses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    account: str | None = None
    since: str | None = None
    skip_until: str | None = None
    categories: tuple[str, ...] = ()
    source_as_tag: bool | None = None
    sitniks_url: str | None = None
    finmap_url: str | None = None
    yes: bool = False


@dataclass
class Answers:
    """The answers so far. `table` is the table of connections.toml as it is to be."""

    asker: Asker
    options: Options
    tables: dict[str, Any]
    now: datetime
    name: str = ""
    table: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # variable → the key to write into .env
    skip_until: date | None = None
    warnings: list[str] = field(default_factory=list)  # to repeat in the summary
    here: SitniksSide | None = None
    there: FinmapSide | None = None

    @property
    def is_new(self) -> bool:
        return self.name not in self.tables

    @property
    def sitniks(self) -> SitniksSide:
        assert self.here  # noqa: S101
        return self.here

    @property
    def finmap(self) -> FinmapSide:
        assert self.there  # noqa: S101
        return self.there

    @property
    def of_orders(self) -> bool:
        return self.table.get("source") == "orders"

    def has_key(self, side: str) -> bool:
        """Whether an option or the environment gives this side's key."""
        given = self.options.sitniks_key if side == "sitniks" else self.options.finmap_key
        return bool(given or os.environ.get(getattr(self.asking(), f"{side}_key_env")))

    def begin(self, name: str, clone: str | None) -> None:
        self.name = name
        copied = {key: value for key, value in self.tables.get(clone or "", {}).items() if key not in NOT_CLONED}
        self.table = deepcopy(self.tables.get(name, copied))
        for side in ("sitniks", "finmap"):
            if given := getattr(self.options, f"{side}_url"):
                self.table[f"{side}_url"] = given
                if urlsplit(given).hostname in LOOPBACK:  # the sandbox has no limit
                    self.table.setdefault(f"{side}_requests_per_second", 200)

    def asked_with(self) -> dict[str, Any]:
        """A table that can ask both sides."""
        known = {key: self.table[key] for key in ASKED_WITH if key in self.table}
        return {**known, "start_date": FIRST_FINMAP_DAY, "finmap_account": "?"}

    def asking(self) -> Connection:
        """A connection that can ask both sides. Raises ConfigurationError."""
        return self._read(self.asked_with())

    def connection(self) -> Connection:
        """The connection as it is to be. Raises ConfigurationError."""
        return self._read(self.table)

    def _read(self, table: dict[str, Any]) -> Connection:
        read = read_connection(self.name, table)
        if isinstance(read, WrongConnection):
            raise ConfigurationError(read.why)
        return read

    def refuse_clashes(self, table: dict[str, Any]) -> None:
        """Raises ConfigurationError if this table would be invalid, or would make another one invalid."""
        before = {one.name for one in connections_of(self.tables)[1]} - {self.name}
        for wrong in connections_of({**self.tables, self.name: table})[1]:
            if wrong.name not in before:
                raise ConfigurationError(wrong.why)

    def set_key(self, variable: str, key: str) -> None:
        os.environ[variable] = key

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Forgets the keys at the end; what is written into .env is read from there."""
        before = dict(os.environ)
        try:
            yield
        finally:
            for variable in [one for one in os.environ if one not in before]:
                del os.environ[variable]
            os.environ.update(before)
