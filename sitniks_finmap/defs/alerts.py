"""The sensor that looks at everything once a minute and lets people be told."""

import dagster as dg

from sitniks_finmap.alerts.sending import send_apart
from sitniks_finmap.alerts.state import StateUnusable
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.days import Clock, utc_now
from sitniks_finmap.defs import storage
from sitniks_finmap.figures import counted

HOME = "DAGSTER_HOME"  # how the warning names it
SECONDS = 15.0  # a tick that takes longer would delay the other sensors


def alerts_sensor(now: Clock = utc_now) -> dg.SensorDefinition:
    """`alerts`: one message when something begins to need a person, one when it is over."""

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
        try:
            told = look_around("itself", now, SECONDS)
        except StateUnusable as error:
            raise dg.Failure(str(error)) from None
        if told.to_send:
            send_apart()
        if HOME not in storage.warned:  # opening the instance would cost more than the rest of the tick
            storage.warn_of_another_version(context.instance, HOME)
        wrong = ", ".join(f"{scope}: {condition}" for scope, condition in sorted(told.open)) or "nothing"
        return dg.SkipReason(f"Open: {wrong}. {counted(told.unsent, 'message')} to be sent.")

    return alerts
