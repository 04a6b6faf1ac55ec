"""Chooses what to do for a task, and turns an error into an entry that the next run continues."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sitniks_finmap.clients.answers import ApiError, KeyRefused
from sitniks_finmap.clients.finmap import Finmap, Operation, Write
from sitniks_finmap.pipeline.apply.correction import correct
from sitniks_finmap.pipeline.apply.creation import create
from sitniks_finmap.pipeline.apply.deletion import confirm_deletion, delete
from sitniks_finmap.pipeline.apply.sender import Sender
from sitniks_finmap.pipeline.apply.task import Result, Task
from sitniks_finmap.pipeline.apply.transitions import entry_before, entry_to_retry, entry_when_gone, new_entry
from sitniks_finmap.pipeline.ledger import Entry, State, entry_when_seen
from sitniks_finmap.pipeline.plan import CREATIONS, Action


class Applier:
    """Carries out tasks. Runs in several threads and waits for the network, so it never touches DuckDB."""

    def __init__(
        self,
        finmap: Finmap,
        tags: dict[str, str],
        missing_tags: dict[str, str] | None = None,
        *,
        retry_every: timedelta,
        run_id: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self.sender = Sender(finmap, tags, missing_tags or {}, retry_every, now)
        self.run_id = run_id

    @property
    def key_refused(self) -> KeyRefused | None:
        return self.sender.key_refused

    def apply(self, task: Task) -> Result:
        """Carry out a task, or find out the operation's state. Raises KeyRefused."""
        if self.key_refused:  # by another request of this delivery: send no more
            raise self.key_refused
        result = Result([])
        try:
            ended = self._carry_out(task, result.writes, result.seen)
        except ApiError as error:
            if isinstance(error, KeyRefused):
                self.sender.key_refused = error
                if not result.writes:
                    raise  # nothing was done: the task is unchanged
            # A creation leaves the previous generation's entry unchanged.
            before = new_entry(task) if task.action in CREATIONS else entry_before(task)
            if result.writes:
                ended = [self.sender.failed(before, task, f"the outcome is unknown: {error}")]
            else:  # nothing was sent: no intent to record
                now, after = self.sender.now(), self.sender.retry_every
                ended = [entry_to_retry(before, str(error), now, after, State.FAILED)]
        return replace(result, entries=[replace(one, run_id=self.run_id) for one in ended])

    def _carry_out(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        match task.action:
            case Action.CREATE | Action.RECREATE:
                return [create(self.sender, task, writes, seen)]
            case Action.VERIFY | Action.UPDATE:
                return [self._update(task, writes, seen)]
            case Action.WITHDRAW | Action.ROLLBACK:
                return [delete(self.sender, task, writes, seen)]
            case Action.REPLACE:
                return self._replace(task, writes, seen)

    def _update(self, task: Task, writes: list[Write], seen: list[Operation]) -> Entry:
        """Correct the operation, or finish the deletion or creation whose outcome was unknown."""
        entry = entry_before(task)
        found = self.sender.finmap.details(entry.external_id)
        if found:
            return correct(self.sender, task, entry, found, writes, seen)
        if entry.deleting:
            return confirm_deletion(entry, task, self.sender.now())
        if entry.verified_at or entry.applied_at:
            return entry_when_gone(entry, self.sender.now())
        return create(self.sender, task, writes, seen)  # accepted before: the same key cannot create a second one

    def _replace(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        """Delete one generation and, once seen gone, create the next: an income cannot become an expense."""
        entry, sender = entry_before(task), self.sender
        if not (entry.verified_at or entry.applied_at or entry.deleting):
            # Accepted but never seen: write it again under its own key, which cannot create a second one.
            if found := sender.finmap.details(entry.external_id):
                seen.append(found)
                return [entry_when_seen(entry, found.content, sender.now(), sender.tag_id)]
            own = replace(task, action=Action.CREATE, external_id=entry.external_id, generation=entry.generation)
            return [create(sender, own, writes, seen)]
        if not entry.deleting and sender.finmap.details(entry.external_id) is None:
            return [entry_when_gone(entry, sender.now())]
        old = delete(sender, task, writes, seen)
        if old.state is not State.WITHDRAWN:
            return [old]
        anew = replace(task, action=Action.CREATE, entry=old)
        try:
            return [old, create(sender, anew, writes, seen)]
        except ApiError as error:  # the deletion's outcome is known and kept
            return [old, sender.unknown(new_entry(anew), anew, error)]
