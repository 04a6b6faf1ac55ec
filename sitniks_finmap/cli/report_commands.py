"""The command that writes pages for owners and integrators: report."""

import sys
import webbrowser
from datetime import date
from pathlib import Path

import click
from rich.markup import escape

from sitniks_finmap.cli.errors import EXPECTED, describe, is_misconfigured
from sitniks_finmap.cli.exits import FAILED, MISUSED
from sitniks_finmap.cli.terminal import choose_valid, one_connection, out, print_error, tell_wrong
from sitniks_finmap.days import utc_now
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.report.write import Written, write_index, write_report
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import load_connections
from sitniks_finmap.warehouse.store import open_warehouse


class Month(click.ParamType):
    """A month, e.g. 2026-11, converted to its first day."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(f"{value}-01")
        except ValueError:
            self.fail(f"{value!r}: write a month as 2026-11: year, month", param, ctx)


@click.command()
@click.option("--connection", metavar="NAME", help="Only this connection; default: all, and an index over them.")
@click.option("--month", type=Month(), metavar="MONTH", help="Month to report on, as 2026-11; default: this month.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Where to write it.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def report(connection: str | None, month: date | None, output: Path | None, show: bool) -> None:
    """Write the owner's report, an HTML page for each shop.

    It says whether both sides match to the kopiyka, and how the shop is doing. The pages are in the folder "reports" of
    the data, with index.html over all of them. Calls neither API. Exits with 1 if the data of a connection cannot be
    read.

    Example: sitniks-finmap report --open
    """
    misused = output is None and tell_wrong(connection)
    chosen = [one_connection(connection)] if output else choose_valid(connection)
    _check_month(chosen, month)
    failed = False
    written: list[Written] = []
    for one in chosen:
        try:
            page = write_report(one, open_warehouse(one), utc_now(), month, output)
        except EXPECTED as error:
            if connection:
                raise
            print_error(describe(error))
            misused, failed = misused or is_misconfigured(error), failed or not is_misconfigured(error)
            continue
        written.append(page)
        failed |= bool(page.report.why)
        out.print(f"{MARKS[page.answer.tone]} {escape(one.name)}: {escape(page.answer.headline)}")
        out.print(f"  {escape(page.path.absolute().as_uri())}")
    path = written[0].path if written else None
    if connection is None and output is None:
        path = write_index(written, load_connections()[1], utc_now(), month)
        out.print(f"  {escape(path.as_uri())}")
    if show and path:
        webbrowser.open(path.absolute().as_uri())
    sys.exit(FAILED if failed else MISUSED if misused else 0)


def _check_month(chosen: list[Connection], month: date | None) -> None:
    """Raises ConfigurationError for a month of which there can be nothing."""
    first = min(one.start_date for one in chosen).replace(day=1)
    last = max(one.today(utc_now()) for one in chosen).replace(day=1)
    if month and not first <= month <= last:
        raise ConfigurationError(f"choose a month from {first:%Y-%m} (start_date) to {last:%Y-%m}, not {month:%Y-%m}")
