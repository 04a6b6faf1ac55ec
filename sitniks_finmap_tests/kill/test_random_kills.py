"""SIGKILL at random moments while transactions come, change and go: afterwards nothing is lost and nothing doubled.

`KILLS=1000 KILL_SEED=7 pytest -m kill` kills as often as that, from that seed; its last lines say what was hit.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.kill.harness import Harness
from sitniks_finmap_tests.kill.phases import PHASES, Phases
from sitniks_finmap_tests.kill.till import Findings, Till

pytestmark = [pytest.mark.kill, pytest.mark.timeout(1800)]

SEED = int(os.environ.get("KILL_SEED", "1"))
KILLS = int(os.environ.get("KILLS", "300"))
PARTS = 2  # the kills are shared by so many tests, so that two processes of pytest halve the time
LATENCY = 0.08  # seconds of an answer: Finmap is far away, and most of a sync is waiting for it
LONGEST_LIFE = 30.0  # seconds
LONGEST_PAUSE = 0.3  # seconds into a phase
RARE = [
    ("drop_before", {}), ("drop_after", {}), ("status", {"status": 503}), ("status_after", {"status": 502}),
    ("html", {}), ("html_after", {}), ("truncated", {}), ("error_201", {}), ("stored", {"seconds": 60}),
    ("stored", {"seconds": 500}), ("queued", {"seconds": 200}), ("stored_lost", {}),
]  # fmt: skip


@dataclass
class Kills:
    """How many kills landed where."""

    phases: Counter[str] = field(default_factory=Counter)
    writing: int = 0
    in_transaction: int = 0

    @property
    def total(self) -> int:
        return self.phases.total()

    def count(self, phases: Phases) -> None:
        self.phases[phases.phase] += 1
        self.writing += phases.writing
        self.in_transaction += phases.in_transaction

    def __str__(self) -> str:
        return (
            f"{self.total} kills: {self.writing} with a write on its way ({self.writing / self.total:.0%}), "
            f"{self.in_transaction} with the DuckDB file open ({self.in_transaction / self.total:.0%}); "
            + counted(self.phases)
        )


def counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counter.most_common())


def kill_again_and_again(harness: Harness, till: Till, kills: int, seed: int, *, changes: bool, **task: Any) -> Kills:
    """Before each life and in it the shop goes on selling and, with `changes`, correcting what it sold."""
    rng = random.Random(seed)
    phases = Phases(harness.folder / "phases")
    killed = Kills()
    for _ in range(kills):
        till.sell(harness.clock.now, rng.randrange(2, 6))
        if changes:
            change(till, rng)
        phases.reset()
        process = harness.nursery.begin(harness.task(forever=True, phases=str(harness.folder / "phases"), **task))
        till.sell(harness.clock.now, 1)  # while it reads, perhaps between two pages
        wait_for_a_moment(phases, rng)
        os.kill(process, signal.SIGKILL)
        code, _ = harness.nursery.end()
        assert code == -signal.SIGKILL, "the process ended by itself"
        killed.count(phases)
        harness.clock.forward(rng.uniform(60, 300))
    return killed


def change(till: Till, rng: random.Random) -> None:
    for what, probability in ((till.edit, 0.6), (till.flip, 0.2), (till.move_order, 0.4), (till.delete, 0.15)):
        if rng.random() < probability and len(till.transactions) > 10:
            what(till.any())


def wait_for_a_moment(phases: Phases, rng: random.Random) -> None:
    """Any moment of any phase; three times of five one at which writes are on their way, the worst to be killed.

    Counted from what the process does, for it does it faster or slower than another machine would.
    """
    pause = threading.Event().wait  # a real process is running: the only place where a test waits
    phase, writes = rng.choice(PHASES), rng.randrange(1, 4)
    in_delivery = rng.random() < 0.6
    end = time.monotonic() + LONGEST_LIFE
    arrived = (lambda: phases.writes_begun >= writes) if in_delivery else (lambda: phases.phase == phase)
    while not arrived() and phases.phase != "between" and time.monotonic() < end:
        pause(0.002)
    pause(rng.uniform(0, LATENCY if in_delivery else LONGEST_PAUSE))


def faults(seed: int) -> list[Fault]:
    """One write in five goes wrong in some way; the others take as long as Finmap takes, before it acts or after."""
    rare = [
        Fault(kind, "finmap", method=method, path="/operations/", times=None, probability=0.015, seed=seed + n, **more)  # type: ignore[arg-type]
        for n, (kind, more) in enumerate(RARE)
        for method in ("POST", "PATCH", "DELETE")
    ]
    return [
        *rare,
        Fault("slow", "finmap", path="/operations/", seconds=LATENCY, times=None, probability=0.5, seed=seed),
        Fault("slow_after", "finmap", path="/operations/", seconds=LATENCY, times=None),
    ]


@pytest.mark.parametrize("part", range(PARTS))
def test_random_kills_lose_and_double_nothing(
    harness: Harness, part: int, record_property: Callable[[str, str], None]
) -> None:
    seed, kills = SEED * PARTS + part, KILLS // PARTS
    begun = time.monotonic()
    till = harness.connect(seed)
    for fault in faults(seed):
        harness.sandbox.fault(fault)

    killed = kill_again_and_again(harness, till, kills, seed, changes=True)

    assert harness.files_open() >= 1
    broken = Counter(one.fault for one in harness.sandbox.requests("finmap") if one.fault)
    harness.sandbox.clear_faults()
    harness.sync_until_quiet()
    findings = till.audit()
    record_property(
        "said",
        f"seed {seed}: {killed}; {findings.right} operations, {counted(till.happened)}; faults: {counted(broken)}; "
        f"{time.monotonic() - begun:.0f} s",
    )
    assert findings.nothing, findings
    assert findings.right == len(till.finmap.operations()) == len(till.transactions)
    assert killed.writing > 0.3 * killed.total


# -- The harness finds what is wrong ------------------------------------------------------------------------------


def audit_of(delivery: str, harness: Harness, kills: int) -> Findings:
    """What is found after so many kills of this delivery, and one sync that is left alone."""
    till = harness.connect(seed=1)
    till.sell(harness.clock.now, 20)
    harness.sandbox.fault(Fault("slow", "finmap", path="/operations/", seconds=LATENCY, times=None, probability=0.5))
    harness.sandbox.fault(Fault("slow_after", "finmap", path="/operations/", seconds=LATENCY, times=None))
    if kills:
        kill_again_and_again(harness, till, kills, seed=1, changes=False, delivery=delivery)
    harness.clock.forward(60)
    harness.sync(delivery=delivery)
    return till.audit()


@pytest.mark.parametrize("delivery", ["marks first", "posts without a key"])
def test_a_wrong_delivery_is_right_as_long_as_nothing_is_killed(harness: Harness, delivery: str) -> None:
    findings = audit_of(delivery, harness, kills=0)
    assert findings.nothing
    assert findings.right == 20


def test_the_audit_finds_operations_lost_by_marking_first(harness: Harness) -> None:
    findings = audit_of("marks first", harness, kills=8)
    assert findings.lost
    assert findings.doubled == []


def test_the_audit_finds_operations_doubled_without_a_key(harness: Harness) -> None:
    findings = audit_of("posts without a key", harness, kills=8)
    assert findings.doubled
    assert findings.lost == []


def test_the_same_kills_do_the_real_delivery_no_harm(harness: Harness) -> None:
    findings = audit_of("real", harness, kills=8)
    assert findings.nothing
