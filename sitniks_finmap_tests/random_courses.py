"""Random courses of many transactions side by side: Finmap keeps to its contract and fails now and then, processes are
killed, Sitniks corrects, and an accountant works in Finmap. What she did is remembered, and nobody may undo it.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sitniks_finmap.content import FIELDS, Content
from sitniks_finmap.pipeline.ledger import Entry, State
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap_tests.delivery_model import SOLD, START, Deed, Model, World, number, pass_time

QUIET = timedelta(hours=3)
MONEY = ("amount", "comment", "occurred_at", "account")
LABELS = ("category", "tag", "project", "counterparty")


@dataclass
class Verdict:
    """What the product says of one transaction."""

    standings: set[str] = field(default_factory=set)
    differences: set[str] = field(default_factory=set)
    explained: bool = True


@dataclass
class Course:
    """One transaction: its world, and what the accountant did to its operation."""

    world: World
    hers: dict[str, Any] = field(default_factory=dict)  # field → what she wrote
    early: set[str] = field(default_factory=set)  # fields that she wrote before anybody had looked: see docs
    deleted: bool = False  # she deleted what was known to be there
    category_of: str = ""  # the key of the operation whose category she set
    touched: set[str] = field(default_factory=set)  # every field that she ever wrote

    def all_clear_too_early(self, verdict: Verdict) -> str | None:
        """Nothing waits or differs, says the product, and that is not so."""
        if not verdict.explained and not self.touched:
            return f"unexplained: {verdict.differences}"
        if verdict.standings or not verdict.explained:
            return None
        source, deeds = self.world.source, list(self.world.holds.values())
        if source is None or not deeds:
            return None if source is None and not deeds else "missing, or left over, and nothing waits"
        differ = {name for name in (*MONEY, "type") if getattr(source, name) != getattr(deeds[0].content, name)}
        if differ and not verdict.differences:
            return f"{differ} differ, and nobody says so"
        return f"{differ - self.touched} differ, and nobody wrote them" if differ - self.touched else None

    def harmed(self, *, at_rest: bool) -> str | None:
        """What was done to her work, or to the money, that must not be; `at_rest` no replacement is half done."""
        deeds = list(self.world.holds.values())
        if len(deeds) > 1:
            return "two live operations"
        if self.deleted and deeds:
            return "what she deleted was created again"
        hers = dict(self.hers)
        if self.category_of not in self.world.holds and len(self.world.ledger) > 1:
            hers.pop("category", None)  # a category of incomes is none of expenses: it does not go over
        if not deeds:
            return "what she edited was deleted" if at_rest and hers.keys() - self.early else None
        has = vars(deeds[0].content)
        lost = [name for name, value in hers.items() if value not in (has[name], *str(has[name]).split(","))]
        return f"her {', '.join(lost)} was overwritten" if lost else None


class Courses:
    """Many courses, one step after the other; the same seed is the same courses."""

    def __init__(self, count: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.model = Model()
        self.now = START
        self.count = 0
        self.courses = [Course(World(SOLD)) for _ in range(count)]

    def sync(self, harm: float, *, approve: bool = False) -> None:
        """One sync of all; `harm` is how likely each request goes wrong."""
        for course in self.courses:
            pass_time(course.world, self.now)
        worlds = [course.world for course in self.courses]
        self.model.random_sync(worlds, self.now, self._picker(harm), lambda: self.rng.random() < harm, approve=approve)

    def _picker(self, harm: float) -> Any:
        return lambda options: self.rng.randrange(1, options) if options > 1 and self.rng.random() < harm else 0

    def verdicts(self) -> list[Verdict]:
        """What the plan and the reconciliation say of each."""
        worlds = [course.world for course in self.courses]
        verdicts = [Verdict() for _ in worlds]
        with self.model.warehouse.transaction() as con:
            self.model.write_down(con, worlds)
            reconcile(con)
            for transaction, standing in con.execute("select transaction_id, standing from plan").fetchall():
                verdicts[number(transaction)].standings.add(standing)
            told = "select transaction_id, kind, explained from differences where transaction_id is not null"
            for transaction, kind, explained in con.execute(told).fetchall():
                verdicts[number(transaction)].differences.add(kind)
                verdicts[number(transaction)].explained &= explained
        return verdicts

    def something_happens(self) -> None:
        """In Sitniks, in Finmap, in both or in neither."""
        for course in self.courses:
            if self.rng.random() < 0.4:
                self._correct(course)
            if self.rng.random() < 0.3:
                self._work(course)
            # Where both came to the same it is nobody's own any more.
            agreed = {n for n, value in course.hers.items() if getattr(course.world.source, n, None) == value}
            course.hers = {name: value for name, value in course.hers.items() if name not in agreed}
            course.early -= agreed
        self.now += timedelta(minutes=self.rng.choice([1, 4, 11, 30, 90, 180]))

    def _correct(self, course: Course) -> None:
        """A manager corrects the transaction in Sitniks, deletes it, or enters it again."""
        world, what = course.world, self.rng.choice([*MONEY, "category", "tag", "type", "delete"])
        if world.source is None:
            world.source = replace(SOLD, amount=self._amount())
        elif what == "delete":
            world.source, course.deleted = None, False  # gone on both sides: what is entered again is new
            if not world.holds:  # in the middle of a replacement: there is nothing left to put her work on
                course.hers, course.early = {}, set()
        else:
            world.source = replace(world.source, **{what: self._value(what, world.source)})
        for name in course.early & (set(course.early) if what in ("type", "delete") else {what}):
            course.early.discard(name)
            del course.hers[name]
        world.story += (f"Sitniks: {what}",)

    def _work(self, course: Course) -> None:
        """The accountant edits, turns, deletes or restores what Finmap shows her."""
        world = course.world
        shown = {key: deed for key, deed in world.holds.items() if deed.shown_from <= self.now and not deed.gone_from}
        what = self.rng.choice([*MONEY, *LABELS, "type", "delete", "restore"])
        if what == "restore":
            if world.used and not world.holds and course.deleted:
                key = max(world.used, key=lambda one: (len(one), one))
                world.holds[key] = Deed(world.source or SOLD, self.now)
                world.used = world.used - {key}
                course.deleted = False
                course.touched |= {*MONEY, "type"}  # as it was when she deleted it, whatever Sitniks said since
        elif shown:
            (key, deed), *_ = shown.items()
            known = _known(world.ledger.get(key), deed.content, course.hers)
            if what == "delete":
                del world.holds[key]
                world.used = world.used | {key}
                course.hers, course.early, course.deleted = {}, set(), known and world.source is not None
            else:
                value = self._value(what, deed.content)
                course.touched.add(what)
                course.category_of = key if what == "category" else course.category_of
                world.holds[key] = replace(deed, content=replace(deed.content, **{what: value}))
                entry, source = world.ledger.get(key), world.source
                on_its_way = (
                    source is None
                    or source.type != deed.content.type
                    or getattr(source, what) != getattr(deed.content, what)
                )
                course.hers.pop(what, None)
                course.early.discard(what)
                # As we wrote it, or as Finmap showed it then, is no edit.
                ours = [one for one in (entry.written, entry.shown) if one] if entry else []
                undone = any(getattr(one, what) == value for one in ours)
                if not undone and (known or not (on_its_way or (entry and entry.deleting))):
                    course.hers[what] = value
                    if not known:
                        course.early.add(what)
        world.story += (f"accountant: {what}",)

    def _value(self, what: str, content: Content) -> Any:
        self.count += 1
        match what:
            case "amount":
                return self._amount()
            case "occurred_at":
                return START - timedelta(hours=2, seconds=self.count % 3000)
            case "type":
                return "expense" if content.type == "income" else "income"
        return f"{what} {self.count}"

    def _amount(self) -> Decimal:
        self.count += 1
        return Decimal(self.count) + Decimal("0.25")


def _known(entry: Entry | None, content: Content, hers: dict[str, Any]) -> bool:
    """Whether a look after our last write showed it as it is, but for what she did: what comes is an edit of hers."""
    if entry is None or entry.state is not State.VERIFIED or entry.intents or entry.unseen or entry.deleting:
        return False
    return all(getattr(entry.shown, name) == getattr(content, name) for name in FIELDS if name not in hers)
