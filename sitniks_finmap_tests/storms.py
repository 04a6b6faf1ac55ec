"""Storms: faults of every kind on both APIs, drawn from a seed, over companies that live on, in a time of their own."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import RateLimiter
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop

SYNCS = 3  # under faults, in each storm
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Company(Protocol):
    """One shop and its connection, in which something happens at any moment until it is calm."""

    run: ConnectionRun
    shop: Shop
    rng: random.Random
    calm: bool

    def live_on(self) -> None: ...

    def sync(self, now: "VirtualTime") -> str | None:
        """One sync; what its failure says, or None."""

    def check_what_holds_always(self) -> None: ...

    def check_finmap(self) -> None: ...


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


class Storm:
    """Faults of every kind on both APIs, drawn from a seed; those of Sitniks on any path, or on one of these."""

    def __init__(self, seed: int, shops: list[str], paths: list[str]) -> None:
        self.rng = random.Random(seed)
        self.shops = shops
        self.paths = paths

    def faults(self) -> Iterator[Fault]:
        for _ in range(self.rng.randint(10, 24)):
            yield self.sitniks() if self.rng.random() < 0.5 else self.finmap()

    def sitniks(self) -> Fault:
        kind = self.rng.choice([
            "page_shift", "page_skip", "page_repeat", "page_short", "count_lies", "total_instead_of_count",
            "named_array", "ids_as_strings", *self.WIRE,
        ])  # fmt: skip
        return self.fault(kind, "sitniks", path=self.rng.choice([None, *self.paths]))

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


def weather_a_storm(
    seed: int, companies: Sequence[Company], paths: list[str], sandbox: Sandbox, time: VirtualTime
) -> None:
    """All sync through random faults, then in calm: contents are equal then, and nothing more is written."""
    names = [company.run.connection.name for company in companies]
    storm = Storm(seed, names, paths)
    outcomes: Counter[str] = Counter()

    def sync_all() -> list[Any]:
        return at_once([lambda c=c: c.sync(time) for c in companies])

    with ExitStack() as stack:
        for company in companies:
            stack.enter_context(company.run.warehouse._opened())  # opening it once more costs nothing then
        for _ in range(SYNCS):
            for fault in storm.faults():
                sandbox.fault(fault)
            limited = storm.rng.choice(companies)
            api: Any = storm.rng.choice(["sitniks", "finmap"])
            limited.shop.limit(api, 30, per_seconds=0.25, retry_after=storm.rng.choice([None, "0", "60"]))
            for company, said in zip(companies, sync_all(), strict=True):
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
            assert sync_all() == [None] * len(companies)
        written = writes(sandbox)
        time.sleep(4000)
        assert sync_all() == [None] * len(companies)
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
