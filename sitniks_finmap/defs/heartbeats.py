"""When Dagster's daemon last gave a sign of life, from Dagster's own database."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

from sitniks_finmap.alerts.deployment import Heard, Heartbeat
from sitniks_finmap.alerts.hosts import Hosts
from sitniks_finmap.days import utc_now
from sitniks_finmap.defs.hosts import hosts_of, renew
from sitniks_finmap.defs.launch import opened
from sitniks_finmap.defs.storage import warn_of_another_version
from sitniks_finmap.settings.hosts import name_here
from sitniks_finmap.settings.private_files import data_folder

log = logging.getLogger(__name__)

OURS = ("SENSOR", "QUEUED_RUN_COORDINATOR")  # the parts of the daemon that start our syncs


def last_heartbeat() -> Heard:
    """The last heartbeat of the daemon in DAGSTER_HOME; "unknown" if Dagster's database cannot be read."""
    return heard_and_hosts(announcing=False)[0]


def heard_and_hosts(*, announcing: bool = True) -> tuple[Heard, Hosts | None]:
    """The last heartbeat, and the hosts of this deployment, None if nothing is known of them; with `announcing`, they
    learn that this one lives.
    """
    home = Path(os.path.expanduser(os.environ.get("DAGSTER_HOME") or data_folder() / "dagster"))
    if not home.is_dir():
        return None, None  # it was never started, or its folder is lost: then the tellers know the last one
    try:
        with opened(home) as instance:
            warn_of_another_version(instance, home)
            if announcing:
                renew(instance, utc_now())
            return heartbeat_of(instance), hosts_of(instance)
    except Exception as error:  # Dagster's own, SQLAlchemy's, those of a storage plugin: the daemon is not to be seen
        log.warning("Dagster's database in %s cannot be read: %s", home, type(error).__name__)
        return "unknown", None


def heartbeat_of(instance: dg.DagsterInstance) -> Heard:
    """The older of the heartbeats that we depend on."""
    beats = instance.get_daemon_heartbeats()
    ours = [beats[name] for name in OURS if name in beats]
    if not ours:
        return None
    oldest = min(ours, key=lambda beat: beat.timestamp)
    stopped = instance.all_instigator_state(
        instigator_type=InstigatorType.SENSOR, instigator_statuses={InstigatorStatus.STOPPED}
    )
    here = name_here()  # each host has a sensor `alerts`
    notifying = all(one.instigator_name != "alerts" or (here and _location_of(one) != here) for one in stopped)
    return Heartbeat(datetime.fromtimestamp(oldest.timestamp, UTC), oldest.daemon_id or "", notifying)


def _location_of(state: InstigatorState) -> str:
    return state.origin.repository_origin.code_location_origin.location_name
