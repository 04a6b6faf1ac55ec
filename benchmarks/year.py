"""A year read again with nothing new: what it costs with our storage of Dagster's events, and with Dagster's own."""

import argparse
import logging
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sitniks_finmap.defs.launch import instance, run_job
from sitniks_finmap.settings.last_good import running_connection

from .contenders import Effort, in_fresh_process, measure, show
from .server import Served, serving

AIM_CPU = 15.0  # seconds
SHOP = "demo"
CONTENDERS = {"ours": False, "Dagster's own storage": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=369)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=options.days - 1)
    efforts: dict[str, list[Effort]] = {name: [] for name in CONTENDERS}
    with (
        serving(options.operations, first_day=first, last_day=last) as served,
        TemporaryDirectory() as folder,
    ):
        configure(Path(folder), served, first)
        in_fresh_process(sync, Path(folder), first, last, plain=False)
        for _ in range(options.rounds):
            for name, plain in CONTENDERS.items():
                efforts[name].append(in_fresh_process(sync, Path(folder), first, last, plain=plain))
    print(f"{options.operations:,} operations in {options.days} days read again, medians of {options.rounds} rounds")
    for name in CONTENDERS:
        show(name, "days", efforts[name])
    ours, other = (median(one.cpu_seconds for one in efforts[name]) for name in CONTENDERS)
    print(f"{ours / other:.2f} of the CPU; aim {AIM_CPU:.0f} s: {'reached' if ours <= AIM_CPU else 'MISSED'}")


def configure(folder: Path, served: Served, first: date) -> None:
    (folder / "connections.toml").write_text(
        f'[{SHOP}]\nstart_date = {first}\nfinmap_account = "Каса"\nsitniks_url = "{served.sitniks_url}"\n'
        f'finmap_url = "{served.finmap_url}"\nsitniks_requests_per_second = 0\nfinmap_requests_per_second = 0\n',
        "utf-8",
    )
    os.environ[f"{SHOP.upper()}_SITNIKS_API_KEY"] = served.sitniks_keys[SHOP]
    os.environ[f"{SHOP.upper()}_FINMAP_API_KEY"] = served.finmap_keys[SHOP]


def sync(folder: Path, first: date, last: date, *, plain: bool) -> Effort:
    """One run over these days, on a new instance, in this process."""
    os.chdir(folder)
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder / "data")
    home = folder / "data" / "dagster"
    shutil.rmtree(home, ignore_errors=True)
    if plain:
        os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "0"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    connection = running_connection(SHOP)

    def run() -> int:
        with instance() as dagster:
            ended = run_job(dagster, connection, "sync", first, last)
        if not ended.success:
            raise SystemExit(ended.why)
        return (last - first).days + 1

    return measure(run)


if __name__ == "__main__":
    main()
