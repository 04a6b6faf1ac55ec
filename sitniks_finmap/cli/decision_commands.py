"""Commands for decisions: approve, dismiss, catch-up, rollback."""

import sys
from datetime import date, datetime

import click

from sitniks_finmap.cli.exits import FAILED, MISUSED
from sitniks_finmap.cli.terminal import (
    EACH_CONNECTION,
    ONE_CONNECTION,
    Day,
    about,
    choose_valid,
    confirmed,
    for_each,
    in_order,
    one_connection,
    out,
    print_error,
    run,
    show_progress,
    tell_wrong,
)
from sitniks_finmap.days import utc_now
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.preview import print_changes, print_rollback, print_unbooked
from sitniks_finmap.pipeline import decisions
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.store import open_warehouse

DAY = Day()
PENDING_DAY = click.option("--day", type=DAY, metavar="DAY", help="Only changes pending on this day.")
TRANSACTION = click.option(
    "--transaction",
    metavar="ID",
    help="Only this transaction or part of an order: its ID, or the externalId that preview shows.",
)
ORDER = click.option("--order", metavar="NUMBER", help="Only this order, with all its parts: its number or ID.")
YES = click.option("--yes", is_flag=True, help="Do not ask; cover only what the last `preview` showed.")


@click.command()
@EACH_CONNECTION
@PENDING_DAY
@TRANSACTION
@ORDER
@click.option("--conflicts", is_flag=True, help="Overwrite what a person also changed in Finmap.")
@click.option("--recreate", is_flag=True, help="Recreate what a person deleted in Finmap.")
@YES
def approve(
    connection: str | None,
    day: datetime | None,
    transaction: str | None,
    order: str | None,
    conflicts: bool,
    recreate: bool,
    yes: bool,
) -> None:
    """Approve pending changes; the next sync applies them.

    Lists the changes and asks for confirmation. Conflicts and what a person deleted in Finmap need their own option.

    Example: sitniks-finmap approve --transaction tx_12345
    """
    _decide("approve", connection, day, transaction, order, yes, conflicts=conflicts, recreate=recreate)


@click.command()
@EACH_CONNECTION
@PENDING_DAY
@TRANSACTION
@ORDER
@click.option("--unbooked", is_flag=True, help="Dismiss the warning about orders without an operation instead.")
@YES
def dismiss(
    connection: str | None, day: datetime | None, transaction: str | None, order: str | None, unbooked: bool, yes: bool
) -> None:
    """Dismiss pending changes; Finmap stays as it is.

    Holds until the transaction or order changes again. To dismiss what a person deleted in Finmap, name it.

    Example: sitniks-finmap dismiss --transaction tx_12345
    """
    if unbooked:
        if transaction:
            raise click.UsageError("use --order NUMBER with --unbooked")
        _dismiss_unbooked(connection, day, order, yes)
    else:
        _decide("dismiss", connection, day, transaction, order, yes)


def _decide(
    decision: str,
    name: str | None,
    day: datetime | None,
    transaction: str | None,
    order: str | None,
    yes: bool,
    **which: bool,
) -> None:
    if transaction and order:
        raise click.UsageError("use either --transaction ID or --order NUMBER")
    found, unseen, known, connections = 0, 0, False, choose_valid(name)
    words = terminal_language()
    misused = tell_wrong(name)
    for one in connections:
        warehouse = open_warehouse(one)
        if not warehouse.exists():
            out.print(f"{one.name}: {words.text('never synced; nothing is pending')}")
            continue
        with warehouse.transaction() as con:
            chosen = {"day": day.date() if day else None, "transaction": transaction, "order": order, **which}
            changes = decisions.pending(con, decision, **chosen)
            fresh, others = len(changes), decisions.other_kinds(con, changes)
            if yes:
                changes = decisions.only_shown(con, changes)
            if transaction or order:
                known |= decisions.was_read(con, transaction=transaction, order=order)
        if fresh or not (transaction or order):
            print_changes(out, one, changes, fresh - len(changes), others)
        found += len(changes)
        unseen += fresh - len(changes)
        if changes and (yes or _confirmed(decision, len(changes))):
            with warehouse.run(wait=60), warehouse.transaction() as con:
                decided = decisions.save_decisions(con, changes, decision, utc_now())
            done = "{count} approved; the next sync applies them" if decision == "approve" else "{count} dismissed"
            out.print(f"{one.name}: {words.text(done, count=words.number(decided))}")
    if (named := f"order {order}" if order else transaction) and not found:
        remedy = "; run `sitniks-finmap preview` first" if unseen else _why_nothing(transaction, order, known)
        print_error(f"nothing to {decision} for {named}{remedy}")
        sys.exit(FAILED)
    if misused:
        sys.exit(MISUSED)


def _why_nothing(transaction: str | None, order: str | None, known: bool) -> str:
    """Why there is nothing to decide about the transaction or order that a person named."""
    if known:
        return f": none of its changes waits for a person; `sitniks-finmap explain {transaction or order}` shows why"
    return (
        f": no {'order' if order else 'transaction'} with this {'number or ' if order else ''}ID was read from Sitniks"
    )


