"""What a process that will be killed does: the whole way from Sitniks to Finmap, for one connection after the other."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sitniks_finmap.clients import http
from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.failpoint import arm
from sitniks_finmap.pipeline import courier as delivery
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.order_statuses import check_statuses
from sitniks_finmap.pipeline.orders import read_orders, read_orders_as_source
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse import store as warehouse
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse
from sitniks_finmap_tests.books import OpenWarehouse
from sitniks_finmap_tests.deliveries import decide
from sitniks_finmap_tests.kill.phases import Phases
from sitniks_finmap_tests.kill.wrong_deliveries import WRONG
from sitniks_finmap_tests.plain_settings import PLAIN

IMMEDIATELY = 0.0


@dataclass(frozen=True)
class Task:
    """One life of the process.

    With `forever` it syncs again and again until it is killed, saying in the shared file `phases` what it does. With
    `plainly` the file stays open from one transaction to the next and no copy is published: nobody kills it.
    """

    connections: list[dict[str, Any]]
    keys: dict[str, str]
    data: str
    now: str
    first: str
    last: str
    failpoint: str | None = None
    approve: bool = False
    forever: bool = False
    plainly: bool = False
    phases: str | None = None
    delivery: str = "real"


def live(message: dict[str, Any]) -> dict[str, Any]:
    task = Task(**message)
    os.environ |= task.keys | {"SITNIKS_FINMAP_DATA": task.data}
    arm(task.failpoint)
    delivery.COMMIT_EVERY = IMMEDIATELY  # so that a delivery of a few operations has several commits
    warehouse.SETTINGS |= PLAIN
    phases = Phases(Path(task.phases)) if task.phases else None
    if phases:
        watch(phases)
    now = datetime.fromisoformat(task.now)
    while True:
        answer = dict(sync_all(task, now, phases))
        if not task.forever:
            return answer
        now += timedelta(seconds=1)


def sync_all(task: Task, now: datetime, phases: Phases | None) -> Iterator[tuple[str, Any]]:
    for settings in task.connections:
        connection = Connection.model_validate(settings)
        warehouse = OpenWarehouse(Path(task.data), connection.name) if task.plainly else open_warehouse(connection)
        run = ConnectionRun(connection, warehouse, "killed", now=lambda: now)
        run.finmap.api.sleep = run.sitniks.api.sleep = lambda seconds: None
        days = date.fromisoformat(task.first), date.fromisoformat(task.last)
        enter = phases.enter if phases else lambda phase: None
        with nullcontext() if task.plainly else run.warehouse.run(wait=0):
            answer = sync(run, *days, now, task, enter)
            enter("publishing")
        if isinstance(warehouse, OpenWarehouse):
            warehouse.close()
        enter("between")
        yield connection.name, answer


def sync(
    run: ConnectionRun, first: date, last: date, now: datetime, task: Task, enter: Callable[[str], None]
) -> dict[str, Any]:
    """The steps of the job `<connection>_sync`, without Dagster. What an API does not answer is left to the next."""
    try:
        enter("reading")
        if run.connection.source == "orders":
            check_statuses(run, again=True)
            read_orders_as_source(run, first, last)
        else:
            read_transactions(run, first, last)
            read_orders(run, first, last)
        enter("deriving")
        derive_operations(run, first, last)
        if task.approve:
            decide(run.warehouse, "approve", now, conflicts=True)
        enter("delivering")
        if task.delivery == "real":
            deliver(run, first, last, now=lambda: now)
            enter("reading back")
            read_back(run, first, last, now)
        else:
            WRONG[task.delivery](run, now).deliver(first, last)
        enter("reconciling")
        with run.warehouse.transaction() as con:
            reconcile(con)
    except ApiError as error:
        return {"error": str(error)}
    return left_to_do(run.warehouse)


def left_to_do(warehouse: Warehouse) -> dict[str, Any]:
    """Whether all is quiet: nothing planned, nothing on its way, nothing that waits for a person or is unexplained."""
    with warehouse.transaction() as con:
        con.execute("create temp table planned as from plan")
        return {
            what: [" ".join(map(str, row)) for row in con.execute(query).fetchall()]
            for what, query in {
                "to_do": "select action, external_id from planned where standing = 'go'",
                "pending": "select state, external_id from finmap_upload where next_attempt_at is not null",
                "missed": "select transaction_id from latest_records where missing_at is not null and gone_at is null",
                "waiting": "select action, external_id, why from planned where standing = 'pending'",
                "unexplained": "select kind, external_id, detail from differences where not explained",
            }.items()
        }


def watch(phases: Phases) -> None:
    """Every write to Finmap and every DuckDB transaction is counted while it goes on."""
    write, transaction = http.Api.write, Warehouse.transaction

    def watched_write(self: http.Api, *what: Any) -> Any:
        with phases.during_write():
            return write(self, *what)

    @contextmanager
    def watched_transaction(self: Warehouse) -> Iterator[Any]:
        with phases.during_transaction(), transaction(self) as con:
            yield con

    http.Api.write = watched_write  # type: ignore[method-assign]
    Warehouse.transaction = watched_transaction  # type: ignore[method-assign]
