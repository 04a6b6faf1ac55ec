"""One row of the plan brought to Finmap: every write ends in a row of the ledger, every doubt in a look at Finmap."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sitniks_finmap.comparison import CONTENT, Was, three_way
from sitniks_finmap.finmap import Content, Finmap, Operation, Outcome, Write
from sitniks_finmap.http import ApiError, KeyRefused

VERIFY_AFTER = timedelta(minutes=10)  # what Finmap stored and does not show by then is sent again
HIDDEN_ATTEMPTS = 8
MAY_STILL_COME = timedelta(hours=2)  # so long what Finmap stored, and is to be deleted, is waited for


@dataclass(frozen=True)
class Planned:
    """One row of the plan that may be carried out; `was_…` is what the ledger says that Finmap was told last."""

    action: str
    approved: bool
    external_id: str
    known_as: str | None
    transaction_id: str
    generation: int
    day: date
    type: str
    amount: Decimal
    occurred_at: datetime
    account: str
    category: str | None
    tag: str | None
    comment: str
    content_hash: str
    was_type: str | None
    was_amount: Decimal | None
    was_occurred_at: datetime | None
    was_account: str | None
    was_category: str | None
    was_tag: str | None
    was_comment: str | None
    was_hash: str | None
    state: str | None
    attempts: int
    sent_at: datetime | None
    was_verified_at: datetime | None
    was_applied_at: datetime | None
    deleting_at: datetime | None
    writing: dict[str, Any] | None
    kept_fields: list[str]

    @property
    def was_there(self) -> bool:
        """Whether Finmap is known to have had it as the ledger says: what differs since, a person did."""
        return self.was_verified_at is not None or self.was_applied_at is not None

    def may_still_come(self, now: datetime) -> bool:
        """Whether Finmap accepted it so lately that it may only not show it yet."""
        return not self.was_there and self.sent_at is not None and now < self.sent_at + MAY_STILL_COME


@dataclass(frozen=True)
class Settled:
    """How a planned row ended: new rows of the ledger (the last one is the operation's), the writes it took, and
    what Finmap showed meanwhile."""

    ledger: list[dict[str, Any]]
    writes: list[Write]
    seen: list[Operation] = field(default_factory=list)

    @property
    def state(self) -> str:
        return self.ledger[-1]["state"]


class Settler:
    """Carries out planned rows. Touches no DuckDB: it runs in several threads, and the network is awaited."""

    def __init__(
        self,
        finmap: Finmap,
        tags: dict[str, str],
        refused_tags: dict[str, str] | None = None,
        *,
        retry_every: timedelta,
        run_id: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self.finmap = finmap
        self.tags = tags  # label → ID
        self.refused_tags = refused_tags or {}  # label → why Finmap did not make it
        self.key_refused: KeyRefused | None = None
        self.retry_every = retry_every
        self.run_id = run_id
        self.now = now

    def settle(self, planned: Planned) -> Settled:
        """Brings one operation to Finmap, or finds out how it stands. Raises KeyRefused."""
        writes: list[Write] = []
        steps = {
            "create": self._create, "recreate": self._create, "verify": self._verify,
            "update": self._update, "withdraw": self._withdraw, "replace": self._replace,
            "rollback": self._roll_back,
        }  # fmt: skip
        if self.key_refused:  # to another request of this delivery: no further one is sent
            raise self.key_refused
        if planned.tag and planned.tag not in self.tags and planned.action not in ("withdraw", "rollback"):
            return self._failed(planned, writes, self.refused_tags.get(planned.tag, "Finmap has no such tag"))
        try:
            return steps[planned.action](planned, writes)
        except KeyRefused as refused:
            self.key_refused = refused
            raise
        except ApiError as error:
            return self._failed(planned, writes, f"the outcome is unknown: {error}")

    # -- create --

    def _create(self, planned: Planned, writes: list[Write]) -> Settled:
        write = self.finmap.create(planned.external_id, self._wanted(planned))
        writes.append(write)
        match write.outcome:
            case Outcome.APPLIED:
                return self._delivered(planned, writes)
            case Outcome.ACCEPTED:
                return self._accepted(planned, writes)
            case Outcome.REFUSED:
                return self._refused(planned, writes, write.error)
            case Outcome.ERROR:
                return self._failed(planned, writes, write.error)
        found = self.finmap.details(planned.external_id)
        if found:
            return self._settle_by(planned, writes, found)
        if write.outcome is Outcome.EXISTS and planned.action != "verify":
            # Stored by an earlier attempt and not shown yet.
            return self._accepted(planned, writes)
        if write.outcome is Outcome.EXISTS and planned.attempts >= HIDDEN_ATTEMPTS:
            # It had hours to appear: somebody deleted it, and its key is not given twice.
            return self._settled(planned, writes, "deleted", content=planned)
        if write.outcome is Outcome.EXISTS:
            why = "Finmap says that it exists but does not show it; was it deleted there?"
            return self._failed(planned, writes, why)
        return self._failed(planned, writes, write.error)

    # -- verify, update --

    def _verify(self, planned: Planned, writes: list[Write]) -> Settled:
        return self._update(planned, writes)

    def _update(self, planned: Planned, writes: list[Write]) -> Settled:
        found = self.finmap.details(planned.external_id)
        if found:
            return self._settle_by(planned, writes, found)
        if planned.deleting_at:
            return self._absent(planned, writes, "withdrawn")
        if planned.was_there:
            return self._settled(planned, writes, "deleted", content=self._was(planned))
        return self._create(planned, writes)  # accepted once, and never there: the key makes a second one safe

    def _settle_by(self, planned: Planned, writes: list[Write], found: Operation) -> Settled:
        """Settles an operation by what Finmap shows: equal is delivered, different is patched, a person's edit kept."""
        wanted = self._wanted(planned)
        if found.content.type != wanted.type:
            # Its sign has turned since: the ledger learns what is there, and the next plan replaces it.
            return self._settled(planned, writes, "verified", content=found.content, content_hash="", seen=[found])
        base = self._base(planned, found.content)
        changes, conflicts, stay = three_way(base, found.content, wanted, planned.kept_fields)
        if conflicts and not planned.approved:
            return self._kept(planned, writes, f"a person changed {', '.join(conflicts)} in Finmap", found, stay)
        if not changes:
            return self._settled(planned, writes, "verified", seen=[found], kept_fields=stay)
        write = self.finmap.update(planned.external_id, planned.type, changes)
        writes.append(write)
        match write.outcome:
            case Outcome.APPLIED:
                return self._delivered(planned, writes, kept_fields=stay)
            case Outcome.ACCEPTED:
                return self._accepted(planned, writes, kept_fields=stay)
            case Outcome.REFUSED:
                return self._refused(planned, writes, write.error, kept_fields=stay)
        return self._failed(planned, writes, write.error, kept_fields=stay)

    # -- withdraw, replace --

    def _roll_back(self, planned: Planned, writes: list[Write]) -> Settled:
        return self._withdraw(planned, writes, ends_as="dismissed")

    def _withdraw(self, planned: Planned, writes: list[Write], ends_as: str = "withdrawn") -> Settled:
        known_as = planned.known_as or planned.external_id
        found = self.finmap.details(known_as)
        if found is None:
            return self._absent(planned, writes, ends_as)
        base = self._base(planned, found.content)
        if base and (edited := sorted(found.content.differences(base))) and not planned.approved:
            return self._kept(planned, writes, "a person edited it in Finmap", found, edited)
        write = self.finmap.delete(known_as, found.content.type)
        writes.append(write)
        if write.outcome in (Outcome.APPLIED, Outcome.ACCEPTED) or self.finmap.details(known_as) is None:
            return self._settled(planned, writes, ends_as, content=self._was(planned))
        return self._failed(planned, writes, write.error)

    def _replace(self, planned: Planned, writes: list[Write]) -> Settled:
        """Deletes the old generation and creates the next: Finmap cannot turn an income into an expense.

        When Finmap has neither, a person deleted it, unless an attempt of ours may have done it.
        """
        known_as = planned.known_as or planned.external_id
        if not planned.deleting_at and self.finmap.details(known_as) is None:
            if not planned.was_there:
                # Accepted once, and never there: under its own key it cannot become two, whatever comes of it.
                return self._create(
                    replace(planned, action="create", external_id=known_as, generation=planned.generation - 1), writes
                )
            if self.finmap.details(planned.external_id) is None:
                return self._settled(planned, writes, "deleted", content=self._was(planned))
        old = self._withdraw(planned, writes)
        if old.state != "withdrawn":
            return old
        anew = replace(
            planned, action="create", known_as=None, was_hash=None, sent_at=None, was_verified_at=None,
            was_applied_at=None, deleting_at=None, writing=None, kept_fields=[],
        )  # fmt: skip
        new = self._create(anew, writes)
        return Settled(old.ledger + new.ledger, writes, new.seen)

    # -- what the ledger says afterwards --

    def _delivered(self, planned: Planned, writes: list[Write], **more: Any) -> Settled:
        return self._settled(planned, writes, "sent", applied_at=self.now(), **more)

    def _accepted(self, planned: Planned, writes: list[Write], **more: Any) -> Settled:
        now = self.now()
        return self._settled(planned, writes, "sent", sent_at=now, next_attempt_at=now + VERIFY_AFTER, **more)

    def _refused(self, planned: Planned, writes: list[Write], error: str | None, **more: Any) -> Settled:
        return self._as_before(planned, writes, "rejected", last_error=error, refused_hash=planned.content_hash, **more)

    def _failed(self, planned: Planned, writes: list[Write], error: str | None, **more: Any) -> Settled:
        due = self.now() + self.retry_every
        return self._as_before(
            planned, writes, "failed", last_error=error, next_attempt_at=due, **begun(planned, self.now()), **more
        )

    def _absent(self, planned: Planned, writes: list[Write], ends_as: str) -> Settled:
        """It was to be deleted and is not there: it was deleted, or Finmap does not show it yet."""
        if not planned.may_still_come(self.now()):
            return self._settled(planned, writes, ends_as, content=self._was(planned))
        return self._settled(
            planned, writes, "sent", content=self._was(planned), deleting_at=planned.deleting_at,
            next_attempt_at=self.now() + VERIFY_AFTER, last_error="waits until Finmap shows it, to delete it",
        )  # fmt: skip

    def _as_before(self, planned: Planned, writes: list[Write], state: str, **more: Any) -> Settled:
        """What was delivered before still stands, and what a person does to it meanwhile is still told from it."""
        return self._settled(
            planned, writes, state, content=self._was(planned) if planned.sent_at else planned,
            verified_at=planned.was_verified_at, applied_at=planned.was_applied_at, **more,
        )  # fmt: skip

    def _kept(self, planned: Planned, writes: list[Write], why: str, found: Operation, stay: list[str]) -> Settled:
        """Nothing was written; the next plan waits for a person."""
        return self._settled(
            planned, writes, "verified", content=self._was(planned), last_error=why, seen=[found],
            verified_at=planned.was_verified_at or planned.was_applied_at, kept_fields=stay,
        )  # fmt: skip

    def _settled(
        self,
        planned: Planned,
        writes: list[Write],
        state: str,
        *,
        content: Planned | Was | Content | None = None,
        seen: list[Operation] | None = None,
        **more: Any,
    ) -> Settled:
        now = self.now()
        content = content or planned
        was = isinstance(content, Was)
        ledger = {
            "external_id": (planned.known_as or planned.external_id) if was else planned.external_id,
            "transaction_id": planned.transaction_id,
            "generation": planned.generation - (1 if was and planned.action == "replace" else 0),
            "day": planned.day,
            "state": state,
            **{name: getattr(content, name) for name in CONTENT},
            "tag": planned.tag if isinstance(content, Content) else content.tag,
            "content_hash": getattr(content, "content_hash", ""),
            "refused_hash": None,
            "kept_fields": planned.kept_fields,
            "rebuilt": False,
            "attempts": planned.attempts + 1,
            "last_error": None,
            "next_attempt_at": None,
            "sent_at": planned.sent_at or (now if state in ("sent", "verified") else None),
            "applied_at": None,
            "deleting_at": None,
            "writing": None,
            "verified_at": now if state == "verified" else None,
            "run_id": self.run_id,
        }
        return Settled([ledger | more], writes, seen or [])

    def _wanted(self, planned: Planned) -> Content:
        tag = self.tags[planned.tag] if planned.tag else None
        return Content(**{name: getattr(planned, name) for name in CONTENT if name != "tag"}, tag=tag)

    def _was(self, planned: Planned) -> Was | Planned:
        """What the ledger said before; of an operation that it did not know, what was wanted."""
        if planned.was_hash is None:
            return planned
        return Was(**{name: getattr(planned, f"was_{name}") for name in CONTENT}, content_hash=planned.was_hash)

    def _base(self, planned: Planned, theirs: Content) -> Content | None:
        """What Finmap had after our last write, if that is known. Of a write that may have been done or not, each
        field as it was or as it was to be: what Finmap shows of these is ours."""
        was = self._was(planned)
        if not planned.was_there or not isinstance(was, Was):
            return None
        base = Content(**{name: getattr(was, name) for name in CONTENT if name != "tag"}, tag=self._tag(was.tag))
        if not planned.writing:
            return base
        written = dict(planned.writing)
        written["tag"] = self._tag(written.get("tag"))
        return replace(base, **{name: value for name, value in written.items() if value == getattr(theirs, name)})

    def _tag(self, label: str | None) -> str | None:
        return self.tags.get(label, label) if label else None


def begun(planned: Planned, now: datetime) -> dict[str, Any]:
    """What the ledger keeps of an attempt that may have been carried out or not."""
    match planned.action:
        case "withdraw" | "replace":
            return {"deleting_at": now, "writing": planned.writing}
        case "update":
            written = {name: getattr(planned, name) for name in CONTENT if name != "type"}
            return {"deleting_at": planned.deleting_at, "writing": written}
    return {"deleting_at": planned.deleting_at, "writing": planned.writing}
