"""Two deliveries that are right as long as nothing is killed: the harness must find out both."""

from datetime import date, datetime

from sitniks_finmap.clients.finmap import Finmap, Write, all_fields, as_json, body_of
from sitniks_finmap.content import Content
from sitniks_finmap.pipeline.apply.task import Task
from sitniks_finmap.pipeline.courier import Tasks, take_tasks
from sitniks_finmap.pipeline.ledger import Entry, State, save_entries
from sitniks_finmap.pipeline.run import ConnectionRun


class Keyless(Finmap):
    """Creates without an externalId of ours: Finmap makes one up, and takes a second creation for another operation."""

    def create(self, external_id: str, content: Content) -> Write:
        body = as_json(body_of(content.type, all_fields(content)))
        return self._write("POST", f"/operations/{content.type}", external_id, body)


class WrongDelivery:
    """Sends what was never sent, one after the other, and never reads back."""

    def __init__(self, run: ConnectionRun, now: datetime) -> None:
        self.now = now
        self.finmap = run.finmap
        self.warehouse = run.warehouse

    def deliver(self, first_day: date, last_day: date) -> None:
        with self.warehouse.transaction() as con:
            take_tasks(con, first_day, last_day, self.now, every_failed=True)
        tasks = Tasks(self.warehouse, lambda: self.now)
        first = tasks.take()
        taken = [first, *tasks.chunk] if first else []
        tasks.put_back(taken)  # these deliveries write down nothing before they send it
        self.carry_out(taken)

    def carry_out(self, tasks: list[Task]) -> None:
        raise NotImplementedError

    def post(self, tasks: list[Task]) -> None:
        for task in tasks:
            if task.wanted:
                self.finmap.create(task.external_id, task.wanted)

    def mark(self, tasks: list[Task]) -> None:
        entries = [
            Entry(
                t.external_id, t.transaction_id, t.generation, t.day, State.VERIFIED, written=t.wanted, shown=t.wanted,
                sent_at=self.now, verified_at=self.now,
            )
            for t in tasks
        ]  # fmt: skip
        with self.warehouse.transaction() as con:
            save_entries(con, entries)


class MarksFirst(WrongDelivery):
    """Marks before it posts: a kill in between loses operations."""

    def carry_out(self, tasks: list[Task]) -> None:
        self.mark(tasks)
        self.post(tasks)


class PostsWithoutKey(WrongDelivery):
    """Posts, then marks, and no key says that Finmap has it already: a kill in between doubles operations."""

    def carry_out(self, tasks: list[Task]) -> None:
        self.finmap = Keyless(self.finmap.api)
        self.post(tasks)
        self.mark(tasks)


WRONG = {"marks first": MarksFirst, "posts without a key": PostsWithoutKey}
