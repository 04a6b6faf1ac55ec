"""Everything that can go wrong on the wire, at random and all together, for three shops at once; then calm, and the
sandbox is asked what Finmap has: each transaction once, with its content, for every connection.

`CHAOS_SEED=7 pytest -m chaos` replays one storm (a failure names its seed; the threads' turns are not replayed),
`CHAOS_ROUNDS=100` makes more of them.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.clients import http
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.order_statuses import check_statuses
from sitniks_finmap.pipeline.orders import read_orders, read_orders_as_source
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.deliveries import run_of
from sitniks_finmap_tests.order_books import LISTS, furnish
from sitniks_finmap_tests.storms import VirtualTime, in_virtual_time, weather_a_storm

SEED = int(os.environ.get("CHAOS_SEED", "1"))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
FIRST, LAST = date(2026, 3, 7), date(2026, 3, 10)


@dataclass
class Seller:
    """One shop and its connection; `sold` is the truth that Finmap must follow."""

    run: ConnectionRun
    shop: Shop
    rng: random.Random
    sold: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    number: int = 0
    calm: bool = False
    failures: list[str] = field(default_factory=list)

    def sell(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            at = datetime(2026, 3, 7, tzinfo=UTC) + timedelta(seconds=self.rng.randrange(3 * 86400))
            self.put(f"tx_{self.number}" if self.number % 3 else self.number, self.amount(), at)

    def amount(self) -> Decimal:
        return Decimal(self.rng.choice([-1, 1]) * self.rng.randrange(1, 10**7)) / 100

    def put(self, id: str | int, amount: Decimal, at: datetime) -> None:
        row = {
            "id": id, "createdAt": at.isoformat().replace("+00:00", ".000Z"), "amount": amount,
            "description": f"{self.run.connection.name} {id} {self.rng.randrange(10**6)}",
            "orderId": self.number % 7 or 700,
        }  # fmt: skip
        self.sold[str(id)] = row
        self.shop.put_transaction(row, at)

    def live_on(self) -> None:
        """What managers do at any moment, also between two pages of a list."""
        what, row = self.rng.random(), self.rng.choice([*self.sold.values()])
        if what < 0.5:
            self.sell(1)
        elif what < 0.8:
            self.put(
                row["id"], self.rng.choice([row["amount"], self.amount()]), datetime.fromisoformat(row["createdAt"])
            )
        elif len(self.sold) > 60:
            del self.sold[str(row["id"])]
            self.deleted.add(str(row["id"]))
            self.shop.delete_transaction(row["id"])

    def sync(self, now: VirtualTime) -> str | None:
        """One sync, as its Dagster job does it; what its failure says, or None."""
        try:
            with self.run.explained():
                before = set(self.sold)
                read_transactions(self.run, FIRST, LAST)
                self.check_nothing_is_missed(before)
                read_orders(self.run, FIRST, LAST)
                derive_operations(self.run, FIRST, LAST)
                deliver(self.run, FIRST, LAST, now=now)
                read_back(self.run, FIRST, LAST, now())
                with self.run.warehouse.transaction() as con:
                    reconcile(con)
        except StepFailed as failure:
            return str(failure)
        return None

    def check_nothing_is_missed(self, before: set[str]) -> None:
        """A read that succeeded knows everything that was there all the time."""
        with self.run.warehouse.transaction() as con:
            known = con.execute("select transaction_id from latest_transactions where gone_at is null").fetchall()
        missed = before & set(self.sold) - {id for (id,) in known}
        assert not missed, f"{self.run.connection.name}: a silent gap, {missed}"

    def check_what_holds_always(self) -> None:
        """No cut read took anything as gone; at no moment has a transaction two operations."""
        with self.run.warehouse.transaction() as con:
            gone = con.execute("select transaction_id from latest_transactions where gone_at is not null").fetchall()
        assert {id for (id,) in gone} <= self.deleted
        twice = [id for id, count in Counter(self.delivered_ids()).items() if count > 1]
        assert not twice, f"{self.run.connection.name}: twice in Finmap: {twice}"

    def delivered_ids(self) -> Iterator[str]:
        for operation in self.shop.operations():
            name, id, *_ = operation["externalId"].split(":")
            assert name == self.run.connection.name
            yield id

    def check_finmap(self) -> None:
        found = {
            id: (one["type"], one["sum"], one["date"], one["comment"])
            for id, one in zip(self.delivered_ids(), self.shop.operations(), strict=True)
        }
        wanted = {
            id: (
                "income" if row["amount"] > 0 else "expense", abs(row["amount"]),
                int(datetime.fromisoformat(row["createdAt"]).timestamp() * 1000), row["description"],
            )
            for id, row in self.sold.items()
        }  # fmt: skip
        assert found == wanted


@dataclass
class OrderTaker:
    """One shop whose source is its orders; `taken` says what each is now. They only move forward: new, prepaid, paid,
    refunded; or cancelled or deleted while they are new.
    """

    run: ConnectionRun
    shop: Shop
    rng: random.Random
    taken: dict[int, dict[str, Any]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    calm: bool = False

    def take(self, count: int) -> None:
        for _ in range(count):
            at = datetime(2026, 3, 7, tzinfo=UTC) + timedelta(seconds=self.rng.randrange(3 * 86400))
            number = len(self.taken) + len(self.deleted) + 1
            cost = Decimal(self.rng.randrange(1, 10**5)) / 100
            self.taken[number] = {
                "id": number, "orderNumber": 1000 + number, "createdAt": at.isoformat().replace("+00:00", ".000Z"),
                "products": [{"costPrice": cost, "quantity": 2}], "payment": {"amount": Decimal("10.5")},
            }  # fmt: skip
            self.set(number, self.rng.choice(["Новий", "Передплата", "Виконано", "Повернено"]), self.price())

    def price(self) -> Decimal:
        return Decimal(self.rng.randrange(2000, 10**7)) / 100

    def set(self, number: int, status: str, total: Decimal) -> None:
        self.taken[number] |= {"status": {"title": status}, "totalPriceDiscount": total}
        self.shop.put_order(self.taken[number])

    def live_on(self) -> None:
        """What managers do at any moment, also between two pages of a list."""
        number = self.rng.choice([*self.taken])
        status, total = self.taken[number]["status"]["title"], self.taken[number]["totalPriceDiscount"]
        match self.rng.random(), status:
            case what, _ if what < 0.2:
                self.take(1)
            case what, "Новий" if what < 0.3:
                del self.taken[number]
                self.deleted.add(number)
                self.shop.delete_order(number)
            case what, "Новий" if what < 0.4:
                self.set(number, "Відмінено", total)
            case _, "Новий":
                self.set(number, self.rng.choice(["Передплата", "Виконано"]), self.price())
            case _, "Передплата":
                self.set(number, "Виконано", self.price())
            case what, "Виконано":
                self.set(number, "Повернено" if what < 0.5 else status, total if what < 0.5 else self.price())

    def sync(self, now: VirtualTime) -> str | None:
        """One sync, as its Dagster job does it; what its failure says, or None."""
        try:
            with self.run.explained():
                before = set(self.taken)
                check_statuses(self.run, again=True)
                read_orders_as_source(self.run, FIRST, LAST)
                with self.run.warehouse.transaction() as con:
                    known = con.execute("select order_id from latest_orders where gone_at is null").fetchall()
                assert not before & set(self.taken) - {int(id) for (id,) in known}, "a silent gap"
                derive_operations(self.run, FIRST, LAST)
                deliver(self.run, FIRST, LAST, now=now)
                read_back(self.run, FIRST, LAST, now())
                with self.run.warehouse.transaction() as con:
                    reconcile(con)
        except StepFailed as failure:
            return str(failure)
        return None

    def parts(self) -> dict[int, Counter[str]]:
        """Order → each of its parts that are in Finmap, and how often."""
        parts: dict[int, Counter[str]] = {number: Counter() for number in self.taken}
        for operation in self.shop.operations():
            order, part = operation["externalId"].split(":")[1].removeprefix("order-").split(".")
            parts.setdefault(int(order), Counter())[part] += 1
        return parts

    def check_what_holds_always(self) -> None:
        """At no moment has an order a part twice, or a refund without the payment that it returns."""
        with self.run.warehouse.transaction() as con:
            gone = con.execute("select order_id from latest_orders where gone_at is not null").fetchall()
        assert {int(id) for (id,) in gone} <= self.deleted
        for number, parts in self.parts().items():
            assert max(parts.values(), default=1) == 1, (number, parts)
            assert not parts["refund"] or parts["sale"] or parts["prepayment"], (number, parts)
            assert not parts["restock"] or parts["cogs"], (number, parts)

    def check_finmap(self) -> None:
        """The money of each order, and of its goods, is what its status says now."""
        of: dict[tuple[int, str], Decimal] = Counter()  # type: ignore[assignment]
        for one in self.shop.operations():
            order, part = one["externalId"].split(":")[1].removeprefix("order-").split(".")
            side = "goods" if part in ("cogs", "restock") else "money"
            of[int(order), side] += Decimal(str(one["sum"])) * (1 if one["type"] == "income" else -1)
        for number, row in self.taken.items():
            status = row["status"]["title"]
            money = {"Виконано": row["totalPriceDiscount"], "Передплата": row["payment"]["amount"]}.get(status, 0)
            cost = 2 * row["products"][0]["costPrice"] if status == "Виконано" else 0
            assert (of[number, "money"], of[number, "goods"]) == (money, -cost), (number, status, self.parts()[number])
        assert not [key for key in of if key[0] in self.deleted and of[key]]


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def sandbox(time: VirtualTime) -> Iterator[Sandbox]:
    with Sandbox(clock=time) as sandbox:
        yield sandbox


@pytest.fixture
def found(
    connect: Callable[..., Connection], sandbox: Sandbox, time: VirtualTime, project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:  # fmt: skip
    """Founds a company with its shop and its connection, whose clients live in the time of the test."""
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.25))
    monkeypatch.setattr(http, "ANSWER_WITHIN", 0.4)

    def found(kind: Callable[..., Any], name: str, seed: int, **settings: Any) -> Any:
        shop = sandbox.add_shop(name)
        connection = connect(
            name, shop=name, start_date=FIRST, comment_fields=["description"], on_delete="withdraw",
            max_change_share=1.0, **settings,
        )  # fmt: skip
        run = run_of(connection)
        run.now = time
        company = kind(run, shop, random.Random(seed))
        for client, key in ((run.sitniks, shop.sitniks_key), (run.finmap, shop.finmap_key)):
            in_virtual_time(client.api, key, time, company, project / "limits-of-the-test")
        return company

    return found


@pytest.mark.chaos
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_after_random_faults_finmap_has_each_transaction_once(
    seed: int, found: Callable[..., Seller], sandbox: Sandbox, time: VirtualTime
) -> None:
    """Once the faults stop, contents are equal and nothing more is written."""
    companies = [found(Seller, name, seed * 10 + n) for n, name in enumerate(("shop_a", "shop_b", "shop_c"))]
    for n, company in enumerate(companies):
        company.sell(70 + 45 * n)
        for number in range(1, 61):
            order = {"id": number, "createdAt": "2026-03-08T10:00:00.000Z", "status": {"title": "Новий"}}
            company.shop.put_order(order | {"orderNumber": number})
    weather_a_storm(seed, companies, ["/transactions", "/orders"], sandbox, time)


@pytest.mark.chaos
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_after_random_faults_each_order_has_its_money(
    seed: int, found: Callable[..., OrderTaker], sandbox: Sandbox, time: VirtualTime
) -> None:
    """Whatever a storm let a sync see of an order: what it is now, Finmap has."""
    companies = []
    for n, name in enumerate(("shop_a", "shop_b")):
        furnish(sandbox.add_shop(name))
        companies.append(found(OrderTaker, name, seed * 10 + n, source="orders", orders=LISTS, first_import="post"))
        companies[-1].take(50 + 30 * n)
    weather_a_storm(seed, companies, ["/orders", "/orders/", "/orders/statuses"], sandbox, time)
