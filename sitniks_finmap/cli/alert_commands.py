"""Commands about messages to people: watch, alert-test."""

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import click
from rich.markup import escape

from sitniks_finmap.alerts.conditions import State
from sitniks_finmap.alerts.deployment import HEARTBEAT, TELLER, Heard
from sitniks_finmap.alerts.proof import Tested, try_operator, try_owners
from sitniks_finmap.alerts.recipients import OPERATOR
from sitniks_finmap.alerts.sending import send_all, send_in_time
from sitniks_finmap.alerts.state import memory, state_path
from sitniks_finmap.alerts.teller import Told, look_around
from sitniks_finmap.alerts.wording import title_of
from sitniks_finmap.cli.terminal import CONNECTION_NAME, out, print_error
from sitniks_finmap.days import duration_of, utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.connections_file import connections_path
from sitniks_finmap.settings.last_good import last_good_path
from sitniks_finmap.settings.private_files import data_folder


class Every(click.ParamType):
    """A duration, e.g. 5m, converted to a timedelta."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return duration_of(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command()
@click.option("--every", type=Every(), metavar="DURATION", help="Repeat at this interval, e.g. 5m; default: once.")
def watch(every: timedelta | None) -> None:
    """Check everything from outside Dagster, and notify people.

    Looks at every connection, connections.toml, the disk and Dagster's daemon, as the sensor `alerts` does, and sends
    what is to be sent. Exits with 0 if it could look, whatever it saw. Run it every five minutes, by systemd or cron:
    docs/monitoring.md.

    Example: sitniks-finmap watch --every 5m
    """
    if every is None:
        _refuse_no_project()
        _tell(*_look(send_all))
        return
    while True:
        started = time.monotonic()
        out.print(f"[dim]{datetime.now():%Y-%m-%d %H:%M:%S}[/]")  # noqa: DTZ005
        try:
            _refuse_no_project()
            _tell(*_look(send_in_time))
        except OSError as error:  # it may be better the next time
            print_error(str(error))
        time.sleep(max(every.total_seconds() - (time.monotonic() - started), 1))


def _look(send: Callable[[], object]) -> tuple[Told, Heard]:
    from sitniks_finmap.defs.heartbeats import heard_and_hosts

    heard, hosts = heard_and_hosts()
    told = look_around(heard, utc_now, hosts=hosts)
    send()
    return told, heard


def _refuse_no_project() -> None:
    """Raises OSError in a folder where nothing was ever set up, before anything is created there."""
    if not (connections_path().exists() or last_good_path().exists() or state_path().exists()):
        raise OSError(
            f"there is neither {connections_path()} nor a last valid version of it in {data_folder()}: run this in the "
            "folder of the syncs, or set SITNIKS_FINMAP_CONNECTIONS and SITNIKS_FINMAP_DATA"
        )


def _tell(told: Told, heard: Heard) -> None:
    """Prints what is open, what will be told, and what could not be sent. Raises OSError if nobody can be told."""
    words = terminal_language()
    for (scope, condition), state in sorted(told.open.items()):
        said = words.text("{what}, since {moment}", what=_about(scope, condition, state), moment=_local(state.since))
        out.print(f"{MARKS['error']} {escape(said)}")
    for (scope, condition), (state, until) in sorted(told.waiting.items()):
        what, moment = _about(scope, condition, state), _local(until)
        said = words.text("{what}; told at {moment} if nothing changes", what=what, moment=moment)
        out.print(f"{MARKS['warning']} {escape(said)}")
    with memory() as kept:
        unsent, known = kept.count_unsent(), kept.note(HEARTBEAT) or kept.note(TELLER)
    if heard is None and known is None and any(condition == "stale" for _, condition in told.waiting):
        said = words.text("Dagster has never run here, so nothing starts syncs: start it, or run `sitniks-finmap sync`")
        out.print(f"{MARKS['warning']} {said}")
    if not told.can_tell:
        raise OSError(
            "nobody can be notified from here: neither .env nor the environment names a recipient that was known within"
            " a day. Run this where .env is, or set ALERT_URLS"
        )
    if not told.open and not told.waiting:
        out.print(f"{MARKS['ok']} {words.text('nothing needs a person')}")
    if unsent:
        out.print(f"{MARKS['warning']} {words.counted(*UNSENT, unsent)}")


def _about(scope: str, condition: str, state: State) -> str:
    title = title_of(condition, state.fact, terminal_language(), scope)
    return title[:1].upper() + title[1:] if scope == "*" else f"{scope}: {title}"


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


ANYBODY = "X"  # in place of who was tested, while what came of it is said
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

    Example: sitniks-finmap alert-test --connection sitniks_user_1
    """
    results: list[Tested] = []
    for tested in try_operator() if connection is None else ():
        _print_tested(tested)
        results.append(tested)
    try:
        for tested in try_owners(connection):
            _print_tested(tested)
            results.append(tested)
    except ConfigurationError as error:
        if not results:
            raise
        print_error(str(error))
        out.print(terminal_language().text("No owner was sent anything: connections.toml says who they are."))
        sys.exit(1)
    if connection and not results:
        raise click.UsageError(f"{connection}: only the operator is notified of it, for its table has no alerts")
    if os.environ.get(OPERATOR, "").strip() == "" and not any(one.is_recipient for one in results):
        raise click.UsageError("nobody is notified: set ALERT_URLS, or alerts in connections.toml")
    sys.exit(0 if all(one.accepted for one in results) else 1)


def _print_tested(tested: Tested) -> None:
    words = terminal_language()
    who = ", ".join(words.say(one) for one in tested.who.split(", "))
    said = words.say(f"{ANYBODY}: {tested.said}").removeprefix(f"{ANYBODY}: ")
    out.print(f"{MARKS['ok' if tested.accepted else 'error']} {escape(f'{who}: {said}')}")
