"""The content of an operation on either side as one value, and the three-way merge of such values."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True)
class Content:
    """The content of an operation: the amount in the account's currency, the time in UTC.

    `tag` is a label in what we want or wrote, and Finmap's IDs joined by commas in what Finmap shows. A null category,
    tag, project or counterparty means that we set none, or that Finmap has none.
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
TagId = Callable[[str | None], str | None]  # label → its ID in Finmap, or the label itself if unknown


def content_of(row: dict[str, Any] | None) -> Content | None:
    """Convert a DuckDB struct."""
    return Content(**row) if row else None


def as_shown(content: Content, field: str, tag_id: TagId) -> Any:
    """The value of a field as Finmap would show it."""
    value = getattr(content, field)
    return tag_id(value) if field == "tag" else value


@dataclass(frozen=True)
class Merge:
    """The result of a three-way comparison, as field names."""

    changes: list[str]  # to be written by us
    conflicts: list[str]  # changed on both sides: a person decides
    kept: list[str]  # edited by a person, left alone


def merge(written: Content | None, shown: Content, theirs: Content, wanted: Content, tag_id: TagId) -> Merge:
    """Compare what Finmap has now with what we want, based on the state after our last write.

    `written` is what we last sent and `shown` is how Finmap showed it then, possibly normalized. So our changes are
    the differences between `wanted` and `written`, and a person's edits those between `theirs` and `shown`. Without
    `written` (the ledger was lost, or Finmap had the operation before), the author of a difference is unknown: a
    person decides about it, and labels stay (`but_for_labels` of sql/macros.sql says the same).
    """
    changes, conflicts, kept = [], [], []
    for field in FIELDS:
        agreed = as_shown(wanted, field, tag_id) == getattr(theirs, field)
        edited = written is None or getattr(theirs, field) != getattr(shown, field)
        ours = written is None or getattr(wanted, field) != getattr(written, field)
        if agreed or not (ours or edited):
            continue
        asks = written is None and field == "category" and wanted.category is not None
        if edited and (not ours or (field in PEOPLES_FIELDS and not asks)):
            kept.append(field)
        elif edited:
            conflicts.append(field)
        else:
            changes.append(field)
    if "type" in kept and changes:
        conflicts.append("type")  # a person changed the type: a patch for the old type cannot apply
    return Merge(changes, conflicts, kept)


def written_after(written: Content, wanted: Content, but_for: list[str]) -> Content:
    """What counts as written after sending `wanted`, except for fields that keep their previous value."""
    return replace(wanted, **{field: getattr(written, field) for field in but_for})


def spelled_alike(field: str, sent: Any, shown: Any) -> bool:
    """Whether `shown` may be how a sloppy server stores `sent`: rounded, truncated, trimmed, escaped, lowercased.

    Only used to tell who changed what Finmap first shows after a write with an unknown outcome.
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
