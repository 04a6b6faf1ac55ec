"""Corrects an operation that Finmap shows: sends what differs from what is wanted, keeps a person's edits."""

from dataclasses import replace

from sitniks_finmap.clients.finmap import Operation, Outcome, Write
from sitniks_finmap.content import PEOPLES_FIELDS, Content, as_shown, merge, written_after
from sitniks_finmap.pipeline.apply.deletion import deletion_in_flight
from sitniks_finmap.pipeline.apply.labels import set_owed_labels
from sitniks_finmap.pipeline.apply.sender import Sender
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.apply.transitions import (
    edited_since,
    entry_to_retry,
    entry_when_refused,
    entry_when_written,
    with_intent,
    with_left_out,
    write_in_flight,
)
from sitniks_finmap.pipeline.ledger import RECHECK_AFTER, Entry, entry_when_seen


def correct(
    sender: Sender, task: Task, entry: Entry, found: Operation, writes: list[Write], seen: list[Operation]
) -> Entry:
    """Bring what Finmap shows in line with what is wanted, keeping a person's edits."""
    now, wanted, theirs = sender.now(), task.wanted, found.content
    if entry.deleting and deletion_in_flight(entry, now):
        seen.append(found)
        return entry_to_retry(entry, "Finmap has accepted the deletion and still shows it", now, RECHECK_AFTER)
    entry = replace(
        entry_when_seen(entry, theirs, now, sender.tag_id, late=not write_in_flight(entry, now)),
        deleting=None, deleting_at=None, attempts=entry.attempts + 1,
    )  # fmt: skip
    if wanted is None or entry.shown is None:
        seen.append(found)
        return entry
    sendable, left_out = sender.sendable(task)
    if left_out and entry.written:
        sendable = replace(sendable, tag=entry.written.tag)
    compared = merge(entry.written, entry.shown, theirs, sendable, sender.tag_id)
    shown = all(name in (*task.changed, "type") for name in compared.conflicts)
    approved = task.approved and shown and not edited_since(task, entry, theirs, compared.conflicts)
    changes = compared.changes + (compared.conflicts if approved else [])
    # Send again what Finmap only stored and did not apply in time.
    # Also send what is wanted instead, even if Finmap shows just that: it may still apply the stored write.
    changes += [
        n for n in entry.unseen
        if n not in changes + compared.kept + compared.conflicts and (
            as_shown(sendable, n, sender.tag_id) != getattr(theirs, n)
            or (entry.written and getattr(entry.written, n) != getattr(sendable, n))
        )
    ]  # fmt: skip
    if task.approved and entry.written and not changes:
        other = [n for n in task.changed if getattr(entry.written, n) != getattr(entry.shown, n)]
        changes = [n for n in other if not edited_since(task, entry, theirs, [n])]
    if compared.conflicts and not approved:
        seen.append(found)
        return replace(entry, last_error=f"changed in Finmap, but not by us: {', '.join(compared.conflicts)}")
    if "type" in changes or theirs.type != sendable.type:
        seen.append(found)  # the sign has changed since: the next plan replaces it
        return entry
    but_for = [name for name in compared.kept if name in PEOPLES_FIELDS]
    if not changes:
        seen.append(found)
        done = written_after(entry.written or sendable, sendable, but_for if entry.written else [])
        entry = replace(entry, written=done, day=task.day)
        if entry.owed and not left_out:
            return set_owed_labels(sender, task, entry, theirs, writes)
        return with_left_out(entry, task, left_out, sender.now())
    patched = _patch(sender, task, entry, sendable, changes, but_for, writes, left_out)
    if writes[-1].outcome is Outcome.ACCEPTED:  # a later difference from this is the patch taking effect
        patched = replace(patched, shown=replace(entry.shown, **{name: getattr(theirs, name) for name in changes}))
    return patched


def _patch(
    sender: Sender, task: Task, entry: Entry, wanted: Content, changes: list[str], but_for: list[str],
    writes: list[Write], left_out: str | None,
) -> Entry:  # fmt: skip
    def send(names: list[str]) -> Write:
        fields = {n: sender.tag_id(wanted.tag) if n == "tag" else getattr(wanted, n) for n in names}
        writes.append(sender.finmap.update(entry.external_id, wanted.type, fields))
        return writes[-1]

    write = send(changes)
    bare = [name for name in changes if name not in PEOPLES_FIELDS and (name != "comment" or wanted.comment)]
    if write.outcome is Outcome.REFUSED and bare and bare != changes:
        left_out, but_for = write.error, but_for + [name for name in changes if name not in bare]
        write, changes = send(bare), bare
    told = written_after(entry.written or wanted, wanted, but_for if entry.written else [])
    match write.outcome:
        case Outcome.APPLIED | Outcome.ACCEPTED:
            before = entry.written
            again = before is not None and all(
                name in entry.unseen and getattr(before, name) == getattr(told, name) for name in changes
            )
            done = entry_when_written(entry, task, changes, write, told, left_out, sender.now(), last=again)
            # The earlier stored write may still overwrite this one: that would not be a person's edit.
            stored = before is not None and entry.applied_at is None and any(n in entry.unseen for n in changes)
            return replace(done, intents=[before]) if stored and before and not again else done
        case Outcome.REFUSED:
            return entry_when_refused(entry, task, write.error, sender.now())
    return sender.failed(with_intent(entry, told), task, write.error)
