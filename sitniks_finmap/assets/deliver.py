"""operations → plan → finmap_upload."""

import logging

import dagster as dg

from sitniks_finmap.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.connections import Connection
from sitniks_finmap.delivery import Courier
from sitniks_finmap.run import ConnectionRun

log = logging.getLogger(__name__)


class DeliverConfig(dg.Config):
    """How long a run delivers. A sensor sets it; without it a run goes on until all is delivered."""

    minutes: int | None = None


def deliver_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(
        connection, "finmap_upload", "deliver", {"python", "duckdb"}, deps=[[connection.name, "operations"]]
    )
    def finmap_upload(context: dg.AssetExecutionContext, config: DeliverConfig) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        courier = Courier(
            run.warehouse, run.finmap, retry_every=connection.retry_every, run_id=run.run_id
        )  # fmt: skip
        with run.explained():
            # A run that a person started tries every failed operation at once, a sensor's only what is due.
            delivery = courier.deliver(
                *chosen_days(context), minutes=config.minutes, every_failed=config.minutes is None
            )
            log.info(f"{connection.name}: {delivery}")
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, TOTALS, PREVIEW)

    return [finmap_upload]


TOTALS = """
    select
        coalesce(o.day, l.day) as day,
        count(*) filter (l.state in ('sent', 'verified')) as delivered,
        count(*) filter (l.state = 'failed') as failed,
        count(*) filter (l.state = 'rejected') as rejected_by_finmap,
        count(*) filter (l.state is null) as backlog,
        coalesce(sum(l.amount) filter (l.type = 'income' and l.state in ('sent', 'verified')), 0) as income_sum,
        coalesce(sum(l.amount) filter (l.type = 'expense' and l.state in ('sent', 'verified')), 0) as expense_sum
    from operations o
    full join finmap_upload l using (external_id)
    where coalesce(o.day, l.day) between $first and $last
    group by all
"""
PREVIEW = """
    select
        day, transaction_id, type, amount::varchar as amount, state, attempts,
        strftime(sent_at, '%Y-%m-%d %H:%M') as sent_utc
    from finmap_upload where day between $first and $last
    qualify row_number() over (partition by day order by state, finmap_upload.amount desc, transaction_id) <= 5
"""
