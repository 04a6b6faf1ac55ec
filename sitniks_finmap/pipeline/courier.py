"""Carries out the plan of one connection: selects its tasks, applies a few at a time, keeps the ledger."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb

from sitniks_finmap.clients.answers import KeyRefused, Refused, Unavailable
from sitniks_finmap.clients.finmap import Finmap, Operation, Outcome
from sitniks_finmap.content import content_of
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.pipeline.apply.applier import Applier
from sitniks_finmap.pipeline.apply.task import Result, Task
from sitniks_finmap.pipeline.apply.transitions import carried_over
from sitniks_finmap.pipeline.ledger import State, entry_of, save_entries
from sitniks_finmap.pipeline.plan import CREATIONS, Action, planned
from sitniks_finmap.progress import Progress
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, insert_rows

log = logging.getLogger(__name__)

IN_FLIGHT = 4
TURNS = 3  # an order's payment, then its cost or refund, then what returns to the stock
QUEUED = 100  # so that the senders have work while results are committed
CHUNK = 200  # tasks whose intents are recorded together
FIRST_CHUNK = 3  # of a first import: another installation may begin with the same shop at the same moment
COMMIT_EVERY = 0.5  # seconds of work that a kill may cost
UNANSWERED_IN_A_ROW = 8  # then treat Finmap as down and stop


@dataclass
class Delivery:
    """The result of a delivery, in numbers of operations."""

    planned: int = 0
    states: dict[State, int] = field(default_factory=dict)  # state in the ledger → how many ended in it
    writes: int = 0

    @property
    def done(self) -> int:
        return sum(self.states.values())

    @property
    def backlog(self) -> int:
        return self.planned - self.done

    def add(self, other: "Delivery") -> None:
        self.planned += other.planned
        self.writes += other.writes
        for state, count in other.states.items():
            self.states[state] = self.states.get(state, 0) + count

    def __str__(self) -> str:
        ended = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in sorted(self.states.items()))
        left = f", {self.backlog:,} left for the next run" if self.backlog else ""
        return f"{self.planned:,} to deliver: {ended or 'nothing done'}{left}" if self.planned else "nothing to deliver"


def take_tasks(
    con: duckdb.DuckDBPyConnection, first_day: date, last_day: date, now: datetime, *, every_failed: bool
) -> int:
    """Fill `tasks` with the due part of the plan for these days; return how many there are.

    First deletes decisions and holds whose occasion is gone. `every_failed` includes failed and refused operations that
    are not due yet.
    """
    con.execute(sql("hold_first_import"), {"now": now})
    con.execute(sql("adopt"))
    with planned(con):
        con.execute(sql("sweep"))
        con.execute("delete from tasks")
        days = {"first_day": first_day, "last_day": last_day}
        con.execute(sql("tasks"), {**days, "now": now, "every_failed": every_failed})
    return _count(con)


def _count(con: duckdb.DuckDBPyConnection) -> int:
    (count,) = con.execute("select count(*) from tasks").fetchone() or (0,)
    return count


class Courier:
    """Carries out the tasks of one connection and keeps the ledger."""

    def __init__(
        self,
        warehouse: Warehouse,
        finmap: Finmap,
        *,
        retry_every: timedelta,
        run_id: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        before_creating: Callable[[set[date]], None] | None = None,
        first_import: bool = False,
    ) -> None:
        """`before_creating` is called with the days of the operations that a chunk creates; it may raise."""
        self.before_creating = before_creating
        self.first_import = first_import
        self.warehouse = warehouse
        self.finmap = finmap
        self.retry_every = retry_every
        self.run_id = run_id
        self.now = now

    def deliver(
        self, first_day: date, last_day: date, *, minutes: float | None = None, every_failed: bool = True
    ) -> Delivery:
        """Deliver what is due in these days, newest first, for at most `minutes`.

        Raises KeyRefused, or Unavailable if Finmap stopped answering; everything done before is committed.
        """
        deadline = None if minutes is None else time.monotonic() + minutes * 60
        whole = Delivery()
        for turn in range(TURNS):
            with self.warehouse.transaction() as con:
                count = take_tasks(con, first_day, last_day, self.now(), every_failed=every_failed and not turn)
                # What waited for another operation of its order may go next.
                waits = con.execute("select exists (from waiting_operations)").fetchone() == (True,)
            failpoint("plan_written")
            if count or not turn:
                whole.add(self.carry_out(deadline))
            if not waits or not count:
                break
        return whole

    def carry_out(self, deadline: float | None = None) -> Delivery:
        """Carry out the table `tasks` until the deadline (monotonic). Raises like `deliver`."""
        with self.warehouse.transaction() as con:
            delivery = Delivery(_count(con))
            labels = con.execute(sql("task_labels")).fetchall()
        tags, missing_tags = self._tags(dict(labels))
        applier = Applier(
            self.finmap, tags, missing_tags, retry_every=self.retry_every, run_id=self.run_id, now=self.now
        )
        self._apply(applier, delivery, deadline)
        if applier.key_refused:
            raise applier.key_refused
        return delivery

    def _tags(self, labels: dict[str, bool]) -> tuple[dict[str, str], dict[str, str]]:
        """Look up the IDs of the tags with these labels, creating missing ones; return why any was not created.

        A missing tag is created if a task wants it (true), not if it was only written before; a 409 means that someone
        else has just created it.
        """
        tags: dict[str, str] = {}
        missing_tags: dict[str, str] = {}
        if labels:
            tags = self._tags_by_label(labels)
        missing = [label for label, wanted in labels.items() if wanted and label not in tags]
        for label in missing:
            try:
                self.finmap.create_tag(label)
            except (Refused, Unavailable) as why:
                missing_tags[label] = str(why)
        if missing:
            tags = self._tags_by_label(labels)
        return tags, missing_tags

    def _tags_by_label(self, labels: Iterable[str]) -> dict[str, str]:
        # Finmap may treat "instagram" and "Instagram" as the same label.
        there = {tag.label.strip().casefold(): tag.id for tag in self.finmap.tags()}
        return {label: there[label.strip().casefold()] for label in labels if label.strip().casefold() in there}

    def _apply(self, applier: Applier, delivery: Delivery, deadline: float | None) -> None:
        unanswered = 0
        ended: list[tuple[Task, Result]] = []
        committed = time.monotonic()
        begun: dict[Future[Result], Task] = {}
        tasks = Tasks(self.warehouse, self.now, self.before_creating, first_import=self.first_import)
        unsent: list[Task] = []
        try:
            with Progress(self.warehouse.connection, "delivered") as progress, ThreadPoolExecutor(IN_FLIGHT) as pool:
                try:
                    while True:
                        while len(begun) < QUEUED and (task := tasks.take(others=len(begun))):
                            begun[pool.submit(applier.apply, task)] = task
                        if not begun or (deadline and time.monotonic() > deadline):
                            break
                        done, _ = wait(begun, return_when=FIRST_COMPLETED)
                        if refused := next((e for one in done if isinstance(e := one.exception(), KeyRefused)), None):
                            raise refused
                        for future in done:
                            ended.append((begun.pop(future), future.result()))
                            unanswered = unanswered + 1 if _unanswered(ended[-1][1]) else 0
                        if time.monotonic() - committed > COMMIT_EVERY:
                            self._commit(delivery, ended)
                            committed = time.monotonic()
                            progress.report(delivery.done, delivery.planned)
                        if unanswered >= UNANSWERED_IN_A_ROW:
                            raise Unavailable("Finmap stopped answering; what is left is delivered by the next run")
                finally:
                    # Leave unsent tasks to the next run; wait for those in flight and keep their results.
                    sent = {future: task for future, task in begun.items() if not future.cancel()}
                    ended += [(task, future.result()) for future, task in sent.items() if not future.exception()]
                    unsent = [task for future, task in begun.items() if future not in sent or future.exception()]
        finally:
            self._commit(delivery, ended)
            tasks.put_back(unsent)

    def _commit(self, delivery: Delivery, ended: list[tuple[Task, Result]]) -> None:
        if not ended:
            return
        writes = [asdict(write) | {"run_id": self.run_id} for _, one in ended for write in one.writes]
        with self.warehouse.transaction() as con:
            forget_begun(con, [t for t, one in ended if t.external_id not in {e.external_id for e in one.entries}])
            entries = [entry for _, one in ended for entry in one.entries]
            save_entries(con, entries)
            insert_rows(con, "finmap_requests", writes)
            save_shown(con, [operation for _, one in ended for operation in one.seen], self.now())
            absent = [entry.external_id for entry in entries if entry.missing_since]
            con.execute("delete from finmap_operations where list_contains($1::varchar[], external_id)", [absent])
            done = [[task.transaction_id, task.action, task.occasion] for task, one in ended if _is_done(one)]
            con.execute(
                "delete from decisions where list_contains($1::varchar[][], [transaction_id, action, occasion])", [done]
            )
        failpoint("results_committed")
        for _, one in ended:
            delivery.states[one.state] = delivery.states.get(one.state, 0) + 1
        delivery.writes += len(writes)
        ended.clear()


class Tasks:
    """The rows of `tasks` in order, read and recorded as started a chunk at a time: a first import is long."""

    def __init__(
        self,
        warehouse: Warehouse,
        now: Callable[[], datetime],
        before_creating: Callable[[set[date]], None] | None = None,
        *,
        first_import: bool = False,
    ) -> None:
        self.warehouse = warehouse
        self.now = now
        self.before_creating = before_creating
        self.few = first_import  # the next chunk is small, and the one after it waits for its end
        self.waits = False
        self.position = 0
        self.days: set[date] = set()  # on which the chunk before created something
        self.chunk: Iterator[Task] = iter(())
        self.exhausted = False

    def take(self, others: int = 0) -> Task | None:
        """The next task, or None: there is none, or none before the `others` that are in progress have ended."""
        task = next(self.chunk, None)
        if task or self.exhausted or (self.waits and others):
            return task
        most = FIRST_CHUNK if self.few else CHUNK
        with self.warehouse.transaction() as con:
            con.execute(sql("begun"), {"after": self.position, "most": most, "now": self.now()})
            con.execute(sql("begin"))
            rows = [row for (row,) in con.execute("select b from begun b order by position").fetchall()]
            tasks = [save_carried(con, _task(row)) for row in rows]
        self.position = rows[-1]["position"] if rows else self.position
        self.exhausted = len(rows) < most
        self.few, self.waits = False, self.few
        self.chunk = iter(tasks)
        self._look(tasks)
        return next(self.chunk, None)

    def _look(self, tasks: list[Task]) -> None:
        """Before a chunk creates operations: at their days, and after the first few at those of these few."""
        before = self.days if self.waits else set[date]()
        self.days = {task.day for task in tasks if task.action in CREATIONS}
        if self.before_creating and self.days:
            self.before_creating(self.days | before)

    def put_back(self, unsent: list[Task]) -> None:
        """Restore the entries of tasks that were recorded as started but never sent."""
        left = [*unsent, *self.chunk]
        if left:
            with self.warehouse.transaction() as con:
                forget_begun(con, left)
                save_entries(con, [task.entry for task in left if task.entry])


def save_carried(con: duckdb.DuckDBPyConnection, task: Task) -> Task:
    """Record what a person set on an operation before it is deleted and replaced."""
    if task.action is not Action.REPLACE or task.entry is None or task.theirs is None:
        return task
    carried = carried_over(task.entry, task.theirs)
    if carried != task.entry.carried:
        con.execute(
            "update finmap_upload set carried = $1 where external_id in ($2, $3)",
            [asdict(carried) if carried else None, task.entry.external_id, task.external_id],
        )
    return replace(task, entry=replace(task.entry, carried=carried))


def forget_begun(con: duckdb.DuckDBPyConnection, tasks: list[Task]) -> None:
    """Delete the entries of creations that were recorded as started but never sent."""
    fresh = [t.external_id for t in tasks if t.entry is None or t.entry.external_id != t.external_id]
    con.execute(sql("forget_begun"), {"external_ids": fresh})


def _task(row: dict[str, Any]) -> Task:
    """Convert a row of `begun` (sql/begun.sql)."""
    task: dict[str, Any] = {one.name: row[one.name] for one in fields(Task)}
    task |= {"action": Action(row["action"]), "wanted": content_of(row["wanted"]), "theirs": content_of(row["theirs"])}
    task["entry"] = entry_of(row["entry"]) if row["entry"] else None
    return Task(**task)


def _is_done(result: Result) -> bool:
    return result.state not in (State.FAILED, State.REFUSED) and result.entries[-1].deleting is None


def _unanswered(result: Result) -> bool:
    return result.state is State.FAILED and (not result.writes or result.writes[-1].outcome is Outcome.UNKNOWN)


def save_shown(con: duckdb.DuckDBPyConnection, operations: list[Operation], at: datetime) -> None:
    """Save operations as Finmap just showed them."""
    ids = [operation.external_id for operation in operations]
    con.execute("delete from finmap_operations where list_contains($1::varchar[], external_id)", [ids])
    insert_rows(
        con,
        "finmap_operations",
        [asdict(o.content) | {"external_id": o.external_id, "operation_id": o.id, "read_at": at} for o in operations],
    )
