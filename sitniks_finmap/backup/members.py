"""What an archive may hold, and where each of its members belongs on this machine."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sitniks_finmap.settings.connections_file import connections_path
from sitniks_finmap.settings.private_files import data_folder

MANIFEST = "manifest.json"
CONNECTIONS, ENV = "connections.toml", "env"
WAREHOUSE = re.compile(r"[a-z0-9_]+\.duckdb")  # not one that was set aside
# Nothing else is ever written or read: no member can lead outside of its folder.
ALLOWED = re.compile(
    rf"{re.escape(CONNECTIONS)}|{ENV}"
    r"|data/([a-z0-9_]+\.duckdb|installation|alerts\.sqlite|connections\.last-good\.json)"
    r"|dagster/(dagster\.yaml|history/runs\.db|history/runs/[0-9a-z-]+\.db|schedules/schedules\.db)"
)
DAGSTER_DATABASES = ("schedules/schedules.db", "history/runs/*.db", "history/runs.db")
# What is set aside before a restore: everything that the archive replaces, and what belongs to it.
REPLACED_DATA = ("*.duckdb", "*.duckdb.wal", "read", "installation", "alerts.sqlite*", "connections.last-good.json")
REPLACED_DAGSTER = ("history", "schedules", "dagster.yaml")


@dataclass(frozen=True)
class Installation:
    """Where the files of an installation are."""

    data: Path
    dagster: Path
    connections: Path
    env: Path

    def place_of(self, member: str) -> Path:
        folder, _, rest = member.partition("/")
        match folder:
            case "data":
                return self.data / rest
            case "dagster":
                return self.dagster / rest
            case _:
                return self.connections if member == CONNECTIONS else self.env

    def warehouses(self) -> list[str]:
        """The names of all connections that have a file, configured or not."""
        return sorted(path.stem for path in self.data.glob("*.duckdb") if WAREHOUSE.fullmatch(path.name))

    def dagster_databases(self) -> Iterator[str]:
        """Dagster's SQLite files as members: the cursors of its sensors first, and a run's events before the run."""
        for pattern in DAGSTER_DATABASES:
            for path in sorted(self.dagster.glob(pattern)):
                member = f"dagster/{path.relative_to(self.dagster).as_posix()}"
                if ALLOWED.fullmatch(member):
                    yield member


def this_installation() -> Installation:
    """The one that commands in this folder work on. Raises ConfigurationError."""
    data = data_folder()
    home = Path(os.environ.get("DAGSTER_HOME") or data / "dagster").expanduser().absolute()
    return Installation(data, home, connections_path(), Path(".env").absolute())
