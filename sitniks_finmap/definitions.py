"""The entry point for Dagster: every connection's assets, checks, jobs and sensors in one Definitions."""

from contextlib import suppress

import dagster as dg

from sitniks_finmap.defs.alerts import alerts_sensor
from sitniks_finmap.defs.connection_definitions import broken_file, connection_definitions, wrong_definitions
from sitniks_finmap.defs.housekeeping import housekeeping, housekeeping_schedule
from sitniks_finmap.defs.warm import fork_runs, loaded_for
from sitniks_finmap.settings.last_good import Running, load_running
from sitniks_finmap.settings.text_files import Unreadable, load_env


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of every connection. What cannot be read or is invalid goes on as it last was valid, and is shown
    as an asset `misconfigured`, with the reason.
    """
    running = _running()
    fork_runs(len(running.connections))
    return loaded_for(running) or _definitions(running)


def load() -> tuple[Running, dg.Definitions]:
    """What runs now, and its definitions."""
    running = _running()
    return running, _definitions(running)


def _running() -> Running:
    with suppress(Unreadable):  # Dagster has read .env already, but takes a byte order mark for part of a name
        load_env()
    return load_running()


def _definitions(running: Running) -> dg.Definitions:
    return dg.Definitions.merge(
        dg.Definitions(
            jobs=[housekeeping],
            schedules=[housekeeping_schedule],
            sensors=[alerts_sensor()],
            executor=dg.in_process_executor,
        ),
        *(connection_definitions(connection) for connection in running.connections),
        *(wrong_definitions(one) for one in running.wrong),
        *([broken_file(running.problem)] if running.problem else []),
    )
