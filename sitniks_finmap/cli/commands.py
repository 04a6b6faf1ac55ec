"""The `sitniks-finmap` command line: each command is a few lines over the package."""

import json
import sys
from datetime import date, datetime

import click
from rich.markup import escape

from sitniks_finmap import __version__
from sitniks_finmap.cli.decision_commands import approve, catch_up, dismiss, rollback
from sitniks_finmap.cli.exits import run_command
from sitniks_finmap.cli.identity_commands import accept_key, rename, take_over
from sitniks_finmap.cli.terminal import Day, for_each, one_connection, out, run, show_progress, sync_days
from sitniks_finmap.connections import Connection
from sitniks_finmap.connections_file import choose_any
from sitniks_finmap.days import utc_now
from sitniks_finmap.figures import counted
from sitniks_finmap.people.doctor import examine
from sitniks_finmap.people.explain import explain as tell
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.people.query import print_rows, read_only, write_json
from sitniks_finmap.people.report import plan_json, print_plan
from sitniks_finmap.people.status import print_runs, print_state, print_status
from sitniks_finmap.pipeline.readback import rebuild_ledger as rebuild
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings_files import load_env
from sitniks_finmap.warehouse.store import open_warehouse

PORT = click.IntRange(1, 65535)
SHOP_DAYS = click.IntRange(1, 3650)
SECONDS = click.FloatRange(0, 86400)
DAY = Day()
CONNECTION = click.option("--connection", metavar="NAME", help="Only this connection; default: all.")
FROM = click.option("--from", "first", type=DAY, metavar="DAY", help="First day, e.g. 2025-01-15.")
TO = click.option("--to", "last", type=DAY, metavar="DAY", help="Last day; default: today.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="sitniks-finmap")
def cli() -> None:
    """Move financial transactions from Sitniks into Finmap.

    Settings are in connections.toml, keys in the environment or .env. Exit codes: 0 done, 1 something failed,
    2 usage or configuration error. doctor and status are reports: they exit with 1 if they report any error, invalid
    configuration included, and with 2 only if there is nothing to report on.
    """


@cli.command()
@click.option("--port", type=PORT, help="Port of the sandbox on 127.0.0.1; default: the one in connections.toml.")
@click.option("--days", type=SHOP_DAYS, default=60, show_default=True, help="Days of history to generate.")
@click.option("--seed", default=1, show_default=True, help="Random seed; each makes a different shop.")
def demo(port: int | None, days: int, seed: int) -> None:
    """Run the main job against a simulated shop."""
    from sitniks_finmap.cli.demo import run_demo

    show_progress()
    sys.exit(0 if run_demo(out, port=port, days=days, seed=seed) else 1)


@cli.command()
@CONNECTION
def doctor(connection: str | None) -> None:
    """Check keys, account, permissions and API format.

    For each connection: whether each side accepts its key, the account and its currency, the categories, whether
    GET /transactions returns every field we expect, clock, time zone, rate limit.
    """
    chosen = choose_any(connection)
    show_progress()
    sick = False
    for one in chosen:
        out.print(f"[bold]{one.name}[/]")
        for finding in examine(one):
            sick |= finding.verdict == "error"
            out.print(f"  {MARKS[finding.verdict]} {escape(finding.what)}")
    sys.exit(1 if sick else 0)


@cli.command()
@CONNECTION
@FROM
@TO
@click.option("--full", is_flag=True, help="Read the whole history again.")
def sync(connection: str | None, first: datetime | None, last: datetime | None, full: bool) -> None:
    """Sync now and deliver everything.

    Without --from and --to: days never read, recent days, and whatever earlier runs left. With them, the printed state
    and the exit code cover only these days.
    """
    if full and (first or last):
        raise click.UsageError("use either --full, or --from and --to")

    def work(one: Connection, days: tuple[date, date]) -> bool:
        if full:
            days = (one.start_date, days[1])
        synced = sync_days(one, days, only_these=bool(first or last))
        print_runs(out, one, synced.days, synced.run_ids, synced.begun)
        # The chosen days may be complete while others were never read.
        status = print_state(out, one, days if first or last else None)
        return all(run.success for run in synced.runs) and status.verdict != "error"

    for_each(connection, first, last, work)


@cli.command()
@CONNECTION
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def preview(connection: str | None, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Show what a sync would write; write nothing."""
    plans: list[dict[str, object]] = []

    def work(one: Connection, days: tuple[date, date]) -> bool:
        ended = run("stage", one, days)
        if ended and as_json:
            plans.extend(plan_json(one, *days))
        elif ended:
            print_plan(out, one, *days)
        return ended

    try:
        for_each(connection, first, last, work)
    finally:
        if as_json:
            click.echo(json.dumps(plans, ensure_ascii=False, indent=2))


@cli.command()
@click.argument("transaction")
@click.option("--connection", metavar="NAME", help="Connection name; optional if there is only one.")
def explain(transaction: str, connection: str | None) -> None:
    """Show what happened to one transaction, and why."""
    one = one_connection(connection)
    sys.exit(0 if tell(out, ConnectionRun(one, open_warehouse(one), proving=False), transaction) else 1)


@cli.command("rebuild-ledger")
@CONNECTION
@click.option("--yes", is_flag=True, help="Take over from another installation without asking.")
def rebuild_ledger(connection: str | None, yes: bool) -> None:
    """Rebuild the ledger from Finmap after its file was lost.

    A sync with an empty ledger does this automatically. If another installation writes to Finmap under this
    connection's name, this one takes over after asking.
    """

    def work(one: Connection, days: tuple[date, date]) -> bool:
        own = ConnectionRun(one, open_warehouse(one))
        with own.warehouse.run(wait=60):
            took = take_over(own, yes=yes)
            if took == "declined":
                return True
            found, fresh = rebuild(own, one.start_date, days[1], utc_now(), anew=took == "taken over")
        out.print(f"{one.name}: {counted(found, 'operation')} in Finmap; new to the ledger: {fresh:,}")
        return True

    for_each(connection, None, None, work)


@cli.command()
@CONNECTION
def status(connection: str | None) -> None:
    """Show one line for each connection.

    Then each problem, with its reason and what to do. Exits with 0 only if, as of the last runs, everything in Sitniks
    is also in Finmap. Calls neither API.
    """
    sys.exit(0 if print_status(out, connection) else 1)


@cli.command()
@click.argument("query")
@click.option("--connection", metavar="NAME", help="Connection name; optional if there is only one.")
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


@cli.command()
@click.option("--port", type=PORT, default=8686, show_default=True, help="Port on 127.0.0.1.")
@click.option("--live", type=SECONDS, default=60, show_default=True, help="Seconds between new sales; 0 = none.")
@click.option("--days", type=SHOP_DAYS, default=60, show_default=True, help="Days of history, if the shop is new.")
@click.option("--seed", default=1, show_default=True, help="Random seed; each makes a different shop.")
def sandbox(port: int, live: float, days: int, seed: int) -> None:
    """Serve both APIs on this machine until Ctrl-C.

    The shop is kept in <data>/sandbox.sqlite.
    """
    from sitniks_finmap.cli.demo import serve_sandbox

    serve_sandbox(out, port=port, live=live or None, days=days, seed=seed)


for command in (accept_key, approve, catch_up, dismiss, rollback):
    cli.add_command(command)
cli.add_command(rename)


def main() -> None:
    run_command(start)


def start() -> None:
    load_env()
    cli.main(standalone_mode=False)
