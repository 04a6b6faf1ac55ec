"""Every way in which bringing one transaction to Finmap can go, tried out: whatever Finmap does with each request, the
process killed at any of them, and the transaction changed in between.

Nothing is modelled but Finmap: the plan is sql/plan.sql, the decisions are the Applier's, the reading back is
read_back. Finmap keeps to its contract, and once in a world it lies: it does not show what it has. One world is one
course of events; all worlds of a layer lie side by side in one warehouse.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import duckdb

from sitniks_finmap.clients.answers import Unavailable
from sitniks_finmap.clients.finmap import Finmap, Operation, Outcome, Write
from sitniks_finmap.content import Content
from sitniks_finmap.pipeline.apply.applier import Applier
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.courier import Tasks, take_tasks
from sitniks_finmap.pipeline.decisions import fill_rollback, plan_rollback
from sitniks_finmap.pipeline.ledger import Entry, entry_of, save_entries
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reading import save_settings
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse import store
from sitniks_finmap.warehouse.schema import migrate
from sitniks_finmap.warehouse.store import Warehouse, insert_rows
from sitniks_finmap_tests.plain_settings import PLAIN

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
SOON, LATE = timedelta(minutes=5), timedelta(minutes=25)  # when Finmap shows what it only stored
SETTINGS: dict[str, Any] = {
    "name": "m", "start_date": "2026-03-01", "finmap_account": "Каса", "sitniks_url": "https://sitniks.invalid",
    "finmap_url": "https://finmap.invalid", "max_change_share": 1, "on_delete": "withdraw",
}  # fmt: skip
SOLD = Content("income", Decimal("100.00"), START - timedelta(hours=1), "account", None, None, "Оплата")
NEW = "nothing"
WHEN = ("next_attempt_at", "missing_since", "deleting_at")
WHETHER = ("sent_at", "applied_at", "verified_at")
WHAT = ("state", "generation", "written", "shown", "unseen", "intents", "deleting", "refused", "carried")


class Killed(BaseException):
    """The process is no more: nothing catches this."""


@dataclass(frozen=True)
class Deed:
    """One operation that Finmap holds; what it only stored is not shown before its time."""

    content: Content
    shown_from: datetime
    gone_from: datetime | None = None  # it was deleted, and that is not processed yet


@dataclass
class FakeFinmap:
    """Finmap for one attempt: at each request one of several things happens, as `choices` says, then the first."""

    holds: dict[str, Deed]  # by external ID, without the name of the world
    used: set[str]  # those of what was deleted: they are not given twice
    choices: list[int]
    now: datetime
    refusals: bool = False
    honest: bool = True  # it has lied already
    steps: list[str] = field(default_factory=list)
    options: list[int] = field(default_factory=list)
    pick: Callable[[int], int] = lambda options: 0  # where no choice is given, of so many
    late: list[Callable[[], None]] = field(default_factory=list)  # applied after nobody waits for it any more

    def create(self, external_id: str, content: Content) -> Write:
        key = key_of(external_id)
        if key in self.holds or key in self.used:
            return self._write("create", Outcome.EXISTS, lambda: None)
        held = [lambda d=Deed(content, self.now + after): self._hold(key, d) for after in (timedelta(), SOON, LATE)]
        return self._write("create", Outcome.APPLIED, *held)

    def update(self, external_id: str, type: str, changes: dict[str, Any]) -> Write:
        deed = self._shown(external_id)
        if deed is None or deed.content.type != type:
            return self._write("update", Outcome.REFUSED, lambda: None)
        changed = replace(deed, content=replace(deed.content, **changes))
        return self._write("update", Outcome.APPLIED, lambda: self.holds.update({key_of(external_id): changed}))

    def delete(self, external_id: str, type: str) -> Write:
        key, deed = key_of(external_id), self._shown(external_id)
        if deed is None or deed.content.type != type:
            return self._write("delete", Outcome.REFUSED, lambda: None)
        going = replace(deed, gone_from=self.now + SOON)
        return self._write("delete", Outcome.APPLIED, lambda: self._drop(key), lambda: self.holds.update({key: going}))

    def details(self, external_id: str) -> Operation | None:
        deed = self._shown(external_id)
        options = ["shown" if deed else "not shown", "no answer"]
        match self._choose("details", options if self.honest or not deed else [*options, "a false 404"]):
            case "no answer":
                raise Unavailable("Finmap did not answer")
            case "a false 404":
                self.honest = True
                return None
        return Operation(external_id, deed.content) if deed else None

    def _write(self, what: str, answer: Outcome, apply: Callable[[], None], *store: Callable[[], None]) -> Write:
        does: dict[str, tuple[Outcome | None, Callable[[], None] | None]] = {
            answer.value: (answer, apply),
            "applied, reply lost": (Outcome.UNKNOWN, apply),
            "dropped": (Outcome.UNKNOWN, None),
            "killed before": (None, None),
            "applied, killed after": (None, apply),
        }
        if self.refusals and what != "delete":
            does["refused"] = (Outcome.REFUSED, None)
        if len(store) == 1:
            does |= {"stored": (Outcome.ACCEPTED, store[0]), "stored and lost": (Outcome.ACCEPTED, None)}
        elif store:
            does |= {
                "stored": (Outcome.ACCEPTED, store[0]),
                "stored for long": (Outcome.ACCEPTED, store[1]),
                "stored and lost": (Outcome.ACCEPTED, None),
                "stored, killed after": (None, store[0]),
                "error": (Outcome.ERROR, None),
                "applied late": (Outcome.UNKNOWN, lambda: self.late.append(apply)),
            }
        outcome, effect = does[self._choose(what, list(does))]
        if effect:
            effect()
        if outcome is None:
            raise Killed
        return Write(self.now, "", what, "", None, outcome, 0, None if outcome is Outcome.APPLIED else what)

    def _choose(self, what: str, options: list[str]) -> str:
        place = len(self.options)
        self.options.append(len(options))
        if place == len(self.choices):
            self.choices.append(self.pick(len(options)))
        self.steps.append(f"{what}: {options[self.choices[place]]}")
        return options[self.choices[place]]

    def _hold(self, key: str, deed: Deed) -> None:
        if key not in self.holds and key not in self.used:
            self.holds[key] = deed

    def _drop(self, key: str) -> None:
        del self.holds[key]
        self.used.add(key)

    def _shown(self, external_id: str) -> Deed | None:
        deed = self.holds.get(key_of(external_id))
        return deed if deed and deed.shown_from <= self.now else None


def pass_time(world: "World", now: datetime) -> None:
    """What Finmap had accepted to delete is deleted."""
    for key, deed in list(world.holds.items()):
        if deed.gone_from and deed.gone_from <= now:
            del world.holds[key]
            world.used.add(key)


@dataclass
class World:
    """One course of events up to now. External IDs are without the name of the world: "", ":2", ":3" …"""

    source: Content | None
    ledger: dict[str, Entry] = field(default_factory=dict)
    holds: dict[str, Deed] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    shown: dict[str, Content] = field(default_factory=dict)  # what was read back last
    dead: bool = False  # its process was killed: nothing is read back in this layer
    honest: bool = False  # Finmap has lied in this world already: once is all it does
    theirs: tuple[tuple[str, Any], ...] = ()  # what a person wrote in Finmap, field and value, and nobody may undo
    story: tuple[str, ...] = ()

    def copy(self) -> "World":
        return replace(
            self, ledger=dict(self.ledger), holds=dict(self.holds), used=set(self.used), shown=dict(self.shown)
        )

    @property
    def state(self) -> Hashable:
        """What can still matter: two worlds with the same state have one future."""
        ledger = tuple(
            (
                key,
                *(str(getattr(one, name)) for name in (*WHAT, *WHEN)),
                *(getattr(one, name) is not None for name in WHETHER),
            )
            for key, one in self.ledger.items()
        )
        return (
            self.source, self.dead, self.honest, self.theirs, ledger, tuple(self.holds.items()),
            tuple(sorted(self.used)), tuple(self.shown.items()),
        )  # fmt: skip


class InMemory(Warehouse):
    """A warehouse that stays open: thousands of worlds in a second."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"), "m")
        self.con = duckdb.connect(config={name: store.SETTINGS[name] for name in PLAIN if name in store.SETTINGS})
        self.con.execute("set timezone = 'UTC'; set threads = 1")
        migrate(self.con, 0)

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.con.begin()
        yield self.con
        self.con.commit()


