"""Commands that call the APIs: sync, preview, explain, doctor, rebuild-ledger."""

import json
import sys
from datetime import date, datetime
from pathlib import Path

import click

from sitniks_finmap.cli.identity_commands import take_over
from sitniks_finmap.cli.terminal import (
    EACH_CONNECTION,
    ONE_CONNECTION,
    Day,
    for_each,
    one_connection,
    out,
    run,
    show_progress,
    sync_days,
)
from sitniks_finmap.days import utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.bundle import write_bundle
from sitniks_finmap.people.doctor import examination_json, examine, is_well, print_examination
from sitniks_finmap.people.explain import explain as tell
from sitniks_finmap.people.preview import plan_json, print_plan
from sitniks_finmap.people.run_page import print_runs, print_state
from sitniks_finmap.people.status import fleet_of
from sitniks_finmap.pipeline.readback import rebuild_ledger as rebuild
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import choose_any
from sitniks_finmap.warehouse.store import open_warehouse

DAY = Day()
REBUILT = (
    "{count} operation in Finmap; new to the ledger: {new}", "{count} operations in Finmap; new to the ledger: {new}",
)  # fmt: skip
FROM = click.option("--from", "first", type=DAY, metavar="DAY", help="First day, e.g. 2025-01-15.")
TO = click.option("--to", "last", type=DAY, metavar="DAY", help="Last day; default: today.")


@click.command()
@EACH_CONNECTION
@FROM
@TO
@click.option("--full", is_flag=True, help="Read the whole history again.")
def sync(connection: str | None, first: datetime | None, last: datetime | None, full: bool) -> None:
    """Sync now and deliver everything.

    Without --from and --to: days never read, recent days, and whatever earlier runs left. With them, the printed state
    and the exit code cover only these days.

    Example: sitniks-finmap sync --connection sitniks_user_1 --from 2026-11-01
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


@click.command()
@EACH_CONNECTION
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def preview(connection: str | None, first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Show what a sync would write; write nothing.

    Example: sitniks-finmap preview --connection sitniks_user_1
    """
    plans: list[dict[str, object]] = []

    def work(one: Connection, days: tuple[date, date]) -> bool:
        ended = run("preview", one, days)
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


@click.command()
@click.argument("wanted", metavar="ID")
@ONE_CONNECTION
def explain(wanted: str, connection: str | None) -> None:
    """Show what happened to one transaction or order, and why.

    ID is that of a transaction, or the externalId that preview shows. If orders are the source, it may also be the
    number of an order, or the ID of an order or of a part of it, as in order-50123.sale.

    Example: sitniks-finmap explain tx_12345
    """
    one = one_connection(connection)
    sys.exit(0 if tell(out, ConnectionRun(one, open_warehouse(one), proving=False), wanted) else 1)


@click.command()
@EACH_CONNECTION
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each connection.")
@click.option(
    "--bundle", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Also write a JSON file for whoever helps you: versions, settings, counts, last errors; no keys, no records.",
)  # fmt: skip
def doctor(connection: str | None, as_json: bool, bundle: Path | None) -> None:
    """Check keys, account, permissions and API format.

    For each connection: whether each side accepts its key, the account and its currency, the categories, whether
    GET /transactions or GET /orders returns every field we expect, the order statuses, whether somebody else posts to
    the account, clock, time zone, rate limit.

    Example: sitniks-finmap doctor --bundle for-support.json
    """
    chosen = choose_any(connection)
    show_progress()
    examined = {one.name: [*examine(one)] if as_json else print_examination(out, one) for one in chosen}
    if as_json:
        told = [examination_json(name, found) for name, found in examined.items()]
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    if bundle:
        now = utc_now()
        write_bundle(bundle, fleet_of(chosen, now, whole=connection is None), examined, now)
        show_path(bundle)
    sys.exit(0 if all(map(is_well, examined.values())) else 1)


def show_path(bundle: Path) -> None:
    """On stderr, where it is in the way of no JSON."""
    click.echo(terminal_language().text("Written: {what}. Read it before you send it", what=bundle), err=True)


@click.command("rebuild-ledger")
@EACH_CONNECTION
@click.option("--yes", is_flag=True, help="Take over from another installation without asking.")
def rebuild_ledger(connection: str | None, yes: bool) -> None:
    """Rebuild the ledger from Finmap after its file was lost.

    A sync with an empty ledger does this automatically. If another installation writes to Finmap under this
    connection's name, this one takes over after asking.

    Example: sitniks-finmap rebuild-ledger --connection sitniks_user_1
    """

    def work(one: Connection, days: tuple[date, date]) -> bool:
        own = ConnectionRun(one, open_warehouse(one))
        with own.warehouse.run(wait=60):
            took = take_over(own, yes=yes)
            if took == "declined":
                return True
            found, fresh = rebuild(own, one.start_date, days[1], utc_now(), anew=took == "taken over")
        words = terminal_language()
        out.print(f"{one.name}: {words.counted(*REBUILT, found, new=words.number(fresh))}")
        return True

    for_each(connection, None, None, work)
