"""One screen about one transaction or order: what happened to it, and why the two sides differ if they do."""

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.figures import money
from sitniks_finmap.people.explain_finmap import print_delivery, read_delivery
from sitniks_finmap.people.explain_order import explain_order
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql

SCREEN = ("versions", "order", "operation", "rejected")  # files in sql/explain


def explain(out: Console, run: ConnectionRun, wanted: str) -> bool:
    """Prints every version, the operations, every write attempt, and what Finmap has now.

    `wanted` is a transaction, or an order if orders are the source. Returns False if it is unknown.
    """
    return (explain_order if run.connection.source == "orders" else explain_transaction)(out, run, wanted)


def explain_transaction(out: Console, run: ConnectionRun, transaction_id: str) -> bool:
    """`transaction_id` may also be the externalId of its operation, which preview shows."""
    with run.warehouse.transaction() as con:
        known = con.execute(sql("explain/transaction"), {"external_id": transaction_id}).fetchone()
        transaction_id = known[0] if known else transaction_id
        delivery = read_delivery(con, run, [transaction_id])
        found = {
            name: con.execute(sql(f"explain/{name}"), {"transaction_id": transaction_id}).fetchall() for name in SCREEN
        }
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
        out.print(f"  [yellow]nothing, rejected: {escape(reason)}[/]")
    if not found["operation"] and not found["rejected"]:
        out.print("  nothing")
    print_delivery(out, run, delivery)
    return True
