"""Shared by all commands: the console, progress, the choice of connections and days."""

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.cli.errors import EXPECTED, describe, is_misconfigured
from sitniks_finmap.cli.exits import FAILED, MISUSED
from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.days import day_of, utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.names import nearest
from sitniks_finmap.people.findings import to_begin
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.pipeline.due import days_due, days_to_sync, days_to_try_again, unread_since
from sitniks_finmap.progress import watched
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import choose, load_connections, read_tables
from sitniks_finmap.warehouse.last_runs import LastRun, record_ends
from sitniks_finmap.warehouse.store import open_warehouse

if TYPE_CHECKING:
    from sitniks_finmap.defs.launch import Run

out = Console(soft_wrap=True, highlight=False, emoji=False)


def print_error(error: str) -> None:
    """Prints an English error in the language of the person."""
    out.print(f"{MARKS['error']} {escape(terminal_language().say(error))}")


def confirmed(question: str) -> bool:
    """Asks for confirmation. Raises UsageError if there is no terminal to ask on."""
    words = terminal_language()
    try:
        if sys.stdin:
            return click.confirm(question) if words.code == "en" else _agreed(words.text(question))
    except click.Abort:
        if sys.stdin.isatty():
            raise
    raise click.UsageError("there is no terminal to ask on; add --yes")


def _agreed(question: str) -> bool:
    """As click.confirm asks, in Ukrainian."""
    while True:
        answer = (
            click.prompt(f"{question} [т/Н]", default="", show_default=False, prompt_suffix=": ").strip().casefold()
        )
        if answer in ("", *YES, *NO):
            return answer in YES
        click.echo(terminal_language().text("write yes or no"))


YES = ("т", "так", "y", "yes")
NO = ("н", "ні", "n", "no")


class Day(click.ParamType):
    """A day, e.g. 2026-11-20, converted to a datetime."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return datetime.combine(day_of(value), time.min)
        except ValueError as error:
            self.fail(f"{value!r}: {error}{likely_day(str(value))}", param, ctx)


def likely_day(written: str) -> str:
    """The day of the last three years that a mistyped one is closest to, as "; did you mean …?"."""
    if len(re.findall(r"\d", written)) < 6 or re.fullmatch(r"\d{4}-\d\d-\d\d", written):
        return ""
    today = utc_now().date()
    return nearest(written, (str(today - timedelta(days=ago)) for ago in range(-31, 3 * 366)))


class ConnectionName(click.ParamType):
    """The name of a connection, which a shell can complete."""

    name = "connection"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            names = [*read_tables()]
        except ConfigurationError:
            names = []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


CONNECTION_NAME = ConnectionName()
EACH_CONNECTION = click.option(
    "--connection", type=CONNECTION_NAME, metavar="NAME", help="Only this connection; default: all."
)
ONE_CONNECTION = click.option(
    "--connection", type=CONNECTION_NAME, metavar="NAME", help="Connection name; optional if there is only one."
)


Work = Callable[[Connection, tuple[date, date]], bool]  # whether it succeeded


def run(what: Literal["sync", "preview", "deliver"], connection: Connection, days: tuple[date, date]) -> bool:
    """Launches a job and returns whether it succeeded. Raises ConfigurationError."""
    return launch(what, connection, days).success


def launch(what: Literal["sync", "preview", "deliver"], connection: Connection, days: tuple[date, date]) -> "Run":
    """Runs one Dagster job for one connection and returns how it ended; prints why if it failed.

    Raises ConfigurationError if the settings or keys are the cause.
    """
    from sitniks_finmap.defs.launch import Run, RunsUnavailable, instance, run_job

    if problem := connection.problem():
        raise ConfigurationError(problem)
    started = utc_now()
    try:
        with instance() as dagster:
            ended = run_job(dagster, connection, what, *days)
    except RunsUnavailable as why:
        ended = Run("", False, f"{connection.name}: {why}")
        record_ends(open_warehouse(connection), [LastRun(what, None, started, utc_now(), ended.why)])
    if ended.misconfigured:
        raise ConfigurationError(ended.why)
    if not ended.success:
        print_error(ended.why)
    return ended


@dataclass(frozen=True)
class Synced:
    """The runs of one sync, when the first began, and the days they covered."""

    runs: list["Run"]
    begun: datetime
    days: tuple[date, date]

    @property
    def run_ids(self) -> list[str]:
        return [run.run_id for run in self.runs if run.run_id]


def sync_days(connection: Connection, days: tuple[date, date], only_these: bool) -> Synced:
    """Syncs these days, and unless `only_these`, retries what failed earlier and delivers what is due."""
    begun, warehouse = utc_now(), open_warehouse(connection)
    runs = [launch("sync", connection, days)]
    cut_short = not runs[0].success and unread_since(warehouse, begun)
    if only_these:
        # A sync that cannot read all its days stops after reading; deliver what it did read.
        return Synced(runs + ([launch("deliver", connection, days)] if cut_short else []), begun, days)
    if not (runs[0].success or cut_short):
        return Synced(runs, begun, days)
    tried = set[tuple[date, date]]()
    while (again := days_to_try_again(connection, warehouse, utc_now())) and again not in tried:
        tried.add(again)
        runs.append(launch("sync", connection, again))
        days = _joined(days, again)
    if waiting := days_waiting(connection):
        runs.append(launch("deliver", connection, waiting))
        days = _joined(days, waiting)
    return Synced(runs, begun, days)


def _joined(some: tuple[date, date], more: tuple[date, date]) -> tuple[date, date]:
    return min(some[0], more[0]), max(some[1], more[1])


def days_waiting(connection: Connection) -> tuple[date, date] | None:
    """The days with anything that earlier runs left or failed."""
    return days_due(open_warehouse(connection), utc_now())


def for_each(name: str | None, first: datetime | None, last: datetime | None, work: Work) -> None:
    """Does the work for each chosen connection in turn, then exits; a failure does not stop the others."""
    in_order(first, last)
    show_progress()
    failed, misused = False, tell_wrong(name)
    for connection in choose(name):
        now = utc_now()
        try:
            if connection.start_date > connection.today(now):
                raise ConfigurationError(f"{connection.name}: {to_begin(connection).what}")
            days = days_to_sync(connection, open_warehouse(connection), now)
            days = (first.date() if first else days[0], last.date() if last else days[1])
            given = [day.date() for day in (first, last) if day]
            if any(not connection.start_date <= day <= connection.today(now) for day in given):
                raise ConfigurationError(
                    f"{connection.name}: choose days from start_date {connection.start_date} to today "
                    f"{connection.today(now)}, not {' to '.join(map(str, given))}; the nearest is "
                    f"{connection.start_date if given[0] < connection.start_date else connection.today(now)}"
                )
            if days[1] < days[0]:
                raise ConfigurationError(
                    f"{connection.name}: --to is {days[1]}, before the first day that is due, {days[0]}; name the "
                    "first day with --from"
                )
            with about(connection):
                failed |= not work(connection, days)
        except EXPECTED as error:
            if name:
                raise
            print_error(describe(error))
            misused |= is_misconfigured(error)
            failed |= not is_misconfigured(error)
    sys.exit(FAILED if failed else MISUSED if misused else 0)


@contextmanager
def about(connection: Connection) -> Iterator[None]:
    """Puts the connection's name before the message of an API error."""
    try:
        yield
    except ApiError as error:
        if not str(error).startswith(f"{connection.name}: "):
            error.args = (f"{connection.name}: {error}",)
        raise


