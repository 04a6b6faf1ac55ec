"""Sitniks → raw_sitniks_transactions and raw_sitniks_orders, or the orders alone."""

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, day_metadata, described_asset
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.directory import check_references
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.order_statuses import check_statuses
from sitniks_finmap.pipeline.orders import read_orders, read_orders_as_source
from sitniks_finmap.pipeline.reading import UnreadDays
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection

log = logging.getLogger(__name__)


def extract_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    return _orders_alone(connection) if connection.source == "orders" else _transactions_and_orders(connection)


def _orders_alone(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(connection, "raw_sitniks_orders", "extract", {"python", "duckdb"})
    def raw_sitniks_orders(context: dg.AssetExecutionContext) -> Iterator[Any]:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("raw_sitniks_orders")):
            check_references(run)
            check_statuses(run, again=True)
            try:
                read_orders_as_source(run, *chosen_days(context))
            except UnreadDays as unread:
                yield from days_read(context, run, unread.days)
                raise
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con)
        yield dg.MaterializeResult()

    return [raw_sitniks_orders]


def _transactions_and_orders(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(connection, "raw_sitniks_transactions", "extract", {"python", "duckdb"})
    def raw_sitniks_transactions(context: dg.AssetExecutionContext) -> Iterator[Any]:
        run: ConnectionRun = getattr(context.resources, connection.name)
        first_day, last_day = chosen_days(context)
        with told(run.explained("raw_sitniks_transactions")):
            check_references(run)
            try:
                read_transactions(run, first_day, last_day)
            except UnreadDays as unread:
                # Dagster runs no step after a failed one: read the orders here, so that what was read can be delivered.
                read_orders(run, first_day, last_day)
                yield from days_read(context, run, unread.days)
                raise
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con)
        yield dg.MaterializeResult()

    # Payments matter more than their orders: unreadable orders fail no step, or the following steps would not run. A
    # check reports them, and their days stay unread.
    @described_asset(connection, "raw_sitniks_orders", "extract", {"python", "duckdb"}, deps=[raw_sitniks_transactions])
    def raw_sitniks_orders(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        first_day, last_day = chosen_days(context)
        with told(run.explained("raw_sitniks_orders")):
            read_orders(run, first_day, last_day)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con)

    return [raw_sitniks_transactions, raw_sitniks_orders]


def days_read(
    context: dg.AssetExecutionContext, run: ConnectionRun, unread: set[date]
) -> Iterator[dg.AssetMaterialization]:
    """Materializes the days that a failing step did read, so that only the others show as failed."""
    with run.warehouse.transaction() as con:
        every = day_metadata(context, con)
    for key, metadata in every.items():
        if date.fromisoformat(key) not in unread:
            yield dg.AssetMaterialization(context.asset_key, metadata=metadata, partition=key)
