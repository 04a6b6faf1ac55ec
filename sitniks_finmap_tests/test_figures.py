"""Counts as they are printed: one grouping, and no "1 operations"."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from sitniks_finmap.figures import counted

PACKAGE = Path(__file__).parents[1] / "sitniks_finmap"


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "operation", "0 operations"), (1, "operation", "1 operation"), (2271, "operation", "2,271 operations"),
        (1, "category", "1 category"), (2, "category", "2 categories"), (2, "day", "2 days"),
        (1, "pending change", "1 pending change"), (-5, "row", "-5 rows"),
    ],
)  # fmt: skip
def test_a_count_agrees_with_its_noun(count: int, noun: str, said: str) -> None:
    assert counted(count, noun) == said


WORDS = "accounts|attempts|categories|changes|days|ids|operations|orders|records|rows|runs|transactions"
NOUNS = re.compile(rf" (\w+ )?({WORDS})\b")
NEVER_ONE = {  # or said otherwise when it is
    "doctor.py: RECENT.days days",
    "doctor_orders.py: RECENT.days days",
    "doctor_transactions.py: RECENT.days days",
    "installation.py: len(ours) transactions",
    "decision_commands.py: count changes",
    "directory.py: type categories",
    "finmap.py: path with rows",
}


def test_every_count_that_is_printed_with_a_noun_is_counted() -> None:
    """A number in an f-string before a noun in the plural would be "1 operations" one day."""
    found = set[str]()
    for path in (one for one in PACKAGE.rglob("*.py") if "sandbox" not in one.parts):
        source = path.read_text("utf-8")
        found |= {f"{path.name}: %d {noun[1]}" for noun in re.finditer(rf"%d ({WORDS})\b", source)}
        for text in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)):
            for number, after in pairwise(text.values):
                if isinstance(number, ast.FormattedValue) and isinstance(after, ast.Constant):
                    noun = NOUNS.match(str(after.value))
                    found |= {f"{path.name}: {ast.unparse(number.value)}{noun[0]}"} if noun else set()
    assert found <= NEVER_ONE
