"""A job of Dagster alone, whose runs leave logs, events and checks of a known size."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from sitniks_finmap_tests.dagster_runs import QUIET

CHECKS = 5


@dg.asset(name="shop", partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def shop_table(context: dg.AssetExecutionContext) -> None:
    print("printed " * 100)  # noqa: T201
    context.log.info("said " * 20_000)
    context.add_asset_metadata({"preview": dg.MetadataValue.md("| a |" * 10_000)})


@dg.multi_asset_check(specs=[dg.AssetCheckSpec(f"check_{n}", asset="shop") for n in range(CHECKS)])
def shop_checks() -> Iterator[dg.AssetCheckResult]:
    for n in range(CHECKS):
        yield dg.AssetCheckResult(asset_key="shop", check_name=f"check_{n}", passed=True)


JOB = dg.Definitions(
    [shop_table], asset_checks=[shop_checks], jobs=[dg.define_asset_job("shop_sync")]
).resolve_job_def("shop_sync")  # fmt: skip


def sync(instance: dg.DagsterInstance, ago: timedelta = timedelta()) -> str:
    """A run of a shop with logs, events and checks, which was so long ago."""
    run_id = JOB.execute_in_process(instance=instance, run_config=QUIET, partition_key="a").run_id
    with sqlite3.connect(Path(instance.root_directory, "history", "runs.db")) as con:
        con.execute(
            "update runs set create_timestamp = ? where run_id = ?", [str(datetime.now() - ago), run_id]  # noqa: DTZ005
        )  # fmt: skip
    return run_id
