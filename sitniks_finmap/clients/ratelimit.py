"""One rate limit per API key, shared by all processes on this machine that use the key."""

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.private_files import data_folder, private_folder

SLOTS = struct.Struct("dd")  # when the next request may start, until when the key is paused; epoch seconds
FAR = 1200.0  # twice the longest pause; a reservation further away was made before the clock was set back


class Paused(Exception):
    """A request cannot start within the caller's patience; the message says when it can."""


class RateLimiter:
    """Schedules requests at most `per_second` apart; 0 means no rate limit, only pauses.

    Callers wait up to `patience` seconds, by default indefinitely.

    The state is a small file named after a hash of the key, shared by connections with the same key, the command line
    and the daemon; a killed process leaves no lock behind. It uses fcntl rather than filelock because the lock is
    taken for each request: 5 µs instead of 500.
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
        """Wait until a request may start. Raises Paused if that would take longer than `patience`."""
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
            # Another process may have paused the key meanwhile: then this slot is void.
            if self._read()[1] <= max(paused_until, self.clock()):
                return

    def pause(self, seconds: float) -> None:
        """Stop all users of the key from sending anything for `seconds`."""
        with self._locked():
            next_at, paused_until = self._read()
            self._write(next_at, max(paused_until, self.clock() + seconds))

    def close(self) -> None:
        os.close(self.file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.threads:  # flock is per open file: it excludes processes, not threads
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
    """Return the limiter of a key, one for all data folders of this user on this machine.

    Its state is in the user's state folder, or in the data folder if that is not writable, as under a hardened
    service. Raises ConfigurationError if neither is writable.
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
    """`$XDG_STATE_HOME/sitniks-finmap`, default `~/.local/state/sitniks-finmap`; none for a user without a home."""
    with suppress(RuntimeError):
        yield Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sitniks-finmap"
