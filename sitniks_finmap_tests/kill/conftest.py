"""The sandbox and the nursery of a module, on one clock; a harness for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap_tests.kill.harness import Harness
from sitniks_finmap_tests.kill.nursery import Nursery
from sitniks_finmap_tests.sandbox.clients import Clock


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def harness(sandbox: Sandbox, nursery: Nursery, clock: Clock, tmp_path: Path) -> Iterator[Harness]:
    sandbox.clear_faults()
    sandbox.forget_requests()
    yield Harness(sandbox, nursery, clock, tmp_path)
    nursery.quiet()
    sandbox.clear_faults()
