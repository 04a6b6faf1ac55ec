"""The support bundle of `doctor --bundle`: what somebody who helps needs to know, without keys and records.

One JSON file, so that its sender can read it first. The names of accounts, categories and statuses in connections.toml
are in it; every key, URL with a token, amount, customer and text of a record is not.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from sitniks_finmap import __version__
from sitniks_finmap.clients.reasons import without_quotes
from sitniks_finmap.clients.redaction import Redaction
from sitniks_finmap.people.findings import Finding
from sitniks_finmap.people.status import Fleet, InvalidStatus, Status
from sitniks_finmap.people.status_exports import fleet_json
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import data_folder, private_files
from sitniks_finmap.warehouse.last_runs import last_runs
from sitniks_finmap.warehouse.schema import version_of
from sitniks_finmap.warehouse.store import WarehouseError, open_warehouse

LIBRARIES = (
    "dagster", "dagster-webserver", "dagster-postgres", "duckdb", "requests", "urllib3", "pydantic", "babel", "apprise",
    "pandas", "sqlalchemy", "tomlkit", "rich",
)  # fmt: skip
# Variables whose values are no secret; of all others only the name is told.
PLAIN = ("DAGSTER_HOME", "SITNIKS_FINMAP_DATA", "SITNIKS_FINMAP_CONNECTIONS", "SITNIKS_FINMAP_LANGUAGE", "LANG", "TZ")
OURS = ("SITNIKS_FINMAP_", "DAGSTER_", "HEARTBEAT_URL", "ALERT_URLS")


def write_bundle(path: Path, fleet: Fleet, examined: dict[str, list[Finding]], now: datetime) -> None:
    """Writes the bundle, readable by its owner only. `examined`: what doctor found, by connection. Raises OSError."""
    shops = [shop.connection for shop in fleet.shops if isinstance(shop, Status)]
    secrets = [os.environ.get(name, "") for shop in shops for name in (shop.sitniks_key_env, shop.finmap_key_env)]
    bundle = {
        "made_at": now.isoformat(timespec="seconds"),
        "versions": _versions(),
        "machine": _machine(),
        "environment": _environment(shops),
        "connections": [_connection(shop) for shop in fleet.shops],
        "doctor": {name: [_finding(one) for one in found] for name, found in examined.items()},
        "status": [_quoteless(one) for one in fleet_json(fleet)],
    }
    text = Redaction(secrets).record(json.dumps(bundle, ensure_ascii=False, indent=2, default=str))
    with private_files():
        path.write_text(text + "\n", "utf-8")


def _versions() -> dict[str, str]:
    found = {"sitniks_finmap": __version__, "python": sys.version.split()[0]}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _machine() -> dict[str, Any]:
    folder = data_folder()
    disk = shutil.disk_usage(folder if folder.exists() else Path.cwd())
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "disk_free": disk.free,
        "disk_total": disk.total,
        "files": {path.name: path.stat().st_size for path in sorted(folder.glob("*.*")) if path.is_file()},
    }


def _environment(shops: Iterable[Connection]) -> dict[str, str]:
    named = {name for shop in shops for name in (shop.sitniks_key_env, shop.finmap_key_env)}
    names = sorted(named | {name for name in os.environ if name.startswith(OURS) or name in PLAIN})
    return {name: os.environ.get(name, "") if name in PLAIN else _told(os.environ.get(name)) for name in names}


def _told(value: str | None) -> str:
    return "not set" if not value else "set"


def _connection(shop: Status | InvalidStatus) -> dict[str, Any]:
    if isinstance(shop, InvalidStatus):
        return {"name": shop.name, "invalid": [finding.what for finding in shop.findings]}
    settings = shop.connection.model_dump(mode="json", exclude_defaults=True)
    return {"name": shop.name, "settings": settings, "file": _file(shop.connection)}


def _file(connection: Connection) -> dict[str, Any]:
    """How many rows each table has, and how the last runs ended."""
    warehouse = open_warehouse(connection)
    try:
        if not warehouse.exists():
            return {"exists": False}
        with warehouse.transaction() as con:
            tables = con.execute("select table_name from duckdb_tables() where database_name = current_database()")
            counts = {
                name: con.execute(f'select count(*) from "{name}"').fetchone() for (name,) in sorted(tables.fetchall())
            }
            return {
                "schema_version": version_of(con),
                "bytes": warehouse.path.stat().st_size,
                "rows": {name: row[0] for name, row in counts.items() if row},
                "last_runs": [
                    {**vars(run), "error": without_quotes(run.error) if run.error else None} for run in last_runs(con)
                ],
            }
    except (WarehouseError, duckdb.Error, OSError) as error:
        return {"unreadable": str(error) if isinstance(error, WarehouseError) else type(error).__name__}


def _finding(finding: Finding) -> dict[str, str]:
    return {"verdict": finding.verdict, "what": without_quotes(finding.what)}


def _quoteless(status: dict[str, Any]) -> dict[str, Any]:
    problems = [{**one, "what": without_quotes(one["what"])} for one in status["problems"]]
    return {**status, "problems": problems}
