"""Prints plans, decisions and rollbacks, and compares both sides."""

from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.days import utc_now
from sitniks_finmap.figures import counted, deciding, money
from sitniks_finmap.people.summary import Sums
from sitniks_finmap.pipeline.decisions import Change, RolledBack, Unbooked, note_shown
from sitniks_finmap.pipeline.plan import Action, Standing
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import open_warehouse

SHOWN = 50


def print_plan(out: Console, connection: Connection, first_day: date, last_day: date) -> None:
    """Prints what a sync of these days would write; writes nothing to Finmap."""
    days = {"first": first_day, "last": last_day}
    of_orders = connection.source == "orders"
    with open_warehouse(connection).transaction() as con:
        con.execute(sql("previewed"), days)
        sums = con.execute(
            "select standing, action, type, count(*), sum(amount) from previewed group by all order by all"
        ).fetchall()
        total = sum(count for *_, count, _ in sums)
        reasons: dict[str, int] = dict(con.execute(sql("rejected_by_reason"), days).fetchall())
        effects = con.execute(sql("preview_orders")).fetchall() if of_orders else []
        unbooked = con.execute(sql("unbooked_by_reason"), days).fetchall() if of_orders else []
        waiting = sum(count for standing, *_, count, _ in sums if standing == Standing.PENDING)
        # Show every pending change: `approve --yes` covers what was shown.
        rows = con.execute(sql("preview_rows")).fetchmany(max(SHOWN, waiting))
        note_shown(con, utc_now())
    several = connection.accounts or connection.channels or (connection.orders and connection.orders.stock_account)
    going = sum(count for standing, action, _, count, _ in sums if standing == Standing.GO and action != Action.VERIFY)
    what = f"{going:,} to write" if going else "nothing to write"
    out.print(f"[bold]{connection.name}[/], {first_day} to {last_day}: {what}{deciding(waiting)}")
    for standing, action, type, count, amount in sums:
        out.print(f"  {STANDING[standing]}{action} {count:,} {type}, {money(amount)}")
    for status, stage, becomes, held, orders, amount in effects:
        out.print(
            f"  {escape(status)} ({stage}): {counted(orders, 'order')} would become {becomes.replace('_', ' ')}, "
            + money(amount)
            + (" [yellow](held: the lists of statuses changed)[/]" if held else "")
        )
    for reason, count in reasons.items():
        what = f" {counted(count, 'order')}" if of_orders else f" {count:,}"
        out.print(f"  [yellow]rejected[/]{what}: {escape(reason)}")
    _print_unbooked_reasons(out, unbooked)
    for action, standing, kind, why, day, type, amount, comment, external_id, account, *_, changes in rows:
        into = f"  → {escape(account)}" if several and account else ""
        out.print(
            f"  {action} {day} {type:<7} {money(amount):>12}{into}  [dim]{escape(external_id)}[/]  "
            f"{escape(comment or '')}"
        )
        for field, *values in changes:
            before, after = (money(Decimal(one)) if one and field == "amount" else one or "–" for one in values)
            out.print(f"      {field}: {escape(before)} → {escape(after)}")
        if standing != Standing.GO:
            hint = OTHERS.get(kind, "").partition("; ")[2] if standing == Standing.PENDING else ""
            out.print(f"      [yellow]{standing}: {escape(why)}{f'; {hint}' if hint else ''}[/]")
    if total > len(rows):
        out.print(f"  … and {total - len(rows):,} more; --json has them all")


def _print_unbooked_reasons(out: Console, rows: list[tuple[str | None, str, str | None, int, Decimal, bool]]) -> None:
    """Prints why orders have no operation, and which parts are missing of others; the orders add up to one line."""
    whole = [(orders, total) for part, _, _, orders, total, _ in rows if part is None]
    if len(whole) > 1:
        orders, total = sum(orders for orders, _ in whole), sum((total for _, total in whole), Decimal(0))
        out.print(f"  [dim]unbooked[/] in all {counted(orders, 'order')} of {money(total)}")
    for part, reason, status, orders, total, look in rows:
        color = "yellow" if look else "dim"
        what = f"{PARTS.get(part, part)} of {counted(orders, 'order')}" if part else counted(orders, "order")
        worth = "" if part else f" of {money(total)}"
        told = f" ({escape(status)})" if status else ""
        out.print(f"  [{color}]unbooked[/] {what}{worth}: {escape(reason)}{told}")


PARTS = {"cogs": "cost of goods", "partial": "partial refund"}


