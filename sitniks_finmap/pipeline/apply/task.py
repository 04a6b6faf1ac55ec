"""A task to carry out, and its result."""

from dataclasses import dataclass, field
from datetime import date

from sitniks_finmap.clients.finmap import Operation, Write
from sitniks_finmap.content import Content
from sitniks_finmap.pipeline.ledger import Entry, State
from sitniks_finmap.pipeline.plan import Action


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
    changed: list[str]  # fields that the plan would change, as shown to the approver
    edited: list[str]  # fields that a person had changed, as shown to the approver
    occasion: str | None  # what a decision about it applies to
    other_keys: list[str]  # keys of the same transaction that must not be in Finmap when this one is created
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
