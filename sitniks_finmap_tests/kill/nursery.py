"""Processes that can be killed and cost milliseconds: a server that has imported everything forks one for each life.

The sandbox is not in it, for a process with threads must not fork: it stays with the tests.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIFE_SECONDS = 60


class Nursery:
    """The server, as the tests see it."""

    def __init__(self) -> None:
        self._alive = 0
        # A library that starts threads when it is imported would make forking unsafe.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self._read() == {"ready": 1}

    def begin(self, task: dict[str, Any]) -> int:
        """A new process carries out the task (see child.py); returns its process ID."""
        assert self._server.stdin
        self._server.stdin.write(json.dumps(task) + "\n")
        self._server.stdin.flush()
        self._alive = self._read()["pid"]
        return self._alive

    def end(self) -> tuple[int, dict[str, Any]]:
        """Waits for the process: its exit code, negative for a signal, and what it answered."""
        answer: dict[str, Any] = {}
        while "code" not in (line := self._read()):
            answer |= line
        self._alive = 0
        return line["code"], answer

    def run(self, task: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.begin(task)
        return self.end()

    def quiet(self) -> None:
        """Ends what a failed test left alive."""
        if self._alive:
            os.kill(self._alive, signal.SIGKILL)
            self.end()

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait(LIFE_SECONDS)
        assert self._server.stdout
        self._server.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._server.stdout
        return json.loads(self._server.stdout.readline())


def serve(live: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Forks a process for each line of input; one at a time."""
    _say({"ready": len(list(Path("/proc/self/task").iterdir()))})
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _live(live, json.loads(line))
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"code": os.waitstatus_to_exitcode(status)})


def _live(live: Callable[[dict[str, Any]], dict[str, Any]], task: dict[str, Any]) -> None:
    """The forked process: never returns into the server."""
    code = 1
    try:
        _say(live(task))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    import pandas  # noqa: F401 (the product imports it when it is needed: every life would)

    from sitniks_finmap_tests.kill.child import live

    serve(live)
