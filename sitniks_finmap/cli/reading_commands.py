"""Commands that report what was staged, from the DuckDB files alone: status, sql."""

import sys

import click

from sitniks_finmap.cli.terminal import EACH_CONNECTION, ONE_CONNECTION, one_connection, out
from sitniks_finmap.people.query import print_rows, read_only, write_json
from sitniks_finmap.people.status import print_status


@click.command()
@EACH_CONNECTION
def status(connection: str | None) -> None:
    """Show one line for each connection.

    Each operation is in one column: delivered; failed or refused; left for the next run; pending, waiting for a person,
    whether it is in Finmap or not. Together with those left out of Finmap, which a line below counts, these are all
    operations. Rejected records make no operation and come on top.

    Then each problem, with its reason and what to do. Exits with 0 only if, as of the last runs, everything in Sitniks
    is also in Finmap. Calls neither API.
    """
    sys.exit(0 if print_status(out, connection) else 1)


@click.command()
@click.argument("query")
@ONE_CONNECTION
@click.option("--csv", is_flag=True, help="Print CSV, for a file or a spreadsheet.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON objects; dates and decimals as text.")
def sql(query: str, connection: str | None, csv: bool, as_json: bool) -> None:
    """Query the staged data with SQL.

    Read-only, as published after the last run. Example: sitniks-finmap sql "from operations limit 5"
    """
    if csv and as_json:
        raise click.UsageError("use either --csv or --json")
    columns, rows = read_only(query, one_connection(connection))
    if as_json:
        write_json(sys.stdout, columns, rows)
    else:
        print_rows(out, columns, rows, csv=csv)
