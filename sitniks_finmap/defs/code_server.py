"""The code server of a deployment: Dagster's own, which ends if the process that holds the code is gone for good.

    python -m sitniks_finmap.defs.code_server --socket code.sock -m sitniks_finmap.definitions

`dagster code-server start` answers for a process of its own that holds the code. If that process is killed, as for lack
of memory, Dagster neither ends nor starts another: it looks healthy, and nothing is synced. When this one ends, whoever
started it (systemd, Docker) starts it again.
"""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from dagster._cli.code_server import start_command

EVERY = 15.0  # seconds between two looks
PATIENCE = 60.0  # seconds without such a process; a reload starts the next one before it ends the last
GRACE = 30.0  # seconds to end by itself

log = logging.getLogger("sitniks_finmap")


def main() -> None:
    if sys.platform == "linux":
        threading.Thread(target=_end_when_left_alone, name="end-when-left-alone", daemon=True).start()
    start_command(prog_name="sitniks_finmap.defs.code_server")


def _end_when_left_alone() -> None:
    alone_since: float | None = None
    begun = False
    while True:
        time.sleep(min(EVERY, PATIENCE))
        if has_child(os.getpid()):
            alone_since, begun = None, True
        elif begun:
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since >= PATIENCE:
                break
    log.error("the process that holds the code is gone; this code server ends, to be started again")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def has_child(pid: int) -> bool:
    """Whether a process has a child that lives."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if int(parent) == pid and state not in "ZX":
            return True
    return False


if __name__ == "__main__":
    main()
