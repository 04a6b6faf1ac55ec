"""A warehouse inside one transaction, for what becomes of a transaction in SQL."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from sitniks_finmap.clients.finmap import Account, Directory, Label
from sitniks_finmap.pipeline.directory import save_directory
from sitniks_finmap.pipeline.reading import store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse
from sitniks_finmap_tests.records import DAY, SOUND, read_rows

DIRECTORY = Directory(
    [Account("acc1", "Каса", "UAH"), Account("acc2", "ФОП", "UAH"), Account("acc3", "Долари", "USD")],
    {"income": [Label("cat1", "Продажі")], "expense": [Label("cat2", "Повернення"), Label("cat3", "Доставка")]},
)


class Stage:
    """A warehouse inside one transaction: put transactions in, see what becomes of them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, connection: Connection, warehouse: Warehouse) -> None:
        self.con = con
        self.run = ConnectionRun(connection, warehouse)
        self.configure(connection)

    def configure(self, connection: Connection) -> None:
        self.run.connection = connection
        save_directory(self.con, connection, DIRECTORY)

    def put(self, *transactions: Any, orders: Any = ()) -> None:
        """One read of the day of the examples; then everything of that day is derived."""
        if orders:
            store(self.con, self.run, "orders", read_rows(orders), DAY, DAY)
        store(self.con, self.run, "transactions", read_rows(transactions), DAY, DAY)
        self.derive()

    def derive(self, day: date = DAY) -> None:
        derive(self.con, day, day, datetime(2200, 1, 1, tzinfo=UTC))

    def clear(self) -> None:
        for table in ("raw_sitniks_transactions", "raw_sitniks_orders", "operations", "rejected_transactions"):
            self.con.execute(f"delete from {table}")

    def rows(self, query: str) -> list[dict[str, Any]]:
        found = self.con.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]

    def operations(self) -> dict[str, dict[str, Any]]:
        """Operations by transaction_id."""
        return {one["transaction_id"]: one for one in self.rows("from operations order by transaction_id")}

    def content(self, transaction_id: str) -> dict[str, Any]:
        """What Finmap should have of it."""
        (row,) = self.rows(f"from wanted_operations where transaction_id = '{transaction_id}'")
        return row["content"]

    def reasons(self) -> dict[str, str]:
        """Reasons of the rejected transactions by transaction_id."""
        return {one["transaction_id"]: one["reason"] for one in self.rows("from rejected_transactions")}

    def each(self, transactions: Iterable[dict[str, Any]], orders: Any = ()) -> list[dict[str, Any]]:
        """What becomes of sound transactions with these fields, one by one."""
        self.clear()
        batch = [{"id": n, **SOUND, **fields} for n, fields in enumerate(transactions)]
        self.put(*batch, orders=orders)
        assert self.reasons() == {}
        found = self.operations()
        return [found[str(n)] for n in range(len(batch))]

    def one(self, fields: dict[str, Any], orders: Any = ()) -> dict[str, Any]:
        """What becomes of one sound transaction with these fields."""
        return self.each([fields], orders)[0]


def connection_with(stage: Stage, **settings: Any) -> Connection:
    return Connection.model_validate({**stage.run.connection.model_dump(), **settings})
