"""The entry point for Dagster: every connection's assets, checks, jobs and sensors in one Definitions."""

from contextlib import suppress

import dagster as dg

from sitniks_finmap.connections_file import load_connections
from sitniks_finmap.defs.alerts import checks_alert, failed_run_alert
from sitniks_finmap.defs.connection_definitions import connection_definitions, wrong_definitions
from sitniks_finmap.defs.housekeeping import housekeeping, housekeeping_schedule
from sitniks_finmap.settings_files import Unreadable, load_env


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of every connection in connections.toml. Raises ConfigurationError for an unreadable file."""
    with suppress(Unreadable):  # Dagster has read .env already, but takes a byte order mark for part of a name
        load_env()
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
