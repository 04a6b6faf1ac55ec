"""finmap_upload → finmap_operations (read back) → reconciliation, differences."""

from datetime import UTC, datetime

import dagster as dg

from sitniks_finmap.connections import Connection
from sitniks_finmap.defs.assets import add_day_metadata, chosen_days, described_asset
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.readback import read_back
from sitniks_finmap.pipeline.reconcile import reconcile
from sitniks_finmap.pipeline.run import ConnectionRun


def reconcile_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    upload = dg.AssetKey([connection.name, "finmap_upload"])

    @described_asset(connection, "finmap_operations", "reconcile", {"python", "duckdb"}, deps=[upload])
    def finmap_operations(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("finmap_operations")):
            read_back(run, *chosen_days(context), datetime.now(UTC))
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, OPERATIONS_TOTALS, preview=OPERATIONS_PREVIEW)

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
            add_day_metadata(context, con, TOTALS, preview=PREVIEW)

    return [finmap_operations, reconciliation]


OPERATIONS_TOTALS = """
    select
        l.day,
        count(*) as operations,
        coalesce(sum(f.amount) filter (f.type = 'income'), 0) as income_sum,
        coalesce(sum(f.amount) filter (f.type = 'expense'), 0) as expense_sum
    from finmap_operations f
    join finmap_upload l using (external_id)
    where l.day between $first and $last
    group by all
"""


OPERATIONS_PREVIEW = """
    select l.day, external_id, f.type, f.amount::varchar as amount, l.state
    from finmap_operations f
    join finmap_upload l using (external_id)
    where l.day between $first and $last
    qualify row_number() over (partition by l.day order by f.amount desc, external_id) <= 5
"""


TOTALS = """
    select
        day,
        count(*) filter (kind is not null) as differences,
        count(*) filter (kind is not null and not explained) as unexplained,
        coalesce(any_value(difference), 0) as difference_sum
    from (
        select
            coalesce(r.day, d.day) as day, d.kind, d.explained, r.difference
        from (
            select day, sum(
                sitniks_income_sum - sitniks_expense_sum - finmap_income_sum + finmap_expense_sum
            ) as difference
            from reconciliation group by all
        ) r
        full join differences d on d.day = r.day
    )
    where day between $first and $last
    group by all
"""


PREVIEW = """
    select
        day, kind, explained, count(*) as records,
        coalesce(any_value(external_id), any_value(transaction_id)) as for_example
    from differences where day between $first and $last
    group by all
"""
