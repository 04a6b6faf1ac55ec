"""The sensor that looks at everything once a minute and lets people be told."""

import logging
from datetime import datetime, timedelta

import dagster as dg

from sitniks_finmap.alerts.hosts import Hosts
from sitniks_finmap.alerts.sending import send_apart
from sitniks_finmap.alerts.state import StateUnusable
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.days import Clock, utc_now
from sitniks_finmap.defs.hosts import announce, hosts_of
from sitniks_finmap.defs.storage import warn_of_another_version
from sitniks_finmap.figures import counted

SECONDS = 15.0  # a tick that takes longer would delay the other sensors
ALONE_FOR = timedelta(minutes=5)  # without other hosts, how long not to look for them again

log = logging.getLogger(__name__)


class Neighbors:
    """The other hosts, as this one last heard of them. To open Dagster's storage costs more than the rest of a tick."""

    def __init__(self) -> None:
        self.known: Hosts | None = None
        self.heard_at: datetime | None = None

    def hear(self, context: dg.SensorEvaluationContext, now: datetime) -> Hosts | None:
        """Announces this host and hears of the others. Never raises: people are told all the same."""
        alone = self.known is None or not self.known.others
        if alone and self.heard_at and self.heard_at <= now < self.heard_at + ALONE_FOR:
            return self.known
        try:
            instance = context.instance
            if context.code_location_origin:
                announce(instance, context.code_location_origin.location_name, now)
            self.known = hosts_of(instance)
            warn_of_another_version(instance, "DAGSTER_HOME")
        except Exception:
            log.exception("hosts could neither be announced nor heard of")
            return None
        self.heard_at = now
        return self.known


def alerts_sensor(now: Clock = utc_now) -> dg.SensorDefinition:
    """`alerts`: one message when something begins to need a person, one when it is over."""

    neighbors = Neighbors()

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Looks at every connection, connections.toml and the disk. Sends one message when something begins to need "
            "a person, and one when it is over. `sitniks-finmap watch` does the same outside of Dagster."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        hosts = neighbors.hear(context, now())
        try:
            told = look_around("itself", now, SECONDS, hosts=hosts)
        except StateUnusable as error:
            raise dg.Failure(str(error)) from None
        if told.to_send:
            send_apart()
        wrong = ", ".join(f"{scope}: {condition}" for scope, condition in sorted(told.open)) or "nothing"
        return dg.SkipReason(f"Open: {wrong}. {counted(told.unsent, 'message')} to be sent.")

    return alerts
