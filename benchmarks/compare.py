"""Two versions of the project side by side: the same benchmarks of both, taking turns in one run.

python -m benchmarks.compare v0.1.0 extraction delivery    # any revision that Git knows; --rounds 3
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^(\S.*?) {2,}([\d,]+) \S+/s +([\d.]+) s wall +([\d.]+) s CPU", re.MULTILINE)
OURS, YARDSTICK = "ours", "bare loop"


@dataclass(frozen=True)
class Turn:
    """What one benchmark of one version measured once."""

    rate: float  # per second
    cpu: float  # seconds
    of_yardstick: float  # our rate as a share of the yardstick's
    cpu_of_yardstick: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("benchmarks", nargs="+", choices=["extraction", "delivery"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    turns: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        before = unpack(options.revision, Path(folder))
        for _ in range(options.rounds):
            for name in options.benchmarks:
                for version, tree in ((options.revision, before), ("now", ROOT)):
                    turns[name, version].append(run(name, tree))
    for name in options.benchmarks:
        show(name, options.revision, turns[name, options.revision], turns[name, "now"])


def unpack(revision: str, folder: Path) -> Path:
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603, S607
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def run(name: str, tree: Path) -> Turn:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--rounds", "1"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)  # noqa: S603
    found = {who: (float(rate.replace(",", "")), float(cpu)) for who, rate, _, cpu in LINE.findall(ended.stdout)}
    if not {OURS, YARDSTICK} <= found.keys():
        raise SystemExit(f"{name} in {tree} failed:\n{ended.stdout}{ended.stderr}")
    (rate, cpu), (their_rate, their_cpu) = found[OURS], found[YARDSTICK]
    return Turn(rate, cpu, rate / their_rate, cpu / their_cpu)


def show(name: str, revision: str, before: list[Turn], now: list[Turn]) -> None:
    print(f"{name}, medians of {len(now)} rounds")
    for version, turns in ((revision, before), ("now", now)):
        rate, cpu = median(one.rate for one in turns), median(one.cpu for one in turns)
        share, their = median(one.of_yardstick for one in turns), median(one.cpu_of_yardstick for one in turns)
        print(f"{version:<12}{rate:>8,.0f}/s{cpu:>9.2f} s CPU    {share:.2f} of the bare loop, {their:.2f} of its CPU")
    rates = [new.rate / old.rate for old, new in zip(before, now, strict=True)]
    cpus = [new.cpu / old.cpu for old, new in zip(before, now, strict=True)]
    print(
        f"now to {revision}: {median(rates):.2f} of its rate ({min(rates):.2f} to {max(rates):.2f}), "
        f"{median(cpus):.2f} of its CPU ({min(cpus):.2f} to {max(cpus):.2f})"
    )


if __name__ == "__main__":
    main()
