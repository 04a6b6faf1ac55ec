"""What the command line prints of a connection."""

from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.automation import utc_now
from sitniks_finmap.connections import Connection, load_connections, spoken
from sitniks_finmap.decisions import RolledBack, note_shown
from sitniks_finmap.run import open_warehouse
from sitniks_finmap.summary import Summary, Sums, summarize

SHOWN = 50


def print_summary(out: Console, connection: Connection, first_day: date, last_day: date) -> bool:
    """What a sync of these days came to; whether nothing failed."""
    found = summarize(open_warehouse(connection), first_day, last_day)
    if found is None:
        return True
    out.print(f"[bold]{connection.name}[/], {first_day} to {last_day}")
    out.print(f"  read       {found.transactions:,} transactions")
    out.print(f"  income     {money(found.wanted.income)}    expense {money(found.wanted.expense)}")
    out.print(f"  delivered  {found.delivered:,} of {found.wanted.operations:,} operations")
    if found.failed:
        out.print(f"  [yellow]failed     {found.failed:,}[/], tried again by the next sync or by the retry sensor")
    if found.backlog:
        out.print(f"  [yellow]left       {found.backlog:,}[/] for the next run")
    for title, reasons in (("refused", found.refused), ("rejected", found.rejected)):
        for reason, count in reasons.items():
            out.print(f"  [yellow]{title:<10} {count}[/]: {escape(str(reason))}")
    if found.waiting:
        out.print(
            f"  [yellow]waiting    {found.waiting:,}[/] for you: `sitniks-finmap preview`, then `approve` or `dismiss`"
        )
    return not (found.failed or found.refused)


def print_plan(out: Console, connection: Connection, first_day: date, last_day: date) -> None:
    """What a sync of these days would write, and nothing is written by this."""
    with open_warehouse(connection).transaction() as con:
        con.execute(PREVIEWED, [first_day, last_day])
        sums = con.execute(
            "select standing, action, type, count(*), sum(amount) from previewed group by all order by all"
        ).fetchall()
        total = sum(count for *_, count, _ in sums)
        rows = con.execute(f"{PLAN_ROWS} limit $1", [SHOWN]).fetchall()
        note_shown(con, utc_now())
    out.print(f"[bold]{connection.name}[/], {first_day} to {last_day}: {total:,} planned")
    for standing, action, type, count, amount in sums:
        out.print(f"  {STANDING[standing]}{action} {count:,} {type}, {money(amount)}")
    for action, standing, why, day, type, amount, comment, external_id, changes in rows:
        out.print(f"  {action} {day} {type:<7} {money(amount):>12}  [dim]{escape(external_id)}[/]  {escape(comment or '')}")
        for field, before, after in changes:
            out.print(f"      {field}: {escape(before or '–')} → {escape(after or '–')}")
        if standing != "go":
            out.print(f"      [yellow]{standing}: {escape(why)}[/]")
    if total > SHOWN:
        out.print(f"  … and {total - SHOWN:,} more; --json has them all")


def plan_json(connection: Connection, first_day: date, last_day: date) -> list[dict[str, object]]:
    """The plan for machines: one object for each planned action, money as text."""
    with open_warehouse(connection).transaction() as con:
        con.execute(PREVIEWED, [first_day, last_day])
        note_shown(con, utc_now())
        rows = con.execute(PLAN_ROWS).fetchall()
    names = ("action", "standing", "why", "day", "type", "amount", "comment", "external_id")
    return [
        {
            "connection": connection.name,
            **dict(zip(names, [str(one) if one is not None else None for one in row[:-1]], strict=True)),
            "changes": [{"field": field, "before": before, "after": after} for field, before, after in row[-1]],
        }
        for row in rows
    ]


def print_rollback(out: Console, connection: Connection, planned: list[RolledBack]) -> bool:
    """Shows what a rollback would delete; whether there is anything."""
    going = [one for one in planned if one.standing == "go"]
    out.print(f"[bold]{connection.name}[/]: {len(going):,} operations would be deleted in Finmap")
    for one in planned[:SHOWN]:
        note = "" if one.standing == "go" else f"  [yellow]left: {one.why}, use --force[/]"
        out.print(f"  {one.day} {one.type:<7} {money(one.amount):>12}  [dim]{escape(one.external_id)}[/]{note}")
    if len(planned) > SHOWN:
        out.print(f"  … and {len(planned) - SHOWN:,} more")
    return bool(going)


