"""What the tasks of one delivery share: Finmap, the tags, the clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sitniks_finmap.clients.answers import ApiError, KeyRefused
from sitniks_finmap.clients.finmap import Finmap
from sitniks_finmap.content import PEOPLES_FIELDS, Content
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.apply.transitions import entry_when_failed
from sitniks_finmap.pipeline.ledger import Entry


@dataclass
class Sender:
    """Finmap, and what may be sent to it. Used by several threads."""

    finmap: Finmap
    tags: dict[str, str]  # label → ID
    missing_tags: dict[str, str]  # label → why Finmap has none
    retry_every: timedelta
    now: Callable[[], datetime]
    key_refused: KeyRefused | None = None

    def sendable(self, task: Task) -> tuple[Content, str | None]:
        """What can be sent now, and why something is left out: money must not wait for a tag."""
        assert task.wanted is not None, "only a wanted operation is created or compared"  # noqa: S101
        tag = task.wanted.tag
        if tag and tag not in self.tags:
            return replace(task.wanted, tag=None), self.missing_tags.get(tag, "Finmap has no such tag")
        return task.wanted, None

    def with_carried(self, entry: Entry, wanted: Content) -> Content:
        """The content to create, with what a person had set on the previous generation; the tag as IDs."""
        tag, carried = self.tag_id(wanted.tag), entry.carried
        if carried is None:
            return replace(wanted, tag=tag)
        others = {n: getattr(wanted, n) or getattr(carried, n) for n in PEOPLES_FIELDS}
        if carried.type != wanted.type:  # an income category is invalid for an expense: Finmap would refuse it
            others["category"] = wanted.category
        return replace(wanted, **others | {"tag": ",".join(one for one in (tag, carried.tag) if one) or None})

    def tag_id(self, label: str | None) -> str | None:
        return self.tags.get(label, label) if label else None

    def failed(self, entry: Entry, task: Task, why: str | None) -> Entry:
        return entry_when_failed(entry, task, why, self.now(), self.retry_every)

    def unknown(self, entry: Entry, task: Task, error: ApiError) -> Entry:
        if isinstance(error, KeyRefused):
            self.key_refused = error
        return self.failed(entry, task, f"the outcome is unknown: {error}")
