"""The part of `explain` about Finmap: what was sent there, what it has now, what differs and what is planned."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.language import Language, terminal_language
from sitniks_finmap.pipeline.ledger import OUT
from sitniks_finmap.pipeline.plan import Action, Standing
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
    words = terminal_language()
    out.print(f"\n[bold]{words.text('Sent to Finmap')}[/]")
    for external_id, state, type, amount, attempts, missing, error, due in has.ledger:
        tried = words.counted("{count} attempt, lookups included", "{count} attempts, lookups included", attempts)
        said = [f"{words.text(state)}, {words.text(type)} {words.amount(amount)}", tried]
        if missing and state not in OUT:
            said.append(words.text("not shown since {moment}", moment=missing))
        if error:
            said.append(escape(words.say(error)))
        if due:
            said.append(words.text("due again {moment}", moment=due))
        out.print(f"  {escape(external_id)}: {', '.join(said)}")
    for external_id, when, method, path, status, outcome, took, error in has.writes:
        whose = f"{escape(external_id)} " if has.several and method == "POST" else ""  # otherwise its path has it
        said = f"{whose}{when} {method} {escape(path)} → {status or '–'} {words.text(outcome)}, "
        said += words.text("{took} ms", took=took)
        out.print(f"    {said}{f', {escape(words.say(error))}' if error else ''}")
    if not has.ledger:
        out.print(f"  {words.text('nothing')}")
    out.print(f"\n[bold]{words.text('Finmap has now')}[/]")
    _print_finmap(out, run, [row[0] for row in has.ledger], words)
    out.print(f"\n[bold]{words.text('differences')}[/]")
    for transaction_id, kind, explained, detail in has.differences:
        whose = f"{escape(transaction_id)}: " if has.several else ""
        said = words.text(kind) + ("" if explained else f" [red]{words.text('(unexplained)')}[/]")
        out.print(f"  {whose}{said}: {escape(_detail(detail or '', words))}")
    for transaction_id, action, standing, why, due in has.planned:
        whose = words.text(" for {id}", id=escape(transaction_id)) if has.several else ""
        later = due and standing in (Standing.GO, Standing.WAITING)
        when = words.text(", not before {moment}", moment=due) if later else ""
        said = f"{words.text(action)}, {words.text(standing)}"
        planned = words.text("planned{whose}: {what}", whose=whose, what=said)
        out.print(f"  {planned}{when}{f' ({escape(words.say(why))})' if why else ''}")
    if not has.differences and not has.planned:
        out.print(f"  {words.text('none')}")


def content(type: str, amount: Decimal, when: str, words: Language, account: str = "") -> str:
    """What an operation is: its type, its amount, its time and, if named, its account."""
    said = {"what": words.text(type), "money": words.amount(amount), "moment": when}
    if account:
        return words.text("{what} {money} at {moment} on {account}", account=escape(account), **said)
    return words.text("{what} {money} at {moment}", **said)


def _detail(detail: str, words: Language) -> str:
    """The detail of a difference may begin with what is planned."""
    action, colon, why = detail.partition(": ")
    return words.text(action) + colon + words.say(why) if action in [*Action] else words.say(detail)


def _print_finmap(out: Console, run: ConnectionRun, external_ids: list[str], words: Language) -> None:
    for external_id in external_ids:
        try:
            operation = run.finmap.details(external_id)
        except (ApiError, ConfigurationError) as error:  # also a key that is missing: the rest is told all the same
            out.print(f"  [red]{escape(words.say(str(error)))}[/]")
            return
        if operation is None:
            out.print(f"  {escape(external_id)}: {words.text('nothing')}")
            continue
        has = operation.content
        when = has.occurred_at.astimezone(run.connection.zone).strftime("%Y-%m-%d %H:%M:%S")
        out.print(f"  {escape(external_id)}: {content(has.type, has.amount, when, words)}\n    {escape(has.comment)}")
    if not external_ids:
        out.print(f"  {words.text('nothing')}")
