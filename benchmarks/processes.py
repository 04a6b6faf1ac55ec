"""What a group of processes costs: CPU, with that of processes that have ended, and memory, shared pages once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of processes that live and of those that have ended, and the megabytes of those that live."""

    living: float
    ended: float
    megabytes: float

    @property
    def cpu_seconds(self) -> float:
        return self.living + self.ended


@contextmanager
def started(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[int]:
    """A program of this Python, such as `dagster`, in a session of its own; its process ID. Stopped at the end."""
    program = str(Path(sys.executable).with_name(command[0]))
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603
            [program, *command[1:]], stdout=file, stderr=file, start_new_session=True, env=os.environ | environment
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cost_of(*leaders: int) -> Cost:
    """The cost of all processes of these sessions. One that has ended counts if its parent has waited for it."""
    living = ended = megabytes = 0.0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) not in leaders:
                continue
            living += sum(int(one) for one in fields[11:13]) / TICKS
            ended += sum(int(one) for one in fields[13:15]) / TICKS
            rollup = (folder / "smaps_rollup").read_text()
            megabytes += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return Cost(living, ended, megabytes)
