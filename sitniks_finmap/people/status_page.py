"""Prints the state of connections: `status`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from sitniks_finmap.language import Language, terminal_language
from sitniks_finmap.people.findings import Finding, Verdict
from sitniks_finmap.people.marks import COLORS, MARKS, said_verdict
from sitniks_finmap.people.status import WORST_FIRST, Fleet, InvalidStatus, Status
from sitniks_finmap.people.totals import left_out, still_there, unbooked, unbooked_parts

HEAD = ("connection", "last success", "next", "delivered", "today", "failing", "left", "pending", "rejected", "state")
MANY = 20  # of more shops than this, those that are ok are only counted
NAMED = 5  # shops named before a finding that concerns many
SHOPS = ("{count} shop: {what}", "{count} shops: {what}")
MORE_OK = ("{count} more shop is ok; --all shows it", "{count} more shops are ok; --all shows them")


def print_fleet(out: Console, fleet: Fleet, now: datetime, *, everything: bool = False) -> None:
    """Prints a line for each connection, the worst first, then each finding.

    Of a large fleet, shops that are ok are only counted, unless `everything` is asked for.
    """
    words = terminal_language()
    shown = [shop for shop in fleet.shops if everything or len(fleet.shops) <= MANY or shop.verdict != "ok"]
    _print_lines(out, [tuple(map(words.text, HEAD)), *(_line(shop, now, words) for shop in shown)], shown)
    if hidden := len(fleet.shops) - len(shown):
        out.print(f"[dim]{words.counted(*MORE_OK, hidden)}[/]")
    if len(fleet.shops) > 1:
        out.print(words.counted(*SHOPS, len(fleet.shops), what=_verdicts(fleet, words)))
    for whose, finding in _together(fleet.told, words):
        out.print(f"{MARKS[finding.verdict]} {escape(whose)}: {escape(words.say(finding.what))}")
    for name, note in _notes(shown, words):
        out.print(f"  {escape(name)}: {escape(note)}")


def _line(shop: Status | InvalidStatus, now: datetime, words: Language) -> tuple[str, ...]:
    state = said_verdict(shop.verdict, words)
    if isinstance(shop, InvalidStatus):
        return (shop.name, *["–"] * (len(HEAD) - 2), state)
    succeeded = shop.local(shop.succeeded_at)
    when = f"{succeeded:%Y-%m-%d %H:%M}" if succeeded else words.text("never")
    due = _due(shop, now, words)
    if (has := shop.summary) is None:
        return (shop.name, when, due, *["–"] * (len(HEAD) - 4), state)
    delivered = words.text(
        "{count} of {count_all}", count=words.number(has.done), count_all=words.number(has.operations)
    )
    counts = (shop.delivered_today, has.failed + has.refused, has.backlog, has.pending, has.rejected)
    return (shop.name, when, due, delivered, *map(words.number, counts), state)


def _due(shop: Status, now: datetime, words: Language) -> str:
    due = shop.local(shop.next_due)
    if due is None:
        return "–"
    if due <= now:
        return words.text("now")
    today = due.date() == now.astimezone(shop.connection.zone).date()
    return f"{due:%H:%M}" if today else f"{due:%Y-%m-%d}"


def _print_lines(out: Console, lines: list[tuple[str, ...]], shops: list[Status | InvalidStatus]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [*(escape(cell.ljust(width)) for cell, width in zip(line[:-1], widths, strict=False)), escape(line[-1])]
        if number:
            cells[-1] = f"[{COLORS[shops[number - 1].verdict]}]{cells[-1]}[/]"
        out.print("  ".join(cells))


def _verdicts(fleet: Fleet, words: Language) -> str:
    """How many shops are in which state."""
    counts: dict[Verdict, int] = {
        verdict: sum(shop.verdict == verdict for shop in fleet.shops) for verdict in WORST_FIRST
    }
    return ", ".join(f"{words.number(n)} {said_verdict(verdict, words)}" for verdict, n in counts.items() if n)


def _together(told: list[tuple[str, Finding]], words: Language) -> Iterator[tuple[str, Finding]]:
    """Each finding once, with all whom it concerns; where it names one of several, it says "…"."""
    alike: dict[tuple[Verdict, str], list[tuple[str, Finding]]] = {}
    for name, finding in told:
        alike.setdefault((finding.verdict, _without(name, finding.what)), []).append((name, finding))
    for (_, what), those in alike.items():
        names = [name for name, _ in those]
        finding = those[0][1]
        if len(names) == 1:
            yield names[0], finding
        elif len(names) <= NAMED:
            yield ", ".join(names), replace(finding, what=what)
        else:
            first, more = ", ".join(names[: NAMED - 1]), len(names) - NAMED + 1
            yield words.text("{names} and {count} more", names=first, count=more), replace(finding, what=what)


def _without(name: str, what: str) -> str:
    """A finding without the name of its connection, also in the names of its variables."""
    return re.sub(rf"\b({re.escape(name)}|{re.escape(name.upper())}(?=_))", "…", what)


def _notes(shops: list[Status | InvalidStatus], words: Language) -> Iterator[tuple[str, str]]:
    """What is no problem, and yet explains the numbers."""
    for shop in shops:
        has = shop.summary if isinstance(shop, Status) else None
        if has and has.still_there.operations:
            yield shop.name, words.text("also in Finmap: {what}", what=still_there(has, words))
        if has and has.left_out:
            yield shop.name, words.text("left out of Finmap: {what}", what=left_out(has, words))
        if has and has.unbooked:
            yield shop.name, words.text("orders without an operation: {what}", what=unbooked(has, words))
        if has and has.unbooked_parts:
            yield shop.name, words.text("parts of other orders: {what}", what=unbooked_parts(has, words))
