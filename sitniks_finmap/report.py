"""What the command line prints of a connection."""

import sys
from csv import writer as csv_writer
from datetime import date
from decimal import Decimal

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sitniks_finmap.automation import utc_now
from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.delivery import make_plan
from sitniks_finmap.run import open_warehouse
from sitniks_finmap.summary import Sums

SHOWN = 50


def print_plan(out: Console, connection: Connection, first_day: date, last_day: date) -> None:
    """What a sync of these days would write, and nothing is written by this."""
    with open_warehouse(connection).transaction() as con:
        # A temporary table: a run that is going on has its own plan.
        make_plan(con, first_day, last_day, utc_now(), every_failed=True, table="previewed")
        sums = con.execute(
            "select standing, action, type, count(*), sum(amount) from previewed group by all order by all"
        ).fetchall()
        total = sum(count for *_, count, _ in sums)
        rows = con.execute(f"{PLAN_ROWS} limit $1", [SHOWN]).fetchall()
    out.print(f"[bold]{connection.name}[/], {first_day} to {last_day}: {total:,} planned")
    for standing, action, type, count, amount in sums:
        out.print(f"  {STANDING[standing]}{action} {count:,} {type}, {money(amount)}")
    for action, standing, why, day, type, amount, comment, external_id, changes in rows:
        out.print(f"  {action} {day} {type:<7} {money(amount):>12}  [dim]{escape(external_id)}[/]  {escape(comment)}")
        for field, before, after in changes:
            out.print(f"      {field}: {escape(before or '–')} → {escape(after or '–')}")
        if standing != "go":
            out.print(f"      [yellow]{standing}: {escape(why)}[/]")
    if total > SHOWN:
        out.print(f"  … and {total - SHOWN:,} more; --json has them all")


def plan_json(connection: Connection, first_day: date, last_day: date) -> list[dict[str, object]]:
    """The plan for machines: one object for each planned action, money as text."""
    with open_warehouse(connection).transaction() as con:
        make_plan(con, first_day, last_day, utc_now(), every_failed=True, table="previewed")
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


def print_rollback(out: Console, connection: Connection, planned: list[tuple]) -> bool:
    """Shows what a rollback would delete; whether there is anything."""
    going = [row for row in planned if row[0] == "go"]
    out.print(f"[bold]{connection.name}[/]: {len(going):,} operations would be deleted in Finmap")
    for standing, why, day, type, amount, external_id in planned[:SHOWN]:
        note = "" if standing == "go" else f"  [yellow]left: {why}, use --force[/]"
        out.print(f"  {day} {type:<7} {money(amount):>12}  [dim]{escape(external_id)}[/]{note}")
    if len(planned) > SHOWN:
        out.print(f"  … and {len(planned) - SHOWN:,} more")
    return bool(going)


STANDING = {"go": "", "waiting": "[yellow]waiting[/] ", "kept": "[dim]kept[/] "}
PLAN_ROWS = """
    select
        action, standing, why, day, type, amount, comment, external_id,
        if(was_hash is null or action in ('withdraw', 'rollback'), [], list_filter([
            row('type', was_type, type),
            row('amount', was_amount::varchar, amount::varchar),
            row('date', was_occurred_at::varchar, occurred_at::varchar),
            row('account', was_account, account),
            row('category', was_category, category),
            row('tag', was_tag, tag),
            row('comment', was_comment, comment)
        ], lambda change : change[2] is distinct from change[3])) as changes
    from previewed order by position
"""


def read_only(query: str, connection: Connection) -> tuple[list[str], list[tuple]]:
    """Column names and rows of a query over the published copy, which no query can change or get out of.

    Raises ConfigurationError when there is no copy yet, or the query is wrong.
    """
    path = open_warehouse(connection).read_path
    if not path.exists():
        raise ConfigurationError(f"{connection.name}: nothing was synced yet; run `sitniks-finmap sync`")
    with duckdb.connect(path, read_only=True) as con:
        con.execute(f"set timezone = '{connection.timezone}'")
        con.execute("set enable_external_access = false")
        con.execute("set python_enable_replacements = false")  # a table's name is not a variable of this program
        con.execute("set lock_configuration = true")
        try:
            rows = con.execute(query).fetchall()
        except duckdb.Error as error:
            raise ConfigurationError(str(error)) from None
        return [column[0] for column in con.description or []], rows


def print_rows(out: Console, columns: list[str], rows: list[tuple], *, csv: bool) -> None:
    """A table for people, or CSV for programs; money digit for digit either way."""
    if csv:
        writer = csv_writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        return
    table = Table(*map(escape, columns))
    for row in rows:
        table.add_row(*["" if value is None else escape(str(value)) for value in row])
    out.print(table)


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
