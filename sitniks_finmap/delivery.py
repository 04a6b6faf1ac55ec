"""Plan and apply: the difference between the operations and what Finmap was told, carried out."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.finmap import Content, Finmap, Outcome, Write
from sitniks_finmap.http import ApiError, KeyRefused, Refused, Unavailable
from sitniks_finmap.warehouse import Warehouse, insert_rows, sql

log = logging.getLogger(__name__)

IN_FLIGHT = 4
QUEUED = 100  # so that the senders have work while results are committed
CHUNK = 1000
COMMIT_EVERY = 0.5  # seconds of work that a kill may cost
REPORT_EVERY = 2.0
VERIFY_AFTER = timedelta(minutes=10)  # what Finmap stored and does not show by then is sent again
UNANSWERED_IN_A_ROW = 8  # then Finmap is down, and asking on helps nobody


@dataclass(frozen=True)
class Planned:
    """One row of the plan."""

    action: str
    external_id: str
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
    attempts: int
    sent_at: datetime | None


@dataclass(frozen=True)
class Settled:
    """How a planned row ended: its new row in the ledger, and every write that it took."""

    ledger: dict[str, Any]
    writes: list[Write]


@dataclass
class Delivery:
    """What a delivery did, in numbers of operations."""

    planned: int = 0
    states: dict[str, int] = field(default_factory=dict)  # state in the ledger → how many ended in it
    writes: int = 0

    @property
    def done(self) -> int:
        return sum(self.states.values())

    @property
    def backlog(self) -> int:
        return self.planned - self.done

    def __str__(self) -> str:
        ended = ", ".join(f"{count:,} {state}" for state, count in sorted(self.states.items()))
        left = f", {self.backlog:,} left for the next run" if self.backlog else ""
        return f"{self.planned:,} to deliver: {ended or 'nothing done'}{left}" if self.planned else "nothing to deliver"


def make_plan(
    con: duckdb.DuckDBPyConnection, first_day: date, last_day: date, now: datetime, *, every_failed: bool
) -> int:
    """Writes the table `plan` for these days; `every_failed` takes up failed ones that are not due yet too."""
    con.execute(
        "create or replace temp table this_delivery as select $1::date as first_day, $2::date as last_day, "
        "$3::timestamptz as planned_at, $4::boolean as every_failed",
        [first_day, last_day, now, every_failed],
    )
    con.execute(sql("plan"))
    (planned,) = con.execute("select count(*) from plan").fetchone() or (0,)
    return planned


class Courier:
    """Carries out the plan of one connection and keeps the ledger."""

    def __init__(
        self,
        warehouse: Warehouse,
        finmap: Finmap,
        *,
        retry_every: timedelta,
        run_id: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.warehouse = warehouse
        self.finmap = finmap
        self.retry_every = retry_every
        self.run_id = run_id
        self.now = now
        self.tags: dict[str, str] = {}
        self.refused_tags: dict[str, str] = {}  # label → why Finmap did not make it
        self.key_refused: KeyRefused | None = None

    def deliver(
        self, first_day: date, last_day: date, *, minutes: float | None = None, every_failed: bool = True
    ) -> Delivery:
        """Plans and delivers these days, newest first, for at most `minutes`.

        Raises KeyRefused, or Unavailable when Finmap stopped answering; what was done until then is committed.
        """
        deadline = None if minutes is None else time.monotonic() + minutes * 60
        self.key_refused = None
        with self.warehouse.transaction() as con:
            delivery = Delivery(make_plan(con, first_day, last_day, self.now(), every_failed=every_failed))
            labels = [row[0] for row in con.execute("select distinct tag from plan where tag is not null").fetchall()]
        self._prepare_tags(labels)
        self._apply(delivery, deadline)
        return delivery

    def _prepare_tags(self, labels: list[str]) -> None:
        """Each label has a tag in Finmap: made once, and a 409 means that somebody was first."""
        if not labels:
            return
        self.tags = {tag.label: tag.id for tag in self.finmap.tags()}
        missing = [label for label in labels if label not in self.tags]
        for label in missing:
            try:
                self.finmap.create_tag(label)
            except Refused as refused:
                self.refused_tags[label] = str(refused)
        if missing:
            self.tags = {tag.label: tag.id for tag in self.finmap.tags()}

    def _apply(self, delivery: Delivery, deadline: float | None) -> None:
        progress = Progress(self.warehouse.connection, delivery)
        unanswered = 0
        settled: list[Settled] = []
        committed = time.monotonic()
        in_flight: set[Future[Settled]] = set()
        rows = self._planned()
        try:
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                try:
                    while True:
                        while len(in_flight) < QUEUED and (row := next(rows, None)):
                            in_flight.add(pool.submit(self.settle, row))
                        if not in_flight or (deadline and time.monotonic() > deadline):
                            break
                        done, in_flight = wait(in_flight, return_when=FIRST_COMPLETED)
                        if any(isinstance(future.exception(), KeyRefused) for future in done):
                            in_flight |= done
                            raise next(e for future in done if isinstance(e := future.exception(), KeyRefused))
                        for future in done:
                            settled.append(future.result())
                            unanswered = unanswered + 1 if _unanswered(settled[-1]) else 0
                        if time.monotonic() - committed > COMMIT_EVERY:
                            self._commit(delivery, settled)
                            committed = time.monotonic()
                            progress.report()
                        if unanswered >= UNANSWERED_IN_A_ROW:
                            raise Unavailable("Finmap stopped answering; what is left is delivered by the next run")
                finally:
                    # Those not yet begun are left in the plan; those in flight end in a result that is kept.
                    begun = [future for future in in_flight if not future.cancel()]
                    settled += [future.result() for future in begun if not future.exception()]
        finally:
            self._commit(delivery, settled)

    def _planned(self) -> Iterator[Planned]:
        """The rows of the plan in order, read in chunks: a first import may have a hundred thousand."""
        columns = ", ".join(Planned.__dataclass_fields__)
        position = 0
        while True:
            with self.warehouse.transaction() as con:
                rows = con.execute(
                    f"select {columns} from plan where position > $1 order by position limit $2",
                    [position, CHUNK],
                ).fetchall()
            yield from (Planned(*row) for row in rows)
            position += len(rows)
            if len(rows) < CHUNK:
                return

    def _commit(self, delivery: Delivery, settled: list[Settled]) -> None:
        if not settled:
            return
        writes = [asdict(write) | {"run_id": self.run_id} for one in settled for write in one.writes]
        with self.warehouse.transaction() as con:
            insert_rows(con, "finmap_upload", [one.ledger for one in settled], replacing=True)
            insert_rows(con, "finmap_requests", writes)
        for one in settled:
            delivery.states[one.ledger["state"]] = delivery.states.get(one.ledger["state"], 0) + 1
        delivery.writes += len(writes)
        settled.clear()

    # -- One row of the plan. No DuckDB here: this runs in several threads, and the network is awaited. --

    def settle(self, planned: Planned) -> Settled:
        """Brings one operation to Finmap, or finds out how it stands. Raises KeyRefused."""
        writes: list[Write] = []
        if self.key_refused:  # to another request of this delivery: no further one is sent
            raise self.key_refused
        if planned.tag and planned.tag not in self.tags:
            return self._failed(planned, writes, self.refused_tags.get(planned.tag, "Finmap has no such tag"))
        try:
            if planned.action == "verify":
                return self._look_up(planned, writes, absent=self._create)
            return self._create(planned, writes)
        except KeyRefused as refused:
            self.key_refused = refused
            raise
        except ApiError as error:
            return self._failed(planned, writes, f"the outcome is unknown: {error}")

    def _create(self, planned: Planned, writes: list[Write]) -> Settled:
        write = self.finmap.create(planned.external_id, self._wanted(planned))
        writes.append(write)
        match write.outcome:
            case Outcome.APPLIED:
                return self._settled(planned, writes, "sent")
            case Outcome.ACCEPTED:
                return self._accepted(planned, writes)
            case Outcome.REFUSED:
                return self._settled(planned, writes, "rejected", last_error=write.error)
            case Outcome.ERROR:
                return self._failed(planned, writes, write.error)
            case Outcome.EXISTS:
                # Stored by an earlier attempt and not shown yet; or, once that was waited for, deleted by a person.
                hidden = self._accepted if planned.action == "create" else self._hidden
                return self._look_up(planned, writes, absent=hidden)
        return self._look_up(planned, writes, absent=lambda row, done: self._failed(row, done, write.error))

    def _look_up(
        self, planned: Planned, writes: list[Write], *, absent: Callable[[Planned, list[Write]], Settled]
    ) -> Settled:
        """Settles an operation by what Finmap shows: equal is delivered, different is patched."""
        found = self.finmap.details(planned.external_id)
        if found is None:
            return absent(planned, writes)
        if found.content.type != planned.type:
            return self._failed(planned, writes, f"Finmap has it as {found.content.type}; delete it there")
        changes = found.content.differences(self._wanted(planned))
        if not changes:
            return self._settled(planned, writes, "verified")
        write = self.finmap.update(planned.external_id, planned.type, changes)
        writes.append(write)
        match write.outcome:
            case Outcome.APPLIED:
                return self._settled(planned, writes, "sent")
            case Outcome.ACCEPTED:
                return self._accepted(planned, writes)
            case Outcome.REFUSED:
                return self._settled(planned, writes, "rejected", last_error=write.error)
        return self._failed(planned, writes, write.error)

    def _wanted(self, planned: Planned) -> Content:
        return Content(
            type=planned.type,
            amount=planned.amount,
            occurred_at=planned.occurred_at,
            account=planned.account,
            category=planned.category,
            tag=self.tags[planned.tag] if planned.tag else None,
            comment=planned.comment,
        )

    def _accepted(self, planned: Planned, writes: list[Write]) -> Settled:
        return self._settled(planned, writes, "sent", next_attempt_at=self.now() + VERIFY_AFTER)

    def _hidden(self, planned: Planned, writes: list[Write]) -> Settled:
        return self._failed(planned, writes, "Finmap says that it exists but does not show it; was it deleted there?")

    def _failed(self, planned: Planned, writes: list[Write], error: str | None) -> Settled:
        due = self.now() + self.retry_every
        return self._settled(planned, writes, "failed", last_error=error, next_attempt_at=due)

    def _settled(self, planned: Planned, writes: list[Write], state: str, **more: Any) -> Settled:
        now = self.now()
        ledger = asdict(planned) | {
            "state": state,
            "attempts": planned.attempts + 1,
            "last_error": None,
            "next_attempt_at": None,
            "sent_at": planned.sent_at or (now if state in ("sent", "verified") else None),
            "verified_at": now if state == "verified" else None,
            "run_id": self.run_id,
        }
        del ledger["action"]
        return Settled(ledger | more, writes)


def _unanswered(settled: Settled) -> bool:
    return bool(settled.writes) and settled.writes[-1].outcome is Outcome.UNKNOWN


class Progress:
    """Says every few seconds how far a delivery is, how fast, and how long it will take."""

    def __init__(self, connection: str, delivery: Delivery) -> None:
        self.connection = connection
        self.delivery = delivery
        self.started = self.reported = time.monotonic()

    def report(self) -> None:
        now = time.monotonic()
        if now - self.reported < REPORT_EVERY:
            return
        self.reported = now
        rate = self.delivery.done / (now - self.started)
        left = timedelta(seconds=round(self.delivery.backlog / rate)) if rate else "?"
        log.info(
            "%s: delivered %d of %d, %.1f/s, about %s left",
            self.connection, self.delivery.done, self.delivery.planned, rate, left,
        )  # fmt: skip
