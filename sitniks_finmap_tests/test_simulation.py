"""March to November in a small shop: late edits, sign flips, deletions, moving orders, people at work in Finmap."""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.deliveries import decide, sync

FIRST, LAST = date(2026, 3, 1), date(2026, 11, 15)  # both Sundays on which the clock of Kyiv changes lie inside
STATUSES = ["Новий", "В роботі", "Відправлено", "Виконано"]
PAYMENTS = [("Оплата", 1), ("Комісія", -1), ("Повернення коштів", -1)]  # what a row is called, and its sign
SEED = int(os.environ.get("SIMULATION_SEED", "1"))
EVERY = 6  # days between two syncs, each of which reads the last eight


class Year:
    """The shop's clock and everything that happens in it; the same seed is the same year."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = datetime.combine(FIRST, time(5), UTC)
        self.sold: dict[str, dict[str, Any]] = {}  # transactions that Sitniks has, by id
        self.orders: dict[int, dict[str, Any]] = {}
        self.happened: Counter[str] = Counter()

    def open(self, shop: Shop) -> None:
        self.shop = shop
        self.categories = [shop.add_category("income", "Бухгалтерія")["id"]]

    def one_day(self, day: date) -> None:
        """What is sold, what managers do in Sitniks, and what people do in Finmap."""
        for _ in range(self.rng.randint(17, 25)):
            self.sell(day)
        recent = list(self.sold)[-500:]
        for _ in range(6):
            self.move_order(self.rng.choice(recent))
        for _ in range(self.rng.randint(0, 2)):
            self.edit(self.rng.choice(recent))
        if self.rng.random() < 0.25:
            self.flip(self.rng.choice(recent))
        if self.rng.random() < 0.2 and len(self.sold) > 600:
            self.delete(self.rng.choice(recent))
        if self.rng.random() < 0.3:
            self.work_in_finmap()

    def sell(self, day: date) -> None:
        number = len(self.orders) + 1
        at = datetime.combine(day, time(), UTC) + timedelta(seconds=self.rng.randrange(86400))
        self.put_order(
            {
                "id": number, "orderNumber": number, "createdAt": stamp(at - timedelta(minutes=5)),
                "status": {"id": 1, "title": STATUSES[0]}, "client": {"id": number % 400}, "salesChannel": None,
            }
        )  # fmt: skip
        ((called, sign),) = self.rng.choices(PAYMENTS, [14, 5, 1])
        self.put(
            {
                "id": f"tx_{number}", "createdAt": stamp(at), "orderId": number,
                "amount": str(sign * self.amount()), "description": f"{called} за замовлення #{number}",
                "source": self.rng.choice(["Instagram", "Rozetka", "Prom.ua"]),
            }
        )  # fmt: skip
        self.happened["sold" if sign > 0 else "refunded" if called == "Повернення коштів" else "charged"] += 1

    def amount(self) -> Decimal:
        return Decimal(self.rng.randrange(100, 500000)) / 100

    def put(self, row: dict[str, Any]) -> None:
        self.sold[row["id"]] = row
        self.shop.put_transaction(row)

    def put_order(self, order: dict[str, Any]) -> None:
        self.orders[order["id"]] = order
        self.shop.put_order(order)

    def move_order(self, transaction_id: str) -> None:
        order = self.orders[self.sold[transaction_id]["orderId"]]
        at = STATUSES.index(order["status"]["title"]) + 1
        if at < len(STATUSES):
            self.put_order({**order, "status": {"id": at + 1, "title": STATUSES[at]}})
            self.happened["status moved"] += 1

    def edit(self, transaction_id: str) -> None:
        row = dict(self.sold[transaction_id])
        if self.rng.random() < 0.5:
            row["amount"] = str(self.amount().copy_sign(Decimal(row["amount"])))
        else:
            row["description"] += " (уточнено)"
        self.put(row)
        self.happened["edited"] += 1

    def flip(self, transaction_id: str) -> None:
        row = self.sold[transaction_id]
        self.put({**row, "amount": str(-Decimal(row["amount"]))})
        self.happened["sign flipped"] += 1

    def delete(self, transaction_id: str) -> None:
        del self.sold[transaction_id]
        self.shop.delete_transaction(transaction_id)
        self.happened["deleted"] += 1

    def work_in_finmap(self) -> None:
        """One operation is edited or deleted: the latest of a transaction that Finmap shows."""
        row = self.rng.choice(list(self.sold.values()))
        what = self.rng.choice(["amount", "comment", "date", "category", "delete"])
        for generation in (":3", ":2", ""):  # to list all operations takes longer than a sync
            with suppress(KeyError):
                self.edit_operation(what, f"u1:{row['id']}{generation}", row)
                self.happened[f"person: {what}"] += 1
                return

    def edit_operation(self, what: str, key: str, row: dict[str, Any]) -> None:
        match what:
            case "delete":
                self.shop.delete_operation(key)
            case "amount":
                self.shop.edit_operation(key, amount=Decimal("7.77"))
            case "comment":
                self.shop.edit_operation(key, comment="перевірено бухгалтером")
            case "category":
                self.shop.edit_operation(key, categoryId=self.rng.choice(self.categories))
            case "date":
                self.shop.edit_operation(key, date=datetime.fromisoformat(row["createdAt"]) + timedelta(minutes=1))


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def year() -> Year:
    return Year(SEED)


@pytest.fixture
def sandbox(year: Year) -> Iterator[Sandbox]:
    """The sandbox on the clock of the year; now and then Finmap only stores what it is given, and shows it later."""
    with Sandbox(clock=lambda: year.now) as sandbox:
        sandbox.fault(Fault("stored", "finmap", times=None, probability=0.03, seed=SEED, seconds=300))
        yield sandbox


@pytest.mark.simulation
@pytest.mark.timeout(1200)
def test_march_to_november_leaves_no_unexplained_difference(
    connect: Callable[..., Connection], sandbox: Sandbox, year: Year
) -> None:
    """Sums are equal, and each transaction is one operation."""
    year.open(sandbox.shop())
    connection = connect(
        start_date=FIRST, final_order_statuses=["Виконано"], on_delete="withdraw", lookback_days=7,
        max_change_share=0.5,
    )  # fmt: skip
    run = ConnectionRun(connection, open_warehouse(connection), "simulation", now=lambda: year.now)
    day = FIRST
    syncs = 0
    with run.warehouse._opened():  # opening it once more costs nothing then
        while day <= LAST:
            year.now = datetime.combine(day, time(12), UTC)
            year.one_day(day)
            day += timedelta(days=1)
            year.now = datetime.combine(day, time(3), UTC)
            if (day - FIRST).days % EVERY == 0:
                monthly_turn = (day - FIRST).days % (5 * EVERY) == 0
                sync(run, FIRST if monthly_turn else max(FIRST, day - timedelta(days=8)), day)
                syncs += 1
        for _ in range(3):
            decide(run.warehouse, "approve", year.now)
            year.now += timedelta(hours=1)
            sync(run, FIRST, LAST + timedelta(days=1))

    with run.warehouse.transaction() as con:
        unexplained = con.execute("from differences where not explained").fetchall()
        kinds = dict(con.execute("select kind, count(*) from differences group by all").fetchall())
        differ = {row[0] for row in con.execute("select transaction_id from differences").fetchall()}
        transaction_of = dict(con.execute("select external_id, transaction_id from finmap_upload").fetchall())
        (off,) = con.execute(
            "select count(*) from (select day, sum(sitniks_income_sum - sitniks_expense_sum) as wanted, "
            "sum(finmap_income_sum - finmap_expense_sum) as has from reconciliation group by all) "
            "where wanted <> has and day not in (select day from differences)"
        ).fetchone() or (None,)
    writes = len(sandbox.requests("finmap", method="POST")) - len(sandbox.requests("finmap", path="/operations/list"))
    print(  # noqa: T201
        f"seed {SEED}: {dict(sorted(year.happened.items()))}; {syncs + 3} syncs, {len(sandbox.requests()):,} requests, "
        f"{writes:,} creations; differences: {kinds}"
    )
    assert unexplained == []
    assert off == 0

    # The sandbox's word, not ours: one operation for each transaction, with its amount and sign, and none besides.
    there: dict[str, list[Decimal]] = {}
    for operation in sandbox.shop().operations():
        signed = operation["sum"] if operation["type"] == "income" else -operation["sum"]
        there.setdefault(transaction_of[operation["externalId"]], []).append(signed)
    assert [one for one, sums in there.items() if len(sums) > 1] == []
    alike = {one: [Decimal(row["amount"])] for one, row in year.sold.items() if one not in differ}
    assert {one: sums for one, sums in there.items() if one not in differ} == alike
    assert len(year.orders) >= 5000
    assert min(year.happened[what] for what in ("edited", "sign flipped", "deleted", "status moved", "refunded")) > 20
