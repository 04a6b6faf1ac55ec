"""operations → plan → finmap_upload."""

import logging

import dagster as dg
from pydantic import Field

from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection

log = logging.getLogger(__name__)


class DeliverConfig(dg.Config):
    """How long a run delivers. The sensor sets it; without it, a run continues until everything is delivered."""

    minutes: int | None = Field(None, description="Minutes after which a run starts nothing new; empty: no limit.")


def deliver_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(
        connection, "finmap_upload", "deliver", {"python", "duckdb"}, deps=[[connection.name, "operations"]]
    )
    def finmap_upload(context: dg.AssetExecutionContext, config: DeliverConfig) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("finmap_upload")):
            # A run started by a person retries every failed operation; the sensor's runs only what is due.
            deliver(run, *chosen_days(context), minutes=config.minutes, every_failed=config.minutes is None)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, ("plan", "preview"))

    return [finmap_upload]
