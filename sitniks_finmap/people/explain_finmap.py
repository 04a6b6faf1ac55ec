"""The part of `explain` about Finmap: what was sent there, what it has now, what differs and what is planned."""

from dataclasses import dataclass
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.figures import counted, money
from sitniks_finmap.pipeline.ledger import OUT
from sitniks_finmap.pipeline.plan import Standing
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.warehouse.schema import sql

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class DeliveryOf:
    """What the warehouse knows about the delivery of some transactions; the rows of the files in sql/explain."""

    ledger: Rows
    writes: Rows
    differences: Rows
    planned: Rows
    several: bool  # whether a line has to name its transaction


def read_delivery(con: duckdb.DuckDBPyConnection, run: ConnectionRun, transaction_ids: list[str]) -> DeliveryOf:
    """Reads it, and sets the time zone of `con` to the connection's."""
    about: dict[str, Any] = {"transaction_ids": transaction_ids}
    # The plan first, while times are in UTC: decisions are matched by what they covered, in UTC.
    planned = con.execute(sql("explain/plan"), about | {"zone": run.connection.timezone}).fetchall()
    con.execute(f"set timezone = '{run.connection.timezone}'")
    ledger, writes, differences = (
        con.execute(sql(f"explain/{name}"), about).fetchall() for name in ("ledger", "writes", "differences")
    )
    return DeliveryOf(ledger, writes, differences, planned, len(transaction_ids) > 1)


def print_delivery(out: Console, run: ConnectionRun, has: DeliveryOf) -> None:
    out.print("\n[bold]Sent to Finmap[/]")
    for external_id, state, type, amount, attempts, missing, error, due in has.ledger:
        out.print(
            f"  {escape(external_id)}: {state}, {type} {money(amount)}, {counted(attempts, 'attempt')} with lookups"
            + (f", not shown since {missing}" if missing and state not in OUT else "")
            + (f", {escape(error)}" if error else "")
            + (f", due again {due}" if due else "")
        )
    for external_id, when, method, path, status, outcome, took, error in has.writes:
        whose = f"{escape(external_id)} " if has.several and method == "POST" else ""  # otherwise its path has it
        said = f"{whose}{when} {method} {escape(path)} → {status or '–'} {outcome}, {took} ms"
        out.print(f"    {said}{f', {escape(error)}' if error else ''}")
    if not has.ledger:
        out.print("  nothing")
    out.print("\n[bold]Finmap has now[/]")
    _print_finmap(out, run, [row[0] for row in has.ledger])
    out.print("\n[bold]differences[/]")
    for transaction_id, kind, explained, detail in has.differences:
        whose = f"{escape(transaction_id)}: " if has.several else ""
        out.print(f"  {whose}{kind}{'' if explained else ' [red](unexplained)[/]'}: {escape(detail or '')}")
    for transaction_id, action, standing, why, due in has.planned:
        whose = f" for {escape(transaction_id)}" if has.several else ""
        when = f", not before {due}" if due and standing == Standing.GO else ""
        out.print(f"  planned{whose}: {action}, {standing}{when}{f' ({escape(why)})' if why else ''}")
    if not has.differences and not has.planned:
        out.print("  none")


def _print_finmap(out: Console, run: ConnectionRun, external_ids: list[str]) -> None:
    for external_id in external_ids:
        try:
            operation = run.finmap.details(external_id)
        except (ApiError, ConfigurationError) as error:  # also a key that is missing: the rest is told all the same
            out.print(f"  [red]{escape(str(error))}[/]")
            return
        if operation is None:
            out.print(f"  {escape(external_id)}: nothing")
            continue
        has = operation.content
        when = has.occurred_at.astimezone(run.connection.zone).strftime("%Y-%m-%d %H:%M:%S")
        out.print(f"  {escape(external_id)}: {has.type} {money(has.amount)} at {when}\n    {escape(has.comment)}")
    if not external_ids:
        out.print("  nothing")
