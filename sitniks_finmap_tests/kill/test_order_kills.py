"""Orders as the source, killed at every durable boundary and at random: each part is in Finmap once."""

import os
import random
import signal
import time

import pytest

from sitniks_finmap.sandbox import Fault
from sitniks_finmap_tests.kill.harness import Harness
from sitniks_finmap_tests.kill.order_till import OrderTill
from sitniks_finmap_tests.kill.phases import Phases

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

# Where orders differ from transactions, which meet all of them: what follows from several versions, operations of one
# order that wait for each other, a lost file.
FAILPOINTS = ["operations_derived:1", "ledger_rebuilt:1", "plan_written:2", "reply_received:4"]
KILLS = int(os.environ.get("KILLS", "300")) // 15


@pytest.fixture
def till(harness: Harness) -> OrderTill:
    plain = harness.connect()
    till = OrderTill(plain.connection, plain.sitniks, seed=4)
    harness.tills[:] = [till]
    return till


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_what_a_kill_left_of_orders_the_next_sync_finishes(harness: Harness, till: OrderTill, failpoint: str) -> None:
    lost_file = failpoint.startswith("ledger_rebuilt")
    till.open(harness.clock.now, 8)
    harness.sync_until_quiet()
    till.move()
    harness.sync_until_quiet()
    harness.clock.forward(900)
    if lost_file:
        (harness.folder / "data" / f"{till.connection}.duckdb").unlink()
    else:
        till.open(harness.clock.now, 4)  # some are paid at once: their cost waits for a second turn
        till.move()
    harness.sandbox.fault(Fault("drop_after", "finmap", shop=till.finmap.name, times=2))
    harness.die_at(failpoint, till)
    harness.sync_until_quiet(approve=lost_file)
    harness.sandbox.clear_faults()
    assert till.audit().nothing, till.audit()
    assert till.audit().right > 5


def wait_for_writes(phases: Phases, count: int) -> None:
    """Until so many writes to Finmap were begun in this life, or the sync is over."""
    end = time.monotonic() + 30
    while phases.writes_begun < count and phases.phase != "between" and time.monotonic() < end:
        time.sleep(0.002)


def test_random_kills_lose_and_double_no_part_of_an_order(harness: Harness, till: OrderTill) -> None:
    rng = random.Random(int(os.environ.get("KILL_SEED", "1")))
    phases = Phases(harness.folder / "phases")
    written = 0
    for _ in range(KILLS):
        till.open(harness.clock.now, rng.randrange(1, 4))
        phases.reset()
        process = harness.nursery.begin(harness.task(forever=True, phases=str(harness.folder / "phases")))
        wait_for_writes(phases, rng.randrange(4))
        written += phases.writes_begun > 0
        os.kill(process, signal.SIGKILL)
        harness.nursery.end()
        harness.clock.forward(300)
        harness.sync()  # what the source had is seen before it moves on
        till.move()
    harness.sync_until_quiet()
    assert till.audit().nothing, till.audit()
    assert written