class EveryTag(dict[str, str]):
    """Finmap has each tag, and its ID is its label."""

    def __contains__(self, label: object) -> bool:
        return True


class Edge(NamedTuple):
    """One arrow of the picture: what the ledger said, what was done, what it said then."""

    before: str
    action: str
    after: str


class Model:
    """All worlds of a layer, in one warehouse."""

    def __init__(self, *, refusals: bool = False) -> None:
        self.refusals = refusals  # whether Finmap may refuse what it is sent: it does so until that changes
        self.warehouse = warehouse = InMemory()
        self.connection = Connection.model_validate(SETTINGS)
        self.edges: set[Edge] = set()
        with warehouse.transaction() as con:
            save_settings(con, self.connection)
            read = {"resource": "transactions", "day": START.date(), "read_at": START, "run_id": None}
            insert_rows(con, "complete_reads", [read])

    def sync(
        self, worlds: list[World], now: datetime, *, harm: bool, approve: bool = False, rollback: bool = False
    ) -> list[World]:
        """Every course that one sync, or rollback, can take from each world; without `harm` the one in which all goes
        well. With `approve` a person says yes to everything."""
        for world in worlds:
            pass_time(world, now)
        with self.warehouse.transaction() as con:
            self.write_down(con, worlds)
        tasks = self._begin(now, approve, rollback)
        with self.warehouse.transaction() as con:
            self._read_ledger(con, worlds)  # as a kill would leave it
        ended: list[World] = []
        for place, world in enumerate(worlds):
            mine = tasks.get(place, [])
            courses = [world]
            for task in mine:
                courses = [after for one in courses for after in self._attempts(one, task, place, now, harm)]
            ended += courses
        ended = distinct(ended)
        alive = [world for world in ended if not world.dead]
        lied_to = [replace(world.copy(), honest=True) for world in alive if harm and not world.honest and world.holds]
        later = now + timedelta(seconds=1)
        self._read_back(alive, later)
        self._read_back(lied_to, later, empty=True)
        ended += lied_to
        for world in ended:
            world.dead = False
        return distinct(ended)

    def random_sync(
        self, worlds: list[World], now: datetime, pick: Callable[[int], int], harm: Callable[[], bool], *, approve: bool
    ) -> None:
        """One of the courses that a sync can take, in each world."""
        with self.warehouse.transaction() as con:
            self.write_down(con, worlds)
        tasks = self._begin(now, approve, False)
        with self.warehouse.transaction() as con:
            self._read_ledger(con, worlds)
        for place, world in enumerate(worlds):
            for task in tasks.get(place, []):
                if not world.dead:
                    self._attempt(world, task, now, [], pick, honest=world.honest or not harm())
            world.dead = world.dead or harm()  # killed before it is read back
        lied_to = [world for world in worlds if not world.dead and not world.honest and world.holds and harm()]
        self._read_back([one for one in worlds if not one.dead and one not in lied_to], now + timedelta(seconds=1))
        self._read_back(lied_to, now + timedelta(seconds=1), empty=True)
        for world in worlds:
            world.honest = world.honest or any(world is one for one in lied_to)
            world.dead = False

    def _begin(self, now: datetime, approve: bool, rollback: bool) -> dict[int, list[Task]]:
        """The tasks of each world, written down as begun."""
        day = START.date()
        with self.warehouse.transaction() as con:
            if rollback:
                fill_rollback(con, plan_rollback(con, first_day=day, last_day=day, force=True))
            else:
                if approve:
                    con.execute(APPROVE, [now])
                take_tasks(con, day, day, now, every_failed=True)
        tasks = Tasks(self.warehouse, lambda: now)
        found: dict[int, list[Task]] = {}
        while task := tasks.take():
            found.setdefault(number(task.transaction_id), []).append(task)
        return found

    def _attempts(self, world: World, task: Task, place: int, now: datetime, harm: bool) -> Iterator[World]:
        if world.dead:
            yield world
            return
        open_choices: list[list[int]] = [[]]
        while open_choices:
            choices = open_choices.pop()
            given = len(choices)
            after = world.copy()
            finmap = self._attempt(after, task, now, choices, honest=after.honest or not harm)
            yield after
            if harm:
                if not after.dead:
                    yield replace(after.copy(), dead=True, story=(*after.story, "killed before it was read back"))
                for step in range(given, len(finmap.options)):
                    open_choices += [[*choices[:step], other] for other in range(1, finmap.options[step])]

    def _attempt(
        self,
        world: World,
        task: Task,
        now: datetime,
        choices: list[int],
        pick: Callable[[int], int] = lambda options: 0,
        *,
        honest: bool,
    ) -> FakeFinmap:
        """Carries out a task in a world; a kill leaves it dead."""
        finmap = FakeFinmap(world.holds, world.used, choices, now, self.refusals, honest, pick=pick)
        applier = Applier(
            cast(Finmap, finmap), EveryTag(), retry_every=timedelta(minutes=15), run_id=None, now=lambda: now
        )
        try:
            result = applier.apply(task)
            self._keep(world, task, result.entries)
            world.shown |= {key_of(one.external_id): one.content for one in result.seen}
            for one in result.entries:
                if one.missing_since:
                    world.shown.pop(key_of(one.external_id), None)
        except Killed:
            world.dead = True
        for apply in finmap.late:
            apply()
        world.honest = world.honest or (not honest and finmap.honest)
        world.story += (f"{task.action}: " + ", ".join(finmap.steps),)
        assert len(world.holds) <= 1, ("two live operations", world.story, world.holds)
        return finmap

    def _keep(self, after: World, task: Task, entries: list[Entry]) -> None:
        """What the courier commits."""
        known = {key_of(task.entry.external_id): task.entry} if task.entry else {}
        begun = after.ledger.get(key_of(task.external_id))
        if begun and begun.attempts == 0 and key_of(task.external_id) not in known:
            del after.ledger[key_of(task.external_id)]
        for one in entries:
            key = key_of(one.external_id)
            self.edges.add(Edge(known[key].state if key in known else NEW, task.action, one.state))
            after.ledger[key] = one

    def _read_back(self, worlds: list[World], now: datetime, *, empty: bool = False) -> None:
        there = {} if empty else {one.external_id: one for one in shown(worlds, now)}
        finmap = SimpleNamespace(operations=lambda start, end, prefix: there.values(), details=there.get)
        run = ConnectionRun(self.connection, self.warehouse)
        run.__dict__["finmap"] = finmap
        with self.warehouse.transaction() as con:
            self.write_down(con, worlds)
        read_back(run, START.date(), START.date(), now)
        before = [world.ledger for world in worlds]
        with self.warehouse.transaction() as con:
            self._read_ledger(con, worlds)
        for was, world in zip(before, worlds, strict=True):
            for key, one in world.ledger.items():
                if (state := was[key].state if key in was else NEW) != one.state:
                    self.edges.add(Edge(state, "read back", one.state))
        for place, world in enumerate(worlds):
            world.shown = {key: deed.content for key, deed in world.holds.items() if f"m:w{place}{key}" in there}
            if empty:
                world.story += ("the list was empty, once",)

    def left_to_do(self, worlds: list[World], now: datetime) -> list[tuple[Any, ...]]:
        """What a plan would still do, or would ask a person about, and how it came to that."""
        with self.warehouse.transaction() as con:
            self.write_down(con, worlds)
            rows = con.execute("select transaction_id, action, standing, why from plan").fetchall()
        return [(row[1:], worlds[number(row[0])].story) for row in rows]

    def write_down(self, con: duckdb.DuckDBPyConnection, worlds: list[World]) -> None:
        for table in TABLES:
            con.execute(f"delete from {table}")
        insert_rows(con, "operations", [operation(n, one.source) for n, one in enumerate(worlds) if one.source])
        insert_rows(con, "raw_sitniks_transactions", [raw(n, one.source is None) for n, one in enumerate(worlds)])
        save_entries(con, [
            replace(one, external_id=f"m:w{n}{key}", transaction_id=f"w{n}")
            for n, world in enumerate(worlds)
            for key, one in world.ledger.items()
        ])  # fmt: skip
        seen = [
            vars(content) | {"external_id": f"m:w{n}{key}", "read_at": START}
            for n, one in enumerate(worlds)
            for key, content in one.shown.items()
        ]
        insert_rows(con, "finmap_operations", seen)

    def _read_ledger(self, con: duckdb.DuckDBPyConnection, worlds: list[World]) -> None:
        for world in worlds:
            world.ledger = {}
        for (row,) in con.execute("select l from finmap_upload l order by generation").fetchall():
            entry = entry_of(row)
            worlds[number(entry.transaction_id)].ledger[key_of(entry.external_id)] = entry


