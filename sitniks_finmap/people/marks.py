"""How a verdict looks: its mark, its colour, its word."""

from sitniks_finmap.language import Language
from sitniks_finmap.people.findings import Verdict

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}
COLORS = {"ok": "green", "warning": "yellow", "error": "red"}
STATES: dict[Verdict, str] = {"ok": "ok", "warning": "warning", "error": "error"}


def said_verdict(verdict: Verdict, words: Language) -> str:
    return words.text(STATES[verdict])
