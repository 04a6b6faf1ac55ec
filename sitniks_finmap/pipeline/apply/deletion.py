"""Deletes an operation (withdraw, roll back, the first half of replace), and confirms that it is gone."""

from dataclasses import replace
from datetime import datetime

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.finmap import Operation, Outcome, Write
from sitniks_finmap.content import PEOPLES_FIELDS
from sitniks_finmap.pipeline.apply.sender import Sender
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.apply.transitions import (
    carried_over,
    deletion_of,
    edited,
    edited_since,
    entry_before,
    entry_to_retry,
    with_deletion,
)
from sitniks_finmap.pipeline.ledger import (
    DELETED_AFTER,
    RECHECK_AFTER,
    Entry,
    State,
    entry_when_missing,
    entry_when_seen,
)
from sitniks_finmap.pipeline.plan import Action


def delete(sender: Sender, task: Task, writes: list[Write], seen: list[Operation]) -> Entry:
    """Delete the operation unless a person edited it since the decision; look whether it is gone."""
    entry = entry_before(task)
    found = sender.finmap.details(entry.external_id)
    if found is None:
        return confirm_deletion(entry, task, sender.now())
    entry = replace(entry_when_seen(entry, found.content, sender.now(), sender.tag_id), attempts=entry.attempts + 1)
    changed = edited(entry, found.content)
    approved = task.approved and not edited_since(task, entry, found.content, changed)
    only_labels = task.action is Action.REPLACE and set(changed) <= set(PEOPLES_FIELDS)
    if changed and not approved and not only_labels:
        seen.append(found)
        return replace(entry, deleting=None, last_error=f"a person changed {', '.join(changed)} in Finmap")
    carried = carried_over(entry, found.content)
    if task.action is Action.REPLACE and carried != entry.carried:
        # Record what is carried over before deleting anything: a kill must not lose it.
        seen.append(found)
        return replace(entry, deleting=None, last_error="a person just changed it; the next run replaces it")
    entry = replace(with_deletion(entry, task, sender.now()), carried=carried)
    write = sender.finmap.delete(entry.external_id, found.content.type)
    writes.append(write)
    try:
        gone = sender.finmap.details(entry.external_id) is None
    except ApiError as error:
        if write.outcome is Outcome.ACCEPTED:
            return _deletion_pending(entry, "Finmap has accepted the deletion", sender.now())
        return sender.unknown(entry, task, error)
    if gone:
        return confirm_deletion(entry, task, sender.now(), answered=write.outcome is Outcome.APPLIED)
    seen.append(found)
    if write.outcome is Outcome.ACCEPTED:
        return _deletion_pending(entry, "Finmap has accepted the deletion and still shows it", sender.now())
    why = write.error or "Finmap still shows it"
    return entry_to_retry(entry, why, sender.now(), sender.retry_every, State.FAILED)


def confirm_deletion(entry: Entry, task: Task, now: datetime, *, answered: bool = False) -> Entry:
    """It should be gone and is not shown. Proven by the answer "done" and one check, or by checks in two runs."""
    twice = entry.missing_since is not None and now - entry.missing_since >= DELETED_AFTER
    never_seen = not (entry.verified_at or entry.applied_at) and entry.delivered
    may_come = never_seen and entry.sent_at is not None and now - entry.sent_at < DELETED_AFTER
    if (answered or twice) and not may_come:
        ends_as = State.ROLLED_BACK if deletion_of(entry, task) is Action.ROLLBACK else State.WITHDRAWN
        return replace(
            entry, state=ends_as, deleting=None, deleting_at=None, intents=[], unseen=[], refused=None,
            next_attempt_at=None, last_error=None, looked_at=now,
            missing_since=entry.missing_since or now, attempts=entry.attempts + 1,
        )  # fmt: skip
    waits = replace(with_deletion(entry_when_missing(entry, now), task, now), attempts=entry.attempts + 1)
    return _deletion_pending(waits, "Finmap does not show it; a second check will confirm the deletion", now)


def _deletion_pending(entry: Entry, why: str, now: datetime) -> Entry:
    return replace(entry, state=State.SENT, next_attempt_at=now + RECHECK_AFTER, last_error=why)


def deletion_in_flight(entry: Entry, now: datetime) -> bool:
    """Whether Finmap accepted the deletion so recently that it may still be pending."""
    begun = entry.deleting_at
    return entry.state is State.SENT and begun is not None and now - begun < DELETED_AFTER