TABLES = ("operations", "raw_sitniks_transactions", "finmap_upload", "finmap_operations", "decisions", "held_changes")
APPROVE = """
    insert or ignore into decisions
    select transaction_id, action, occasion, 'approve', $1 from plan where standing <> 'go'
"""


def distinct(worlds: list[World]) -> list[World]:
    """The shortest story of each state."""
    return list({one.state: one for one in sorted(worlds, key=lambda world: -len(world.story))}.values())


def edges() -> set[Edge]:
    """Every arrow that there is: Finmap refuses as well, people delete in Finmap, restore, approve, and roll back."""
    model, now = Model(refusals=True), START
    worlds = [World(SOLD)]
    for minutes in (2, 11):
        worlds = model.sync(worlds, now, harm=True, approve=True)
        worlds = one_of_each([after for world in worlds for after in (*changes(world), *deleted_by_a_person(world))])
        now += timedelta(minutes=minutes)
    worlds = one_of_each(model.sync(worlds, now, harm=True, approve=True))
    rolled_back = model.sync([one.copy() for one in worlds], now, harm=False, rollback=True)
    worlds = one_of_each([*worlds, *rolled_back])
    for _ in range(3):  # two looks, hours apart
        now += timedelta(hours=2)
        worlds = model.sync(worlds, now, harm=False)
    worlds = one_of_each([after for world in worlds for after in (world, *restored_by_a_person(world))])
    model.sync(worlds, now + timedelta(hours=1), harm=False, approve=True)
    return model.edges


