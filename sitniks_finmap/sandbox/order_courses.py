"""What happens to an order, from its creation to its last edit: one course for each kind of life."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from .tenant import DEFAULT_STATUSES

NEW, IN_WORK, SENT, DONE, CANCELLED, REFUNDED = DEFAULT_STATUSES
PREPAID, PARTLY_REFUNDED = "Передплата", "Частково повернено"
STATUSES = (*DEFAULT_STATUSES, PREPAID, PARTLY_REFUNDED)  # their ids count from 1

DAY = 24.0
KOPIYKA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Facts:
    """What managers edit. `costs` has the cost price of each line in hryvnias, None = not filled in."""

    status: str
    total: Decimal
    prepayment: Decimal
    costs: tuple[Decimal | None, ...]
    deleted: bool = False


FACTS = tuple(one.name for one in fields(Facts))


@dataclass(frozen=True, slots=True)
class Event:
    """One edit: its moment, the facts after it, and the names of those that it changed (all of them at creation)."""

    at: datetime
    facts: Facts
    changed: tuple[str, ...]


@dataclass
class Course:
    """A life being told. `costs` are what the goods cost, whether or not anybody has filled it in yet."""

    rng: random.Random
    events: list[Event]
    costs: tuple[Decimal, ...]
    costs_come_late: bool = False
    _filled: bool = field(default=False, init=False)

    @property
    def facts(self) -> Facts:
        return self.events[-1].facts

    def then(self, least: float, most: float, **changes: Any) -> None:
        """Adds an edit between `least` and `most` hours after the last one."""
        wait = timedelta(milliseconds=self.rng.randint(int(least * 3_600_000), int(most * 3_600_000)))
        if "status" in changes and not self.costs_come_late and not self._filled:
            changes, self._filled = {"costs": self.costs} | changes, True
        facts = replace(self.facts, **changes)
        changed = tuple(name for name in changes if getattr(facts, name) != getattr(self.facts, name))
        self.events.append(Event(self.events[-1].at + wait, facts, changed))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def share(self, least: int, most: int) -> Decimal:
        """A part of the present total: that many percent of it."""
        return (self.facts.total * self.rng.randint(least, most) / 100).quantize(KOPIYKA)


def _accept(course: Course) -> None:
    if course.chance(0.9):
        course.then(0.1, 20, status=IN_WORK)


def _send(course: Course) -> None:
    if course.chance(0.85):
        course.then(1, 3 * DAY, status=SENT)


def _finish(course: Course) -> None:
    """Within hours to five days; one in seven takes up to three weeks."""
    late = course.chance(0.15)
    course.then(*((5 * DAY, 21 * DAY) if late else (2, 5 * DAY)), status=DONE)


def _sale(course: Course) -> None:
    _accept(course)
    _send(course)
    _finish(course)


def _prepay(course: Course) -> None:
    """The prepayment may have been declared at creation, before any money came."""
    _accept(course)
    total = course.facts.total
    prepayment = course.facts.prepayment or (Decimal("200.00") if total > 400 else (total / 4).quantize(KOPIYKA))
    course.then(0.5, 2 * DAY, status=PREPAID, prepayment=prepayment)


def _prepaid(course: Course) -> None:
    _prepay(course)
    _finish(course)


def _pay(course: Course) -> None:
    _prepaid(course) if course.chance(0.2) else _sale(course)


def _cancelled(course: Course) -> None:
    _accept(course)
    if course.chance(0.3):
        _send(course)  # a parcel that nobody collected
    course.then(0.5, 9 * DAY, status=CANCELLED)


def _waiting(course: Course) -> None:
    if course.chance(0.5):
        _accept(course)


def _cancelled_after_prepayment(course: Course) -> None:
    _prepay(course)
    course.then(2, 9 * DAY, status=CANCELLED)


def _prepayment_refunded(course: Course) -> None:
    _prepay(course)
    if course.chance(0.5):
        course.then(2, 5 * DAY, status=CANCELLED)
    course.then(2, 10 * DAY, status=REFUNDED)


def _refunded(course: Course) -> None:
    _pay(course)
    course.then(3 * DAY, 40 * DAY, status=REFUNDED)


def _partly_refunded(course: Course) -> None:
    _pay(course)
    course.then(3 * DAY, 40 * DAY, status=PARTLY_REFUNDED, total=course.facts.total - course.share(10, 40))
    if course.chance(0.2):
        course.then(DAY, 10 * DAY, total=course.facts.total - course.share(10, 20))


def _partly_then_fully_refunded(course: Course) -> None:
    _partly_refunded(course)
    course.then(DAY, 15 * DAY, status=REFUNDED)


def _paid_by_mistake(course: Course) -> None:
    _pay(course)
    course.then(0.2, 2 * DAY, status=IN_WORK)
    course.then(5, 10 * DAY, status=DONE)


def _refunded_by_mistake(course: Course) -> None:
    _refunded(course)
    course.then(0.2, 2 * DAY, status=DONE)
    if course.chance(0.4):
        course.then(3 * DAY, 20 * DAY, status=REFUNDED)


def _refunded_unpaid(course: Course) -> None:
    _accept(course)
    _send(course)
    course.then(2, 9 * DAY, status=REFUNDED)


def _deleted_unpaid(course: Course) -> None:
    if course.chance(0.5):
        _accept(course)
    course.then(0.2, 3 * DAY, deleted=True)


def _deleted_paid(course: Course) -> None:
    _prepay(course) if course.chance(0.25) else _pay(course)
    course.then(0.2, 20 * DAY, deleted=True)


def _total_edited(course: Course) -> None:
    """A discount afterwards, or something added."""
    _pay(course)
    change = -course.share(3, 15) if course.chance(0.6) else Decimal(course.rng.randint(2, 30) * 10)
    course.then(0.5, 30 * DAY, total=course.facts.total + change)


def _cost_filled_later(course: Course) -> None:
    _pay(course)
    course.then(DAY, 20 * DAY, costs=course.costs)


def _cost_edited(course: Course) -> None:
    _pay(course)
    percent = course.rng.choice((-20, -10, 5, 10, 25))
    edited = tuple((cost * (100 + percent) / 100).quantize(KOPIYKA) for cost in course.costs)
    course.then(DAY, 30 * DAY, costs=edited)


# Kind of life: how often, of a thousand, and its course.
KINDS: dict[str, tuple[int, Callable[[Course], None]]] = {
    "sale": (428, _sale),
    "prepaid": (120, _prepaid),
    "cancelled": (90, _cancelled),
    "waiting": (25, _waiting),
    "cancelled after prepayment": (20, _cancelled_after_prepayment),
    "prepayment refunded": (12, _prepayment_refunded),
    "refunded": (45, _refunded),
    "partly refunded": (35, _partly_refunded),
    "partly, then fully refunded": (15, _partly_then_fully_refunded),
    "paid by mistake": (15, _paid_by_mistake),
    "refunded by mistake": (10, _refunded_by_mistake),
    "refunded, never paid": (10, _refunded_unpaid),
    "deleted unpaid": (18, _deleted_unpaid),
    "deleted paid": (12, _deleted_paid),
    "total edited": (35, _total_edited),
    "cost filled in later": (60, _cost_filled_later),
    "cost never filled in": (15, _pay),
    "cost edited": (30, _cost_edited),
    "gift": (5, _sale),  # its total is zero
}
COSTS_COME_LATE = frozenset({"cost filled in later", "cost never filled in"})
DECLARED = frozenset({"prepaid", "cancelled after prepayment", "prepayment refunded"})


def draw_kind(rng: random.Random) -> str:
    return rng.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
