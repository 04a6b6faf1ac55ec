"""The Dagster definitions of one connection: assets, checks, jobs, sensor and resource."""

import warnings

import dagster as dg

# Single-run backfills are beta but tested here; a warning per asset would hide other warnings.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")

from sitniks_finmap.days import Clock, utc_now  # noqa: E402
from sitniks_finmap.defs.assets import as_markdown  # noqa: E402
from sitniks_finmap.defs.assets.deliver import deliver_assets  # noqa: E402
from sitniks_finmap.defs.assets.extract import extract_assets  # noqa: E402
from sitniks_finmap.defs.assets.reconcile import reconcile_assets  # noqa: E402
from sitniks_finmap.defs.assets.report import report_assets  # noqa: E402
from sitniks_finmap.defs.assets.transform import transform_assets  # noqa: E402
from sitniks_finmap.defs.checks import asset_checks  # noqa: E402
from sitniks_finmap.defs.jobs import connection_jobs  # noqa: E402
from sitniks_finmap.defs.resources import ConnectionResource  # noqa: E402
from sitniks_finmap.defs.sensor import connection_sensor  # noqa: E402
from sitniks_finmap.settings.connections import Connection  # noqa: E402
from sitniks_finmap.settings.connections_file import WrongConnection  # noqa: E402


def connection_definitions(connection: Connection, *, now: Clock = utc_now) -> dg.Definitions:
    """Everything for one connection; `now` is the clock of its sensor."""
    assets = [
        *extract_assets(connection),
        *transform_assets(connection),
        *deliver_assets(connection),
        *reconcile_assets(connection),
        *report_assets(connection),
    ]
    jobs = connection_jobs(connection, assets)
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks(connection),
        jobs=jobs,
        sensors=[connection_sensor(connection, jobs, now=now)],
        resources={connection.name: ConnectionResource(connection=connection.name)},
        executor=dg.in_process_executor,
    )


def wrong_definitions(wrong: WrongConnection) -> dg.Definitions:
    """Shows an invalid connection in the graph, in the group `misconfigured`, with the reason."""
    # Different names need different keys, or Dagster would reject all definitions.
    key = "".join(letter if letter.isalnum() or letter == "_" else f"%{ord(letter):x}%" for letter in wrong.name) or "%"
    return dg.Definitions(assets=[_misconfigured([key, "misconfigured"], wrong.why)])


def broken_file(problem: str) -> dg.Definitions:
    """Shows that connections.toml cannot be read, and why. Its connections go on with its last good version."""
    return dg.Definitions(assets=[_misconfigured(["misconfigured"], problem)])


def _misconfigured(key: list[str], why: str) -> dg.AssetSpec:
    told = as_markdown(f"⚠ {why}") + "\n\nUntil this is corrected, the last valid settings go on, if there are any."
    return dg.AssetSpec(key, group_name="misconfigured", description=told)
