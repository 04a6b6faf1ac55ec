"""A contender's work in a fresh process: how long it took, what it cost, how much memory it ever had."""

import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse

from .server import FIRST_DAY, Served

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Effort:
    """What some work cost the process that did it: wall and CPU (user + system) seconds."""

    items: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.items / self.seconds


def in_fresh_process(
    work: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def measure(work: Callable[[], int]) -> Effort:
    """Does the work, which returns how many items it handled."""
    started, cpu = time.perf_counter(), _cpu_seconds()
    items = work()
    return Effort(items, time.perf_counter() - started, _cpu_seconds() - cpu)


def peak_megabytes() -> float:
    """The most memory that this process ever had resident."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def open_run(
    served: Served, folder: Path, *, sitniks: str = "demo", finmap: str = "demo", **settings: Any
) -> ConnectionRun:
    """A run of ours from one shop's Sitniks to one shop's Finmap, without Dagster; no rate limit unless asked."""
    os.environ["SITNIKS_FINMAP_DATA"] = str(folder)
    os.environ["BENCHMARK_SITNIKS_API_KEY"] = served.sitniks_keys[sitniks]
    os.environ["BENCHMARK_FINMAP_API_KEY"] = served.finmap_keys[finmap]
    connection = Connection(
        name="benchmark",
        start_date=FIRST_DAY,
        finmap_account="Каса",
        sitniks_url=served.sitniks_url,
        finmap_url=served.finmap_url,
        **{"sitniks_requests_per_second": 0.0, "finmap_requests_per_second": 0.0, **settings},
    )
    return ConnectionRun(connection, open_warehouse(connection), "benchmark")


def show(title: str, unit: str, efforts: list[Effort]) -> None:
    """One line: the medians of a contender's rounds."""
    rate = median(effort.per_second for effort in efforts)
    seconds = median(effort.seconds for effort in efforts)
    cpu = median(effort.cpu_seconds for effort in efforts)
    print(f"{title:<24}{rate:>10,.0f} {unit}/s {seconds:>8.2f} s wall {cpu:>8.2f} s CPU")


def show_ratio(title: str, ours: list[Effort], other: list[Effort], aim: float) -> None:
    """The rate and the CPU of ours for one of the other: the median of the rounds, and their least and most."""
    rounds = list(zip(ours, other, strict=True))
    speeds = [one.per_second / two.per_second for one, two in rounds]
    cpu = median(one.cpu_seconds / two.cpu_seconds for one, two in rounds)
    verdict = "reached" if median(speeds) >= aim else "MISSED"
    spread = f"{min(speeds):.2f} to {max(speeds):.2f}"
    print(f"{title:<24}{median(speeds):>10.2f} of its rate ({spread}), {cpu:.2f} of its CPU; aim {aim:.2f}: {verdict}")
