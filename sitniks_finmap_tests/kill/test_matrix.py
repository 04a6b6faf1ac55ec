"""Killed at every durable boundary, whatever Finmap did with the writes: each transaction is in Finmap once."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pytest

from sitniks_finmap.sandbox import Fault, FaultKind, Shop
from sitniks_finmap_tests.kill.harness import Harness
from sitniks_finmap_tests.kill.till import Till

pytestmark = [pytest.mark.kill, pytest.mark.timeout(120)]

FAILPOINTS = [
    "page_fetched:1", "window_committed:1", "orders_committed:1", "operations_derived:1", "ledger_rebuilt:1",
    "plan_written:1", "request_ready:1", "request_ready:4", "reply_received:4", "results_committed:2",
    "read_back_committed:1", "read_back_committed:2",
]  # fmt: skip
WRITES = [
    ("POST", "/operations/income"),
    ("POST", "/operations/expense"),
    ("PATCH", "/operations"),
    ("DELETE", "/operations"),
]


def each_write(kind: FaultKind, **more: int) -> Callable[[str], list[Fault]]:
    return lambda shop: [
        Fault(kind, "finmap", method=method, path=path, shop=shop, times=2, **more)  # type: ignore[arg-type]
        for method, path in WRITES
    ]


def creations(kind: FaultKind, **more: int) -> Callable[[str], list[Fault]]:
    return lambda shop: [Fault(kind, "finmap", shop=shop, times=3, **more)]  # type: ignore[arg-type]


BEHAVIOURS: dict[str, Callable[[str], list[Fault]]] = {
    "applied": lambda shop: [],
    "dropped before": each_write("drop_before"),
    "applied, reply lost": each_write("drop_after"),
    "stored": creations("stored", seconds=300),
    "stored and lost": creations("stored_lost"),
    "5xx before": each_write("status", status=503),
    "5xx after": each_write("status_after", status=502),
}


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_what_a_killed_sync_left_the_next_one_finishes(harness: Harness, failpoint: str, connections: int) -> None:
    """One case for each behaviour of Finmap, in turn. Of three connections, two keep their money in one company, and
    those that are not killed have something to do themselves: they are as they were until their own sync."""
    tills = [harness.connect(seed=n) for n in range(1, min(connections, 2) + 1)]
    if connections == 3:
        tills.append(harness.connect(seed=3, finmap=tills[1].finmap.name))
    for till in tills:
        till.sell(harness.clock.now, 12)
    harness.sync_until_quiet()
    lost_file = failpoint.startswith("ledger_rebuilt")  # what is not known to be ours waits for a person, who approves
    companies = {till.finmap.name: till.finmap for till in tills}.values()

    for case, behaviour in enumerate(BEHAVIOURS):
        doomed = tills[case % len(tills)]
        if lost_file:
            (harness.folder / "data" / f"{doomed.connection}.duckdb").unlink()
        harness.clock.forward(300)
        for till in tills:
            everything_changes(till, harness.clock.now)
        harness.sandbox.forget_requests()
        for fault in BEHAVIOURS[behaviour](doomed.finmap.name):
            harness.sandbox.fault(fault)
        others = everything_but(doomed, companies)

        harness.die_at(failpoint, doomed)
        harness.sync_until_quiet(doomed, approve=lost_file)

        assert doomed.audit().nothing, (behaviour, doomed.audit())
        assert everything_but(doomed, companies) == others, behaviour
        assert behaviour == "applied" or [one for one in harness.sandbox.requests("finmap") if one.fault]
        harness.sandbox.clear_faults()

    harness.sync_until_quiet(approve=lost_file)
    assert [till.audit() for till in tills if not till.audit().nothing] == []
    # Nothing is left that the source does not have, under whose name it may be.
    assert sum(len(shop.operations()) for shop in companies) == sum(len(till.transactions) for till in tills)
    assert harness.files_open() == 2 * connections  # the warehouse and its read copy


def everything_changes(till: Till, now: datetime) -> None:
    """Something to create, to update, to replace and to withdraw."""
    known = till.rng.sample(list(till.transactions), 7)
    till.sell(now, 1, expense=False)
    till.sell(now, 1, expense=True)
    till.edit(known[0])
    till.edit(known[1])
    till.flip(known[2])
    till.delete(known[3])
    for identity in known[4:]:
        till.move_order(identity)


def everything_but(doomed: Till, companies: Iterable[Shop]) -> list[dict[str, Any]]:
    """Every operation that is not of this connection."""
    return [
        row
        for shop in companies
        for row in shop.operations()
        if not row["externalId"].startswith(f"{doomed.connection}:")
    ]
