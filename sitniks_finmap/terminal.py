"""What every command shares: the console, progress, the choice of connections and days."""

import logging
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Literal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.connections import ConfigurationError, Connection, choose, load_connections
from sitniks_finmap.http import ApiError
from sitniks_finmap.warehouse import WarehouseError

out = Console(soft_wrap=True, highlight=False, emoji=False)
MARKS = {"well": "[green]✓[/]", "look": "[yellow]![/]", "wrong": "[red]✗[/]"}


Work = Callable[[Connection, tuple[date, date]], bool]  # whether it ended well


def decide_for(decision: str, name: str | None, day: datetime | None, transaction: str | None, recreate: bool) -> None:
    from sitniks_finmap.automation import utc_now
    from sitniks_finmap.decisions import decide
    from sitniks_finmap.run import open_warehouse

    for one in choose(name):
        warehouse = open_warehouse(one)
        if warehouse.exists():
            with warehouse.run(wait=60):
                decided = decide(
                    warehouse,
                    decision,
                    utc_now(),
                    day=day.date() if day else None,
                    transaction=transaction,
                    recreate=recreate,
                )
            done = "approved; the next sync does it" if decision == "approve" else "dismissed"
            out.print(f"{one.name}: {decided} {done}")


def run(what: Literal["sync", "stage", "deliver"], connection: Connection, days: tuple[date, date]) -> bool:
    """One Dagster job for one connection; says why when it fails."""
    from sitniks_finmap.launch import RunsUnavailable, instance, run_job

    try:
        with instance() as dagster:
            ended = run_job(dagster, connection, what, *days)
    except RunsUnavailable as why:
        out.print(f"{MARKS['wrong']} {connection.name}: {escape(str(why))}")
        return False
    if not ended.success:
        out.print(f"{MARKS['wrong']} {escape(ended.why)}")
    return ended.success


def sync_days(connection: Connection, days: tuple[date, date], only_these: bool) -> tuple[bool, tuple[date, date]]:
    """Syncs these days, and unless `only_these`, tries what failed earlier and delivers what waits.

    Whether all of it ended well, and the days that it was about.
    """
    from sitniks_finmap.automation import days_to_try_again, unread_since, utc_now
    from sitniks_finmap.run import open_warehouse

    begun, warehouse = utc_now(), open_warehouse(connection)
    ended = run("sync", connection, days)
    cut_short = not ended and unread_since(warehouse, begun)
    if only_these:
        # The run of days that cannot all be read ends after reading; what could be read is delivered here.
        return (run("deliver", connection, days) and not cut_short if cut_short else ended), days
    if not (ended or cut_short):
        return False, days
    tried = set[tuple[date, date]]()
    while (again := days_to_try_again(connection, warehouse, utc_now())) and again not in tried:
        tried.add(again)
        ended = run("sync", connection, again) and ended
    if waiting := days_waiting(connection):
        ended = run("deliver", connection, waiting) and ended
        days = min(days[0], waiting[0]), max(days[1], waiting[1])
    return ended, days


def days_waiting(connection: Connection) -> tuple[date, date] | None:
    """The days with anything that an earlier run left or failed."""
    from sitniks_finmap.automation import days_due, utc_now
    from sitniks_finmap.run import open_warehouse

    return days_due(open_warehouse(connection), utc_now())


def for_each(name: str | None, first: datetime | None, last: datetime | None, work: Work) -> None:
    """Does the work for the chosen connections, one after the other; one that fails stops no other."""
    from sitniks_finmap.automation import days_to_sync, utc_now
    from sitniks_finmap.run import open_warehouse, today

    show_progress()
    failed = False
    if name is None:
        for wrong in load_connections()[1]:
            out.print(f"{MARKS['wrong']} {escape(wrong.why)}")
            failed = True
    for connection in choose(name):
        now = utc_now()
        try:
            days = days_to_sync(connection, open_warehouse(connection), now)
            days = (first.date() if first else days[0], last.date() if last else days[1])
            if not connection.start_date <= days[0] <= days[1] <= today(connection, now):
                raise ConfigurationError(
                    f"{connection.name}: days run from start_date {connection.start_date} to today "
                    f"{today(connection, now)}, not {days[0]} to {days[1]}"
                )
            failed |= not work(connection, days)
        except (ConfigurationError, WarehouseError, ApiError) as wrong:
            if name:
                raise
            out.print(f"{MARKS['wrong']} {escape(str(wrong))}")
            failed = True
    sys.exit(1 if failed else 0)


def one_connection(name: str | None) -> Connection:
    connections = choose(name)
    if len(connections) != 1:
        raise ConfigurationError("name one with --connection: " + ", ".join(one.name for one in connections))
    return connections[0]


class ProgressHandler(logging.Handler):
    """What the package logs, as lines with the time."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    def emit(self, record: logging.LogRecord) -> None:
        # Dagster puts the run's name before the message for its own display; dagster_meta has it plain.
        said = getattr(record, "dagster_meta", {}).get("orig_message") or record.getMessage()
        self.console.print(f"[dim]{datetime.now():%H:%M:%S}[/] {escape(said)}")  # noqa: DTZ005


def show_progress() -> None:
    ours = logging.getLogger("sitniks_finmap")
    ours.setLevel(logging.INFO)
    ours.addHandler(ProgressHandler())
