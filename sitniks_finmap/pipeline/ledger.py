"""The ledger: what Finmap was told of each operation, and what a look at Finmap says about it."""

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

RECHECK_AFTER = timedelta(minutes=10)  # what Finmap stored, or is deleting, is looked for after this
DELETED_AFTER = timedelta(hours=2)  # between the two looks that make an absence a deletion by a person
HIDDEN_FOR = timedelta(hours=24)  # so long a key that Finmap has taken and does not show is waited for


class State(StrEnum):
    """What is known of an operation in Finmap."""

    SENT = "sent"  # accepted; not seen there since
    VERIFIED = "verified"  # seen there after our last write
    FAILED = "failed"  # the last attempt has no known good end; it is tried again
    REFUSED = "refused"  # Finmap does not take it; tried again once a day, or when it changes
    WITHDRAWN = "withdrawn"  # taken out by us
    DELETED = "deleted"  # taken out by a person
    ROLLED_BACK = "rolled_back"  # taken out by `rollback`


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
        """Whether Finmap is known to have had it."""
        return self.written is not None or self.shown is not None


CONTENTS = ("written", "shown", "refused", "carried")


def entry_of(row: dict[str, Any]) -> Entry:
    """An entry from a row of finmap_upload."""
    entry: dict[str, Any] = {name: value for name, value in row.items() if name in COLUMNS}
    entry |= {name: content_of(entry[name]) for name in CONTENTS}
    entry["intents"] = [Content(**one) for one in entry["intents"]]
    entry["state"] = State(entry["state"])
    entry["deleting"] = Action(entry["deleting"]) if entry["deleting"] else None
    return Entry(**entry)


COLUMNS = tuple(one.name for one in fields(Entry))


def save_entries(con: duckdb.DuckDBPyConnection, entries: list[Entry]) -> None:
    """Writes entries into finmap_upload, over those with the same key."""
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
    """The entry after Finmap showed the operation as `theirs`.

    What was written and not seen since is compared with what we sent: from then on, what Finmap shows is the base of
    every comparison, however it spells it. An intent whose outcome was never known is settled: it was carried out, or
    it was not. `late` says that nothing of it can still be on its way.
    """
    rebuilt = entry.written is None and entry.shown is not None
    base = entry.written or (entry.intents[-1] if entry.intents and not rebuilt else None)
    if base is None:
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
            written[name] = shown[name] = None  # money goes without its labels, if need be: it did not take this one
        elif created:
            alike = name in PEOPLES_FIELDS or spelled_alike(name, getattr(base, name), has)
            shown[name] = has if alike else as_shown(base, name, tag_id)
        elif name in entry.unseen:
            if entry.applied_at or entry.shown is None:
                shown[name] = has
            elif has == was:
                unseen.append(name)  # only stored: what is shown is from before
            elif name == "tag" or spelled_alike(name, getattr(base, name), has):
                shown[name] = has
            # Else a person changed it, while what we sent waited: it is hers.
        elif has != was:
            alike = next((one for one in entry.intents if _may_be(name, one, base, has)), None)
            if alike is not None:
                written[name], shown[name] = getattr(alike, name), has
    if entry.carried:
        shown |= _without_carried(shown, entry.carried)
    done = not entry.intents or all(as_shown(entry.intents[-1], n, tag_id) == getattr(theirs, n) for n in FIELDS)
    intents = [] if late or created or done else entry.intents
    # Of a creation whose outcome nobody knew, nothing of hers is known to be there.
    owed = _owed(entry, labels_of(entry.carried, theirs.type) if created else entry.owed, theirs)
    waits = bool(unseen or intents)
    due = waits or entry.refused or entry.deleting or owed
    return replace(
        entry,
        state=entry.state if waits and entry.state not in OUT else _shown_state(entry),
        written=Content(**written),
        shown=Content(**shown),
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


def labels_of(carried: Content | None, type: str) -> list[str]:
    """The fields that a person had set and that an operation of this type can have."""
    if carried is None:
        return []
    names = [name for name in PEOPLES_FIELDS if getattr(carried, name)]
    return [name for name in names if name != "category" or carried.type == type]


def _owed(entry: Entry, names: list[str], theirs: Content) -> list[str]:
    """Which of a person's labels are not there yet: whatever stands in their place is a choice of hers, too."""
    tags = set((theirs.tag or "").split(","))
    return [
        name
        for name in names
        if entry.carried
        and (not set((entry.carried.tag or "").split(",")) <= tags if name == "tag" else getattr(theirs, name) is None)
    ]


def _without_carried(shown: dict[str, Any], carried: Content) -> dict[str, Any]:
    """The fields of `shown` that hold what a person set before it was replaced: they are still hers, and no base."""
    hers = {n: value for n in PEOPLES_FIELDS if n != "tag" and (value := getattr(carried, n)) and shown[n] == value}
    tags = (carried.tag or "").split(",")
    ours = ",".join(one for one in (shown["tag"] or "").split(",") if one not in tags)
    return dict.fromkeys(hers) | ({"tag": ours or None} if carried.tag else {})


def _carried_out(entry: Entry, theirs: Content, tag_id: TagId) -> tuple[Content | None, list[str]]:
    """The last intent that Finmap shows, and the fields that it changed, of an entry that was rebuilt: nobody knows
    what was written before it.
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
    """Whether what is shown may be an intent of ours, spelled Finmap's way. A tag is an ID there: it cannot be told."""
    sent = getattr(intent, name)
    if sent == getattr(base, name):
        return False
    return has is not None if name == "tag" else spelled_alike(name, sent, has)


def _shown_state(entry: Entry) -> State:
    return State.REFUSED if entry.state is State.REFUSED else State.VERIFIED


def entry_when_missing(entry: Entry, now: datetime) -> Entry:
    """The entry after a look at Finmap that did not show it: one look is no proof of anything."""
    due = entry.next_attempt_at
    if entry.state is State.SENT and entry.verified_at is None and due is None:
        due = (entry.sent_at or now) + RECHECK_AFTER
    return replace(entry, looked_at=now, missing_since=entry.missing_since or now, next_attempt_at=due)
