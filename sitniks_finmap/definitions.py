"""The front door: every connection's assets, checks, jobs and sensors in one Definitions."""

import dagster as dg

from sitniks_finmap.alerts import checks_alert, failed_run_alert
from sitniks_finmap.connection_definitions import connection_definitions, wrong_definitions
from sitniks_finmap.connections import load_connections
from sitniks_finmap.housekeeping import housekeeping, housekeeping_schedule


def build_defs() -> dg.Definitions:
    """The definitions of every connection in connections.toml. Raises ConfigurationError for an unreadable file."""
    right, wrong = load_connections()
    return dg.Definitions.merge(
        dg.Definitions(
            jobs=[housekeeping],
            schedules=[housekeeping_schedule],
            sensors=[failed_run_alert, checks_alert],
            executor=dg.in_process_executor,
        ),
        *(connection_definitions(connection) for connection in right),
        *(wrong_definitions(one) for one in wrong),
    )


defs = build_defs()
