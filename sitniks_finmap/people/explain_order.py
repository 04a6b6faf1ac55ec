"""One screen about one order, with orders as the source: its stages, its parts, and what Finmap has of each."""

from decimal import Decimal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.figures import counted, money
from sitniks_finmap.people.explain_finmap import print_delivery, read_delivery
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.schema import sql

PARTS = ("prepayment", "sale", "cogs", "partial", "refund", "restock")  # in the order in which they may happen
SCREEN = ("order_versions", "order_try")  # files in sql/explain
KNOWN_BY = {
    "created": "estimated: when it was created",
    "updated": "estimated: its last change",
    "seen": "seen by us",
    "finmap": "the date in Finmap",
}


def explain_order(out: Console, run: ConnectionRun, wanted: str) -> bool:
    """Prints every version with its stage, every part of the order, and what Finmap has of it.

    `wanted` is an order's number or ID, order-ID, the ID of a part such as order-50123.sale, or an externalId. Lists
    the orders if there are several. Returns False unless there is exactly one.
    """
    with run.warehouse.transaction() as con:
        candidates = con.execute(
            sql("orders_named"), {"wanted": wanted.strip(), "zone": run.connection.timezone}
        ).fetchall()
        if len(candidates) != 1:
            _print_candidates(out, run, wanted, candidates)
            return False
        [(order_id, number, *_)] = candidates
        key = f"order-{order_id}"
        transaction_ids = [key, *(f"{key}.{part}" for part in PARTS)]
        delivery = read_delivery(con, run, transaction_ids)
        versions, tries = (con.execute(sql(f"explain/{name}"), {"order_id": order_id}).fetchall() for name in SCREEN)
        parts = con.execute(sql("explain/order_parts"), {"transaction_ids": transaction_ids}).fetchall()
    out.print(f"[bold]{run.connection.name}: order {escape(number or '–')}, ID {escape(order_id)}[/]")
    out.print("\n[bold]Read from Sitniks[/]")
    for version, first, last, run_id, gone, status, stage, since, known_by, *amounts, payload in versions:
        if first:
            out.print(
                f"  version {version}, read {first} to {last}, run {(run_id or '–')[:8]}"
                + (f", [yellow]gone since {gone}[/]" if gone else "")
            )
        else:
            out.print("  before the file was lost, as Finmap has it")
        if known_by:
            meaning = "in no list" if stage == "none" else stage
            named = f"status {escape(status or '–')}: " if first else ""
            out.print(f"    {named}{meaning} since {since or '–'} ({KNOWN_BY[known_by]}){_amounts(*amounts)}")
        if payload:
            out.print(f"    [dim]{escape(str(payload))}[/]")
    for missing, tried, reason, again in tries:
        what = "it was not there; the next answer shows whether it is gone" if missing else escape(reason)
        out.print(f"  [yellow]last requested by ID at {tried}: {what}; asked again by the first sync after {again}[/]")
    out.print("\n[bold]Finmap should have[/]")
    for transaction_id, type, amount, when, account, comment, why in parts:
        if why:
            out.print(f"  {escape(transaction_id)}: [yellow]nothing, {escape(why)}[/]")
        else:
            out.print(f"  {escape(transaction_id)}: {type} {money(amount)} at {when} on {escape(account)}")
            out.print(f"    {escape(comment)}")
    if not parts:
        out.print("  nothing")
    print_delivery(out, run, delivery)
    return True


def _amounts(total: Decimal | None, fault: str | None, prepayment: Decimal | None, cost: Decimal | None) -> str:
    told = {"total": total, "prepayment": prepayment, "cost": cost}
    said = [f"{name} {money(amount)}" for name, amount in told.items() if amount is not None]
    return "".join(f", {one}" for one in [*([f"[yellow]{fault}[/]"] if fault else []), *said])


def _print_candidates(
    out: Console, run: ConnectionRun, wanted: str, candidates: list[tuple[str, str | None, str | None, str | None]]
) -> None:
    name = run.connection.name
    if not candidates:
        out.print(f"{name}: no order {escape(wanted)} has been read")
        return
    found = counted(len(candidates), "order")
    out.print(f"{name}: {escape(wanted)} may mean any of {found}; choose one by its ID:")
    for order_id, number, created, status in candidates:
        out.print(
            f"  sitniks-finmap explain {escape(f'order-{order_id}')} --connection {name}   [dim]number "
            f"{escape(number or '–')}, created {created or '–'}, status {escape(status or '–')}[/]"
        )
