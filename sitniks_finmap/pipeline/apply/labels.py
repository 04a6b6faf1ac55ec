"""Sets labels one by one (category, tag, project, counterparty), so that money does not wait for a refused one."""

from dataclasses import replace

from sitniks_finmap.clients.finmap import Outcome, Write
from sitniks_finmap.content import Content
from sitniks_finmap.pipeline.apply.sender import Sender
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.apply.transitions import REFUSED_AGAIN
from sitniks_finmap.pipeline.ledger import RECHECK_AFTER, Entry


def set_labels(
    sender: Sender, external_id: str, sent: Content, labels: list[str], writes: list[Write]
) -> tuple[list[str], str | None]:
    """Set each label separately on an unlabeled operation; return those accepted, and why others were not.

    A label that Finmap only stored counts as not accepted: it is checked and set again.
    """
    taken, refused = [], None

    def take(name: str, value: str) -> Write:
        writes.append(sender.finmap.update(external_id, sent.type, {name: value}))
        return writes[-1]

    for name in labels:
        write = take(name, getattr(sent, name))
        tags = sent.tag.split(",") if name == "tag" and sent.tag else []
        if write.outcome is Outcome.REFUSED and len(tags) > 1:  # a missing tag must not block the others
            there: list[str] = []
            for tag in tags:
                write = take(name, ",".join([*there, tag]))
                there += [tag] * (write.outcome is Outcome.APPLIED)
            if there:
                taken.append(name)
                continue
        if write.outcome is Outcome.APPLIED:
            taken.append(name)
        elif write.outcome is not Outcome.ACCEPTED:
            refused = write.error
    return taken, refused


def set_owed_labels(sender: Sender, task: Task, entry: Entry, theirs: Content, writes: list[Write]) -> Entry:
    """Set the labels that a person gave the previous generation and that Finmap has not accepted yet. If refused on
    two days, give up: the project or tag is gone.
    """
    ours = sender.with_carried(entry, theirs)
    wanted = replace(ours, tag=",".join(dict.fromkeys(ours.tag.split(","))) if ours.tag else None)
    taken, why = set_labels(sender, entry.external_id, wanted, entry.owed, writes)
    left = [name for name in entry.owed if name not in taken]
    if writes[-1].outcome is Outcome.REFUSED and entry.refused is not None:
        return replace(entry, owed=[], refused=None, last_error=None, next_attempt_at=None)
    if left and why:
        return replace(
            entry, owed=left, refused=task.wanted, last_error=why, next_attempt_at=sender.now() + REFUSED_AGAIN
        )
    due = sender.now() + RECHECK_AFTER if left else None
    return replace(entry, owed=left, refused=None, last_error=None, next_attempt_at=due)
