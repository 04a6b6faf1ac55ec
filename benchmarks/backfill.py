"""A long backfill that is killed and goes on: is the time that it says it will take right, is its memory flat?"""

import argparse
import logging
import re
import signal
import time
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.readback import listed

from .contenders import in_fresh_process, open_run
from .delivery import ready
from .server import FIRST_DAY, LAST_DAY, Served, serving

AIM_DEVIATION = 20.0  # percent, one minute after the beginning
AIM_GROWTH = 50.0  # megabytes from then on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--kill-after", type=float, default=60.0, help="seconds")
    parser.add_argument("--ask-after", type=float, default=60.0, help="seconds until the time left is believed")
    options = parser.parse_args()
    processes = get_context("spawn")
    with serving(options.operations) as served, TemporaryDirectory() as folder:
        in_fresh_process(stage, served, Path(folder))
        first = processes.Process(target=deliver, args=(None, served, Path(folder), options.ask_after))
        first.start()
        first.join(options.kill_after)
        first.kill()
        first.join()
        print(f"killed after {options.kill_after:.0f} s (exit code {first.exitcode} = -{signal.SIGKILL:d})", flush=True)
        here, there = processes.Pipe()
        second = processes.Process(target=deliver, args=(there, served, Path(folder), options.ask_after))
        second.start()
        planned, took, said, growth, memory = here.recv()
        second.join()
        in_finmap = in_fresh_process(count, served, Path(folder))
    if in_finmap != options.operations:
        raise SystemExit(f"Finmap has {in_finmap} of {options.operations} operations")
    print(f"went on with {planned:,} of {options.operations:,} operations: {took:.0f} s; Finmap has each once")
    deviation = (said / took - 1) * 100 if said else float("nan")
    whole = f"said after {options.ask_after:.0f} s: {said:.0f} s in all"
    print(f"{whole}, {deviation:+.1f} %; aim {verdict(deviation, AIM_DEVIATION)}")
    print(f"memory {memory:.0f} MB at the end, {growth:+.0f} MB since then; aim {verdict(growth, AIM_GROWTH)}")


def verdict(seen: float, aim: float) -> str:
    return f"{aim:.0f}: {'reached' if abs(seen) <= aim else 'MISSED'}"


def stage(served: Served, folder: Path) -> None:
    ready(served, folder, "demo")


def count(served: Served, folder: Path) -> int:
    return len(listed(open_run(served, folder), FIRST_DAY, LAST_DAY))


class Said(logging.Handler):
    """The first time left that is said after so many seconds, as the whole of the duration; memory then and later."""

    def __init__(self, after: float) -> None:
        super().__init__(logging.INFO)
        self.after = after
        self.started = time.monotonic()
        self.whole = self.then = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        elapsed = time.monotonic() - self.started
        left = re.search(r"about (?:(\d+) days?, )?(\d+):(\d\d):(\d\d) left", record.getMessage())
        if left and elapsed >= self.after and not self.whole:
            days, hours, minutes, seconds = (int(one or 0) for one in left.groups())
            rest = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
            self.whole, self.then = elapsed + rest, resident_megabytes()


def deliver(pipe: Pipe | None, served: Served, folder: Path, after: float) -> None:
    """Delivers what is left; tells how many, how long it took and was said to take, and what memory it had."""
    run = open_run(served, folder)
    said = Said(after)
    ours = logging.getLogger("sitniks_finmap")
    ours.setLevel(logging.INFO)
    ours.addHandler(said)
    courier = Courier(run.warehouse, run.finmap, retry_every=run.connection.retry_every, run_id=run.run_id)
    delivery = courier.deliver(FIRST_DAY, LAST_DAY)
    took = time.monotonic() - said.started
    memory = resident_megabytes()
    if pipe:
        pipe.send((delivery.planned, took, said.whole, memory - said.then, memory))


def resident_megabytes() -> float:
    status = Path("/proc/self/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
