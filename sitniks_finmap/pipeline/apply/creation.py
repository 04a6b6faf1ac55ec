"""Creates an operation: never beside another generation, never twice, whatever the outcome of the request."""

from dataclasses import replace

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.finmap import Operation, Outcome, Write
from sitniks_finmap.content import FIELDS, PEOPLES_FIELDS
from sitniks_finmap.pipeline.apply.correction import correct
from sitniks_finmap.pipeline.apply.labels import set_labels
from sitniks_finmap.pipeline.apply.sender import Sender
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.apply.transitions import (
    entry_to_retry,
    entry_when_hidden,
    entry_when_refused,
    entry_when_written,
    new_entry,
    with_intent,
)
from sitniks_finmap.pipeline.ledger import RECHECK_AFTER, Entry, State, entry_when_seen


def create(sender: Sender, task: Task, writes: list[Write], seen: list[Operation]) -> Entry:
    """Create the operation under its key. A 409 (`Outcome.EXISTS`) and an unknown outcome are looked up."""
    entry = new_entry(task)
    for key in task.other_keys:
        if other := sender.finmap.details(key):
            seen.append(other)
            return _beside(sender, task, entry, key, other)
    wanted, left_out = sender.sendable(task)
    sent = sender.with_carried(entry, wanted)
    write = sender.finmap.create(task.external_id, sent)
    writes.append(write)
    labels = [name for name in PEOPLES_FIELDS if getattr(sent, name)]
    if write.outcome is Outcome.REFUSED and labels:
        # Money must not wait for a label: create it without labels, then set each label.
        whole, missing = wanted, left_out
        wanted, left_out = replace(whole, **dict.fromkeys(labels)), write.error
        write = sender.finmap.create(task.external_id, replace(sent, **dict.fromkeys(labels)))
        writes.append(write)
        taken: list[str] = []
        if write.outcome is Outcome.APPLIED:
            taken, refused = set_labels(sender, task.external_id, sent, labels, writes)
            wanted = replace(wanted, **{name: getattr(whole, name) for name in taken})
            left_out = refused or missing
        entry = replace(entry, owed=[name for name in entry.owed if name not in taken])
    elif write.outcome is Outcome.APPLIED:
        entry = replace(entry, owed=[])
    match write.outcome:
        case Outcome.APPLIED | Outcome.ACCEPTED:
            return entry_when_written(entry, task, list(FIELDS), write, wanted, left_out, sender.now())
        case Outcome.REFUSED:
            return entry_when_refused(entry, task, write.error, sender.now())
        case Outcome.ERROR:
            return sender.failed(entry, task, write.error)
    if write.outcome is Outcome.UNKNOWN:
        entry = with_intent(entry, wanted)
    try:
        found = sender.finmap.details(task.external_id)
    except ApiError as error:
        return sender.unknown(entry, task, error)
    if found:
        return correct(sender, task, entry, found, writes, seen)
    if write.outcome is Outcome.EXISTS:
        return entry_when_hidden(entry, sender.now())
    return sender.failed(entry, task, write.error)


def _beside(sender: Sender, task: Task, entry: Entry, key: str, other: Operation) -> Entry:
    """Another generation of the transaction is in Finmap: never create a second one beside it."""
    known = task.entry if task.entry and task.entry.external_id == key else None
    generation = int(key.rsplit(":", 1)[-1]) if key.count(":") > 1 else 1
    if known or generation > task.generation:
        # It was never gone, someone restored it, or the ledger was lost and does not know it.
        known = known or Entry(key, task.transaction_id, generation, task.day, State.VERIFIED)
        return entry_when_seen(known, other.content, sender.now(), sender.tag_id)
    if task.entry and task.entry.external_id != task.external_id:
        return task.entry  # someone restored an even older one: the next read-back makes it current
    why = f"{key} is still in Finmap and must be deleted first"
    return entry_to_retry(entry, why, sender.now(), RECHECK_AFTER, State.FAILED)