STANDING = {"go": "", "pending": "[yellow]pending[/] ", "kept": "[dim]kept[/] "}
# What a sync of these days would do, and all that is pending: that is about no day.
PREVIEWED = """
    create or replace temp table previewed as
    from plan where day between $1 and $2 or standing = 'pending'
"""
# What waits for a person comes first.
PLAN_ROWS = """
    select
        action, standing, why, day, type, amount, wanted.comment, external_id,
        if(written is null or wanted is null, [], list_filter([
            row('type', written.type, wanted.type),
            row('amount', written.amount::varchar, wanted.amount::varchar),
            row('date', written.occurred_at::varchar, wanted.occurred_at::varchar),
            row('account', written.account, wanted.account),
            row('category', written.category, wanted.category),
            row('tag', written.tag, wanted.tag),
            row('comment', written.comment, wanted.comment)
        ], lambda change : change[2] is distinct from change[3])) as changes
    from previewed order by standing <> 'pending', standing, occurred_at desc, transaction_id
"""


def print_status(out: Console) -> bool:
    """One line for each connection, then what is wrong; whether all is well."""
    right, wrong = load_connections()
    lines: list[tuple[str, ...]] = [
        ("connection", "last read", "operations", "delivered", "failed", "left", "rejected", "state")
    ]
    troubles = [one.why for one in wrong]
    for one in wrong:
        lines.append((one.name, *["–"] * 6, "wrong"))
    for connection in right:
        found = summarize(open_warehouse(connection))
        trouble = connection.problem() or (found and _trouble(connection, found))
        state = (
            "needs you"
            if trouble
            else "never synced"
            if not found
            else "well"
            if found.well
            else "catching up"
            if found.backlog
            else "some rejected"
        )
        lines.append((connection.name, *_numbers(connection, found), state))
        troubles += [trouble] if trouble else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        out.print("  ".join(escape(cell.ljust(width)) for cell, width in zip(line, widths, strict=True)))
    for trouble in troubles:
        out.print(f"[red]✗[/] {escape(trouble)}")
    return not troubles


def _numbers(connection: Connection, found: Summary | None) -> tuple[str, ...]:
    if found is None:
        return ("–",) * 6
    read = found.last_read.astimezone(connection.zone).strftime("%Y-%m-%d %H:%M") if found.last_read else "–"
    counts = (found.wanted.operations, found.delivered, found.failed, found.backlog, sum(found.rejected.values()))
    return (read, *map(str, counts))


def _trouble(connection: Connection, found: Summary) -> str | None:
    """What of a connection needs a human, or will be tried again; None when nothing does."""
    said = [f"Finmap refused {count}: {reason}" for reason, count in found.refused.items()]
    if found.waiting:
        said.append(f"waiting for `sitniks-finmap approve` or `dismiss` (see `preview`): {found.waiting}")
    if found.last_read and utc_now() - found.last_read > 2 * connection.sync_every:
        said.append("nothing was read since then: is `dagster dev` or the daemon running, and does `doctor` say well?")
    if found.failed:
        said.append(f"{found.failed} failed and are tried again every {spoken(connection.retry_every)}")
    return f"{connection.name}: {'; '.join(said)}" if said else None


def print_sides(out: Console, wanted: Sums, finmap: Sums) -> bool:
    """Whether Sitniks and Finmap have the same operations in number and sums; says so either way."""
    agree = wanted == finmap
    mark = "[green]✓ both sides agree[/]" if agree else "[red]✗ the sides differ[/]"
    out.print(f"  {mark} to the kopiyka")
    for side, sums in (("Sitniks", wanted), ("Finmap", finmap)):
        out.print(
            f"    {side:<8} {sums.operations:>6,} operations  income {money(sums.income):>14}  "
            f"expense {money(sums.expense):>14}"
        )
    return agree


def money(amount: Decimal) -> str:
    return f"{amount:,.2f}".replace(",", " ")
