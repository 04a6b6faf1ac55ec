"""Prints what runs did and how a connection is now: the end of a sync."""

from datetime import date, datetime

import duckdb
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.days import utc_now
from sitniks_finmap.language import Language, terminal_language
from sitniks_finmap.people.marks import COLORS, MARKS, said_verdict
from sitniks_finmap.people.status import Status, status_of
from sitniks_finmap.people.summary import Done, done_by
from sitniks_finmap.people.totals import deciding, left_out, still_there, unbooked, unbooked_parts
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import WarehouseError, open_warehouse

DAYS = ("{count} day", "{count} days")
RECORDS = {
    "transactions": ("{count} transaction", "{count} transactions"),
    "orders": ("{count} order", "{count} orders"),
}
DELIVERED = ("{done} of {count} operation delivered", "{done} of {count} operations delivered")
RUNS = (", run {runs}", ", runs {runs}")


def print_runs(
    out: Console, connection: Connection, days: tuple[date, date], run_ids: list[str], begun: datetime
) -> None:
    """Prints what these runs over these days did."""
    words = terminal_language()
    ids = ", ".join(one[:8] for one in run_ids)
    which = words.counted(*RUNS, len(run_ids), runs=ids) if run_ids else ""
    span = words.text("{first} to {last}", first=days[0], last=days[1])
    out.print(f"[bold]{connection.name}[/], {span}[dim]{which}[/]")
    try:
        _print_done(out, done_by(open_warehouse(connection), run_ids, days, begun), connection.source, words)
    except (WarehouseError, duckdb.Error):
        _line(out, words.text("this run"), words.text("its numbers cannot be read"))


def print_state(out: Console, connection: Connection, days: tuple[date, date] | None = None) -> Status:
    """Prints the state of a connection on these days (default: all), with each finding."""
    words = terminal_language()
    status = status_of(connection, utc_now(), days)
    if has := status.summary:
        _line(
            out,
            words.text("these days" if days else "all days"),
            words.counted(*DELIVERED, has.operations, done=words.number(has.done)) + deciding(has.pending, words),
        )
        if has.still_there.operations:
            _line(out, words.text("extra"), still_there(has, words))
        if has.left_out:
            _line(out, words.text("left out"), left_out(has, words))
        if has.unbooked:
            _line(out, words.text("unbooked"), unbooked(has, words))
        if has.unbooked_parts:
            _line(out, words.text("parts"), unbooked_parts(has, words))
        income, expense = words.amount(has.delivered.income), words.amount(has.delivered.expense)
        out.print(f"  {words.text('income     {income}    expense {expense}', income=income, expense=expense)}")
    elsewhere = words.text(" on these days; `sitniks-finmap status` covers all") if days else ""
    verdict = f"[{COLORS[status.verdict]}]{said_verdict(status.verdict, words)}[/]"
    out.print(f"  {words.text('state'):<10} {verdict}{elsewhere}")
    for finding in status.findings:
        out.print(f"    {MARKS[finding.verdict]} {escape(words.say(finding.what))}")
    return status


def _print_done(out: Console, done: Done, source: str, words: Language) -> None:
    read = words.text(
        "{records} of {days}, {count} new or changed",
        records=words.counted(*RECORDS[source], done.records_read),
        days=words.counted(*DAYS, done.days_read),
        count=words.number(done.new_versions),
    )
    nothing = words.text("nothing")
    _line(out, words.text("read"), read if done.days_read else nothing)
    wrote = {"created": done.created, "changed": done.changed, "withdrawn": done.withdrawn, "found": done.found}
    said = ", ".join(f"{words.number(count)} {words.text(what)}" for what, count in wrote.items() if count)
    _line(out, words.text("delivered"), said or nothing)
    for what, count in (("failed", done.failed), ("refused", done.refused)):
        if count:
            out.print(f"  [yellow]{words.text(what):<10} {words.number(count)}[/]")


def _line(out: Console, what: str, said: str) -> None:
    out.print(f"  {what:<10} {escape(said)}")
