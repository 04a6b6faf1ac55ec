"""One screen about one transaction: what happened to it, and why the two sides differ if they do."""

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.figures import counted, money
from sitniks_finmap.pipeline.ledger import OUT
from sitniks_finmap.pipeline.plan import Standing
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql

SCREEN = ("versions", "order", "operation", "rejected", "ledger", "writes", "differences")  # files in sql/explain


def explain(out: Console, run: ConnectionRun, transaction_id: str) -> bool:
    """Prints every version, the operation and its rule, every write attempt, and what Finmap has now.

    Returns False if the transaction is unknown.
    """
    with run.warehouse.transaction() as con:
        # The externalId of its operation, which preview shows, also works.
        known = con.execute(sql("explain/transaction"), {"external_id": transaction_id}).fetchone()
        transaction_id = known[0] if known else transaction_id
        # The plan first, while times are in UTC: decisions are matched by what they covered, in UTC.
        about = {"transaction_id": transaction_id}
        planned = con.execute(sql("explain/plan"), about | {"zone": run.connection.timezone}).fetchall()
        con.execute(f"set timezone = '{run.connection.timezone}'")
        found = {name: con.execute(sql(f"explain/{name}"), about).fetchall() for name in SCREEN}
    if not found["versions"]:
        out.print(f"{run.connection.name}: no transaction {escape(transaction_id)} has been read")
        return False
    out.print(f"[bold]{run.connection.name}: transaction {escape(transaction_id)}[/]")
    out.print("\n[bold]Read from Sitniks[/]")
    for version, first, last, run_id, missing, gone, payload in found["versions"]:
        seen = f"version {version}, read {first} to {last}, run {(run_id or '–')[:8]}"
        if gone:
            seen += f", [yellow]gone since {gone}[/]"
        elif missing:
            seen += f", [yellow]missing from the read of {missing}; the next read shows whether it is gone[/]"
        out.print(f"  {seen}\n    [dim]{escape(str(payload))}[/]")
    for number, status, channel, first, last, gone in found["order"]:
        said = ", ".join(one for one in (f"status {status}" if status else "", channel) if one)
        out.print(
            f"  order {escape(number)}: {escape(said)}, read {first} to {last}"
            + (f", [yellow]gone since {gone}[/]" if gone else "")
        )
    out.print("\n[bold]Finmap should have[/]")
    for type, amount, when, account, classification, rule, comment in found["operation"]:
        out.print(f"  {type} {money(amount)} at {when} on {escape(account)}\n    {escape(comment)}")
        out.print(f"    {classification}, by {rule}")
    for (reason,) in found["rejected"]:
        out.print(f"  [yellow]nothing: {escape(reason)}[/]")
    if not found["operation"] and not found["rejected"]:
        out.print("  nothing")
    out.print("\n[bold]Sent to Finmap[/]")
    for external_id, state, type, amount, attempts, missing, error, due in found["ledger"]:
        out.print(
            f"  {escape(external_id)}: {state}, {type} {money(amount)}, {counted(attempts, 'attempt')} with lookups"
            + (f", not shown since {missing}" if missing and state not in OUT else "")
            + (f", {escape(error)}" if error else "")
            + (f", due again {due}" if due else "")
        )
    for when, method, path, status, outcome, took, error in found["writes"]:
        said = f"{when} {method} {escape(path)} → {status or '–'} {outcome}, {took} ms"
        out.print(f"    {said}{f', {escape(error)}' if error else ''}")
    if not found["ledger"]:
        out.print("  nothing")
    out.print("\n[bold]Finmap has now[/]")
    _print_finmap(out, run, [row[0] for row in found["ledger"]])
    out.print("\n[bold]differences[/]")
    for kind, explained, detail in found["differences"]:
        out.print(f"  {kind}{'' if explained else ' [red](unexplained)[/]'}: {escape(detail or '')}")
    for action, standing, why, due in planned:
        when = f", not before {due}" if due and standing == Standing.GO else ""
        out.print(f"  planned: {action}, {standing}{when}{f' ({escape(why)})' if why else ''}")
    if not found["differences"] and not planned:
        out.print("  none")
    return True


def _print_finmap(out: Console, run: ConnectionRun, external_ids: list[str]) -> None:
    for external_id in external_ids:
        try:
            operation = run.finmap.details(external_id)
        except ApiError as error:
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
