"""Killed at every durable boundary, whatever Finmap did with the writes: each transaction is in Finmap once.

`KILL_MATRIX=whole pytest -m kill` meets every behaviour of Finmap at every failpoint: otherwise only where it makes a
difference.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

import pytest

from sitniks_finmap.sandbox import Fault, FaultKind, Shop
from sitniks_finmap_tests.kill.harness import Harness
from sitniks_finmap_tests.kill.till import Till

pytestmark = [pytest.mark.kill, pytest.mark.timeout(600)]

BEFORE_ANY_WRITE = [
    "page_fetched:1", "window_committed:1", "orders_committed:1", "operations_derived:1", "ledger_rebuilt:1",
    "plan_written:1", "request_ready:1",
]  # fmt: skip
AMONG_WRITES = ["request_ready:4", "reply_received:4", "results_committed:2"]
AFTER_WRITES = ["read_back_committed:1", "read_back_committed:2"]
# What the kill leaves of one connection, the others must not notice: at the passings that write something down.
OF_THREE = ["window_committed:1", "plan_written:1", "reply_received:4", "results_committed:2"]
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
WHOLE = os.environ.get("KILL_MATRIX") == "whole"


def behaviours(failpoint: str, connections: int) -> list[str]:
    """What Finmap does with the writes, in turn; all of it at every failpoint with KILL_MATRIX=whole.

    Where the kill precedes every write, Finmap meets the same writes of the next sync whatever it does with them; where
    it follows the last, what was answered is written down, and the rest is still open. Of three connections each is
    killed once.
    """
    if WHOLE:
        return list(BEHAVIOURS)
    if connections == 3:
        return ["applied", "applied, reply lost", "stored and lost"]
    if failpoint in BEFORE_ANY_WRITE:
        return ["applied, reply lost"]
    return ["applied, reply lost", "stored", "stored and lost"] if failpoint in AFTER_WRITES else list(BEHAVIOURS)


@pytest.mark.parametrize(
    ("failpoint", "connections"),
    [*product(OF_THREE, [3]), *product(AMONG_WRITES + AFTER_WRITES + BEFORE_ANY_WRITE, [1])],
)
def test_what_a_killed_sync_left_the_next_one_finishes(harness: Harness, failpoint: str, connections: int) -> None:
    """One case for each behaviour of Finmap, in turn. Of three connections, two keep their money in one company, and
    those that are not killed have something to do themselves: they are as they were until their own sync."""
    tills = [harness.connect(seed=n) for n in range(1, min(connections, 2) + 1)]
    if connections == 3:
        tills.append(harness.connect(seed=3, finmap=tills[1].finmap.name))
    for till in tills:
        till.sell(harness.clock.now, 12)
    harness.sync()
    lost_file = failpoint.startswith("ledger_rebuilt")  # what is not known to be ours waits for a person, who approves
    companies = {till.finmap.name: till.finmap for till in tills}.values()
    others: list[Till] = []

    for case, behaviour in enumerate(behaviours(failpoint, connections)):
        doomed, *others = tills[case % len(tills) :] + tills[: case % len(tills)]
        for till in tills:
            till.delete(till.rng.choice(list(till.transactions)))
        harness.clock.forward(900)
        harness.sync(plainly=True)  # misses it for the first time
        harness.clock.forward(900)
        if lost_file:
            (harness.folder / "data" / f"{doomed.connection}.duckdb").unlink()
        harness.clock.forward(300)
        for till in tills:
            everything_changes(till, harness.clock.now)
        harness.sandbox.forget_requests()
        for fault in BEHAVIOURS[behaviour](doomed.finmap.name):
            harness.sandbox.fault(fault)
        not_its_own = everything_but(doomed, companies)

        harness.die_at(failpoint, doomed)
        harness.sync_until_quiet(doomed, approve=lost_file)

        assert doomed.audit().nothing, (behaviour, doomed.audit())
        assert everything_but(doomed, companies) == not_its_own, behaviour
        assert behaviour == "applied" or [one for one in harness.sandbox.requests("finmap") if one.fault]
        harness.sandbox.clear_faults()

    if others:  # the last that was killed is quiet already
        harness.sync_until_quiet(*others)
    assert [till.audit() for till in tills if not till.audit().nothing] == []
    # Nothing is left that the source does not have, under whose name it may be.
    assert sum(len(shop.operations()) for shop in companies) == sum(len(till.transactions) for till in tills)
    assert harness.files_open() == 2 * connections  # the warehouse and its read copy


@dataclass(frozen=True)
class Twice:
    """A transaction changes, the process is killed while Finmap is told, and it changes again."""

    change: Callable[[Till, str], Any]
    failpoint: str
    again: Callable[[Till, str, dict[str, Any]], Any]


def put_back(till: Till, identity: str, before: dict[str, Any]) -> None:
    till.put(before)


def nothing(till: Till, identity: str, before: dict[str, Any]) -> None: ...


TWICE = {
    "updated, then edited": Twice(Till.edit, "reply_received:1", lambda till, one, before: till.edit(one)),
    "updated, then deleted": Twice(Till.edit, "reply_received:1", lambda till, one, before: till.delete(one)),
    "updated, then its sign turned": Twice(Till.edit, "reply_received:1", lambda till, one, before: till.flip(one)),
    "updated, then put back": Twice(Till.edit, "reply_received:1", put_back),
    "withdrawn": Twice(Till.delete, "reply_received:1", nothing),
    "withdrawn, then put back": Twice(Till.delete, "reply_received:1", put_back),
    "not yet withdrawn, then put back": Twice(Till.delete, "request_ready:1", put_back),
    "half replaced": Twice(Till.flip, "reply_received:1", nothing),
    "half replaced, then put back": Twice(Till.flip, "reply_received:1", put_back),
    "half replaced, then deleted": Twice(Till.flip, "reply_received:1", lambda till, one, before: till.delete(one)),
    "replaced, then put back": Twice(Till.flip, "reply_received:2", put_back),
    "replaced, then deleted": Twice(Till.flip, "reply_received:2", lambda till, one, before: till.delete(one)),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_change_after_a_kill_is_delivered_without_asking(harness: Harness, case: str) -> None:
    """What changes, is killed in mid-delivery and changes again before the next sync ends as Sitniks has it."""
    till = harness.connect()
    till.sell(harness.clock.now, 3)
    harness.sync()
    identity = till.any()
    before = dict(till.transactions[identity])
    TWICE[case].change(till, identity)
    if TWICE[case].change is Till.delete:
        harness.clock.forward(900)
        harness.sync(plainly=True)  # misses it for the first time
    harness.clock.forward(900)

    harness.die_at(TWICE[case].failpoint, till)
    TWICE[case].again(till, identity, before)
    harness.sync_until_quiet()

    assert till.audit().nothing, till.audit()


def test_what_was_created_before_a_kill_can_still_be_deleted(harness: Harness) -> None:
    """A transaction that is deleted before the next sync leaves no operation in Finmap."""
    till = harness.connect()
    till.sell(harness.clock.now, 1)
    harness.sync()
    till.sell(harness.clock.now, 1)
    harness.clock.forward(60)
    harness.die_at("reply_received:1", till)
    assert len(till.finmap.operations()) == 2
    till.delete(list(till.transactions)[1])
    harness.sync_until_quiet()
    assert len(till.finmap.operations()) == 1
    assert till.audit().nothing


def everything_changes(till: Till, now: datetime) -> None:
    """Something to create, to update and to replace, beside what is to be withdrawn."""
    known = till.rng.sample(list(till.transactions), 6)
    till.sell(now, 1, expense=False)
    till.sell(now, 1, expense=True)
    till.edit(known[0])
    till.edit(known[1])
    till.flip(known[2])
    for identity in known[3:]:
        till.move_order(identity)


def everything_but(doomed: Till, companies: Iterable[Shop]) -> list[dict[str, Any]]:
    """Every operation that is not of this connection."""
    return [
        row
        for shop in companies
        for row in shop.operations()
        if not row["externalId"].startswith(f"{doomed.connection}:")
    ]
