"""The ledger: what was sent to Finmap for each operation, and how a read-back of Finmap updates it."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import duckdb

from sitniks_finmap.content import FIELDS, PEOPLES_FIELDS, Content, TagId, as_shown, content_of, spelled_alike
from sitniks_finmap.pipeline.plan import Action
from sitniks_finmap.warehouse.schema import sql

RECHECK_AFTER = timedelta(minutes=10)  # before checking what Finmap stored or is deleting
DELETED_AFTER = timedelta(hours=2)  # between the two checks that make an absence a deletion by a person
HIDDEN_FOR = timedelta(hours=24)  # how long to wait for a key that is taken in Finmap but not shown


class State(StrEnum):
    """The known state of an operation in Finmap."""

    SENT = "sent"  # accepted; not seen there since
    VERIFIED = "verified"  # seen there after our last write
    FAILED = "failed"  # the last attempt failed or its outcome is unknown; will be retried
    REFUSED = "refused"  # refused by Finmap; retried once a day, or when it changes
    WITHDRAWN = "withdrawn"  # deleted by us
    DELETED = "deleted"  # deleted by a person
    ROLLED_BACK = "rolled_back"  # deleted by `rollback`


OUT = (State.WITHDRAWN, State.DELETED, State.ROLLED_BACK)


@dataclass(frozen=True)
class Entry:
    """One row of finmap_upload; the columns are documented in sql/schema.sql."""

    external_id: str
    transaction_id: str
    generation: int
    day: date
    state: State
    written: Content | None = None
    shown: Content | None = None
    unseen: list[str] = field(default_factory=list)
    intents: list[Content] = field(default_factory=list)
    deleting: Action | None = None
    deleting_at: datetime | None = None
    refused: Content | None = None
    carried: Content | None = None
    owed: list[str] = field(default_factory=list)
    attempts: int = 0
    last_error: str | None = None
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    applied_at: datetime | None = None
    verified_at: datetime | None = None
    looked_at: datetime | None = None
    missing_since: datetime | None = None
    run_id: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether it is known to have been in Finmap."""
        return self.written is not None or self.shown is not None


CONTENTS = ("written", "shown", "refused", "carried")


def entry_of(row: dict[str, Any]) -> Entry:
    """Convert a row of finmap_upload."""
    entry: dict[str, Any] = {name: value for name, value in row.items() if name in COLUMNS}
    entry |= {name: content_of(entry[name]) for name in CONTENTS}
    entry["intents"] = [Content(**one) for one in entry["intents"]]
    entry["state"] = State(entry["state"])
    entry["deleting"] = Action(entry["deleting"]) if entry["deleting"] else None
    return Entry(**entry)


COLUMNS = tuple(one.name for one in fields(Entry))


def save_entries(con: duckdb.DuckDBPyConnection, entries: list[Entry]) -> None:
    """Insert entries into finmap_upload, replacing those with the same key."""
    if not entries:
        return
    types = {name: type for name, type, *_ in con.execute("describe finmap_upload").fetchall()}
    rows = json.dumps([asdict(entry) for entry in {one.external_id: one for one in entries}.values()], default=_text)
    con.execute(sql("save_entries"), {"entries": rows, "types": json.dumps([types])})


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def entry_when_seen(entry: Entry, theirs: Content, now: datetime, tag_id: TagId, *, late: bool = True) -> Entry:
    """Return the entry after Finmap showed the operation as `theirs`.

    Fields written and not seen since are compared with what we sent; from then on, the value that Finmap shows is the
    base of every comparison, even if normalized. Intents with an unknown outcome are resolved: applied or not. `late`
    means that no write can still be in flight.
    """
    rebuilt = entry.written is None and entry.shown is not None
    base = entry.written or (entry.intents[-1] if entry.intents and not rebuilt else None)
    if base is None:
        return _without_base(entry, theirs, now, tag_id, late)
    written, shown, unseen = _fields_when_seen(entry, base, theirs, tag_id)
    created = entry.written is None
    done = not entry.intents or all(as_shown(entry.intents[-1], n, tag_id) == getattr(theirs, n) for n in FIELDS)
    intents = [] if late or created or done else entry.intents
    # After a creation with an unknown outcome, none of the carried labels is known to be set.
    owed = _owed(entry, labels_of(entry.carried, theirs.type) if created else entry.owed, theirs)
    waits = bool(unseen or intents)
    due = waits or entry.refused or entry.deleting or owed
    return replace(
        entry,
        state=entry.state if waits and entry.state not in OUT else _shown_state(entry),
        written=written,
        shown=shown,
        unseen=unseen,
        intents=intents,
        owed=owed,
        next_attempt_at=entry.next_attempt_at if due else None,
        last_error=entry.last_error if due else None,
        verified_at=now,
        looked_at=now,
        missing_since=None,
        deleting=None if entry.state in OUT else entry.deleting,
        deleting_at=None if entry.state in OUT else entry.deleting_at,
    )


