"""operations → plan → finmap_upload."""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime

import dagster as dg
from pydantic import Field

from sitniks_finmap.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.assets.checks import guard_delivery
from sitniks_finmap.connections import Connection
from sitniks_finmap.delivery import Courier, Delivery
from sitniks_finmap.figures import counted
from sitniks_finmap.installation import refuse_doubles
from sitniks_finmap.readback import rebuild_ledger
from sitniks_finmap.run import ConnectionRun, today

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
        with run.explained("finmap_upload"):
            # A run that a person started tries every failed operation at once, a sensor's only what is due.
            deliver(run, *chosen_days(context), minutes=config.minutes, every_failed=config.minutes is None)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, TOTALS, plan=PLAN, preview=PREVIEW)

    return [finmap_upload]


def deliver(
    run: ConnectionRun,
    first_day: date,
    last_day: date,
    *,
    minutes: float | None = None,
    every_failed: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Delivery:
    """Brings these days to Finmap. A ledger that knows of nothing delivered is first filled from Finmap.

    Every way to Finmap leads through here: raises CheckFailed, WrongCompany, OtherInstallation or PostedElsewhere
    before anything is posted, and ApiError.
    """
    guard_delivery(run.warehouse)
    finmap = run.finmap_to_write
    with run.warehouse.transaction() as con:
        (known,) = con.execute("select count(*) from finmap_upload where state <> 'rolled_back'").fetchone() or (0,)
    if not known:
        refuse_doubles(run.connection, run.warehouse, finmap)
        # The file may be new because the old one was lost; without this, a second generation could be sent as a first.
        found, _ = rebuild_ledger(run, run.connection.start_date, today(run.connection, now()), now())
        if found:
            log.info("%s: %s in Finmap already", run.connection.name, counted(found, "operation"))
    courier = Courier(run.warehouse, finmap, retry_every=run.connection.retry_every, run_id=run.run_id, now=now)
    delivery = courier.deliver(first_day, last_day, minutes=minutes, every_failed=every_failed)
    log.info("%s: %s", run.connection.name, delivery)
    return delivery


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
