"""One screen about one order, with orders as the source: its stages, its parts, and what Finmap has of each."""

from decimal import Decimal

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.language import Language, terminal_language
from sitniks_finmap.people.explain_finmap import content, print_delivery, read_delivery
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

GONE = "gone since {moment}"


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
    words = terminal_language()
    order = words.text("order {number}, ID {id}", number=escape(number or "–"), id=escape(order_id))
    out.print(f"[bold]{run.connection.name}: {order}[/]")
    out.print(f"\n[bold]{words.text('Read from Sitniks')}[/]")
    for version, first, last, run_id, gone, status, stage, since, known_by, *amounts, payload in versions:
        if first:
            seen = read_version(version, first, last, run_id, words)
            ended = words.text(GONE, moment=gone) if gone else ""
            out.print(f"  {seen}" + (f", [yellow]{ended}[/]" if gone else ""))
        else:
            out.print(f"  {words.text('before the file was lost, as Finmap has it')}")
        if known_by:
            meaning = words.text("in no list" if stage == "none" else stage)
            named = words.text("status {status}", status=escape(status or "–")) + ": " if first else ""
            known = words.text(KNOWN_BY[known_by])
            dated = words.text("{stage} since {moment} ({why})", stage=meaning, moment=since or "–", why=known)
            out.print(f"    {named}{dated}{_amounts(*amounts, words=words)}")
        if payload:
            out.print(f"    [dim]{escape(str(payload))}[/]")
    for missing, tried, reason, again in tries:
        what = words.text(NOT_THERE) if missing else escape(words.say(reason))
        out.print(f"  [yellow]{words.text(ASKED, moment=tried, why=what, again=again)}[/]")
    out.print(f"\n[bold]{words.text('Finmap should have')}[/]")
    for transaction_id, type, amount, when, account, comment, why in parts:
        if why:
            nothing = words.text("nothing, {why}", why=escape(words.say(why)))
            out.print(f"  {escape(transaction_id)}: [yellow]{nothing}[/]")
        else:
            out.print(f"  {escape(transaction_id)}: {content(type, amount, when, words, account)}")
            out.print(f"    {escape(comment)}")
    if not parts:
        out.print(f"  {words.text('nothing')}")
    print_delivery(out, run, delivery)
    return True


NOT_THERE = "it was not there; the next answer shows whether it is gone"
ASKED = "last requested by ID at {moment}: {why}; asked again by the first sync after {again}"


def _amounts(
    total: Decimal | None, fault: str | None, prepayment: Decimal | None, cost: Decimal | None, *, words: Language
) -> str:
    told = {"total": total, "prepayment": prepayment, "cost": cost}
    said = [f"{words.text(name)} {words.amount(amount)}" for name, amount in told.items() if amount is not None]
    faults = [f"[yellow]{words.say(fault)}[/]"] if fault else []
    return "".join(f", {one}" for one in [*faults, *said])


def _print_candidates(
    out: Console, run: ConnectionRun, wanted: str, candidates: list[tuple[str, str | None, str | None, str | None]]
) -> None:
    name, words = run.connection.name, terminal_language()
    if not candidates:
        out.print(f"{name}: {words.text('no order {id} has been read', id=escape(wanted))}")
        return
    out.print(f"{name}: {words.counted(*SEVERAL, len(candidates), id=escape(wanted))}")
    for order_id, number, created, status in candidates:
        known = words.text(
            "number {number}, created {day}, status {status}",
            number=escape(number or "–"), day=created or "–", status=escape(status or "–"),
        )  # fmt: skip
        command = f"sitniks-finmap explain {escape(f'order-{order_id}')} --connection {name}"
        out.print(f"  {command}   [dim]{known}[/]")


SEVERAL = (
    "{id} may mean any of {count} order; choose one by its ID:",
    "{id} may mean any of {count} orders; choose one by its ID:",
)


def read_version(version: int, first: str, last: str, run_id: str | None, words: Language) -> str:
    return words.text(
        "version {version}, read {first} to {last}, run {run}",
        version=version, first=first, last=last, run=(run_id or "–")[:8],
    )  # fmt: skip
