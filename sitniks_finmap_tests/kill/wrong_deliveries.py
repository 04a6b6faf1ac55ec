"""Two deliveries that are right as long as nothing is killed: the harness must find out both."""

from datetime import date, datetime

from sitniks_finmap.delivery import Courier, Delivery, make_plan
from sitniks_finmap.finmap import Content, Finmap, Write, _all_fields, _body, _json
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.settlement import Planned, Settler


class Keyless(Finmap):
    """Creates without an externalId of ours: Finmap makes one up, and takes a second creation for another operation."""

    def create(self, external_id: str, content: Content) -> Write:
        body = _json(_body(content.type, _all_fields(content)))
        return self._write("POST", f"/operations/{content.type}", external_id, body)


class WrongDelivery:
    """Sends what was never sent, one after the other, and never reads back."""

    def __init__(self, run: ConnectionRun, now: datetime) -> None:
        self.now = now
        self.finmap = run.finmap
        self.courier = Courier(run.warehouse, run.finmap, retry_every=run.connection.retry_every, now=lambda: now)
        self.settler = Settler(run.finmap, {}, retry_every=run.connection.retry_every, run_id=None, now=lambda: now)

    def deliver(self, first_day: date, last_day: date) -> None:
        with self.courier.warehouse.transaction() as con:
            make_plan(con, first_day, last_day, self.now, every_failed=True)
        self.carry_out(list(self.courier._planned()))

    def carry_out(self, plan: list[Planned]) -> None:
        raise NotImplementedError

    def post(self, plan: list[Planned]) -> None:
        for planned in plan:
            self.finmap.create(planned.external_id, self.settler._wanted(planned))

    def mark(self, plan: list[Planned]) -> None:
        self.courier._commit(Delivery(), [self.settler._settled(planned, [], "verified") for planned in plan])


class MarksFirst(WrongDelivery):
    """Marks before it posts: a kill in between loses operations."""

    def carry_out(self, plan: list[Planned]) -> None:
        self.mark(plan)
        self.post(plan)


class PostsWithoutKey(WrongDelivery):
    """Posts, then marks, and no key says that Finmap has it already: a kill in between doubles operations."""

    def carry_out(self, plan: list[Planned]) -> None:
        self.finmap = Keyless(self.finmap.api)
        self.post(plan)
        self.mark(plan)


WRONG = {"marks first": MarksFirst, "posts without a key": PostsWithoutKey}
