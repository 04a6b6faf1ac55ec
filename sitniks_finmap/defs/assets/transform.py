"""raw_sitniks_transactions and raw_sitniks_orders → operations; from orders alone, unbooked_orders as well."""

import logging

import dagster as dg

from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.defs.resources import SOURCES, told
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.settings.connections import Connection

log = logging.getLogger(__name__)


def transform_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    sources = [[connection.name, table] for table in SOURCES[connection.source]]

    @described_asset(connection, "operations", "transform", {"sql", "duckdb"}, deps=sources)
    def operations(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        first_day, last_day = chosen_days(context)
        with told(run.explained("operations")):
            derive_operations(run, first_day, last_day)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con)

    # Derived together with the operations; this step shows what a person should look at.
    @described_asset(connection, "unbooked_orders", "transform", {"sql", "duckdb"}, deps=[operations])
    def unbooked_orders(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("unbooked_orders")), run.warehouse.transaction() as con:
            add_day_metadata(context, con)

    return [operations, unbooked_orders] if connection.source == "orders" else [operations]
