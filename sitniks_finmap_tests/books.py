"""A shop's books over time: managers in Sitniks, an accountant in Finmap, our sync between them, without Dagster."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

import duckdb

from sitniks_finmap.failpoint import KILLED, arm
from sitniks_finmap.pipeline.courier import Delivery
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.order_statuses import check_statuses
from sitniks_finmap.pipeline.orders import read_orders, read_orders_as_source
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import RecordedRequest, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.duckdb_files import close_file
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.deliveries import decide
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.warehouses import begun

START = date(2026, 3, 1)
TODAY = date(2026, 3, 10)  # noon, UTC, on the sandbox's clock
DAY = date(2026, 3, 9)  # of a transaction, unless a test says otherwise


class OpenWarehouse(Warehouse):
    """Stays open from one transaction to the next: to open the file takes longer than most of what a test does."""

    con: duckdb.DuckDBPyConnection | None = None
    all_open: ClassVar[list["OpenWarehouse"]] = []

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self.con is None:
            self.con = begun(self)._open()
            self.all_open.append(self)
        self.con.begin()
        try:
            yield self.con
            self.con.commit()
        except BaseException:
            self.con.rollback()
            raise

    def lose(self) -> None:
        """The file is deleted."""
        for one in self.all_open.copy():  # other books of the same shop, too
            if one.path == self.path:
                one.close()
        self.path.unlink()

    def close(self) -> None:
        if self.con:
            close_file(self.con, self.path, failed=False)
            self.con = None
            self.all_open.remove(self)


class Books:
    """One connection of one shop on one clock. A transaction is known by its number: 1 is tx_1 and u1:tx_1."""

    def __init__(self, sandbox: Sandbox, shop: Shop, connection: Connection, clock: Clock) -> None:
        self.sandbox = sandbox
        self.shop = shop
        self.clock = clock
        self.warehouse = OpenWarehouse(data_folder(), connection.name)
        self.configure(connection)

    def configure(self, connection: Connection) -> None:
        """The connection as it is written now; the warehouse stays."""
        self.run = ConnectionRun(connection, self.warehouse, "test-run", self.clock)
        self.run.finmap.api.sleep = self.run.sitniks.api.sleep = lambda seconds: None

    # -- people --

    def sell(self, number: int, amount: Any = "100.00", *, at: datetime | None = None, **more: Any) -> None:
        """A manager writes a transaction in Sitniks, or corrects the one with this number."""
        at = at or datetime(DAY.year, DAY.month, DAY.day, 10, tzinfo=UTC)
        row = {"id": f"tx_{number}", "createdAt": stamp(at), "amount": amount, "description": f"Оплата {number}"}
        self.shop.put_transaction(row | more)

    def sell_many(self, count: int, **more: Any) -> None:
        for number in range(1, count + 1):
            self.sell(number, **more)

    def unsell(self, number: int) -> None:
        """A manager deletes it, and a read of a quarter of an hour ago misses it: to the next one it is gone."""
        assert self.shop.delete_transaction(f"tx_{number}")
        if self.warehouse.exists():
            self.clock.forward(-900)
            read_transactions(self.run, START, TODAY)
            self.clock.forward(900)

    def put_order(self, number: int, status: str, on: date = DAY) -> None:
        at = datetime(on.year, on.month, on.day, 9, tzinfo=UTC)
        self.shop.put_order({"id": number, "orderNumber": number, "createdAt": stamp(at), "status": {"title": status}})

    def order(
        self, number: int, status: str, total: Any = "100.00", *, at: datetime | None = None, **more: Any
    ) -> None:
        """A manager writes an order in Sitniks, or moves the one with this number; `lines`: cost and quantity."""
        at = at or datetime(DAY.year, DAY.month, DAY.day, 9, tzinfo=UTC)
        lines = [
            {"title": "Товар", "costPrice": cost, "quantity": quantity, "productVariation": {"price": 1, "stock": 5}}
            for cost, quantity in more.pop("lines", [("30.00", 1)])
        ]
        row = {
            "id": number, "orderNumber": 1000 + number, "createdAt": stamp(at), "status": {"title": status},
            "totalPriceDiscount": total, "payment": {"amount": more.pop("prepayment", None)}, "products": lines,
            "salesChannel": {"id": 1, "title": "Instagram"}, "client": {"id": 7, "fullname": "Олена"},
        }  # fmt: skip
        self.shop.put_order(row | more)

    def edit(self, number: int, generation: int = 1, **fields: Any) -> None:
        """An accountant edits an operation in Finmap."""
        self.shop.edit_operation(key(number, generation), **fields)

    def turn(self, number: int, type: Literal["income", "expense", "transfer"]) -> None:
        """An accountant makes another kind of operation of it: a transfer, or the other direction."""
        self.shop.turn_operation(key(number), type)

    def throw_out(self, number: int, generation: int = 1) -> None:
        """An accountant deletes an operation in Finmap."""
        self.shop.delete_operation(key(number, generation))

    def throw_out_and_be_believed(self, *numbers: int, generation: int = 1) -> None:
        """An accountant deletes operations in Finmap, and two looks, hours apart, do not show them."""
        for number in numbers:
            self.throw_out(number, generation)
        for _ in range(3):
            self.sync()

    def have_an_older_one_restored(self, comment: str) -> None:
        """The sign of a sale turned, so that it has two generations; a person restores the first and edits it."""
        self.sell(1)
        self.sync()
        self.sell(1, "-100.00")
        for _ in range(3):
            self.sync()
        self.shop.restore_operation(key(1))
        self.edit(1, comment=comment)

    def bank(self, amount: str, type: str = "income", account: str = "Каса", *, key: str | None = None) -> None:
        """A bank feed, or another program with this key, posts an operation in Finmap, yesterday."""
        there = next(one["id"] for one in self.shop.accounts if one["label"] == account)
        body = {
            "amount": float(amount), "date": int((self.clock() - timedelta(days=1)).timestamp() * 1000),
            "accountToId" if type == "income" else "accountFromId": there, "comment": "банк",
        }  # fmt: skip
        more = {"externalId": key} if key else {}
        reply = self.run.finmap.api.write("POST", f"/operations/{type}", json.dumps(body | more).encode())
        assert reply.status == 201, reply.text

    # -- the product --

    def read(self, first: date = START, last: date = TODAY) -> None:
        """Sitniks → operations; of a shop that has orders these too."""
        if self.run.connection.source == "orders":
            check_statuses(self.run, again=True)
            read_orders_as_source(self.run, first, last)
        else:
            read_transactions(self.run, first, last)
            if self.shop.orders():
                read_orders(self.run, first, last)
        derive_operations(self.run, first, last)

    def deliver(self, first: date = START, last: date = TODAY, **options: Any) -> Delivery:
        return deliver(self.run, first, last, now=self.clock, **options)

    def be_killed_delivering(self, where: str) -> None:
        """A delivery in a process of its own, killed at this failpoint; an hour passes."""
        self.warehouse.close()
        if (child := os.fork()) == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)  # a thread that was not forked may hold a lock for ever
            try:
                arm(where)
                self.deliver()
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        self.clock.forward(3600)

    def look(self, first: date = START, last: date = TODAY) -> None:
        """Finmap → finmap_operations, differences, reconciliation."""
        read_back(self.run, first, last, self.clock())
        with self.warehouse.transaction() as con:
            reconcile(con)

    def sync(self, first: date = START, last: date = TODAY) -> Delivery:
        """A whole sync; the next one is an hour later."""
        self.read(first, last)
        delivery = self.deliver(first, last)
        self.look(first, last)
        self.clock.forward(3600)
        return delivery

    def decide(self, decision: str, **what: Any) -> int:
        """A person decides; a minute passes."""
        self.clock.forward(60)
        return decide(self.warehouse, decision, self.clock(), **what)

    # -- what there is --

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.transaction() as con:
            return con.execute(query, values).fetchall()

    def plan(self) -> list[tuple[str, str, str]]:
        """What there is to do: (transaction, action, standing)."""
        return [row[:3] for row in self.reasons()]

    def reasons(self) -> list[tuple[str, str, str, str | None]]:
        """What there is to do, and why it is pending or kept: (transaction, action, standing, why)."""
        return self.rows("select transaction_id, action, standing, why from plan order by transaction_id, generation")

    def states(self) -> dict[str, str]:
        """The state of each externalId in the ledger, without the connection's name."""
        return dict(self.rows("select substr(external_id, 4), state from finmap_upload order by external_id"))

    def differences(self) -> list[tuple[str, str, bool]]:
        return self.rows("select transaction_id, kind, explained from differences order by transaction_id")

    def finmap(self) -> dict[str, dict[str, Any]]:
        """What Finmap has, by externalId without the connection's name."""
        return {row["externalId"].removeprefix("u1:"): row for row in self.shop.operations()}

    def sums(self) -> dict[str, Decimal]:
        """The signed sum of each operation that Finmap has."""
        return {name: row["sum"] if row["type"] == "income" else -row["sum"] for name, row in self.finmap().items()}

    def written(self) -> list[RecordedRequest]:
        """The writes that reached Finmap since this was asked last."""
        seen = self.sandbox.requests("finmap", path="/operations")
        self.sandbox.forget_requests()
        return [one for one in seen if one.method in ("POST", "PATCH", "DELETE") and one.path != "/operations/list"]


def key(number: int, generation: int = 1) -> str:
    return f"u1:tx_{number}" + (f":{generation}" if generation > 1 else "")


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def days_ago(days: int, hour: int = 10) -> datetime:
    return datetime(TODAY.year, TODAY.month, TODAY.day, hour, tzinfo=UTC) - timedelta(days=days)