def _dismiss_unbooked(name: str | None, day: datetime | None, order: str | None, yes: bool) -> None:
    found, unseen, known = 0, 0, False
    connections, misused = choose_valid(name), tell_wrong(name)
    for one in connections:
        warehouse = open_warehouse(one)
        if not warehouse.exists():
            continue
        with warehouse.transaction() as con:
            chosen = decisions.unbooked(con, day=day.date() if day else None, order=order)
            fresh = len(chosen)
            if yes:
                chosen = decisions.only_shown_unbooked(con, chosen)
            known |= bool(order) and decisions.was_read(con, transaction=None, order=order)
        if fresh or not order:
            print_unbooked(out, one, chosen, fresh - len(chosen))
        found += len(chosen)
        unseen += fresh - len(chosen)
        if chosen and (yes or confirmed("Dismiss the warning about these orders?")):
            with warehouse.run(wait=60), warehouse.transaction() as con:
                decisions.dismiss_unbooked(con, chosen, utc_now())
            words = terminal_language()
            out.print(f"{one.name}: {words.text('{count} dismissed', count=words.number(len(chosen)))}")
    if order and not found:
        remedy = f"; `sitniks-finmap explain {order}` shows why" if known else _why_nothing(None, order, known)
        remedy = "; run `sitniks-finmap preview` first" if unseen else remedy
        print_error(f"no warning about order {order}{remedy}")
        sys.exit(FAILED)
    if misused:
        sys.exit(MISUSED)


def _confirmed(decision: str, count: int) -> bool:
    one, many = f"{decision.capitalize()} this change?", f"{decision.capitalize()} these {{count}} changes?"
    return confirmed(terminal_language().counted(one, many, count))


@click.command("catch-up")
@EACH_CONNECTION
@click.option("--until", type=DAY, metavar="DAY", help="Last day to skip.")
@click.option("--undo", is_flag=True, help="Undo: the next sync posts the skipped days.")
def catch_up(connection: str | None, until: datetime | None, undo: bool) -> None:
    """Skip history: never post anything dated on or before a day.

    Example: sitniks-finmap catch-up --until 2026-10-31
    """
    if bool(until) == undo:
        raise click.UsageError("use either --until DAY or --undo")
    words = terminal_language()

    def work(one: Connection, days: tuple[date, date]) -> bool:
        warehouse = open_warehouse(one)
        if undo or until is None:
            with warehouse.run(wait=60):
                skipped = decisions.undo_catch_up(warehouse)
            said = words.counted(*POSTS, skipped) if skipped else words.text("nothing was skipped; nothing to undo")
            out.print(f"{one.name}: {said}")
            return True
        last_day = one.today(utc_now())
        if not one.start_date <= until.date() <= last_day:
            raise ConfigurationError(
                f"{one.name}: --until is {until.date()}; choose from start_date {one.start_date} to today {last_day}"
            )
        ended = run("preview", one, (one.start_date, until.date()))
        if ended:
            with warehouse.run(wait=60):
                skipped = decisions.catch_up(warehouse, until.date())
            out.print(f"{one.name}: {words.counted(*SKIPPED, skipped, day=until.date())}")
        return ended

    for_each(connection, None, None, work)


POSTS = ("the next sync posts {count} operation", "the next sync posts {count} operations")
SKIPPED = ("skipped up to {day}: {count} operation", "skipped up to {day}: {count} operations")


@click.command()
@ONE_CONNECTION
@click.option("--run", "run_id", metavar="RUN", help="Run ID as in the UI, or its first characters.")
@click.option("--from", "first", type=DAY, metavar="DAY", help="First day, e.g. 2025-01-15.")
@click.option("--to", "last", type=DAY, metavar="DAY", help="Last day.")
@click.option("--force", is_flag=True, help="Include what a person edited in Finmap.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rollback(
    connection: str | None, run_id: str | None, first: datetime | None, last: datetime | None, force: bool, yes: bool
) -> None:
    """Delete from Finmap what a run created; ask first.

    A sync does not send it again; `approve --recreate --transaction ID` brings it back.

    Example: sitniks-finmap rollback --connection sitniks_user_1 --run 1a2b3c4d
    """
    if bool(run_id) == bool(first and last):
        raise click.UsageError("use either --run RUN, or --from DAY and --to DAY")
    in_order(first, last)
    own = ConnectionRun(one := one_connection(connection), open_warehouse(one), "rollback")
    which = {
        "run_id": run_id, "first_day": first.date() if first else None, "last_day": last.date() if last else None,
        "force": force,
    }  # fmt: skip
    planned = []
    if own.warehouse.exists():
        with own.warehouse.transaction() as con:
            planned = decisions.plan_rollback(con, **which)
    if not planned:
        what = f"run {run_id} created nothing that is in Finmap" if run_id else "nothing from these days is in Finmap"
        print_error(f"{one.name}: {what}")
        sys.exit(FAILED)
    # No lock is held while asking: a sync may run meanwhile, so each deletion checks first.
    if print_rollback(out, one, planned) and (yes or confirmed("Delete these operations in Finmap?")):
        show_progress()
        with about(one), own.warehouse.run(wait=60):
            out.print(f"{one.name}: {terminal_language().say(str(decisions.roll_back(own, planned)))}")
