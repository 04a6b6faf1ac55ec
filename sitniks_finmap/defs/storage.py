"""Dagster's own storage, SQLite or Postgres: what is said when it cannot be used, and when it must be migrated."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import dagster as dg
from dagster._check import CheckError
from sqlalchemy.exc import DBAPIError

from sitniks_finmap.settings.connections import ConfigurationError

log = logging.getLogger(__name__)

# Of dagster-postgres, which need not be installed: raised when a database stays away.
UNREACHABLE = "DagsterPostgresException"
MIGRATE = "dagster instance migrate"
NO_DRIVER = "DAGSTER_POSTGRES_URL must begin with postgresql+psycopg2:// (without +psycopg2, another driver is meant)"
NOT_SET = re.compile(r'environment variable "(\w+)" which is not set')
NOT_INSTALLED = "it names Postgres, which is not installed: pip install 'sitniks-finmap[postgres]'"
warned: set[str] = set()


class RunsUnavailable(OSError):
    """Dagster's database of runs cannot be read or written; the message says where it is and what to do."""


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Raises RunsUnavailable, or ConfigurationError, for what Dagster raises if its storage cannot be used."""
    settings = home / "dagster.yaml"
    try:
        yield
    except DBAPIError as error:
        raise RunsUnavailable(
            f"Dagster's database of runs in {home} cannot be used: {_first_line(error.orig)}. Stop the program that "
            "uses it, or free disk space, then run again; everything read and delivered so far is kept. After an "
            "upgrade, `dagster instance migrate` may be due"
        ) from None
    except dg.DagsterInvalidConfigError as error:
        said = " ".join(one.message for one in error.errors) or str(error)
        if unset := NOT_SET.search(said):
            raise ConfigurationError(
                f"{settings} names the environment variable {unset[1]}, which is not set"
            ) from None
        raise ConfigurationError(f"{settings}: {' '.join(said.split())}") from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "psycopg":
            raise
        raise ConfigurationError(f"{settings}: {NO_DRIVER}") from None
    except CheckError as error:
        if "dagster_postgres" in str(error):
            raise ConfigurationError(f"{settings}: {NOT_INSTALLED}") from None
        if MIGRATE not in str(error):
            raise
        raise RunsUnavailable(_migrate(home)) from None
    except Exception as error:
        if type(error).__name__ != UNREACHABLE:
            raise
        raise RunsUnavailable(
            f"Dagster's database of runs, named in {settings}, does not answer: {_first_line(error.__cause__)}. Start "
            "it, or correct DAGSTER_POSTGRES_URL, then run again; everything read and delivered so far is kept"
        ) from None


def warn_of_another_version(dagster: dg.DagsterInstance, home: Path | str) -> None:
    """Warns once in each process if another version of Dagster made the tables: most still works, but not all."""
    if str(home) in warned:
        return
    warned.add(str(home))
    found, ours = dagster.run_storage.alembic_version() or (None, None)
    if found and found != ours:
        log.warning(_migrate(home) if _is_known(found) else _newer(home))


def _migrate(home: Path | str) -> str:
    return (
        f"Dagster's database of runs in {home} is that of an older Dagster: stop Dagster, back up, then run "
        "`dagster instance migrate` with the same DAGSTER_HOME (docs/upgrades.md)"
    )


def _newer(home: Path | str) -> str:
    return (
        f"Dagster's database of runs in {home} is that of a newer Dagster: install that version again, or restore the "
        "backup made before the upgrade (docs/upgrades.md)"
    )


def _is_known(revision: str) -> bool:
    """Whether this Dagster has the migration that made the tables: then they are older, otherwise newer."""
    scripts = files("dagster").joinpath("_core", "storage", "alembic", "versions").iterdir()
    return any(f'revision = "{revision}"' in one.read_text("utf-8") for one in scripts if one.name.endswith(".py"))


def _first_line(error: BaseException | None) -> str:
    """Without the statement that failed, which SQLAlchemy appends."""
    original = getattr(error, "orig", None) or error
    lines = str(original).splitlines()
    return lines[0].strip().rstrip(".") if lines else type(original).__name__
