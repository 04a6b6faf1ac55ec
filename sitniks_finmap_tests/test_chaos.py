"""Everything that can go wrong on the wire, at random and all together, for three shops at once; then calm, and the
sandbox is asked what Finmap has: each transaction once, with its content, for every connection.

`CHAOS_SEED=7 pytest -m chaos` replays one storm (a failure names its seed; the threads' turns are not replayed),
`CHAOS_ROUNDS=100` makes more of them.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.clients import http
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import RateLimiter
from sitniks_finmap.connections import Connection
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.orders import read_orders
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap_tests.deliveries import run_of

SEED = int(os.environ.get("CHAOS_SEED", "1"))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
SYNCS = 3  # under faults, in each storm
FIRST, LAST = date(2026, 3, 7), date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class VirtualTime:
    """The clock of the sandbox and of every connection: to sleep moves it on, and costs nothing."""

    def __init__(self) -> None:
        self._now = NOON
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self._now

    def clock(self) -> float:
        return self._now.timestamp()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds) + timedelta.resolution  # less than that would be no time at all


@dataclass
class Company:
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


class Storm:
    """Faults of every kind on both APIs, drawn from a seed."""

    def __init__(self, seed: int, shops: list[str]) -> None:
        self.rng = random.Random(seed)
        self.shops = shops

    def faults(self) -> Iterator[Fault]:
        for _ in range(self.rng.randint(10, 24)):
            yield self.sitniks() if self.rng.random() < 0.5 else self.finmap()

    def sitniks(self) -> Fault:
        kind = self.rng.choice([
            "page_shift", "page_skip", "page_repeat", "page_short", "count_lies", "total_instead_of_count",
            "named_array", "ids_as_strings", *self.WIRE,
        ])  # fmt: skip
        return self.fault(kind, "sitniks", path=self.rng.choice([None, "/transactions", "/orders"]))

    def finmap(self) -> Fault:
        kind = self.rng.choice(
            ["stored", "stored_lost", "queued", "error_201", "status_after", "html_after", "page_short", *self.WIRE]
        )
        method = self.rng.choice([None, "POST", "PATCH", "DELETE", "GET"])
        return self.fault(kind, "finmap", method=None if kind in self.OWN else method)

    OWN = ("stored", "stored_lost", "queued", "error_201", "page_short")
    WIRE = (
        "status", "status", "status", "limited", "limited", "refused", "drop_before", "drop_after", "html", "html_403",
        "truncated", "slow", "slow_after", "drip", "drip_head",
    )  # fmt: skip

    def fault(self, kind: Any, api: Any, **more: Any) -> Fault:
        rng = self.rng
        more |= {"shop": rng.choice([None, *self.shops]), "times": rng.randint(1, 8), "after": rng.randint(0, 12)}
        match kind:
            case "status" | "status_after":
                more |= {"status": rng.choice([500, 502, 503, 504])}
            case "refused":
                kind, more = "status", more | {"status": rng.choice([401, 403]), "times": 1}
            case "limited":
                told = rng.choice([{}, {"Retry-After": "0"}, {"Retry-After": "7"}, {"Retry-After": "soon"}])
                kind, more = "status", more | {"status": 429, "headers": told}
            case "stored" | "queued":
                # A key that is free for longer than VERIFY_AFTER would be no key: the contract says 409.
                seconds = rng.choice([1, 120, 3000])
                more |= {"seconds": seconds, "conflict": seconds > 120 or rng.random() < 0.5}
            case "slow" | "slow_after" | "drip" | "drip_head":
                # Real time: one answer comes in time, the other never.
                more |= {"seconds": rng.choice([0.02, 30]), "times": 1}
            case "page_short" | "count_lies":
                more |= {"delta": rng.choice([1, 3, 50])}
            case "truncated":
                more |= {"full_length": rng.random() < 0.5}
        if rng.random() < 0.3:
            more |= {
                "probability": 0.4,
                "seed": rng.randrange(10**6),
                "times": None if more["times"] > 4 else more["times"],
            }
        return Fault(kind, api, **more)


class Meanwhile:
    """The limiter of a client: before some requests its shop lives on."""

    def __init__(self, limiter: RateLimiter, company: Company) -> None:
        self.limiter = limiter
        self.company = company

    def wait(self) -> None:
        if not self.company.calm and self.company.rng.random() < 0.05:
            self.company.live_on()
        self.limiter.wait()

    def pause(self, seconds: float) -> None:
        self.limiter.pause(seconds)


def in_virtual_time(api: Api, key: str, time: VirtualTime, company: Company, folder: Path) -> None:
    limiter = RateLimiter(folder, key, 100, clock=time.clock, sleep=time.sleep)
    api.sleep = time.sleep
    api.limiter = Meanwhile(limiter, company) if api.title == "Sitniks" else limiter  # type: ignore[assignment]


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def sandbox(time: VirtualTime) -> Iterator[Sandbox]:
    with Sandbox(clock=time) as sandbox:
        yield sandbox


@pytest.mark.chaos
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_after_random_faults_finmap_has_each_transaction_once(
    seed: int, connect: Callable[..., Connection], sandbox: Sandbox, time: VirtualTime, project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Once the faults stop, contents are equal and nothing more is written."""
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.25))
    monkeypatch.setattr(http, "ANSWER_WITHIN", 0.4)
    names = ["shop_a", "shop_b", "shop_c"]
    companies = []
    for n, name in enumerate(names):
        shop = sandbox.add_shop(name)
        connection = connect(
            name,
            shop=name,
            start_date=FIRST,
            comment_fields=["description"],
            on_delete="withdraw",
            max_change_share=1.0,
        )
        run = run_of(connection)
        run.now = time
        company = Company(run, shop, random.Random(seed * 10 + n))
        for client, key in ((run.sitniks, shop.sitniks_key), (run.finmap, shop.finmap_key)):
            in_virtual_time(client.api, key, time, company, project / "limits-of-the-test")
        company.sell(70 + 45 * n)
        for number in range(1, 61):
            order = {"id": number, "createdAt": "2026-03-08T10:00:00.000Z", "status": {"title": "Новий"}}
            shop.put_order(order | {"orderNumber": number})
        companies.append(company)
    storm = Storm(seed, names)
    outcomes: Counter[str] = Counter()
    with ExitStack() as stack:
        for company in companies:
            stack.enter_context(company.run.warehouse._opened())  # opening it once more costs nothing then
        for _ in range(SYNCS):
            for fault in storm.faults():
                sandbox.fault(fault)
            limited = storm.rng.choice(companies)
            api = storm.rng.choice(["sitniks", "finmap"])
            limited.shop.limit(api, 30, per_seconds=0.25, retry_after=storm.rng.choice([None, "0", "60"]))
            for company, said in zip(companies, at_once([lambda c=c: c.sync(time) for c in companies]), strict=True):
                check_said(said, company, names)
                outcomes["failed" if said else "succeeded"] += 1
                company.check_what_holds_always()
            time.sleep(1000)
            limited.shop.limit(api, None)
            sandbox.clear_faults()

        for company in companies:
            company.calm = True
        for _ in range(2):
            time.sleep(4000)
            assert at_once([lambda c=c: c.sync(time) for c in companies]) == [None] * 3
        written = writes(sandbox)
        time.sleep(4000)
        assert at_once([lambda c=c: c.sync(time) for c in companies]) == [None] * 3
        assert writes(sandbox) == written, "it does not come to rest"
        for company in companies:
            company.check_what_holds_always()
            company.check_finmap()
    seen = [one for one in sandbox.requests() if one.fault]
    hits = Counter(one.fault if one.fault != "status" else f"status {one.status}" for one in seen)
    told = f"{len(sandbox.requests())} requests, syncs {dict(outcomes)}, hits {dict(sorted(hits.items()))}"
    print(f"\nseed {seed}: {told}")  # noqa: T201


def at_once(work: list[Callable[[], Any]]) -> list[Any]:
    """What each returned; an exception of one is the test's."""
    results: list[Any] = [None] * len(work)
    errors: list[BaseException] = []

    def do(n: int) -> None:
        try:
            results[n] = work[n]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=do, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def check_said(said: str | None, company: Company, names: list[str]) -> None:
    """A failure is one message that names its connection, and neither another one nor a key."""
    if said is None:
        return
    own = company.run.connection.name
    assert said.startswith(f"{own}: "), said
    assert len(said) > len(own) + 20
    assert not [name for name in names if name != own and name in said]
    assert company.shop.sitniks_key not in said
    assert company.shop.finmap_key not in said


def writes(sandbox: Sandbox) -> int:
    return sum(
        one.method in ("POST", "PATCH", "DELETE") and one.path != "/operations/list"
        for one in sandbox.requests("finmap")
    )
