"""Plan and apply: the difference between the operations and what Finmap was told, carried out."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta

import duckdb

from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.finmap import Finmap, Operation, Outcome
from sitniks_finmap.http import KeyRefused, Refused, Unavailable
from sitniks_finmap.progress import Progress
from sitniks_finmap.schema import sql
from sitniks_finmap.settlement import Planned, Settled, Settler
from sitniks_finmap.warehouse import Warehouse, insert_rows

log = logging.getLogger(__name__)

IN_FLIGHT = 4
QUEUED = 100  # so that the senders have work while results are committed
CHUNK = 1000
COMMIT_EVERY = 0.5  # seconds of work that a kill may cost
UNANSWERED_IN_A_ROW = 8  # then Finmap is down, and asking on helps nobody


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
    con: duckdb.DuckDBPyConnection,
    first_day: date,
    last_day: date,
    now: datetime,
    *,
    every_failed: bool,
    table: str = "plan",
) -> int:
    """Writes the plan of these days into the table `plan`, or a temporary one; returns how many rows of it go.

    `every_failed` takes up failed operations that are not due yet as well.
    """
    con.execute(
        """
        insert into held_import
        select $1::timestamptz from settings
        where first_import = 'review'
            and not exists (from held_import) and not exists (from finmap_upload where state <> 'dismissed')
        """,
        [now],
    )
    con.execute(
        "create or replace temp table this_delivery as select $1::date as first_day, $2::date as last_day, "
        "$3::timestamptz as planned_at, $4::boolean as every_failed",
        [first_day, last_day, now, every_failed],
    )
    if table == "plan":
        con.execute(ADOPT)
    kind = "table" if table == "plan" else "temp table"
    con.execute(f"create or replace {kind} {table} as {sql('plan')}")
    if table == "plan":
        con.execute(
            "insert or ignore into held_changes select transaction_id, action, subject, why from plan "
            "where standing = 'waiting' and caught"
        )
    (going,) = con.execute(f"select count(*) from {table} where standing = 'go'").fetchone() or (0,)
    return going


# What a rebuilt ledger has in common with its operation is known again: it needs no person when it changes later.
ADOPT = """
    update finmap_upload
    set content_hash = o.content_hash, category = o.category, tag = o.tag, rebuilt = false
    from operations o
    where finmap_upload.rebuilt
        and (finmap_upload.transaction_id, generation) in (select (transaction_id, generation) from current_uploads)
        and o.transaction_id = finmap_upload.transaction_id
        and o.type = finmap_upload.type
        and o.amount = finmap_upload.amount
        and o.occurred_at = finmap_upload.occurred_at
        and o.account = finmap_upload.account
        and o.comment = finmap_upload.comment
        and (o.category is null or o.category = finmap_upload.category)
