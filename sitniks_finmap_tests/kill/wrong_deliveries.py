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
        finmap = run.finmap
        self.courier = Courier(run.warehouse, finmap, retry_every=run.connection.retry_every, now=lambda: now)
        self.settler = Settler(finmap, {}, retry_every=run.connection.retry_every, run_id=None, now=lambda: now)

    def deliver(self, first_day: date, last_day: date) -> None:
        with self.courier.warehouse.transaction() as con:
            make_plan(con, first_day, last_day, self.now, every_failed=True)
        for planned in self.courier._planned():
            self.send(planned)

    def send(self, planned: Planned) -> None:
        raise NotImplementedError

    def mark(self, planned: Planned) -> None:
        settled = self.settler._settled(planned, [], "verified")
        self.courier._commit(Delivery(), [settled])


class MarksFirst(WrongDelivery):
    """Marks before it posts: a kill in between loses the operation."""

    def send(self, planned: Planned) -> None:
        self.mark(planned)
        self.settler.finmap.create(planned.external_id, self.settler._wanted(planned))


class PostsWithoutKey(WrongDelivery):
    """Posts, then marks, and no key says that Finmap has it already: a kill in between doubles it."""

    def send(self, planned: Planned) -> None:
        finmap = self.settler.finmap
        Keyless(finmap.api).create(planned.external_id, self.settler._wanted(planned))
        self.mark(planned)


WRONG = {"marks first": MarksFirst, "posts without a key": PostsWithoutKey}
