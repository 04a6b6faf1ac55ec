from collections.abc import Iterator
from itertools import count

import pytest

from sitniks_finmap.sandbox import Sandbox

from .clients import Client, Clock

NUMBERS = count(1)


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def running_sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    running_sandbox.clear_faults()
    running_sandbox.forget_requests()
    return running_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """A client of a shop of its own."""
    return Client(sandbox, sandbox.add_shop(f"shop_{next(NUMBERS)}"))