def in_order(first: datetime | None, last: datetime | None) -> None:
    """Raises UsageError if the first day is after the last."""
    if first and last and first > last:
        raise click.UsageError(f"--from is after --to: {first.date()} to {last.date()}")


def tell_wrong(name: str | None) -> bool:
    """Prints which tables of connections.toml are invalid, unless a name is given; returns whether any are."""
    wrong = load_connections()[1] if name is None else []
    for one in wrong:
        print_error(one.why)
    return bool(wrong)


def choose_valid(name: str | None) -> list[Connection]:
    """The valid connections, or the one with this name. Raises ConfigurationError if there is none."""
    if chosen := choose(name):
        return chosen
    raise ConfigurationError("; ".join(one.why for one in load_connections()[1]))


def one_connection(name: str | None) -> Connection:
    connections = choose_valid(name)
    if len(connections) != 1:
        raise ConfigurationError("choose one with --connection: " + ", ".join(one.name for one in connections))
    return connections[0]


class ProgressHandler(logging.Handler):
    """Prints what the package logs, with the time."""

    def __init__(self, console: Console, has_bars: bool) -> None:
        super().__init__(logging.INFO)
        self.console, self.has_bars = console, has_bars

    def emit(self, record: logging.LogRecord) -> None:
        if self.has_bars and getattr(record, "is_progress", False):
            return
        # Dagster prefixes the message with the run's name; dagster_meta has the original.
        said = getattr(record, "dagster_meta", {}).get("orig_message") or record.getMessage()
        self.console.print(f"[dim]{datetime.now():%H:%M:%S}[/] {escape(said)}")  # noqa: DTZ005


def show_progress() -> None:
    """Prints progress until the command ends: in a terminal as bars, elsewhere as lines."""
    console, context = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False), click.get_current_context()
    has_bars = console.is_terminal and not console.is_dumb_terminal
    if has_bars:
        from sitniks_finmap.cli.bars import Bars

        context.with_resource(watched(Bars(console)))
    ours, handler = logging.getLogger("sitniks_finmap"), ProgressHandler(console, has_bars)
    ours.setLevel(logging.INFO)
    ours.addHandler(handler)
    context.call_on_close(lambda: ours.removeHandler(handler))
