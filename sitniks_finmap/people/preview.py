"""Prints plans, decisions and rollbacks, and compares both sides."""

from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.days import utc_now
from sitniks_finmap.language import Language, terminal_language
from sitniks_finmap.people.summary import Sums
from sitniks_finmap.people.totals import OPERATIONS, ORDERS, deciding
from sitniks_finmap.pipeline.decisions import Change, RolledBack, Unbooked, note_shown
from sitniks_finmap.pipeline.plan import Action, Standing
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import open_warehouse

SHOWN = 50
EXTERNAL_ID = 8  # its place in a row of sql/preview_rows.sql


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
        note_shown(con, [row[EXTERNAL_ID] for row in rows], first_day, last_day, utc_now())
    words = terminal_language()
    several = connection.accounts or connection.channels or (connection.orders and connection.orders.stock_account)
    going = sum(count for standing, action, _, count, _ in sums if standing == Standing.GO and action != Action.VERIFY)
    what = words.text("{count} to write", count=words.number(going)) if going else words.text("nothing to write")
    span = words.text("{first} to {last}", first=first_day, last=last_day)
    out.print(f"[bold]{connection.name}[/], {span}: {what}{deciding(waiting, words)}")
    for standing, action, type, count, amount in sums:
        said = {"action": words.text(action), "what": words.text(type), "money": words.amount(amount)}
        line = words.text("{action} {count} {what}, {money}", count=words.number(count), **said)
        out.print(f"  {_standing(standing, words)}{line}")
    for status, stage, becomes, held, orders, amount in effects:
        said = {"what": words.text(becomes.replace("_", " ")), "money": words.amount(amount)}
        line = words.counted(*WOULD_BECOME, orders, status=escape(status), stage=words.text(stage), **said)
        out.print(f"  {line}" + (f" [yellow]{words.text(HELD)}[/]" if held else ""))
    for reason, count in reasons.items():
        what = words.counted(*ORDERS, count) if of_orders else words.number(count)
        out.print(f"  [yellow]{words.text('rejected')}[/] {what}: {escape(words.say(reason))}")
    _print_unbooked_reasons(out, unbooked, words)
    for action, standing, kind, why, day, type, amount, comment, external_id, account, *_, changes in rows:
        into = f"  → {escape(account)}" if several and account else ""
        out.print(f"  {_operation(action, day, type, amount, external_id, words, into)}  {escape(comment or '')}")
        for field, *values in changes:
            before, after = (words.amount(Decimal(one)) if one and field == "amount" else one or "–" for one in values)
            out.print(f"      {words.text(field)}: {escape(before)} → {escape(after)}")
        if standing != Standing.GO:
            hint = HINTS.get(kind, "") if standing == Standing.PENDING else ""
            said = escape(words.say(why)) + (f"; {escape(words.text(hint))}" if hint else "")
            out.print(f"      [yellow]{words.text(AS_IT_STANDS[Standing(standing)], why=said)}[/]")
    if total > len(rows):
        out.print("  " + words.text("… and {count} more; --json has them all", count=words.number(total - len(rows))))


WOULD_BECOME = (
    "{status} ({stage}): {count} order would become {what}, {money}",
    "{status} ({stage}): {count} orders would become {what}, {money}",
)
HELD = "(held: the lists of statuses changed)"
AS_IT_STANDS = {
    Standing.PENDING: "pending: {why}", Standing.WAITING: "waiting: {why}", Standing.KEPT: "kept: {why}",
}  # fmt: skip
STANDINGS = {Standing.PENDING: "yellow", Standing.WAITING: "dim", Standing.KEPT: "dim"}


def _standing(standing: str, words: Language) -> str:
    color = STANDINGS.get(Standing(standing))
    return f"[{color}]{words.text(standing)}[/] " if color else ""


def _operation(
    action: str, day: date, type: str, amount: Decimal, external_id: str, words: Language, into: str = ""
) -> str:
    """What is planned for one operation; ends with its key."""
    said = f"{words.text(action)} {day} {words.text(type):<7} {words.amount(amount):>12}"
    return f"{said}{into}  [dim]{escape(external_id)}[/]"


def _print_unbooked_reasons(
    out: Console, rows: list[tuple[str | None, str, str | None, int, Decimal, bool]], words: Language
) -> None:
    """Prints why orders have no operation, and which parts are missing of others; the orders add up to one line."""
    whole = [(orders, total) for part, _, _, orders, total, _ in rows if part is None]
    if len(whole) > 1:
        orders, total = sum(orders for orders, _ in whole), sum((total for _, total in whole), Decimal(0))
        said = words.text("in all {what} of {money}", what=words.counted(*ORDERS, orders), money=words.amount(total))
        out.print(f"  [dim]{words.text('unbooked')}[/] {said}")
    for part, reason, status, orders, total, look in rows:
        color = "yellow" if look else "dim"
        what, why = words.counted(*ORDERS, orders), escape(words.say(reason))
        if part:
            said = words.text("{part} of {what}: {why}", part=words.text(PARTS.get(part, part)), what=what, why=why)
        else:
            said = words.text("{what} of {money}: {why}", what=what, money=words.amount(total), why=why)
        told = f" ({escape(status)})" if status else ""
        out.print(f"  [{color}]{words.text('unbooked')}[/] {said}{told}")