def _without_base(entry: Entry, theirs: Content, now: datetime, tag_id: TagId, late: bool) -> Entry:
    """The same if it is not known what was last written."""
    done, told = _carried_out(entry, theirs, tag_id)
    shown = replace(entry.shown or theirs, **{name: getattr(theirs, name) for name in told})
    return replace(
        entry,
        state=_shown_state(entry),
        written=done,
        shown=shown,
        intents=[] if done or late else entry.intents,
        owed=_owed(entry, entry.owed, theirs),
        looked_at=now,
        verified_at=now,
        missing_since=None,
    )


def _fields_when_seen(
    entry: Entry, base: Content, theirs: Content, tag_id: TagId
) -> tuple[Content, Content, list[str]]:
    """What counts as written and as shown now, field by field, and which fields are still to be seen."""
    written, shown = asdict(base), asdict(entry.shown or theirs)
    created = entry.written is None
    unseen = []
    for name in FIELDS:
        has, was = getattr(theirs, name), shown[name]
        ours = [base] * (name in entry.unseen or created) + list(reversed(entry.intents))
        match = next((one for one in ours if as_shown(one, name, tag_id) == has), None)
        if match is None and as_shown(base, name, tag_id) == has:
            match = base
        if match is not None:
            written[name], shown[name] = getattr(match, name), has
        elif created and name in PEOPLES_FIELDS and has is None:
            written[name] = shown[name] = None  # created without this label, which Finmap did not accept
        elif created:
            alike = name in PEOPLES_FIELDS or spelled_alike(name, getattr(base, name), has)
            shown[name] = has if alike else as_shown(base, name, tag_id)
        elif name in entry.unseen:
            if entry.applied_at or entry.shown is None:
                shown[name] = has
            elif has == was:
                unseen.append(name)  # only stored so far: Finmap still shows the old value
            elif name == "tag" or spelled_alike(name, getattr(base, name), has):
                shown[name] = has
            # Else a person changed it while our write was pending: their edit stays.
        elif has != was:
            alike = next((one for one in entry.intents if _may_be(name, one, base, has)), None)
            if alike is not None:
                written[name], shown[name] = getattr(alike, name), has
    if entry.carried:
        shown |= _without_carried(shown, entry.carried)
    return Content(**written), Content(**shown), unseen


def labels_of(carried: Content | None, type: str) -> list[str]:
    """The fields that a person had set and that apply to an operation of this type."""
    if carried is None:
        return []
    names = [name for name in PEOPLES_FIELDS if getattr(carried, name)]
    return [name for name in names if name != "category" or carried.type == type]


def _owed(entry: Entry, names: list[str], theirs: Content) -> list[str]:
    """The carried labels that are not set yet; a different value in the field is a person's choice and stays."""
    tags = set((theirs.tag or "").split(","))
    return [
        name
        for name in names
        if entry.carried
        and (not set((entry.carried.tag or "").split(",")) <= tags if name == "tag" else getattr(theirs, name) is None)
    ]


def _without_carried(shown: dict[str, Any], carried: Content) -> dict[str, Any]:
    """Clear the carried fields in `shown`: they are a person's edits, not the base of a comparison."""
    edits = {n: value for n in PEOPLES_FIELDS if n != "tag" and (value := getattr(carried, n)) and shown[n] == value}
    tags = (carried.tag or "").split(",")
    ours = ",".join(one for one in (shown["tag"] or "").split(",") if one not in tags)
    return dict.fromkeys(edits) | ({"tag": ours or None} if carried.tag else {})


def _carried_out(entry: Entry, theirs: Content, tag_id: TagId) -> tuple[Content | None, list[str]]:
    """The last intent that Finmap shows, and the fields it changed, for a rebuilt entry, whose earlier writes are
    unknown.
    """
    for intent in reversed(entry.intents):
        told = [
            name
            for name in FIELDS
            if as_shown(intent, name, tag_id) != getattr(entry.shown, name)
            and not (name in PEOPLES_FIELDS and getattr(intent, name) is None)
        ]
        if all(
            as_shown(intent, name, tag_id) == getattr(theirs, name)
            or spelled_alike(name, getattr(intent, name), getattr(theirs, name))
            for name in told
        ):
            return intent, told
    return None, []


def _may_be(name: str, intent: Content, base: Content, has: Any) -> bool:
    """Whether the shown value may be our intent, normalized by Finmap. A tag is shown as an ID, so any value may be."""
    sent = getattr(intent, name)
    if sent == getattr(base, name):
        return False
    return has is not None if name == "tag" else spelled_alike(name, sent, has)


def _shown_state(entry: Entry) -> State:
    return State.REFUSED if entry.state is State.REFUSED else State.VERIFIED


def entry_when_missing(entry: Entry, now: datetime) -> Entry:
    """Return the entry after a check that did not show it in Finmap; one check proves nothing."""
    due = entry.next_attempt_at
    if entry.state is State.SENT and entry.verified_at is None and due is None:
        due = (entry.sent_at or now) + RECHECK_AFTER
    return replace(entry, looked_at=now, missing_since=entry.missing_since or now, next_attempt_at=due)
