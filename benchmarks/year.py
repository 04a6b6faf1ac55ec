"""A year read again with nothing new, by the command `sync`: what it costs with our storage of Dagster's events.

python -m benchmarks.year --before v0.1.0    # beside an earlier version, which any revision names
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from .compare import ROOT, unpack
from .contenders import Effort, measure, show
from .server import Served, serving

AIM_CPU = 15.0  # seconds
SHOP = "demo"
NOW, PLAIN = "now", "Dagster's own storage"


@dataclass(frozen=True)
class Installation:
    """A version of the project, with data of its own."""

    tree: Path
    folder: Path
    served: Served

    def sync(self, first: date, last: date, *, plain: bool = False) -> Effort:
        """Syncs these days on a new Dagster instance, in a process of its own."""
        home = self.folder / "data" / "dagster"
        shutil.rmtree(home, ignore_errors=True)
        environment = os.environ | {
            "PYTHONPATH": str(self.tree),
            "SITNIKS_FINMAP_DATA": str(self.folder / "data"),
            f"{SHOP.upper()}_SITNIKS_API_KEY": self.served.sitniks_keys[SHOP],
            f"{SHOP.upper()}_FINMAP_API_KEY": self.served.finmap_keys[SHOP],
        }
        if plain:
            environment["DAGSTER_EVENT_BATCH_SIZE"] = "0"
            home.mkdir(parents=True)
            (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
        days = ["--from", first.isoformat(), "--to", last.isoformat()]
        command = [sys.executable, "-c", self._program(), "sync", "--connection", SHOP, *days]

        def run() -> int:
            ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)  # noqa: S603
            if ended.returncode:
                raise SystemExit(f"the sync of {self.tree} failed:\n{ended.stdout}{ended.stderr}")
            return (last - first).days + 1

        return measure(run)

    def _program(self) -> str:
        """What the installed command `sitniks-finmap` runs."""
        project = tomllib.loads((self.tree / "pyproject.toml").read_text("utf-8"))["project"]
        module, _, function = project["scripts"]["sitniks-finmap"].partition(":")
        return f"from {module} import {function}; {function}()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help="an earlier version: any revision that Git knows")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=369)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=options.days - 1)
    with ExitStack() as stack:
        versions = {NOW: ROOT}
        if options.before:
            versions[options.before] = unpack(options.before, Path(stack.enter_context(TemporaryDirectory())))
        installed = {}
        for name, tree in versions.items():
            served = stack.enter_context(serving(options.operations, first_day=first, last_day=last))
            installed[name] = Installation(tree, Path(stack.enter_context(TemporaryDirectory())), served)
            configure(installed[name], first)
            installed[name].sync(first, last)
        efforts: dict[str, list[Effort]] = {name: [] for name in [*installed, PLAIN]}
        for _ in range(options.rounds):
            for name, installation in installed.items():
                efforts[name].append(installation.sync(first, last))
            efforts[PLAIN].append(installed[NOW].sync(first, last, plain=True))
    print(f"{options.operations:,} operations in {options.days} days read again, medians of {options.rounds} rounds")
    for name, rounds in efforts.items():
        show(name, "days", rounds)
    cpu = {name: median(one.cpu_seconds for one in rounds) for name, rounds in efforts.items()}
    for name in list(efforts)[1:]:
        print(f"now to {name}: {cpu[NOW] / cpu[name]:.2f} of its CPU")
    print(f"aim {AIM_CPU:.0f} s of CPU: {'reached' if cpu[NOW] <= AIM_CPU else 'MISSED'}")


def configure(installation: Installation, first: date) -> None:
    served = installation.served
    (installation.folder / "connections.toml").write_text(
        f'[{SHOP}]\nstart_date = {first}\nfinmap_account = "Каса"\nsitniks_url = "{served.sitniks_url}"\n'
        f'finmap_url = "{served.finmap_url}"\nsitniks_requests_per_second = 0\nfinmap_requests_per_second = 0\n',
        "utf-8",
    )


if __name__ == "__main__":
    main()