def one_of_each(worlds: list[World]) -> list[World]:
    """One world for each way in which the ledger, Finmap and the source can stand to one another."""

    def kind(world: World) -> Hashable:
        wanted = world.source
        ledger = tuple(
            (
                key,
                one.state,
                one.deleting,
                len(one.intents),
                one.missing_since is None,
                one.verified_at is None and one.applied_at is None,
                one.written == wanted,
                one.shown is None,
            )
            for key, one in world.ledger.items()
        )
        holds = tuple((key, deed.content == wanted, deed.shown_from > START) for key, deed in world.holds.items())
        return ledger, holds, wanted and wanted.type, world.used != set(), world.honest

    return list({kind(world): world for world in worlds}.values())


def table(arrows: set[Edge]) -> str:
    """The arrows as docs/delivery-states.md shows them."""
    actions: dict[tuple[str, str], set[str]] = {}
    for arrow in arrows:
        actions.setdefault((arrow.before, arrow.after), set()).add(arrow.action)
    lines = ["| from | to | by |", "|---|---|---|"]
    for (before, after), by in sorted(actions.items()):
        lines.append(f"| {before if before == NEW else f'`{before}`'} | `{after}` | {', '.join(sorted(by))} |")
    return "\n".join(lines)


def deleted_by_a_person(world: World) -> Iterator[World]:
    if world.holds:
        yield replace(
            world.copy(), holds={}, used=world.used | set(world.holds), story=(*world.story, "person: deleted")
        )


