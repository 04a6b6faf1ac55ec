"""What a process was doing when it was killed: it says so in memory that outlives it."""

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PHASES = ("starting", "reading", "deriving", "delivering", "reading back", "reconciling", "publishing", "between")


class Phases:
    """Numbers in a shared file: the phase, writes to Finmap on their way, DuckDB transactions open, writes begun."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, mmap.PAGESIZE)
        self._memory = mmap.mmap(file, mmap.PAGESIZE)
        os.close(file)
        self._lock = threading.Lock()

    def reset(self) -> None:
        self._memory[:4] = bytes(4)

    def enter(self, phase: str) -> None:
        self._memory[0] = PHASES.index(phase)

    @property
    def phase(self) -> str:
        return PHASES[self._memory[0]]

    @property
    def writing(self) -> bool:
        """A request that changes Finmap had been begun and not answered."""
        return self._memory[1] > 0

    @property
    def in_transaction(self) -> bool:
        """The DuckDB file was open."""
        return self._memory[2] > 0

    @property
    def writes_begun(self) -> int:
        """In this life, 255 at most."""
        return self._memory[3]

    @contextmanager
    def during_write(self) -> Iterator[None]:
        with self._lock:
            self._memory[3] = min(self._memory[3] + 1, 255)
        with self._counted(1):
            yield

    @contextmanager
    def during_transaction(self) -> Iterator[None]:
        with self._counted(2):
            yield

    @contextmanager
    def _counted(self, place: int) -> Iterator[None]:
        with self._lock:
            self._memory[place] += 1
        try:
            yield
        finally:
            with self._lock:
                self._memory[place] -= 1
