"""Commands about messages to people: watch, alert-test."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

import click
from rich.markup import escape

from sitniks_finmap.alerts.proof import send_test
from sitniks_finmap.alerts.sending import send_all, send_in_time
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import Told, look_around
from sitniks_finmap.cli.terminal import CONNECTION_NAME, out, print_error
from sitniks_finmap.days import duration_of, utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.marks import MARKS


class Every(click.ParamType):
    """A duration, e.g. 5m, converted to a timedelta."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return duration_of(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command()
@click.option("--every", type=Every(), metavar="DURATION", help="Go on, and look so often, e.g. 5m; default: once.")
def watch(every: timedelta | None) -> None:
    """Look from outside of Dagster, and notify people.

    Looks at every connection, connections.toml, the disk and Dagster's daemon, as the sensor `alerts` does, and sends
    what is to be sent. Exits with 0 if it could look, whatever it saw. Run it every five minutes, by systemd or cron:
    docs/monitoring.md.
    """
    if every is None:
        _tell(_look(send_all))
        return
    while True:
        started = time.monotonic()
        try:
            _tell(_look(send_in_time))
        except OSError as error:  # it may be better the next time
            print_error(str(error))
        time.sleep(max(every.total_seconds() - (time.monotonic() - started), 1))


def _look(send: Callable[[], object]) -> Told:
    from sitniks_finmap.defs.heartbeats import last_heartbeat

    told = look_around(last_heartbeat(), utc_now)
    send()
    return told


def _tell(told: Told) -> None:
    """Prints what is open, and what could not be sent. Raises OSError if nobody can be told from here."""
    words = terminal_language()
    for (scope, condition), state in sorted(told.open.items()):
        whose = "" if scope == "*" else f"{scope}: "
        since = f"{state.since.astimezone():%Y-%m-%d %H:%M}"
        open_since = words.text("{condition}, since {moment}", condition=condition, moment=since)
        out.print(f"{MARKS['error']} {escape(whose + open_since)}")
    if not told.can_tell:
        raise OSError(
            "nobody can be notified from here: neither .env nor the environment names a recipient, but the daemon knew "
            "one within a day. Run this where .env is, or set ALERT_URLS"
        )
    if not told.open:
        out.print(f"{MARKS['ok']} {words.text('nothing needs a person')}")
    with memory() as kept:
        if unsent := kept.count_unsent():
            out.print(f"{MARKS['warning']} {words.counted(*UNSENT, unsent)}")


UNSENT = (
    "{count} message could not be sent yet; sent again automatically",
    "{count} messages could not be sent yet; sent again automatically",
)


@click.command("alert-test")
@click.option("--connection", type=CONNECTION_NAME, metavar="NAME", help="Only its owner; default: everybody.")
def alert_test(connection: str | None) -> None:
    """Send a test message to everybody who is notified.

    To the operator (ALERT_URLS) and to the owner of each shop (alerts in connections.toml). Exits with 0 if each
    service accepted it.
    """
    results, words = send_test(connection), terminal_language()
    for who, accepted in results:
        mark, how = MARKS["ok" if accepted else "error"], "accepted" if accepted else "not accepted; check the URL"
        out.print(f"{mark} {escape(words.say(who))}: {words.text(how)}")
    if not results:
        raise click.UsageError("nobody is notified: set ALERT_URLS, or alerts in connections.toml")
    sys.exit(0 if all(accepted for _, accepted in results) else 1)