PARTS = {"cogs": "cost of goods", "partial": "partial refund"}


def plan_json(connection: Connection, first_day: date, last_day: date) -> list[dict[str, object]]:
    """The plan for programs: one object per planned action, rejected transaction and unbooked order, money as text."""
    days = {"first": first_day, "last": last_day}
    with open_warehouse(connection).transaction() as con:
        con.execute(sql("previewed"), days)
        found = con.execute(sql("preview_rows"))
        *names, _ = [column[0] for column in found.description]
        rows = found.fetchall()
        note_shown(con, [row[EXTERNAL_ID] for row in rows], first_day, last_day, utc_now())
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
    words = terminal_language()
    if changes:
        out.print(f"[bold]{connection.name}[/]: {words.counted(*PENDING_CHANGES, len(changes))}")
    else:
        unseen = "`preview` has shown none of the pending changes ({count})"
        nothing = "nothing of this kind is pending" if others else "nothing is pending"
        said = words.text(unseen, count=words.number(came_since)) if came_since else words.text(nothing)
        out.print(f"{connection.name}: {said}")
    for one in changes:
        line = _operation(one.action, one.day, one.type, one.amount, one.external_id, words)
        out.print(f"  {line}  [yellow]{escape(words.say(one.why or ''))}[/]")
    if changes and came_since:
        out.print(f"  {words.counted(*STAY_PENDING, came_since)}")
    for kind, count in others.items():
        why = words.text(OTHERS.get(kind, "see `sitniks-finmap preview`"))
        why += f"; {words.text(HINTS[kind])}" if kind in HINTS else ""
        out.print(f"  {words.counted(*LEFT_PENDING, count, why=why)}")


PENDING_CHANGES = ("{count} pending change", "{count} pending changes")
STAY_PENDING = (
    "{count} more since the last `preview` stays pending", "{count} more since the last `preview` stay pending",
)  # fmt: skip
LEFT_PENDING = ("{count} other change left pending: {why}", "{count} other changes left pending: {why}")
OTHERS = {"conflict": "changed not only in Sitniks", "recreate": "deleted by a person in Finmap"}
HINTS = {
    "conflict": "decide with `--conflicts`, `--transaction ID` or `--order NUMBER`",
    "recreate": "`approve --recreate` creates them again",
}


def print_unbooked(out: Console, connection: Connection, chosen: list[Unbooked], came_since: int = 0) -> None:
    """Prints the orders without an operation that a person should check, and why."""
    words = terminal_language()
    what = words.counted(*TO_DISMISS, len(chosen)) if chosen else words.text("no warning to dismiss")
    out.print(f"[bold]{connection.name}[/]: {what}")
    if came_since:
        out.print(f"  {words.counted(*NOT_COUNTED, came_since)}")
    for one in chosen:
        total = "–" if one.total is None else words.amount(one.total)
        out.print(
            f"  {one.day} {total:>12}  {escape(one.order_number or '–')}  [dim]{escape(one.transaction_id)}[/]"
            f"  [yellow]{escape(words.say(one.reason))}[/]"
        )


NOT_COUNTED = (
    "{count} more that the last `preview` did not count stays",
    "{count} more that the last `preview` did not count stay",
)
TO_DISMISS = ("unbooked, {count} warning to dismiss:", "unbooked, {count} warnings to dismiss:")


def print_rollback(out: Console, connection: Connection, planned: list[RolledBack]) -> bool:
    """Prints what a rollback would delete; returns whether there is anything."""
    words = terminal_language()
    going = [one for one in planned if one.standing is Standing.GO]
    out.print(f"[bold]{connection.name}[/]: {words.counted(*WOULD_GO, len(going))}")
    for one in planned[:SHOWN]:
        left = words.text("left: {why}, use --force", why=words.say(one.why or ""))
        note = "" if one.standing is Standing.GO else f"  [yellow]{left}[/]"
        amount = f"{words.text(one.type):<7} {words.amount(one.amount):>12}"
        out.print(f"  {one.day} {amount}  [dim]{escape(one.external_id)}[/]{note}")
    if len(planned) > SHOWN:
        out.print("  " + words.text("… and {count} more", count=words.number(len(planned) - SHOWN)))
    return bool(going)


WOULD_GO = ("{count} operation would be deleted in Finmap", "{count} operations would be deleted in Finmap")


def print_sides(out: Console, wanted: Sums, finmap: Sums) -> bool:
    """Prints and returns whether Sitniks and Finmap have the same number and sums of operations."""
    words = terminal_language()
    agree = wanted == finmap
    kopiyka = f"[green]✓ {words.text('both sides agree')}[/] {words.text('to the kopiyka')}"
    out.print(f"  {kopiyka}" if agree else f"  [red]✗ {words.text('the sides differ')}[/]")
    for side, sums in (("Sitniks", wanted), ("Finmap", finmap)):
        income, expense = f"{words.amount(sums.income):>14}", f"{words.amount(sums.expense):>14}"
        totals = words.text("income {income}  expense {expense}", income=income, expense=expense)
        out.print(f"    {side:<8} {words.counted(*OPERATIONS, sums.operations):>17}  {totals}")
    return agree
