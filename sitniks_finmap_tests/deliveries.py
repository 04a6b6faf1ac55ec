"""Syncs and deliveries against the sandbox, without Dagster, and what came of them."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import Any

from sitniks_finmap.clients.finmap import Finmap
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.sitniks import Sitniks
from sitniks_finmap.pipeline.courier import Courier, Delivery
from sitniks_finmap.pipeline.decisions import pending, save_decisions
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.directory import read_directory, save_directory
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.orders import read_orders
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reading import save_settings, store
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive, derive_operations
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import choose
from sitniks_finmap.warehouse.store import Warehouse, insert_rows, open_warehouse

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
RETRY = timedelta(minutes=15)
NUMBERS = count(1)  # of what has no id of its own


class PatientRun(ConnectionRun):
    """A run whose clients lose no time between two attempts."""

    @cached_property
    def sitniks(self) -> Sitniks:
        client = super().sitniks
        client.api.sleep = lambda seconds: None
        return client

    @cached_property
    def finmap(self) -> Finmap:
        client = super().finmap
        client.api.sleep = lambda seconds: None
        return client


def run_of(connection: Connection, warehouse: Warehouse | None = None) -> ConnectionRun:
    """The clients and the warehouse of a connection, without Dagster."""
    return PatientRun(connection, warehouse or open_warehouse(connection), "test-run")


def sync(run: ConnectionRun, first: date, last: date) -> None:
    """What the job <connection>_sync does."""
    now = run.now()
    read_transactions(run, first, last)
    read_orders(run, first, last)
    derive_operations(run, first, last)
    deliver(run, first, last, now=run.now)
    read_back(run, first, last, now)
    with run.warehouse.transaction() as con:
        reconcile(con)


def stage(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Sitniks → operations for these days, as the assets before delivery do it, without Dagster."""
    transactions = run.sitniks.transactions(*run.bounds(first_day, last_day))
    orders = run.sitniks.orders(*run.bounds(first_day, last_day))
    directory = read_directory(run.finmap, run.connection)
    with run.warehouse.transaction() as con:
        store(con, run, "transactions", transactions, first_day, last_day)
        store(con, run, "orders", orders, first_day, last_day)
        save_directory(con, run.connection, directory)
        derive(con, first_day, last_day)


def want(warehouse: Warehouse, shop: Shop, *rows: dict[str, Any]) -> None:
    """Puts operations into the warehouse as the step before delivery leaves them; a known one is replaced."""
    written = []
    for row in rows:
        number = row.get("transaction_id", f"tx_{next(NUMBERS)}")
        operation = {
            "transaction_id": number,
            "external_id": f"{warehouse.connection}:{number}",
            "occurred_at": NOON,
            "type": "income",
            "amount": Decimal("1500.00"),
            "currency": "UAH",
            "classification": "client_payment",
            "account": shop.accounts[0]["id"],
            "category": None,
            "tag": None,
            "comment": "Оплата за замовлення #123",
            "raw_version": 1,
            **row,
        }
        operation["day"] = operation["occurred_at"].date()
        written.append(operation)
    with warehouse.transaction() as con:
        save_settings(con, choose(warehouse.connection)[0])
        for operation in written:
            con.execute("delete from operations where transaction_id = $1", [operation["transaction_id"]])
        insert_rows(con, "operations", written)


def courier_of(run: ConnectionRun, **options: Any) -> Courier:
    return Courier(run.warehouse, run.finmap, retry_every=RETRY, run_id=run.run_id, **options)


def ledger(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """finmap_upload by transaction."""
    with warehouse.transaction() as con:
        rows = con.execute("from finmap_upload")
        names = [column[0] for column in rows.description]
        return {row[names.index("transaction_id")]: dict(zip(names, row, strict=True)) for row in rows.fetchall()}


def only_row(warehouse: Warehouse) -> dict[str, Any]:
    (row,) = ledger(warehouse).values()
    return row


def audit(warehouse: Warehouse) -> list[dict[str, Any]]:
    """finmap_requests, oldest first."""
    with warehouse.transaction() as con:
        rows = con.execute("from finmap_requests order by requested_at")
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def forget(warehouse: Warehouse) -> None:
    """The ledger is lost."""
    with warehouse.transaction() as con:
        con.execute("delete from finmap_upload")


def writes(sandbox: Sandbox, method: str | None = None) -> list[Any]:
    """The requests that change an operation in Finmap."""
    return [
        request
        for request in sandbox.requests("finmap", method=method, path="/operations")
        if request.method in ("POST", "PATCH", "DELETE") and request.path != "/operations/list"
    ]


def live(shop: Shop) -> Counter[str]:
    """How many operations Finmap has under each externalId."""
    return Counter(row["externalId"] for row in shop.operations())


def key_in(body: str) -> str:
    """The externalId of a request."""
    return body.split('"externalId": "')[1].split('"')[0]


def once_each(count: int) -> dict[str, int]:
    return {f"u1:tx_{n}": 1 for n in range(count)}


def count_waits(api: Api) -> list[None]:
    """Grows by one each time a request of this API has waited for its rate limit."""
    waits: list[None] = []
    wait = api.limiter.wait

    def counted() -> None:
        wait()
        waits.append(None)

    api.limiter.wait = counted  # type: ignore[method-assign]
    return waits


def deliver_all(courier: Courier, **options: Any) -> Delivery:
    """The thirty days up to NOON."""
    return courier.deliver(NOON.date() - timedelta(days=30), NOON.date(), **options)


# -- What happens to a write --

APPLIED = [
    Fault("status_after", "finmap", method="POST", status=500),
    Fault("status_after", "finmap", method="POST", status=502),
    Fault("drop_after", "finmap", method="POST"),
    Fault("html_after", "finmap", method="POST"),
    Fault("truncated", "finmap", method="POST"),
    Fault("truncated", "finmap", method="POST", full_length=True),
    Fault("slow_after", "finmap", method="POST", seconds=0.8),
]
NOT_APPLIED = [
    Fault("status", "finmap", method="POST", status=500),
    Fault("status", "finmap", method="POST", status=503),
    Fault("drop_before", "finmap", method="POST"),
    Fault("html", "finmap", method="POST"),
    Fault("html_403", "finmap", method="POST"),
    Fault("status", "finmap", method="POST", status=200, body='{"message": "щось"}'),
    Fault("status", "finmap", method="POST", status=302),
]


def decide(warehouse: Warehouse, decision: str, now: datetime, **which: Any) -> int:
    """Approve or dismiss what is pending now (see `pending`); return how many."""
    with warehouse.transaction() as con:
        changes = pending(con, decision, **which)
        save_decisions(con, changes, decision, now)
    return len(changes)