"""


def mark_begun(con: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Writes down what is about to be deleted or changed: what a kill leaves half done is not taken for a person's."""
    con.execute(
        """
        update finmap_upload
        set deleting_at = if(p.action = 'update', finmap_upload.deleting_at, $1),
            writing = if(p.action = 'update', struct_pack(
                amount := p.amount, occurred_at := p.occurred_at, account := p.account, category := p.category,
                tag := p.tag, comment := p.comment
            ), finmap_upload.writing)
        from plan p
        where p.known_as = finmap_upload.external_id and p.standing = 'go'
            and p.action in ('update', 'replace', 'withdraw')
        """,
        [now],
    )


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

    def deliver(
        self, first_day: date, last_day: date, *, minutes: float | None = None, every_failed: bool = True
    ) -> Delivery:
        """Plans and delivers these days, newest first, for at most `minutes`.

        Raises KeyRefused, or Unavailable when Finmap stopped answering; what was done until then is committed.
        """
        deadline = None if minutes is None else time.monotonic() + minutes * 60
        with self.warehouse.transaction() as con:
            make_plan(con, first_day, last_day, self.now(), every_failed=every_failed)
        failpoint("plan_written")
        return self.carry_out(deadline)

    def carry_out(self, deadline: float | None = None) -> Delivery:
        """Carries out what goes of the table `plan`, until the deadline (monotonic). Raises as `deliver`."""
        with self.warehouse.transaction() as con:
            mark_begun(con, self.now())
            (going,) = con.execute("select count(*) from plan where standing = 'go'").fetchone() or (0,)
            labels = con.execute(
                """
                select tag, bool_or(wanted) from (
                    select tag, action not in ('withdraw', 'rollback') as wanted from plan where standing = 'go'
                    union all
                    select was_tag, false from plan where standing = 'go'
                ) where tag is not null group by all
                """
            ).fetchall()
        delivery = Delivery(going)
        tags, refused_tags = self._tags(dict(labels))
        settler = Settler(
            self.finmap, tags, refused_tags, retry_every=self.retry_every, run_id=self.run_id, now=self.now
        )
        self._apply(settler, delivery, deadline)
        return delivery

    def _tags(self, labels: dict[str, bool]) -> tuple[dict[str, str], dict[str, str]]:
        """The IDs of the tags with these labels, and why Finmap did not make one.

        A missing tag is made once where it is wanted (true), and not where it was written before; a 409 means that
        somebody was first.
        """
        tags: dict[str, str] = {}
        refused: dict[str, str] = {}
        if labels:
            tags = self._tags_by_label(labels)
        missing = [label for label, wanted in labels.items() if wanted and label not in tags]
        for label in missing:
            try:
                self.finmap.create_tag(label)
            except Refused as why:
                refused[label] = str(why)
        if missing:
            tags = self._tags_by_label(labels)
        return tags, refused

    def _tags_by_label(self, labels: Iterable[str]) -> dict[str, str]:
        # Finmap may take "instagram" and "Instagram" for one label.
        there = {tag.label.strip().casefold(): tag.id for tag in self.finmap.tags()}
        return {label: there[label.strip().casefold()] for label in labels if label.strip().casefold() in there}

    def _apply(self, settler: Settler, delivery: Delivery, deadline: float | None) -> None:
        progress = Progress(f"{self.warehouse.connection}: delivered")
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
                            in_flight.add(pool.submit(settler.settle, row))
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
                            progress.report(delivery.done, delivery.planned)
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
                    f"select position, {columns} from plan where position > $1 and standing = 'go' "
                    "order by position limit $2",
                    [position, CHUNK],
                ).fetchall()
            yield from (Planned(*row[1:]) for row in rows)
            position = rows[-1][0] if rows else position
            if len(rows) < CHUNK:
                return

    def _commit(self, delivery: Delivery, settled: list[Settled]) -> None:
        if not settled:
            return
        writes = [asdict(write) | {"run_id": self.run_id} for one in settled for write in one.writes]
        with self.warehouse.transaction() as con:
            insert_rows(con, "finmap_upload", [row for one in settled for row in one.ledger], replacing=True)
            insert_rows(con, "finmap_requests", writes)
            keep_seen(con, [operation for one in settled for operation in one.seen], self.now())
            done = [one.ledger[-1]["transaction_id"] for one in settled if one.state not in ("failed", "rejected")]
            for table in ("decisions", "held_changes"):  # each is for once
                con.execute(f"delete from {table} where list_contains($1::varchar[], transaction_id)", [done])
        failpoint("results_committed")
        for one in settled:
            delivery.states[one.state] = delivery.states.get(one.state, 0) + 1
        delivery.writes += len(writes)
        settled.clear()


def _unanswered(settled: Settled) -> bool:
    return settled.state == "failed" and (not settled.writes or settled.writes[-1].outcome is Outcome.UNKNOWN)


def keep_seen(con: duckdb.DuckDBPyConnection, operations: list[Operation], at: datetime) -> None:
    """Writes down operations as Finmap showed them just now."""
    ids = [operation.external_id for operation in operations]
    con.execute("delete from finmap_operations where list_contains($1::varchar[], external_id)", [ids])
    insert_rows(
        con,
        "finmap_operations",
        [asdict(o.content) | {"external_id": o.external_id, "operation_id": o.id, "read_at": at} for o in operations],
    )
