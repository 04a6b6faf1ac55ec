"""The ledger entry after a write, an error or a lookup: given the entry, the task and the time; nothing is sent here.

What concerns a deletion only is in deletion.py; what a read-back means is in pipeline/ledger.py.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sitniks_finmap.clients.finmap import Outcome, Write
from sitniks_finmap.content import FIELDS, PEOPLES_FIELDS, Content
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.ledger import (
    DELETED_AFTER,
    HIDDEN_FOR,
    OUT,
    RECHECK_AFTER,
    Entry,
    State,
    entry_when_missing,
    labels_of,
)
from sitniks_finmap.pipeline.plan import DELETIONS, Action

REFUSED_AGAIN = timedelta(days=1)  # refused writes are retried daily: a period may be reopened, a right granted


def entry_before(task: Task) -> Entry:
    return task.entry or new_entry(task)


def new_entry(task: Task) -> Entry:
    """The entry of the generation to be created."""
    if task.entry and task.entry.external_id == task.external_id and task.entry.state not in OUT:
        return task.entry
    carried = task.entry.carried if task.entry else None
    owed = labels_of(carried, task.wanted.type) if task.wanted else []
    return Entry(
        task.external_id, task.transaction_id, task.generation, task.day, State.FAILED, carried=carried, owed=owed
    )


# -- after a write --


def entry_when_written(
    entry: Entry, task: Task, names: list[str], write: Write, told: Content, left_out: str | None, now: datetime, *,
    last: bool = False,
) -> Entry:  # fmt: skip
    """`last`: it was only accepted for the second time; the next read-back shows how Finmap stores it."""
    applied = write.outcome is Outcome.APPLIED
    due = None if applied else now + (DELETED_AFTER if last else RECHECK_AFTER)
    entry = replace(
        entry,
        state=State.SENT,
        written=told,
        unseen=[name for name in FIELDS if name in names or name in entry.unseen],
        intents=[],
        deleting=None,
        deleting_at=None,
        attempts=entry.attempts + 1,
        sent_at=entry.sent_at if applied and entry.sent_at else now,
        applied_at=now if applied or last else None,
        missing_since=None,
        day=task.day,
    )
    return with_left_out(entry, task, left_out, now, due)


def with_left_out(entry: Entry, task: Task, left_out: str | None, now: datetime, due: datetime | None = None) -> Entry:
    """Record which labels Finmap refused although it accepted the money: retried tomorrow."""
    if left_out is None:
        return replace(entry, refused=None, last_error=None, next_attempt_at=due)
    return replace(entry, refused=task.wanted, last_error=left_out, next_attempt_at=due or now + REFUSED_AGAIN)


def entry_when_refused(entry: Entry, task: Task, why: str | None, now: datetime) -> Entry:
    return replace(
        entry, state=State.REFUSED, refused=task.wanted, last_error=why, attempts=entry.attempts + 1,
        next_attempt_at=now + REFUSED_AGAIN, intents=[],
    )  # fmt: skip


def entry_when_failed(entry: Entry, task: Task, why: str | None, now: datetime, after: timedelta) -> Entry:
    """The write may have been applied: the next check tells, `after` this time."""
    if task.action not in DELETIONS and task.wanted:
        creating = entry.intents and not entry.delivered  # the last intent is already recorded
        entry = entry if creating else with_intent(entry, task.wanted)
    elif task.action in DELETIONS:
        entry = with_deletion(entry, task, now)
    return entry_to_retry(entry, why, now, after, State.FAILED)


def entry_to_retry(entry: Entry, why: str | None, now: datetime, after: timedelta, state: State | None = None) -> Entry:
    return replace(
        entry, state=state or entry.state, attempts=entry.attempts + 1, last_error=why, next_attempt_at=now + after
    )


def with_intent(entry: Entry, content: Content | None) -> Entry:
    """Record a write whose outcome is unknown."""
    if content is None or content in entry.intents:
        return entry
    return replace(entry, intents=[*entry.intents, content])


def with_deletion(entry: Entry, task: Task, now: datetime) -> Entry:
    """Record that its deletion has started."""
    return replace(entry, deleting=deletion_of(entry, task), deleting_at=entry.deleting_at or now)


def deletion_of(entry: Entry, task: Task) -> Action:
    """The deletion in progress: the one that was started, unless a person rolls it back meanwhile."""
    return task.action if task.action is Action.ROLLBACK else entry.deleting or task.action


# -- after a lookup --


def entry_when_gone(entry: Entry, now: datetime) -> Entry:
    """It was in Finmap and is not shown. A second check, hours later, makes it a deletion by a person."""
    missing = entry_when_missing(entry, now)
    if missing.missing_since and now - missing.missing_since >= DELETED_AFTER:
        return replace(missing, state=State.DELETED, intents=[], next_attempt_at=None, last_error=None)
    return replace(missing, last_error="Finmap did not show it; it will be checked again")


def entry_when_hidden(entry: Entry, now: datetime) -> Entry:
    """Finmap says that the key exists but does not show it: it was only stored, or someone deleted it."""
    since = entry.missing_since or now
    if now - since >= HIDDEN_FOR:
        return replace(entry, state=State.DELETED, attempts=entry.attempts + 1, next_attempt_at=None, intents=[])
    wait = RECHECK_AFTER if now - since < DELETED_AFTER else timedelta(hours=1)
    return replace(
        entry, state=State.SENT, missing_since=since, attempts=entry.attempts + 1, next_attempt_at=now + wait,
        last_error="Finmap says that it exists but does not show it", sent_at=entry.sent_at or now,
    )  # fmt: skip


def write_in_flight(entry: Entry, now: datetime) -> bool:
    """Whether Finmap stored a write so recently that it may still overwrite a later one."""
    stored, done = entry.sent_at, entry.applied_at
    return stored is not None and done is not None and stored < done and now - stored < DELETED_AFTER


# -- a person's edits --


def edited(entry: Entry, theirs: Content) -> list[str]:
    """The fields that someone changed in Finmap since our last write."""
    if entry.shown is None:
        return []
    return [name for name in FIELDS if getattr(theirs, name) != getattr(entry.shown, name)]


def edited_since(task: Task, entry: Entry, theirs: Content, names: list[str]) -> bool:
    """Whether a person changed one of these fields in a way that the approver was not shown."""

    def was_shown(name: str) -> bool:
        return name in task.edited and getattr(theirs, name) == getattr(task.theirs, name)

    changed = edited(entry, theirs)
    return any(name in changed and not was_shown(name) for name in names)


def carried_over(entry: Entry, theirs: Content) -> Content | None:
    """What a person set in fields that we leave empty, to be copied to the next generation."""
    if entry.shown is None:
        return entry.carried
    names = [name for name in edited(entry, theirs) if name in PEOPLES_FIELDS]
    if not names:
        return None
    ours = (entry.shown.tag or "").split(",")
    tags = ",".join(one for one in (theirs.tag or "").split(",") if one and one not in ours)
    mine = {name: getattr(theirs, name) if name in names else None for name in PEOPLES_FIELDS}
    return replace(theirs, **mine | {"tag": tags or None})
