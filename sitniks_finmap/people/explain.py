"""One screen about one transaction or order: what happened to it, and why the two sides differ if they do."""

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.explain_finmap import content, print_delivery, read_delivery
from sitniks_finmap.people.explain_order import GONE, explain_order, read_version
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
    words = terminal_language()
    name, id = run.connection.name, escape(transaction_id)
    if not found["versions"]:
        out.print(f"{name}: {words.text('no transaction {id} has been read', id=id)}")
        return False
    out.print(f"[bold]{name}: {words.text('transaction {id}', id=id)}[/]")
    out.print(f"\n[bold]{words.text('Read from Sitniks')}[/]")
    for version, first, last, run_id, missing, gone, payload in found["versions"]:
        seen = read_version(version, first, last, run_id, words)
        if gone:
            seen += f", [yellow]{words.text(GONE, moment=gone)}[/]"
        elif missing:
            seen += f", [yellow]{words.text(MISSING, moment=missing)}[/]"
        out.print(f"  {seen}\n    [dim]{escape(str(payload))}[/]")
    for number, status, channel, first, last, gone in found["order"]:
        named = words.text("status {status}", status=escape(status)) if status else ""
        said = ", ".join(one for one in (named, escape(channel or "")) if one)
        order = words.text("order {number}: {what}", number=escape(number), what=said)
        seen = words.text("read {first} to {last}", first=first, last=last)
        out.print(f"  {order}, {seen}" + (f", [yellow]{words.text(GONE, moment=gone)}[/]" if gone else ""))
    out.print(f"\n[bold]{words.text('Finmap should have')}[/]")
    for type, amount, when, account, classification, rule, comment in found["operation"]:
        out.print(f"  {content(type, amount, when, words, account)}\n    {escape(comment)}")
        out.print("    " + words.text("{classification}, by {why}", classification=classification, why=words.say(rule)))
    for reason, written in found["rejected"]:
        why = words.say(reason) + (f": {written}" if written else "")
        out.print(f"  [yellow]{words.text('nothing, rejected: {why}', why=escape(why))}[/]")
    if not found["operation"] and not found["rejected"]:
        out.print(f"  {words.text('nothing')}")
    print_delivery(out, run, delivery)
    return True


MISSING = "missing from the read of {moment}; the next read shows whether it is gone"
