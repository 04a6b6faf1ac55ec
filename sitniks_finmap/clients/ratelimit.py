"""One rate for each API key, shared by every process of this machine that uses the key."""

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sitniks_finmap.connections import ConfigurationError, data_folder
from sitniks_finmap.private_files import private_folder

SLOTS = struct.Struct("dd")  # when the next request may start, until when the key is paused; epoch seconds
FAR = 1200.0  # a reservation further away than this, twice the longest pause, was made by a clock set back since


class Paused(Exception):
    """A request may start only later than one wants to wait; the message says when."""


class RateLimiter:
    """Hands out the moments at which requests may start, `per_second` apart; 0 means no rate, only pauses.

    Whoever waits is patient for `patience` seconds, by default for ever.

    The state is a small file named after a hash of the key, so that two connections on one key, the command line
    and the daemon share it; a process that is killed leaves nothing locked. (fcntl and not filelock: this is
    taken for each request, and at 5 µs instead of 500 it costs nothing beside one.)
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        per_second: float,
        *,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = folder / name
        private_folder(folder)
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        self.threads = threading.Lock()
        self.patience = patience
        self.interval = 1 / per_second if per_second else 0.0
        self.clock = clock
        self.sleep = sleep

    def wait(self) -> None:
        """Returns when one request may start. Raises Paused when that is further away than one is patient."""
        while True:
            with self._locked():
                now = self.clock()
                next_at, paused_until = (moment if moment < now + FAR else 0.0 for moment in self._read())
                start = max(now, next_at, paused_until)
                if self.patience is not None and start - now > self.patience:
                    raise Paused(f"requests may start again in {start - now:.0f} s")
                self._write(start + self.interval, paused_until)
            while (delay := start - self.clock()) > 0:
                self.sleep(delay)
            # The key may have been paused by somebody else meanwhile: then this slot is void.
            if self._read()[1] <= max(paused_until, self.clock()):
                return

    def pause(self, seconds: float) -> None:
        """Nobody who shares the key sends anything for `seconds`."""
        with self._locked():
            next_at, paused_until = self._read()
            self._write(next_at, max(paused_until, self.clock() + seconds))

    def close(self) -> None:
        os.close(self.file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.threads:  # flock is per open file: it keeps processes apart, not threads
            fcntl.flock(self.file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self.file, fcntl.LOCK_UN)

    def _read(self) -> tuple[float, float]:
        state = os.pread(self.file, SLOTS.size, 0)
        return SLOTS.unpack(state) if len(state) == SLOTS.size else (0.0, 0.0)

    def _write(self, next_at: float, paused_until: float) -> None:
        os.pwrite(self.file, SLOTS.pack(next_at, paused_until), 0)


def limiter_for(key: str, per_second: float, patience: float | None = None) -> RateLimiter:
    """The limiter of a key, one for all data folders of this user on this machine.

    Its state is in the user's state folder; in the data folder where that cannot be written, as under a hardened
    service. Raises ConfigurationError when neither can be.
    """
    for folder in state_folders():
        with suppress(OSError):
            return RateLimiter(folder / "limits", key, per_second, patience=patience)
    try:
        return RateLimiter(data_folder() / "limits", key, per_second, patience=patience)
    except OSError as error:
        raise ConfigurationError(
            f"{data_folder()} cannot be written: {error.strerror}; give it to the user that runs the syncs"
        ) from None


def state_folders() -> Iterator[Path]:
    """`$XDG_STATE_HOME/sitniks-finmap`, by default `~/.local/state/sitniks-finmap`; none for a user without a home."""
    with suppress(RuntimeError):
        yield Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sitniks-finmap"
