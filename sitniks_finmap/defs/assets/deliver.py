"""operations → plan → finmap_upload."""

import logging

import dagster as dg
from pydantic import Field

from sitniks_finmap.connections import Connection
from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.deliver import deliver
from sitniks_finmap.pipeline.run import ConnectionRun

log = logging.getLogger(__name__)


class DeliverConfig(dg.Config):
    """How long a run delivers. A sensor sets it; without it a run goes on until all is delivered."""

    minutes: int | None = Field(None, description="Minutes after which a run starts nothing more; empty: no limit.")


def deliver_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(
        connection, "finmap_upload", "deliver", {"python", "duckdb"}, deps=[[connection.name, "operations"]]
    )
    def finmap_upload(context: dg.AssetExecutionContext, config: DeliverConfig) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("finmap_upload")):
            # A run that a person started tries every failed operation at once, a sensor's only what is due.
            deliver(run, *chosen_days(context), minutes=config.minutes, every_failed=config.minutes is None)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, TOTALS, plan=PLAN, preview=PREVIEW)

    return [finmap_upload]


TOTALS = """
    select
        coalesce(o.day, l.day) as day,
        count(*) filter (l.state in ('sent', 'verified')) as delivered,
        count(*) filter (l.state = 'failed') as failed,
        count(*) filter (l.state = 'refused') as refused,
        count(*) filter (l.state is null) as backlog,
        count(*) filter (p.standing = 'pending') as pending,
        coalesce(sum(l.written.amount) filter (l.written.type = 'income' and l.state in ('sent', 'verified')), 0)
            as income_sum,
        coalesce(sum(l.written.amount) filter (l.written.type = 'expense' and l.state in ('sent', 'verified')), 0)
            as expense_sum
    from operations o
    full join current_uploads l using (transaction_id)
    left join plan p on p.transaction_id = coalesce(o.transaction_id, l.transaction_id)
    where coalesce(o.day, l.day) between $first and $last
    group by all
"""


PLAN = """
    select
        day, action, standing, coalesce(regexp_extract(why, '^[^:]*'), '') as why, count(*) as operations,
        sum(coalesce(written.amount, 0))::varchar as amount_before, sum(amount)::varchar as amount_after,
        min(transaction_id) as for_example
    from plan where day between $first and $last
    group by all
    order by standing desc, action, why
"""


PREVIEW = """
    select
        day, transaction_id, written.type as type, written.amount::varchar as amount, state, attempts,
        strftime(sent_at, '%Y-%m-%d %H:%M') as sent_utc
    from finmap_upload where day between $first and $last
    qualify row_number() over (partition by day order by state, finmap_upload.written.amount desc, transaction_id) <= 5
"""
