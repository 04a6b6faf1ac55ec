"""Commands that read what was staged, from the DuckDB files alone: status, sql."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
from rich.text import Text

from sitniks_finmap.cli.terminal import EACH_CONNECTION, ONE_CONNECTION, one_connection, out
from sitniks_finmap.days import utc_now
from sitniks_finmap.people.query import print_rows, read_only, write_json
from sitniks_finmap.people.status import Fleet, fleet_of
from sitniks_finmap.people.status_exports import fleet_json, write_metrics
from sitniks_finmap.people.status_page import print_fleet
from sitniks_finmap.settings.connections_file import choose_any


@click.command()
@EACH_CONNECTION
@click.option("--all", "everything", is_flag=True, help="Of more than 20 connections, show also those that are ok.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each connection.")
@click.option(
    "--watch", is_flag=False, flag_value="5", type=click.IntRange(1), metavar="[SECONDS]",
    help="Refresh it every 5 seconds, or as often as given, until Ctrl-C.",
)  # fmt: skip
@click.option(
    "--prometheus", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write metrics for node_exporter's textfile collector instead; FILE ends in .prom.",
)  # fmt: skip
def status(connection: str | None, everything: bool, as_json: bool, watch: int | None, prometheus: Path | None) -> None:
    """Show one line for each connection.

    The worst comes first. Last success: when a sync last ended without an error. Next: when the next one is due, if
    Dagster runs. Each operation is in one column: delivered; failing, which includes what Finmap refused; left for the
    next run; pending, waiting for a person, whether it is in Finmap or not. Together with those left out of Finmap,
    which a line below counts, these are all operations. Rejected records make no operation and are counted separately.

    Then each problem, with its reason and what to do. Exits with 0 only if, as of the last runs, everything in Sitniks
    is also in Finmap. Calls neither API.

    Example: sitniks-finmap status --watch
    """
    if sum(map(bool, (as_json, watch, prometheus))) > 1:
        raise click.UsageError("use one of --json, --watch and --prometheus")

    def look() -> Fleet:
        return fleet_of(choose_any(connection), utc_now(), whole=connection is None)

    if watch:
        _watch(look, watch, everything)
    fleet = look()
    if as_json:
        click.echo(json.dumps(fleet_json(fleet), ensure_ascii=False, indent=2))
    elif prometheus:
        write_metrics(fleet, utc_now(), prometheus)
    else:
        print_fleet(out, fleet, utc_now(), everything=everything)
    sys.exit(0 if fleet.well else 1)


def _watch(look: Callable[[], Fleet], seconds: int, everything: bool) -> NoReturn:
    """Shows the state again and again until Ctrl-C: in place on a terminal, one after the other elsewhere."""
    from rich.live import Live

    def page() -> Text:
        now = utc_now()
        with out.capture() as captured:
            print_fleet(out, look(), now, everything=everything)
        return Text.from_ansi(f"{captured.get()}\n{now.astimezone():%Y-%m-%d %H:%M:%S}")

    try:
        with Live(page(), console=out, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                if not out.is_terminal:
                    out.print(page())
                time.sleep(seconds)
                live.update(page(), refresh=True)
    except KeyboardInterrupt:
        sys.exit(0)


@click.command()
@click.argument("query")
@ONE_CONNECTION
@click.option("--csv", is_flag=True, help="Print CSV, for a file or a spreadsheet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON objects; dates and decimals as text.")
def sql(query: str, connection: str | None, csv: bool, as_json: bool) -> None:
    """Query the staged data with SQL.

    Read-only, as published after the last run.

    Example: sitniks-finmap sql "from operations limit 5"
    """
    if csv and as_json:
        raise click.UsageError("use either --csv or --json")
    columns, rows = read_only(query, one_connection(connection))
    if as_json:
        write_json(sys.stdout, columns, rows)
    else:
        print_rows(out, columns, rows, csv=csv)
