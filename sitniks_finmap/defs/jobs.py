"""The jobs of a connection."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from sitniks_finmap.settings.connections import Connection

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
DELIVERY = ("operations", "unbooked_orders", "finmap_upload", "finmap_operations", "reconciliation", "report")


def connection_jobs(connection: Connection, assets: Sequence[dg.AssetsDefinition]) -> list[Any]:
    """`<connection>_sync`, the whole pipeline, and `<connection>_deliver`, its second half."""
    tags = {"connection": connection.name}
    delivery = [asset for asset in assets if asset.key.path[-1] in DELIVERY]
    return [
        dg.define_asset_job(
            f"{connection.name}_sync",
            selection=dg.AssetSelection.assets(*assets),
            description="Sitniks → DuckDB → Finmap for a range of days.",
            tags=tags,
        ),
        dg.define_asset_job(
            f"{connection.name}_deliver",
            selection=dg.AssetSelection.assets(*delivery),
            description="Derives and delivers what is due in a range of days; reads nothing from Sitniks.",
            tags=tags,
        ),
    ]


def range_tags(first_day: date, last_day: date) -> dict[str, str]:
    """The tags that make a range of partitions one run."""
    return {RANGE_START: first_day.isoformat(), RANGE_END: last_day.isoformat()}
