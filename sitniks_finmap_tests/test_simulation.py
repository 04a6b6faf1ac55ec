"""March to November in a small shop: late edits, sign flips, deletions, moving orders, people at work in Finmap."""

import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sitniks_finmap.assets.deliver import deliver
from sitniks_finmap.assets.extract import read_orders, read_transactions
from sitniks_finmap.assets.reconcile import reconcile
from sitniks_finmap.assets.transform import derive_operations
from sitniks_finmap.connections import Connection
from sitniks_finmap.decisions import decide
from sitniks_finmap.readback import read_back
from sitniks_finmap.run import ConnectionRun, open_warehouse
from sitniks_finmap.sandbox import Sandbox, Shop

FIRST, LAST = date(2026, 3, 1), date(2026, 11, 15)  # both Sundays on which the clock of Kyiv changes lie inside
STATUSES = ["Новий", "В роботі", "Відправлено", "Виконано"]
SEED = int(os.environ.get("SIMULATION_SEED", "1"))
EVERY = 2  # days between two syncs


class Year:
    """The shop's clock and everything that happens in it; the same seed is the same year."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop = shop
        self.rng = random.Random(seed)
        self.now = datetime.combine(FIRST, time(5), UTC)
        self.number = 0
        self.sold: dict[str, dict] = {}
        self.happened: Counter[str] = Counter()

    def sell(self, day: date) -> None:
        for _ in range(self.rng.randint(17, 25)):
            self.number += 1
            at = datetime.combine(day, time(), UTC) + timedelta(seconds=self.rng.randrange(86400))
            order = {
                "id": self.number, "orderNumber": self.number, "createdAt": stamp(at - timedelta(minutes=5)),
                "status": {"id": 1, "title": STATUSES[0]}, "client": {"id": self.number % 400}, "salesChannel": None,
            }  # fmt: skip
            self.shop.put_order(order)
            kind = self.rng.random()
            amount = Decimal(self.rng.randrange(100, 500000)) / 100
            row = {
                "id": f"tx_{self.number}", "createdAt": stamp(at), "orderId": self.number,
                "amount": str(-amount if kind < 0.3 else amount),
                "description": f"{'Комісія' if kind < 0.3 else 'Оплата'} за замовлення #{self.number}",
                "source": self.rng.choice(["Instagram", "Rozetka", "Prom.ua"]),
            }  # fmt: skip
            self.put(row)
            self.happened["sold"] += 1

    def put(self, row: dict) -> None:
        self.sold[row["id"]] = row
        self.shop.put_transaction(row)

    def live_on(self, day: date) -> None:
        """What managers do in Sitniks and people do in Finmap on one day."""
        recent = list(self.sold)[-500:]
        for _ in range(6):
            self.move_order(self.rng.choice(recent))
        for _ in range(self.rng.randint(0, 2)):
            self.edit(self.rng.choice(recent))
        if self.rng.random() < 0.25:
            self.flip(self.rng.choice(recent))
        if self.rng.random() < 0.2:
            self.delete(self.rng.choice(recent))
        operations = self.shop.operations()
        if operations and self.rng.random() < 0.3:
            person = self.rng.choice(operations)
            what = self.rng.choice(["amount", "comment", "date", "delete"])
            if what == "delete":
                self.shop.delete_operation(person["externalId"])
            elif what == "amount":
                self.shop.edit_operation(person["externalId"], amount=Decimal("7.77"))
            elif what == "comment":
                self.shop.edit_operation(person["externalId"], comment="перевірено бухгалтером")
            else:
                self.shop.edit_operation(person["externalId"], date=person["date"] + 60_000)
            self.happened[f"person: {what}"] += 1

    def move_order(self, transaction_id: str) -> None:
        row = self.sold[transaction_id]
        order = next(o for o in [self.orders(row["orderId"])] if o)
        at = STATUSES.index(order["status"]["title"])
        if at < len(STATUSES) - 1:
            self.shop.put_order({**order, "status": {"id": at + 2, "title": STATUSES[at + 1]}})
            self.order_cache[row["orderId"]] = STATUSES[at + 1]
            self.happened["status moved"] += 1

    order_cache: dict[int, str] = {}  # noqa: RUF012

    def orders(self, number: int) -> dict:
        title = self.order_cache.get(number, STATUSES[0])
        row = self.sold.get(f"tx_{number}") or {"createdAt": stamp(self.now)}
        return {
            "id": number, "orderNumber": number, "createdAt": row["createdAt"], "status": {"id": 1, "title": title},
            "client": {"id": number % 400}, "salesChannel": None,
        }  # fmt: skip

    def edit(self, transaction_id: str) -> None:
        row = dict(self.sold[transaction_id])
        if self.rng.random() < 0.5:
            sign = -1 if row["amount"].startswith("-") else 1
            row["amount"] = str(sign * Decimal(self.rng.randrange(100, 500000)) / 100)
        else:
            row["description"] += " (уточнено)"
        self.put(row)
        self.happened["edited"] += 1

    def flip(self, transaction_id: str) -> None:
        row = dict(self.sold[transaction_id])
        row["amount"] = str(-Decimal(row["amount"]))
        self.put(row)
        self.happened["sign flipped"] += 1

    def delete(self, transaction_id: str) -> None:
        if transaction_id in self.sold and len(self.sold) > 600:
            del self.sold[transaction_id]
            self.shop.delete_transaction(transaction_id)
            self.happened["deleted"] += 1


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def sync(run: ConnectionRun, first: date, last: date, now: datetime) -> None:
    read_transactions(run, first, last)
    read_orders(run, first, last)
    derive_operations(run, first, last)
    deliver(run, first, last, now=lambda: now)
    read_back(run, first, last, now)
    with run.warehouse.transaction() as con:
        reconcile(con, first, last, now)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_march_to_november_every_difference_is_explained_and_sums_are_equal(
    connect: Callable[..., Connection], sandbox: Sandbox, project: Path
) -> None:
    year = Year(sandbox.shop(), SEED)
    sandbox._clock = lambda: year.now
    connection = connect(
        start_date=FIRST, final_order_statuses=["Виконано"], on_delete="withdraw", lookback_days=7,
        max_change_share=0.5,
    )  # fmt: skip
    run = ConnectionRun(connection, open_warehouse(connection), "simulation")
    day = FIRST
    while day <= LAST:
        year.sell(day)
        year.live_on(day)
        day += timedelta(days=1)
        year.now = datetime.combine(day, time(3), UTC)
        if (day - FIRST).days % EVERY == 0 or day > LAST:
            first = FIRST if (day - FIRST).days % 28 == 0 else max(FIRST, day - timedelta(days=8))
            sync(run, first, day, year.now)
    for _ in range(3):
        decide(run.warehouse, "approve", year.now)
        year.now += timedelta(hours=1)
        sync(run, FIRST, LAST + timedelta(days=1), year.now)

    with run.warehouse.transaction() as con:
        unexplained = con.execute("select kind, transaction_id, detail from differences where not explained").fetchall()
        kinds = dict(con.execute("select kind, count(*) from differences group by all").fetchall())
        known = {
            row[0]: row[1:] for row in con.execute("select external_id, transaction_id from current_uploads").fetchall()
        }
        differ = {r[0] for r in con.execute("select transaction_id from differences").fetchall()}
    print(f"seed {SEED}: {dict(year.happened)}; differences: {kinds}")  # noqa: T201
    assert unexplained == []

    # The sandbox's word, not ours: one operation for each transaction, with its amount and sign, and none besides.
    there: dict[str, list[Decimal]] = {}
    for operation in sandbox.shop().operations():
        (transaction_id,) = known[operation["externalId"]]
        signed = operation["sum"] if operation["type"] == "income" else -operation["sum"]
        there.setdefault(transaction_id, []).append(signed)
    assert [one for one, sums in there.items() if len(sums) > 1] == []
    alike = {one: [Decimal(row["amount"])] for one, row in year.sold.items() if one not in differ}
    assert {one: sums for one, sums in there.items() if one not in differ} == alike
    assert year.happened["sold"] >= 5000
    assert min(year.happened[what] for what in ("edited", "sign flipped", "deleted", "status moved")) > 20
