"""Which process is sending a message. Nobody takes one from a live process, whatever anybody's clock says."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

LEASE = timedelta(minutes=5)  # where a process cannot be asked whether it lives; longer than any message takes to send
_held: set[str] = set()  # the leases of this process that are in use


@dataclass(frozen=True)
class Lease:
    """A sender's claim on a message."""

    token: str
    pid: int
    start: str  # of the process, since the boot: another one may get its number
    space: str  # where the number means this process; empty if this system does not say
    boot: str
    seconds: float  # since the boot: a clock that nobody sets
    at: str

    def text(self) -> str:
        return json.dumps(asdict(self))

    def release(self) -> None:
        _held.discard(self.token)


def new_lease(now: datetime) -> Lease:
    lease = Lease(
        uuid4().hex, os.getpid(), _start_of(os.getpid()), _space(), _boot(), time.monotonic(), now.isoformat()
    )  # fmt: skip
    _held.add(lease.token)
    return lease


def is_held(text: str | None, now: datetime) -> bool:
    """Whether the sender with this lease may still be at it.

    On this host, it is while its process lives. Of another container we only know the time since the boot, and of
    another boot or machine only the time of day.
    """
    if not text:
        return False
    lease = Lease(**json.loads(text))
    if lease.space and lease.space == _space():
        if lease.pid == os.getpid():
            return lease.token in _held
        return _start_of(lease.pid) == lease.start
    if lease.boot and lease.boot == _boot():
        return time.monotonic() - lease.seconds < LEASE.total_seconds()
    return abs(now - datetime.fromisoformat(lease.at)) < LEASE


def _start_of(pid: int) -> str:
    """When a process started; empty if it does not live."""
    with suppress(OSError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    return ""


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


@cache
def _space() -> str:
    """The boot and the namespace of process numbers: containers count their own."""
    with suppress(OSError):
        return f"{_boot()} {os.readlink('/proc/self/ns/pid')}" if _start_of(os.getpid()) else ""
    return ""