def plan_json(connection: Connection, first_day: date, last_day: date) -> list[dict[str, object]]:
    """The plan for programs: one object per planned action, rejected transaction and unbooked order, money as text."""
    days = {"first": first_day, "last": last_day}
    with open_warehouse(connection).transaction() as con:
        con.execute(sql("previewed"), days)
        note_shown(con, utc_now())
        found = con.execute(sql("preview_rows"))
        *names, _ = [column[0] for column in found.description]
        rows = found.fetchall()
        rejected = con.execute(sql("rejected_rows"), days).fetchall()
        unbooked = con.execute(sql("unbooked_rows"), days).fetchall()
    planned: list[dict[str, object]] = [
        {
            "connection": connection.name,
            **dict(zip(names, [str(one) if one is not None else None for one in row[:-1]], strict=True)),
            "changes": [{"field": field, "before": before, "after": after} for field, before, after in row[-1]],
        }
        for row in rows
    ]
    return planned + [
        {
            "connection": connection.name, "action": action, "standing": standing, "why": reason, "day": str(day),
            "transaction_id": transaction,
        }
        for action, standing, rows in (("reject", "rejected", rejected), ("none", "unbooked", unbooked))
        for transaction, day, reason in rows
    ]  # fmt: skip


def print_changes(
    out: Console, connection: Connection, changes: list[Change], came_since: int, others: dict[str, int]
) -> None:
    """Prints what a decision will cover, and what it leaves pending."""
    unseen = f"`preview` has shown none of the pending changes ({came_since:,})"
    nothing = unseen if came_since else "nothing is pending"
    out.print(
        f"[bold]{connection.name}[/]: {counted(len(changes), 'pending change')}"
        if changes
        else f"{connection.name}: {nothing}"
    )
    for one in changes:
        out.print(
            f"  {one.action} {one.day} {one.type:<7} {money(one.amount):>12}  [dim]{escape(one.external_id)}[/]"
            f"  [yellow]{escape(one.why or '')}[/]"
        )
    if changes and came_since:
        out.print(f"  {came_since:,} more since the last `preview` {'stays' if came_since == 1 else 'stay'} pending")
    for kind, count in others.items():
        out.print(
            f"  {counted(count, 'other change')} left pending: {OTHERS.get(kind, 'see `sitniks-finmap preview`')}"
        )


OTHERS = {
    "conflict": "changed not only in Sitniks; decide with `--conflicts`, `--transaction ID` or `--order NUMBER`",
    "recreate": "deleted by a person in Finmap; `approve --recreate` creates them again",
}


def print_unbooked(out: Console, connection: Connection, chosen: list[Unbooked]) -> None:
    """Prints the orders without an operation that a person should check, and why."""
    what = f"unbooked, {counted(len(chosen), 'warning')} to dismiss:" if chosen else "no warning to dismiss"
    out.print(f"[bold]{connection.name}[/]: {what}")
    for one in chosen:
        total = "–" if one.total is None else money(one.total)
        out.print(
            f"  {one.day} {total:>12}  {escape(one.order_number or '–')}  [dim]{escape(one.transaction_id)}[/]"
            f"  [yellow]{escape(one.reason)}[/]"
        )


def print_rollback(out: Console, connection: Connection, planned: list[RolledBack]) -> bool:
    """Prints what a rollback would delete; returns whether there is anything."""
    going = [one for one in planned if one.standing is Standing.GO]
    out.print(f"[bold]{connection.name}[/]: {counted(len(going), 'operation')} would be deleted in Finmap")
    for one in planned[:SHOWN]:
        note = "" if one.standing is Standing.GO else f"  [yellow]left: {one.why}, use --force[/]"
        out.print(f"  {one.day} {one.type:<7} {money(one.amount):>12}  [dim]{escape(one.external_id)}[/]{note}")
    if len(planned) > SHOWN:
        out.print(f"  … and {len(planned) - SHOWN:,} more")
    return bool(going)


STANDING = {Standing.GO: "", Standing.PENDING: "[yellow]pending[/] ", Standing.KEPT: "[dim]kept[/] "}


def print_sides(out: Console, wanted: Sums, finmap: Sums) -> bool:
    """Prints and returns whether Sitniks and Finmap have the same number and sums of operations."""
    agree = wanted == finmap
    out.print("  [green]✓ both sides agree[/] to the kopiyka" if agree else "  [red]✗ the sides differ[/]")
    for side, sums in (("Sitniks", wanted), ("Finmap", finmap)):
        out.print(
            f"    {side:<8} {counted(sums.operations, 'operation'):>17}  income {money(sums.income):>14}  "
            f"expense {money(sums.expense):>14}"
        )
    return agree
