"""Carries out one row of the plan: every write is recorded in the ledger, every doubt is resolved by asking Finmap."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from sitniks_finmap.clients.answers import ApiError, KeyRefused
from sitniks_finmap.clients.finmap import Finmap, Operation, Outcome, Write
from sitniks_finmap.content import FIELDS, PEOPLES_FIELDS, Content, as_shown, merge, settled
from sitniks_finmap.pipeline.ledger import (
    DELETED_AFTER,
    HIDDEN_FOR,
    OUT,
    RECHECK_AFTER,
    Entry,
    State,
    entry_when_missing,
    entry_when_seen,
    labels_of,
)
from sitniks_finmap.pipeline.plan import CREATIONS, DELETIONS, Action

MONEY = ("amount", "account", "occurred_at")
REFUSED_AGAIN = timedelta(days=1)  # refused writes are retried daily: a period may be reopened, a right granted


@dataclass(frozen=True)
class Task:
    """One row of the plan to carry out."""

    action: Action
    approved: bool
    transaction_id: str
    external_id: str
    generation: int
    day: date
    wanted: Content | None
    theirs: Content | None  # what Finmap showed when the plan was made
    edited: list[str]  # fields that a person had changed, as shown to the approver
    occasion: str | None  # what a decision about it applies to
    others: list[str]  # keys of the same transaction that must not be in Finmap when this one is created
    entry: Entry | None  # its ledger entry, or that of the previous generation


@dataclass(frozen=True)
class Result:
    """The result of a task: ledger entries (the last is the operation's), writes, and what Finmap showed."""

    entries: list[Entry]
    writes: list[Write] = field(default_factory=list)
    seen: list[Operation] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.entries[-1].state


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
        self.finmap = finmap
        self.tags = tags  # label → ID
        self.missing_tags = missing_tags or {}  # label → why Finmap has none
        self.key_refused: KeyRefused | None = None
        self.retry_every = retry_every
        self.run_id = run_id
        self.now = now

    def apply(self, task: Task) -> Result:
        """Carry out a task, or find out the operation's state. Raises KeyRefused."""
        if self.key_refused:  # by another request of this delivery: send no more
            raise self.key_refused
        steps = {
            Action.CREATE: self._create, Action.RECREATE: self._create,
            Action.VERIFY: self._update, Action.UPDATE: self._update,
            Action.WITHDRAW: self._withdraw, Action.ROLLBACK: self._withdraw, Action.REPLACE: self._replace,
        }  # fmt: skip
        result = Result([])
        try:
            ended = steps[task.action](task, result.writes, result.seen)
        except ApiError as error:
            if isinstance(error, KeyRefused):
                self.key_refused = error
                if not result.writes:
                    raise  # nothing was done: the task is unchanged
            # A creation leaves the previous generation's entry unchanged.
            before = self._new(task) if task.action in CREATIONS else self._before(task)
            if result.writes:
                ended = [self._failed(before, task, f"the outcome is unknown: {error}")]
            else:  # nothing was sent: no intent to record
                ended = [self._retry(before, str(error), self.retry_every, State.FAILED)]
        return replace(result, entries=[replace(one, run_id=self.run_id) for one in ended])

    # -- create --

    def _create(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        entry = self._new(task)
        for key in task.others:
            if other := self.finmap.details(key):
                seen.append(other)
                return self._other_generation(task, entry, key, other)
        wanted, left_out = self._sendable(task)
        sent = self._with_carried(entry, wanted)
        write = self.finmap.create(task.external_id, sent)
        writes.append(write)
        labels = [name for name in PEOPLES_FIELDS if getattr(sent, name)]
        if write.outcome is Outcome.REFUSED and labels:
            # Money must not wait for a label: create it without labels, then set each label.
            whole, missing = wanted, left_out
            wanted, left_out = replace(whole, **dict.fromkeys(labels)), write.error
            write = self.finmap.create(task.external_id, replace(sent, **dict.fromkeys(labels)))
            writes.append(write)
            taken: list[str] = []
            if write.outcome is Outcome.APPLIED:
                taken, refused = self._label(task.external_id, sent, labels, writes)
                wanted = replace(wanted, **{name: getattr(whole, name) for name in taken})
                left_out = refused or missing
            entry = replace(entry, owed=[name for name in entry.owed if name not in taken])
        elif write.outcome is Outcome.APPLIED:
            entry = replace(entry, owed=[])
        match write.outcome:
            case Outcome.APPLIED | Outcome.ACCEPTED:
                return [self._written(entry, task, list(FIELDS), write, wanted, left_out)]
            case Outcome.REFUSED:
                return [self._refused(entry, task, write.error)]
            case Outcome.ERROR:
                return [self._failed(entry, task, write.error)]
        if write.outcome is Outcome.UNKNOWN:
            entry = replace(entry, intents=_with_intent(entry.intents, wanted))
        try:
            found = self.finmap.details(task.external_id)
        except ApiError as error:
            return [self._unknown(entry, task, error)]
        if found:
            return self._compare(task, entry, found, writes, seen)
        if write.outcome is Outcome.EXISTS:
            return [self._hidden(entry)]
        return [self._failed(entry, task, write.error)]

    def _label(
        self, external_id: str, sent: Content, labels: list[str], writes: list[Write]
    ) -> tuple[list[str], str | None]:
        """Set each label separately on an unlabeled operation; return those accepted, and why others were not.

        A label that Finmap only stored counts as not accepted: it is checked and set again.
        """
        taken, refused = [], None

        def take(name: str, value: str) -> Write:
            writes.append(self.finmap.update(external_id, sent.type, {name: value}))
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

    def _set_owed_labels(self, task: Task, entry: Entry, theirs: Content, writes: list[Write]) -> Entry:
        """Set the labels that a person gave the previous generation and that Finmap has not accepted yet. If refused on
        two days, give up: the project or tag is gone.
        """
        ours = self._with_carried(entry, theirs)
        wanted = replace(ours, tag=",".join(dict.fromkeys(ours.tag.split(","))) if ours.tag else None)
        taken, why = self._label(entry.external_id, wanted, entry.owed, writes)
        left = [name for name in entry.owed if name not in taken]
        if writes[-1].outcome is Outcome.REFUSED and entry.refused is not None:
            return replace(entry, owed=[], refused=None, last_error=None, next_attempt_at=None)
        if left and why:
            return replace(
                entry, owed=left, refused=task.wanted, last_error=why, next_attempt_at=self.now() + REFUSED_AGAIN
            )
        due = self.now() + RECHECK_AFTER if left else None
        return replace(entry, owed=left, refused=None, last_error=None, next_attempt_at=due)

    def _other_generation(self, task: Task, entry: Entry, key: str, other: Operation) -> list[Entry]:
        """Another generation of the transaction is in Finmap: never create a second one beside it."""
        known = task.entry if task.entry and task.entry.external_id == key else None
        generation = int(key.rsplit(":", 1)[-1]) if key.count(":") > 1 else 1
        if known or generation > task.generation:
            # It was never gone, someone restored it, or the ledger was lost and does not know it.
            known = known or Entry(key, task.transaction_id, generation, task.day, State.VERIFIED)
            return [entry_when_seen(known, other.content, self.now(), self._tag)]
        if task.entry and task.entry.external_id != task.external_id:
            return [task.entry]  # someone restored an even older one: the next read-back makes it current
        return [self._retry(entry, f"{key} is still in Finmap and must be deleted first", RECHECK_AFTER, State.FAILED)]

    def _hidden(self, entry: Entry) -> Entry:
        """Finmap says that the key exists but does not show it: it was only stored, or someone deleted it."""
        now = self.now()
        since = entry.missing_since or now
        if now - since >= HIDDEN_FOR:
            return replace(entry, state=State.DELETED, attempts=entry.attempts + 1, next_attempt_at=None, intents=[])
        wait = RECHECK_AFTER if now - since < DELETED_AFTER else timedelta(hours=1)
        return replace(
            entry, state=State.SENT, missing_since=since, attempts=entry.attempts + 1, next_attempt_at=now + wait,
            last_error="Finmap says that it exists but does not show it", sent_at=entry.sent_at or now,
        )  # fmt: skip

    # -- update, verify --

    def _update(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        entry = self._before(task)
        found = self.finmap.details(entry.external_id)
        if found:
            return self._compare(task, entry, found, writes, seen)
        if entry.deleting:
            return [self._absent(entry, task)]
        if entry.verified_at or entry.applied_at:
            return [self._missing(entry)]
        return self._create(task, writes, seen)  # accepted before: the same key cannot create a second one

    def _missing(self, entry: Entry) -> Entry:
        """It was in Finmap and is not shown. A second check, hours later, makes it a deletion by a person."""
        now = self.now()
        missing = entry_when_missing(entry, now)
        if missing.missing_since and now - missing.missing_since >= DELETED_AFTER:
            return replace(missing, state=State.DELETED, intents=[], next_attempt_at=None, last_error=None)
        return replace(missing, last_error="Finmap did not show it; it will be checked again")

    def _compare(
        self, task: Task, entry: Entry, found: Operation, writes: list[Write], seen: list[Operation]
    ) -> list[Entry]:
        """Bring what Finmap shows in line with what is wanted, keeping a person's edits."""
        now, wanted, theirs = self.now(), task.wanted, found.content
        if entry.deleting and self._deletion_in_flight(entry):
            seen.append(found)
            return [self._retry(entry, "Finmap has accepted the deletion and still shows it", RECHECK_AFTER)]
        entry = replace(
            entry_when_seen(entry, theirs, now, self._tag, late=not self._write_in_flight(entry)),
            deleting=None, deleting_at=None, attempts=entry.attempts + 1,
        )  # fmt: skip
        if wanted is None or entry.shown is None:
            seen.append(found)
            return [entry]
        sendable, left_out = self._sendable(task)
        if left_out and entry.written:
            sendable = replace(sendable, tag=entry.written.tag)
        compared = merge(entry.written, entry.shown, theirs, sendable, self._tag)
        approved = task.approved and not self._edited_since(task, entry, theirs, compared.conflicts)
        changes = compared.changes + (compared.conflicts if approved else [])
        # Send again what Finmap only stored and did not apply in time.
        # Also send what is wanted instead, even if Finmap shows just that: it may still apply the stored write.
        changes += [
            n for n in entry.unseen
            if n not in changes + compared.kept + compared.conflicts and (
                as_shown(sendable, n, self._tag) != getattr(theirs, n)
                or (entry.written and getattr(entry.written, n) != getattr(sendable, n))
            )
        ]  # fmt: skip
        if task.approved and entry.written and not changes:
            other = [n for n in MONEY if getattr(entry.written, n) != getattr(entry.shown, n)]
            changes = [n for n in other if not self._edited_since(task, entry, theirs, [n])]
        if compared.conflicts and not approved:
            seen.append(found)
            why = f"a person changed {', '.join(compared.conflicts)} in Finmap"
            return [replace(entry, last_error=why)]
        if "type" in changes or theirs.type != sendable.type:
            seen.append(found)  # the sign has changed since: the next plan replaces it
            return [entry]
        but_for = [name for name in compared.kept if name in PEOPLES_FIELDS]
        if not changes:
            seen.append(found)
            done = settled(entry.written or sendable, sendable, but_for if entry.written else [])
            if entry.owed and not left_out:
                return [self._set_owed_labels(task, replace(entry, written=done, day=task.day), theirs, writes)]
            return [replace(entry, written=done, day=task.day, **self._noted(task, left_out))]
        patched = self._patch(task, entry, sendable, changes, but_for, writes, left_out)
        if writes[-1].outcome is Outcome.ACCEPTED:  # a later difference from this is the patch taking effect
            patched = replace(patched, shown=replace(entry.shown, **{name: getattr(theirs, name) for name in changes}))
        return [patched]

    def _edited_since(self, task: Task, entry: Entry, theirs: Content, names: list[str]) -> bool:
        """Whether a person changed one of these fields in a way that the approver was not shown."""

        def was_shown(name: str) -> bool:
            return name in task.edited and getattr(theirs, name) == getattr(task.theirs, name)

        edited = _edited(entry, theirs)
        return any(name in edited and not was_shown(name) for name in names)

    def _patch(
        self, task: Task, entry: Entry, wanted: Content, changes: list[str], but_for: list[str], writes: list[Write],
        left_out: str | None,
    ) -> Entry:  # fmt: skip
        def send(names: list[str]) -> Write:
            fields = {n: self._tag(wanted.tag) if n == "tag" else getattr(wanted, n) for n in names}
            writes.append(self.finmap.update(entry.external_id, wanted.type, fields))
            return writes[-1]

        write = send(changes)
        bare = [name for name in changes if name not in PEOPLES_FIELDS and (name != "comment" or wanted.comment)]
        if write.outcome is Outcome.REFUSED and bare and bare != changes:
            left_out, but_for = write.error, but_for + [name for name in changes if name not in bare]
            write, changes = send(bare), bare
        told = settled(entry.written or wanted, wanted, but_for if entry.written else [])
        match write.outcome:
            case Outcome.APPLIED | Outcome.ACCEPTED:
                before = entry.written
                again = before is not None and all(
                    name in entry.unseen and getattr(before, name) == getattr(told, name) for name in changes
                )
                done = self._written(entry, task, changes, write, told, left_out, last=again)
                # The earlier stored write may still overwrite this one: that would not be a person's edit.
                stored = before is not None and entry.applied_at is None and any(n in entry.unseen for n in changes)
                return replace(done, intents=[before]) if stored and before and not again else done
            case Outcome.REFUSED:
                return self._refused(entry, task, write.error)
        return self._failed(replace(entry, intents=_with_intent(entry.intents, told)), task, write.error)

    # -- withdraw, roll back, replace --

    def _withdraw(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        entry = self._before(task)
        found = self.finmap.details(entry.external_id)
        if found is None:
            return [self._absent(entry, task)]
        entry = replace(entry_when_seen(entry, found.content, self.now(), self._tag), attempts=entry.attempts + 1)
        edited = _edited(entry, found.content)
        approved = task.approved and not self._edited_since(task, entry, found.content, edited)
        only_labels = task.action is Action.REPLACE and set(edited) <= set(PEOPLES_FIELDS)
        if edited and not approved and not only_labels:
            seen.append(found)
            return [replace(entry, deleting=None, last_error=f"a person changed {', '.join(edited)} in Finmap")]
        carried = carried_over(entry, found.content)
        if task.action is Action.REPLACE and carried != entry.carried:
            # Record what is carried over before deleting anything: a kill must not lose it.
            seen.append(found)
            return [replace(entry, deleting=None, last_error="a person just changed it; the next run replaces it")]
        entry = replace(self._deletion_started(entry, task), carried=carried)
        write = self.finmap.delete(entry.external_id, found.content.type)
        writes.append(write)
        try:
            gone = self.finmap.details(entry.external_id) is None
        except ApiError as error:
            if write.outcome is Outcome.ACCEPTED:
                return [self._deletion_pending(entry, "Finmap has accepted the deletion")]
            return [self._unknown(entry, task, error)]
        if gone:
            return [self._absent(entry, task, answered=write.outcome is Outcome.APPLIED)]
        seen.append(found)
        if write.outcome is Outcome.ACCEPTED:
            return [self._deletion_pending(entry, "Finmap has accepted the deletion and still shows it")]
        return [self._retry(entry, write.error or "Finmap still shows it", self.retry_every, State.FAILED)]

    def _absent(self, entry: Entry, task: Task, *, answered: bool = False) -> Entry:
        """It should be gone and is not shown. Proven by the answer "done" and one check, or by checks in two runs."""
        now = self.now()
        twice = entry.missing_since is not None and now - entry.missing_since >= DELETED_AFTER
        never_seen = not (entry.verified_at or entry.applied_at) and entry.delivered
        may_come = never_seen and entry.sent_at is not None and now - entry.sent_at < DELETED_AFTER
        if (answered or twice) and not may_come:
            ends_as = State.ROLLED_BACK if _deletion(entry, task) is Action.ROLLBACK else State.WITHDRAWN
            return replace(
                entry, state=ends_as, deleting=None, deleting_at=None, intents=[], unseen=[], refused=None,
                next_attempt_at=None, last_error=None, looked_at=now,
                missing_since=entry.missing_since or now, attempts=entry.attempts + 1,
            )  # fmt: skip
        waits = replace(self._deletion_started(entry_when_missing(entry, now), task), attempts=entry.attempts + 1)
        return self._deletion_pending(waits, "Finmap does not show it; a second check will confirm the deletion")

    def _deletion_pending(self, entry: Entry, why: str) -> Entry:
        return replace(entry, state=State.SENT, next_attempt_at=self.now() + RECHECK_AFTER, last_error=why)

    def _deletion_started(self, entry: Entry, task: Task) -> Entry:
        return replace(entry, deleting=_deletion(entry, task), deleting_at=entry.deleting_at or self.now())

    def _deletion_in_flight(self, entry: Entry) -> bool:
        """Whether Finmap accepted the deletion so recently that it may still be pending."""
        begun = entry.deleting_at
        return entry.state is State.SENT and begun is not None and self.now() - begun < DELETED_AFTER

    def _write_in_flight(self, entry: Entry) -> bool:
        """Whether Finmap stored a write so recently that it may still overwrite a later one."""
        stored, done = entry.sent_at, entry.applied_at
        return stored is not None and done is not None and stored < done and self.now() - stored < DELETED_AFTER

    def _replace(self, task: Task, writes: list[Write], seen: list[Operation]) -> list[Entry]:
        """Delete one generation and, once seen gone, create the next: an income cannot become an expense."""
        entry = self._before(task)
        if not (entry.verified_at or entry.applied_at or entry.deleting):
            # Accepted but never seen: write it again under its own key, which cannot create a second one.
            if found := self.finmap.details(entry.external_id):
                seen.append(found)
                return [entry_when_seen(entry, found.content, self.now(), self._tag)]
            own = replace(task, action=Action.CREATE, external_id=entry.external_id, generation=entry.generation)
            return self._create(own, writes, seen)
        if not entry.deleting and self.finmap.details(entry.external_id) is None:
            return [self._missing(entry)]
        (old,) = self._withdraw(task, writes, seen)
        if old.state is not State.WITHDRAWN:
            return [old]
        anew = replace(task, action=Action.CREATE, entry=old)
        try:
            return [old, *self._create(anew, writes, seen)]
        except ApiError as error:  # the deletion's outcome is known and kept
            return [old, self._unknown(self._new(anew), anew, error)]

    # -- entries --

    def _before(self, task: Task) -> Entry:
        return task.entry or self._new(task)

    def _new(self, task: Task) -> Entry:
        """The entry of the generation to be created."""
        if task.entry and task.entry.external_id == task.external_id and task.entry.state not in OUT:
            return task.entry
        carried = task.entry.carried if task.entry else None
        owed = labels_of(carried, task.wanted.type) if task.wanted else []
        return Entry(
            task.external_id, task.transaction_id, task.generation, task.day, State.FAILED, carried=carried, owed=owed
        )

    def _written(
        self, entry: Entry, task: Task, names: list[str], write: Write, told: Content, left_out: str | None, *,
        last: bool = False,
    ) -> Entry:  # fmt: skip
        """`last`: it was only accepted for the second time; the next read-back shows how Finmap stores it."""
        now, applied = self.now(), write.outcome is Outcome.APPLIED
        due = None if applied else now + (DELETED_AFTER if last else RECHECK_AFTER)
        return replace(
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
            **self._noted(task, left_out, due),
        )

    def _noted(self, task: Task, left_out: str | None, due: datetime | None = None) -> dict:
        """The fields that record which labels Finmap refused although it accepted the money: retried tomorrow."""
        if left_out is None:
            return {"refused": None, "last_error": None, "next_attempt_at": due}
        return {
            "refused": task.wanted, "last_error": left_out, "next_attempt_at": due or self.now() + REFUSED_AGAIN,
        }  # fmt: skip

    def _refused(self, entry: Entry, task: Task, why: str | None) -> Entry:
        return replace(
            entry, state=State.REFUSED, refused=task.wanted, last_error=why, attempts=entry.attempts + 1,
            next_attempt_at=self.now() + REFUSED_AGAIN, intents=[],
        )  # fmt: skip

    def _failed(self, entry: Entry, task: Task, why: str | None) -> Entry:
        """The write may have been applied: the next check tells."""
        if task.action not in DELETIONS and task.wanted:
            creating = entry.intents and not entry.delivered  # the last intent is already recorded
            entry = entry if creating else replace(entry, intents=_with_intent(entry.intents, task.wanted))
        elif task.action in DELETIONS:
            entry = self._deletion_started(entry, task)
        return self._retry(entry, why, self.retry_every, State.FAILED)

    def _unknown(self, entry: Entry, task: Task, error: ApiError) -> Entry:
        if isinstance(error, KeyRefused):
            self.key_refused = error
        return self._failed(entry, task, f"the outcome is unknown: {error}")

    def _retry(self, entry: Entry, why: str | None, after: timedelta, state: State | None = None) -> Entry:
        return replace(
            entry, state=state or entry.state, attempts=entry.attempts + 1, last_error=why,
            next_attempt_at=self.now() + after,
        )  # fmt: skip

    # -- contents --

    def _sendable(self, task: Task) -> tuple[Content, str | None]:
        """What can be sent now, and why something is left out: money must not wait for a tag."""
        assert task.wanted is not None, "only a wanted operation is created or compared"  # noqa: S101
        tag = task.wanted.tag
        if tag and tag not in self.tags:
            return replace(task.wanted, tag=None), self.missing_tags.get(tag, "Finmap has no such tag")
        return task.wanted, None

    def _with_carried(self, entry: Entry, wanted: Content) -> Content:
        """The content to create, with what a person had set on the previous generation; the tag as IDs."""
        tag, carried = self._tag(wanted.tag), entry.carried
        if carried is None:
            return replace(wanted, tag=tag)
        others = {n: getattr(wanted, n) or getattr(carried, n) for n in PEOPLES_FIELDS}
        if carried.type != wanted.type:  # an income category is invalid for an expense: Finmap would refuse it
            others["category"] = wanted.category
        return replace(wanted, **others | {"tag": ",".join(one for one in (tag, carried.tag) if one) or None})

    def _tag(self, label: str | None) -> str | None:
        return self.tags.get(label, label) if label else None


def _deletion(entry: Entry, task: Task) -> Action:
    """The deletion in progress: the one that was started, unless a person rolls it back meanwhile."""
    return task.action if task.action is Action.ROLLBACK else entry.deleting or task.action


def _edited(entry: Entry, theirs: Content) -> list[str]:
    """The fields that someone changed in Finmap since our last write."""
    if entry.shown is None:
        return []
    return [name for name in FIELDS if getattr(theirs, name) != getattr(entry.shown, name)]


def carried_over(entry: Entry, theirs: Content) -> Content | None:
    """What a person set in fields that we leave empty, to be copied to the next generation."""
    if entry.shown is None:
        return entry.carried
    names = [name for name in _edited(entry, theirs) if name in PEOPLES_FIELDS]
    if not names:
        return None
    ours = (entry.shown.tag or "").split(",")
    tags = ",".join(one for one in (theirs.tag or "").split(",") if one and one not in ours)
    mine = {name: getattr(theirs, name) if name in names else None for name in PEOPLES_FIELDS}
    return replace(theirs, **mine | {"tag": tags or None})


def _with_intent(intents: list[Content], one: Content | None) -> list[Content]:
    return intents if one is None or one in intents else [*intents, one]
