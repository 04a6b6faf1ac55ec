"""The command `sitniks-finmap`: each command is a few lines over the package."""

import json
import os
import sys
from datetime import date, datetime
from pathlib import Path

import click
from dotenv import dotenv_values
from rich.markup import escape

from sitniks_finmap import __version__
from sitniks_finmap.connections import ConfigurationError, Connection, choose, load_connections
from sitniks_finmap.http import ApiError
from sitniks_finmap.terminal import (
    MARKS,
    days_waiting,
    decide_for,
    for_each,
    launch,
    one_connection,
    out,
    run,
    show_progress,
)
from sitniks_finmap.warehouse import WarehouseError

DAY = click.DateTime(["%Y-%m-%d"])
CONNECTION = click.option("--connection", metavar="NAME", help="Only this connection; default: every one.")
FROM = click.option("--from", "first", type=DAY, metavar="DAY", help="First day, as 2025-01-15.")
TO = click.option("--to", "last", type=DAY, metavar="DAY", help="Last day; default: today.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="sitniks-finmap")
def cli() -> None:
    """Moves the financial transactions of Sitniks into Finmap.

    Settings stand in connections.toml, keys in the environment or .env. Exit codes: 0 done, 1 something failed,
    2 wrong use or configuration.
    """


@cli.command()
@click.option("--days", default=60, show_default=True, help="Days of business in the shop.")
@click.option("--seed", default=1, show_default=True, help="Another seed is another shop.")
def demo(days: int, seed: int) -> None:
    """Run the main job against a shop on this machine."""
    from sitniks_finmap.demo import run_demo

    show_progress()
    sys.exit(0 if run_demo(out, days=days, seed=seed) else 1)


@cli.command()
@CONNECTION
def doctor(connection: str | None) -> None:
    """Check keys, account, rights and the APIs' shape.

    For each connection: whether each side takes its key, the account and its currency, the categories, whether
    GET /transactions answers with every field that we assume, clock, time zone, rate.
    """
    from sitniks_finmap.doctor import examine

    right, wrong = load_connections()
    chosen = [one for one in [*right, *wrong] if connection in (None, one.name)] or choose(connection)
    sick = False
    for one in chosen:
        out.print(f"[bold]{one.name}[/]")
        for finding in examine(one):
            sick |= finding.verdict == "wrong"
            out.print(f"  {MARKS[finding.verdict]} {escape(finding.what)}")
    sys.exit(1 if sick else 0)


@cli.command()
@CONNECTION
@FROM
@TO
@click.option("--full", is_flag=True, help="Read the whole history again.")
def sync(connection: str | None, first: datetime | None, last: datetime | None, full: bool) -> None:
    """Sync now, and deliver until nothing is left.

    Without --from and --to: what was never read, the recent days, and whatever waits from earlier runs.
    """
    from sitniks_finmap.automation import utc_now
    from sitniks_finmap.status import print_runs, print_state, status_of

    def work(one: Connection, days: tuple[date, date]) -> bool:
        if full:
            days = (one.start_date, days[1])
        runs = [launch("sync", one, days)]
        if runs[0].success and not (first or last) and (waiting := days_waiting(one)):
            runs.append(launch("deliver", one, waiting))
            days = (min(days[0], waiting[0]), days[1])
        print_runs(out, one, days, [run.run_id for run in runs])
        status = print_state(out, one)
        if first or last:
            status = status_of(one, utc_now(), days)  # these days may be right while others were never read
        return all(run.success for run in runs) and status.verdict != "error"

    for_each(connection, first, last, work)


@cli.command()
@CONNECTION
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def preview(connection: str | None, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Show what a sync would write; write nothing."""
    from sitniks_finmap.report import plan_json, print_plan

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
@click.option("--connection", metavar="NAME", help="Whose transaction; may be left out when there is one connection.")
def explain(transaction: str, connection: str | None) -> None:
    """Tell what happened to one transaction, and why."""
    from sitniks_finmap.explain import explain as tell
    from sitniks_finmap.run import ConnectionRun, open_warehouse

    one = one_connection(connection)
    sys.exit(0 if tell(out, ConnectionRun(one, open_warehouse(one)), transaction) else 1)


@cli.command()
@CONNECTION
@click.option("--day", type=DAY, metavar="DAY", help="Only what waits of this day.")
@click.option("--transaction", metavar="ID", help="Only what waits of this transaction.")
@click.option("--recreate", is_flag=True, help="Create again what a person deleted in Finmap.")
def approve(connection: str | None, day: datetime | None, transaction: str | None, recreate: bool) -> None:
    """Let through what waits for a person; the next sync does it."""
    decide_for("approve", connection, day, transaction, recreate)


@cli.command()
@CONNECTION
@click.option("--day", type=DAY, metavar="DAY", help="Only what waits of this day.")
@click.option("--transaction", metavar="ID", help="Only what waits of this transaction.")
def dismiss(connection: str | None, day: datetime | None, transaction: str | None) -> None:
    """Leave Finmap as it is where something waits.

    Until the transaction changes again. What a person deleted in Finmap is dismissed by naming the transaction.
    """
    decide_for("dismiss", connection, day, transaction, recreate=False)


@cli.command("catch-up")
@CONNECTION
@click.option("--until", type=DAY, metavar="DAY", help="Last day that is not posted.")
@click.option("--undo", is_flag=True, help="Take it back: the next sync posts these days.")
def catch_up(connection: str | None, until: datetime | None, undo: bool) -> None:
    """Mark the history as seen without posting it."""
    from sitniks_finmap import decisions
    from sitniks_finmap.run import open_warehouse

    if bool(until) == undo:
        raise click.UsageError("say either --until DAY or --undo")

    def work(one: Connection, days: tuple[date, date]) -> bool:
        warehouse = open_warehouse(one)
        if undo or until is None:
            with warehouse.run(wait=60):
                out.print(f"{one.name}: {decisions.undo_catch_up(warehouse)} operations are to be posted again")
            return True
        ended = run("stage", one, (one.start_date, until.date()))
        if ended:
            with warehouse.run(wait=60):
                out.print(f"{one.name}: {decisions.catch_up(warehouse, until.date())} operations are not posted")
        return ended

    for_each(connection, None, None, work)


@cli.command("rebuild-ledger")
@CONNECTION
def rebuild_ledger(connection: str | None) -> None:
    """Fill the ledger from Finmap, after its file was lost.

    A sync with an empty ledger does it by itself.
    """
    from sitniks_finmap.automation import utc_now
    from sitniks_finmap.readback import rebuild_ledger as rebuild
    from sitniks_finmap.run import ConnectionRun, open_warehouse

    def work(one: Connection, days: tuple[date, date]) -> bool:
        own = ConnectionRun(one, open_warehouse(one))
        with own.warehouse.run(wait=60):
            found = rebuild(own, one.start_date, days[1], utc_now())
        out.print(f"{one.name}: {found} operations are in Finmap, and in the ledger now")
        return True

    for_each(connection, None, None, work)


@cli.command()
@click.option("--connection", metavar="NAME", help="Of which connection; may be left out when there is one.")
@click.option("--run", "run_id", metavar="RUN", help="What this run created (its ID in the UI, or its beginning).")
@FROM
@TO
@click.option("--force", is_flag=True, help="Also what a person edited in Finmap.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(
    connection: str | None, run_id: str | None, first: datetime | None, last: datetime | None, force: bool, yes: bool
) -> None:
    """Take out of Finmap what a run created; ask first.

    What is taken out is not sent again by a sync; `approve --recreate` brings it back.
    """
    from sitniks_finmap import decisions
    from sitniks_finmap.report import print_rollback
    from sitniks_finmap.run import ConnectionRun, open_warehouse

    if bool(run_id) == bool(first and last):
        raise click.UsageError("say either --run RUN, or --from DAY and --to DAY")
    own = ConnectionRun(one := one_connection(connection), open_warehouse(one), "rollback")
    with own.warehouse.run(wait=60):
        planned = decisions.plan_rollback(
            own.warehouse,
            run_id=run_id,
            first_day=first.date() if first else None,
            last_day=last.date() if last else None,
            force=force,
        )
        if print_rollback(out, one, planned) and (yes or click.confirm("Delete these operations in Finmap?")):
            show_progress()
            out.print(str(decisions.roll_back(own)))


@cli.command()
def status() -> None:
    """Show one line for each connection.

    Then each thing that is wrong, with its reason and what to do. Exit code 0 only when all that Sitniks has is in
    Finmap, as far as the last runs could see; neither API is asked.
    """
    from sitniks_finmap.status import print_status

    sys.exit(0 if print_status(out) else 1)


@cli.command()
@click.argument("query")
@click.option("--connection", metavar="NAME", help="Whose data; may be left out when there is one connection.")
@click.option("--csv", is_flag=True, help="Print CSV instead of a table.")
def sql(query: str, connection: str | None, csv: bool) -> None:
    """Read the staged data with SQL.

    The data as published after the last run, read-only: sitniks-finmap sql "from operations limit 5".
    """
    from sitniks_finmap.report import print_rows, read_only

    print_rows(out, *read_only(query, one_connection(connection)), csv=csv)


@cli.command()
@click.option("--port", default=8686, show_default=True, help="Port on 127.0.0.1.")
@click.option("--live", type=float, default=60, show_default=True, help="Seconds between new sales; 0 = none.")
@click.option("--days", default=60, show_default=True, help="Days of business, when the shop is new.")
@click.option("--seed", default=1, show_default=True, help="Another seed is another shop.")
def sandbox(port: int, live: float, days: int, seed: int) -> None:
    """Serve both APIs on this machine until Ctrl-C.

    The shop's state stays in <data>/sandbox.sqlite.
    """
    from sitniks_finmap.demo import serve_sandbox

    serve_sandbox(out, port=port, live=live or None, days=days, seed=seed)


def main() -> None:
    # As Dagster does: the .env of the working folder beats the environment.
    os.environ.update({name: value for name, value in dotenv_values(Path(".env")).items() if value is not None})
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(2)
    except (ConfigurationError, WarehouseError) as wrong:
        click.echo(f"Error: {wrong}", err=True)
        sys.exit(2)
    except ApiError as wrong:
        click.echo(f"Error: {wrong}", err=True)
        sys.exit(1)
