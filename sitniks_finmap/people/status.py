"""Prints the state of connections: `status`, and the end of a sync."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.days import utc_now
from sitniks_finmap.figures import counted, deciding, money
from sitniks_finmap.people.findings import Finding, Verdict, find, look
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.people.summary import Done, Summary, done_by
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import WrongConnection, choose_any
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.store import WarehouseError, open_warehouse

COLORS = {"ok": "green", "warning": "yellow", "error": "red"}
SET_ASIDE = (".damaged-", ".before-rename-")  # in the names of files that belong to no connection
HEAD = ("connection", "last read", "operations", "delivered", "failed", "left", "pending", "rejected", "state")


@dataclass(frozen=True)
class Status:
    """One connection: its numbers, if it was ever read, and its findings."""

    summary: Summary | None
    findings: list[Finding]

    @property
    def verdict(self) -> Verdict:
        return self.findings[0].verdict if self.findings else "ok"  # the worst comes first


def status_of(connection: Connection, now: datetime, days: tuple[date, date] | None = None) -> Status:
    """The state of a connection as of the last runs. Never raises: unreadable data is a finding."""
    warehouse = open_warehouse(connection)
    try:
        state = look(connection, warehouse, now, days)
        return Status(state.summary if state else None, find(connection, warehouse, state, now, days))
    except (WarehouseError, duckdb.Error, OSError) as error:
        said = str(error) if isinstance(error, WarehouseError) else f"DuckDB failed ({type(error).__name__})"
        return Status(None, [Finding("error", said.removeprefix(f"{connection.name}: "), "unreadable")])


def print_status(out: Console, name: str | None = None) -> bool:
    """Prints a line for each connection, or for the named one, then each finding; returns whether none is an error.

    Raises ConfigurationError if connections.toml cannot be read or has no connection, or none with this name.
    """
    chosen = choose_any(name)
    now = utc_now()
    lines: list[tuple[str, ...]] = [HEAD]
    told: list[tuple[str, Finding]] = []
    notes: list[str] = []
    for one in chosen:
        if isinstance(one, WrongConnection):
            lines.append((one.name, *["–"] * 7, "error"))
            told.append((one.name, Finding("error", one.why.removeprefix(f"{one.name}: "), "configuration")))
            continue
        status = status_of(one, now)
        lines.append((one.name, *_numbers(one, status.summary), status.verdict))
        told += [(one.name, finding) for finding in status.findings]
        if status.summary and status.summary.still_there.operations:
            notes.append(f"  {escape(one.name)}: also in Finmap: {_still_there(status.summary)}")
        if status.summary and status.summary.left_out:
            notes.append(f"  {escape(one.name)}: left out of Finmap: {_left_out(status.summary)}")
        if status.summary and status.summary.unbooked:
            notes.append(f"  {escape(one.name)}: orders without an operation: {_unbooked(status.summary)}")
        if status.summary and status.summary.unbooked_parts:
            notes.append(f"  {escape(one.name)}: parts of other orders: {_unbooked_parts(status.summary)}")
    if name is None:
        told += _orphans({one.name for one in chosen})
    _print_lines(out, lines)
    for whose, finding in told:
        out.print(f"{MARKS[finding.verdict]} {escape(whose)}: {escape(finding.what)}")
    for line in notes:
        out.print(line)
    return not any(finding.verdict == "error" for _, finding in told)


def print_runs(
    out: Console, connection: Connection, days: tuple[date, date], run_ids: list[str], begun: datetime
) -> None:
    """Prints what these runs over these days did."""
    runs = f", {'run' if len(run_ids) == 1 else 'runs'} {', '.join(one[:8] for one in run_ids)}"
    which = runs if run_ids else ""
    out.print(f"[bold]{connection.name}[/], {days[0]} to {days[1]}[dim]{which}[/]")
    try:
        _print_done(out, done_by(open_warehouse(connection), run_ids, days, begun), connection.source[:-1])
    except (WarehouseError, duckdb.Error):
        out.print("  this run   its numbers cannot be read")


def print_state(out: Console, connection: Connection, days: tuple[date, date] | None = None) -> Status:
    """Prints the state of a connection on these days (default: all), with each finding."""
    status = status_of(connection, utc_now(), days)
    if has := status.summary:
        of_all = f"{has.done:,} of {counted(has.operations, 'operation')} delivered{deciding(has.pending)}"
        out.print(f"  {'these days' if days else 'all days  '} {of_all}")
        if has.still_there.operations:
            out.print(f"  also there {_still_there(has)}")
        if has.left_out:
            out.print(f"  left out   {_left_out(has)}")
        if has.unbooked:
            out.print(f"  unbooked   {_unbooked(has)}")
        if has.unbooked_parts:
            out.print(f"  and parts  {_unbooked_parts(has)}")
        out.print(f"  income     {money(has.delivered.income)}    expense {money(has.delivered.expense)}")
    color = COLORS[status.verdict]
    elsewhere = " on these days; `sitniks-finmap status` covers all" if days else ""
    out.print(f"  state      [{color}]{status.verdict}[/]{elsewhere}")
    for finding in status.findings:
        out.print(f"    {MARKS[finding.verdict]} {escape(finding.what)}")
    return status


def _print_done(out: Console, done: Done, record: str) -> None:
    read = (
        f"{counted(done.records_read, record)} of {counted(done.days_read, 'day')}, "
        f"{done.new_versions:,} new or changed"
    )
    out.print(f"  read       {read if done.days_read else 'nothing'}")
    wrote = {"created": done.created, "changed": done.changed, "withdrawn": done.withdrawn, "found": done.found}
    said = ", ".join(f"{count:,} {what}" for what, count in wrote.items() if count)
    out.print(f"  delivered  {said or 'nothing'}")
    for what, count in (("failed", done.failed), ("refused", done.refused)):
        if count:
            out.print(f"  [yellow]{what:<10} {count:,}[/]")


def _print_lines(out: Console, lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [*(escape(cell.ljust(width)) for cell, width in zip(line[:-1], widths, strict=False)), line[-1]]
        if number and line[-1] in COLORS:
            cells[-1] = f"[{COLORS[line[-1]]}]{cells[-1]}[/]"
        out.print("  ".join(cells))


def _still_there(has: Summary) -> str:
    there = has.still_there
    return (
        f"{counted(there.operations, 'operation')} that Sitniks no longer makes: income {money(there.income)}, expense "
        f"{money(there.expense)}"
    )


def _numbers(connection: Connection, found: Summary | None) -> tuple[str, ...]:
    if found is None:
        return ("–",) * 7
    read = found.last_read.astimezone(connection.zone).strftime("%Y-%m-%d %H:%M") if found.last_read else "–"
    failed = found.failed + found.refused
    counts = (found.operations, found.done, failed, found.backlog, found.pending, found.rejected)
    return (read, *(f"{count:,}" for count in counts))


def _has_data(path: Path) -> bool:
    """Whether a warehouse has any transactions or orders; assumed if it cannot be opened."""
    tables = ("raw_sitniks_transactions", "raw_sitniks_orders")
    try:
        with duckdb.connect(path, read_only=True) as con:
            return any(con.execute(f"from {table} limit 1").fetchone() for table in tables)
    except duckdb.Error:
        return True


def _left_out(has: Summary) -> str:
    said = ", ".join(f"{count:,} {why}" for why, count in has.left_out.items())
    back = "; `sitniks-finmap approve --recreate --transaction ID` brings one back"
    return said + (back if any("rollback" in why for why in has.left_out) else "")


def _unbooked(has: Summary) -> str:
    """The orders without any operation, each with one reason: the counts add up to the first."""
    return f"{counted(sum(has.unbooked.values()), 'order')} of {money(has.unbooked_total)}: {_each(has.unbooked)}"


def _unbooked_parts(has: Summary) -> str:
    return f"{sum(has.unbooked_parts.values()):,} without an operation: {_each(has.unbooked_parts)}"


def _each(reasons: dict[str, int]) -> str:
    return "; ".join(f"{why} ({count:,})" for why, count in reasons.items())


def _orphans(names: set[str]) -> list[tuple[str, Finding]]:
    """Data of connections that are no longer configured, perhaps because somebody renamed the table by hand."""
    said = (
        "has data, but is no longer in connections.toml, and is not synced. If its table was renamed, run "
        "`sitniks-finmap rename {name} NEW`. If it is no longer needed, move {path} away"
    )
    files = sorted(data_folder().glob("*.duckdb")) if data_folder().is_dir() else []
    return [
        (path.stem, Finding("warning", said.format(path=path, name=path.stem), "not configured"))
        for path in files
        if path.stem not in names and not any(mark in path.stem for mark in SET_ASIDE) and _has_data(path)
    ]
