"""Other processes: what two connections of one process cannot show."""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from sitniks_finmap.warehouse import store
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

processes = multiprocessing.get_context("forkserver")
# Imported once, before the first of them starts: whatever is started there.
processes.set_forkserver_preload([f"sitniks_finmap_tests.test_{one}" for one in ("ratelimit", "warehouse_damage")])


class Other:
    """One other process, started with a function and a pipe to it."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self.pipe, theirs = processes.Pipe()
        self.process = processes.Process(target=target, args=(theirs, *arguments), daemon=True)
        self.process.start()
        assert self.pipe.poll(30), "the other process did not start"
        self.said = self.pipe.recv()


def hold(pipe: Pipe, path: Path, seconds: float) -> None:
    """Holds the DuckDB file of u1 for a moment, as another run's transaction does."""
    with Warehouse(path, "u1").transaction():
        pipe.send("held")
        pipe.poll(seconds)


def run_until_killed(pipe: Pipe, path: Path) -> None:
    with Warehouse(path, "u1").run(wait=0):
        pipe.send("running")
        pipe.recv()


def read_when_asked(pipe: Pipe, folder: Path) -> None:
    """Reads the warehouse of u1 at once or not at all, each time it is asked."""
    store.OPEN_DEADLINE = 0.0
    pipe.send("ready")
    while pipe.recv():
        try:
            with Warehouse(folder, "u1").transaction():
                pipe.send("read")
        except WarehouseError:
            pipe.send("busy")


def in_another_process(function: Callable[..., None], *arguments: object) -> str | None:
    """What the function sends from a process of its own, or None when it ends without a word."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=function, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(60) else None
    except EOFError:
        return None
    finally:
        process.join(60)


def until(happened: Callable[[], Any], seconds: float = 5) -> None:
    """Waits for what happens outside of this test's threads."""
    waiting = threading.Event()
    for _ in range(round(seconds * 100)):
        if happened():
            return
        waiting.wait(0.01)
    raise AssertionError(f"it did not happen within {seconds} seconds")