def restored_by_a_person(world: World) -> Iterator[World]:
    """The last operation that was deleted is taken out of the bin."""
    if world.used and not world.holds:
        key = max(world.used)
        yield replace(
            world.copy(), holds={key: Deed(SOLD, START)}, used=world.used - {key}, story=(*world.story, "restored")
        )


def changes(world: World) -> Iterator[World]:
    """What may happen in Sitniks before the next sync."""
    was = world.source
    futures = {"nothing": was}
    if was:
        futures |= {
            "edited": replace(was, amount=was.amount + 1),
            "sign turned": replace(was, type="expense" if was.type == "income" else "income"),
            "deleted": None,
            "put back": SOLD,
        }
    else:
        futures |= {"restored": SOLD, "restored, sign turned": replace(SOLD, type="expense")}
    for what, source in futures.items():
        yield replace(world.copy(), source=source, story=(*world.story, f"Sitniks: {what}"))


def shown(worlds: list[World], now: datetime) -> Iterator[Operation]:
    for place, world in enumerate(worlds):
        for key, deed in world.holds.items():
            if deed.shown_from <= now:
                yield Operation(f"m:w{place}{key}", deed.content, f"id-{place}{key}")


def operation(place: int, content: Content) -> dict[str, Any]:
    return {name: value for name, value in vars(content).items() if name not in ("project", "counterparty")} | {
        "transaction_id": f"w{place}", "external_id": f"m:w{place}", "day": START.date(), "currency": "UAH",
        "classification": "sale", "raw_version": 1,
    }  # fmt: skip


def raw(place: int, gone: bool) -> dict[str, Any]:
    return {
        "transaction_id": f"w{place}", "version": 1, "day": START.date(), "amount": "100", "payload": "{}",
        "content_hash": "", "first_seen_at": START, "last_seen_at": START, "gone_at": START if gone else None,
    }  # fmt: skip


def key_of(external_id: str) -> str:
    """What follows the transaction in an external ID."""
    return external_id[len("m:w") :].lstrip("0123456789")


def number(transaction_id: str) -> int:
    return int(transaction_id.removeprefix("w"))
