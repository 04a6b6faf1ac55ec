"""Three ways to compare an operation: as we wrote it, as Finmap has it now, as Sitniks wants it."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sitniks_finmap.finmap import Content

CONTENT = [field.name for field in fields(Content)]
PERSONS_FIELDS = ("category", "tag")  # a person owns them once they differ from what we wrote


@dataclass(frozen=True)
class Was:
    """The content that the ledger has, with the label of its tag."""

    type: str
    amount: Decimal
    occurred_at: datetime
    account: str
    category: str | None
    tag: str | None
    comment: str
    content_hash: str


def three_way(
    base: Content | None, theirs: Content, wanted: Content, kept: list[str]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """What to patch, which fields both a person and Sitniks changed, and which are a person's and stay.

    `base` is what Finmap had after our last write, `theirs` what it has now. Without a base (the last write was only
    accepted, and not seen since) only the fields `kept` then are known to be a person's. A field that a person changed
    is not patched, unless Sitniks changed it as well and a person approves; a category or tag that a person changed
    is theirs.
    """
    changes = theirs.differences(wanted)
    if base is None:
        persons, conflicts = set(kept) & changes.keys(), []
    else:
        persons = {name for name in changes if getattr(theirs, name) != getattr(base, name)}
        conflicts = [n for n in persons if n not in PERSONS_FIELDS and getattr(base, n) != getattr(wanted, n)]
    stay = sorted(persons - set(conflicts))
    return {name: value for name, value in changes.items() if name not in stay}, sorted(conflicts), stay
