"""What an operation says, on either side: one value, and what two of them have in common."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True)
class Content:
    """What an operation says. Money in the account's currency, the moment in UTC.

    `tag` is a label where we want it or wrote it, and Finmap's IDs, joined by commas, where Finmap shows it. A null
    category, tag, project or counterparty is one that we have no opinion about, or that Finmap does not have.
    """

    type: str
    amount: Decimal
    occurred_at: datetime
    account: str
    category: str | None
    tag: str | None
    comment: str
    project: str | None = None
    counterparty: str | None = None


FIELDS = tuple(field.name for field in fields(Content))
PEOPLES_FIELDS = ("category", "tag", "project", "counterparty")  # a person's choice here is never overwritten
TagId = Callable[[str | None], str | None]  # a label's ID in Finmap, or the label itself where it is not known


def content_of(row: dict[str, Any] | None) -> Content | None:
    """A content from a DuckDB struct."""
    return Content(**row) if row else None


def as_shown(content: Content, field: str, tag_id: TagId) -> Any:
    """A field of ours as Finmap would show it."""
    value = getattr(content, field)
    return tag_id(value) if field == "tag" else value


@dataclass(frozen=True)
class Merge:
    """What a three-way comparison came to, as names of fields."""

    changes: list[str]  # ours to write
    conflicts: list[str]  # changed on both sides: a person decides
    kept: list[str]  # a person's


def merge(written: Content | None, shown: Content, theirs: Content, wanted: Content, tag_id: TagId) -> Merge:
    """Compares what Finmap has now with what we want, knowing how it was after our last write.

    `written` is what we sent last and `shown` how Finmap showed it then: it may spell things its own way. So a change
    of ours is a difference between `wanted` and `written`, and an edit by a person one between `theirs` and `shown`.
    Without `written` (the ledger was lost) nobody knows who changed what differs.
    """
    changes, conflicts, kept = [], [], []
    for field in FIELDS:
        agreed = as_shown(wanted, field, tag_id) == getattr(theirs, field)
        edited = getattr(theirs, field) != getattr(shown, field)
        if written is None:
            ours = not (field in PEOPLES_FIELDS and getattr(wanted, field) is None)
            edited = ours
        else:
            ours = getattr(wanted, field) != getattr(written, field)
        if agreed or not (ours or edited):
            continue
        if edited and (not ours or (field in PEOPLES_FIELDS and written is not None)):
            kept.append(field)
        elif edited:
            conflicts.append(field)
        else:
            changes.append(field)
    if "type" in kept and changes:
        conflicts.append("type")  # what a person made of it cannot be patched as what it was
    return Merge(changes, conflicts, kept)


def settled(written: Content, wanted: Content, but_for: list[str]) -> Content:
    """What counts as written once `wanted` was: the other fields stay as they were."""
    return replace(wanted, **{field: getattr(written, field) for field in but_for})


def spelled_alike(field: str, sent: Any, shown: Any) -> bool:
    """Whether `shown` is how a careless server may store `sent`: rounded, cut, trimmed, escaped, in lower case.

    It decides only who changed what Finmap shows first after a write whose outcome was never known.
    """
    if sent == shown:
        return True
    if sent is None or shown is None:
        return False
    match field:
        case "amount":
            ways = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING)
            return any(abs(shown) == sent.quantize(Decimal(1), way) for way in ways) or abs(shown) == sent
        case "occurred_at":
            cuts = ({"microsecond": 0}, {"second": 0, "microsecond": 0})
            return shown.date() == sent.date() and (
                any(shown == sent.replace(**cut) for cut in cuts) or shown.time() == shown.time().min
            )
        case "comment":
            has, said = _plain(shown), _plain(sent)
            return has == said or (len(has) >= 20 and said.startswith(has.rstrip("….")))
    return False


def _plain(text: str) -> str:
    text = re.sub(r"[^\u0000-\uffff]", "", html.unescape(text))
    return " ".join(text.split()).casefold()
