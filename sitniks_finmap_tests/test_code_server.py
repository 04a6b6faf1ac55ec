"""The code server of a deployment, started as the services start it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sitniks_finmap_tests.processes import until

pytestmark = pytest.mark.runs

HASTY = "from sitniks_finmap.defs import code_server; code_server.EVERY = code_server.PATIENCE = 1; code_server.main()"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "nothing.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n", "utf-8")
    socket = tmp_path / "code.sock"
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HASTY, "--socket", str(socket), "-f", "nothing.py"], cwd=tmp_path,
        env={**os.environ, "DAGSTER_HOME": str(tmp_path)}, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        until(socket.exists, 60)
        yield process
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    named = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in named for child in thread.read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_without_the_process_that_holds_the_code_it_ends(server: subprocess.Popen[bytes]) -> None:
    [code] = children(server.pid)
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(4)
    os.kill(code, signal.SIGKILL)
    server.wait(60)
    assert b"the process that holds the code is gone" in server.communicate()[1]
