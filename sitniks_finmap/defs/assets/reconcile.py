"""finmap_upload → finmap_operations (read back) → reconciliation, differences."""

from datetime import UTC, datetime

import dagster as dg

from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.other_operations import look_for_other_operations
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection


def reconcile_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    upload = dg.AssetKey([connection.name, "finmap_upload"])

    @described_asset(connection, "finmap_operations", "reconcile", {"python", "duckdb"}, deps=[upload])
    def finmap_operations(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("finmap_operations")):
            read_back(run, *chosen_days(context), datetime.now(UTC))
            look_for_other_operations(run, datetime.now(UTC))
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con)

    @described_asset(
        connection,
        "reconciliation",
        "reconcile",
        {"sql", "duckdb"},
        deps=[finmap_operations, dg.AssetKey([connection.name, "operations"])],
    )
    def reconciliation(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("reconciliation")), run.warehouse.transaction() as con:
            reconcile(con)
            add_day_metadata(context, con)

    return [finmap_operations, reconciliation]
