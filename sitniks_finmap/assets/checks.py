"""What people rely on, checked after every run; a check that guards delivery stops it."""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import duckdb

from sitniks_finmap.connections import Connection
from sitniks_finmap.run import ConnectionRun


@dataclass(frozen=True)
class Check:
    """A promise about a table: `wrong` counts what breaks it, its further columns go to the metadata."""

    table: str
    name: str
    description: str
    wrong: str
    blocking: bool = False


CHECKS = [
    Check(
        "raw_sitniks_transactions",
        "every_day_was_read",
        "No day of transactions is one that Sitniks could not show when it was last asked.",
        """
        select count(*) as wrong, count(distinct date_trunc('month', day)) as months
        from unread_days where resource = 'transactions'
        """,
    ),
    Check(
        "raw_sitniks_orders",
        "every_order_was_read",
        "No order, and no day of orders, is one that Sitniks could not show; their statuses stay as last known.",
        """
        select orders + days as wrong, orders, days
        from
            (select count(*) as orders from unreadable_orders),
            (select count(*) as days from unread_days where resource = 'orders')
        """,
    ),
    Check(
        "operations",
        "transaction_ids_are_unique",
        "No transaction has two operations, and no externalId stands for two.",
        """
        select count(*) - least(count(distinct transaction_id), count(distinct external_id)) as wrong,
            count(*) as operations
        from operations
        """,
        blocking=True,
    ),
    Check(
        "operations",
        "sign_and_type_agree",
        "A negative amount is an expense and a positive one an income, and the amounts are those of Sitniks.",
        """
        select count(*) filter (
            o.amount <= 0
            or amount_of(t.amount, json_type(t.payload, '$.amount') = 'VARCHAR')
                - if(o.type = 'expense', -o.amount, o.amount) not between -0.00000001 and 0.00000001
        ) as wrong
        from operations o
        join latest_transactions t on t.transaction_id = o.transaction_id and t.version = o.raw_version
        """,
        blocking=True,
    ),
    Check(
        "operations",
        "every_live_transaction_is_accounted_for",
        "Every live transaction is an operation or rejected with a reason, never both and never neither.",
        """
        select count(*) filter (known is distinct from 1) as wrong, count(*) as live_transactions
        from (
            select transaction_id from latest_transactions, settings where gone_at is null and day >= start_date
        )
        left join (
            select transaction_id, count(*) as known
            from (select transaction_id from operations union all select transaction_id from rejected_transactions)
            group by all
        ) using (transaction_id)
        """,
        blocking=True,
    ),
    Check(
        "finmap_upload",
        "nothing_is_left_undelivered",
        "No operation failed or was refused by Finmap. What a run had no time for is backlog, not a failure.",
        """
        select
            count(*) filter (l.state in ('failed', 'rejected')) as wrong,
            count(*) filter (l.state = 'failed') as failed,
            count(*) filter (l.state = 'rejected') as rejected_by_finmap,
            count(*) filter (l.state is null) as backlog
        from operations o
        left join current_uploads l using (transaction_id)
        """,
    ),
    Check(
        "finmap_upload",
        "ledger_equals_operations_by_day",
        "What was delivered has, day by day, the sums of its operations to the kopiyka, but for what is planned.",
        """
        with delivered as (
            select
                l.*,
                l.content_hash is not distinct from o.content_hash or l.rebuilt or p.transaction_id is null as judged
            from current_uploads l
            left join operations o using (transaction_id)
            left join (from plan where action in ('update', 'replace', 'withdraw')) p using (transaction_id)
            where l.state in ('sent', 'verified')
        )
        select count(*) filter (should <> has) as wrong, coalesce(sum(abs(should - has)), 0) as difference
        from (
            select day, sum(should) as should, sum(has) as has
            from (
                select o.day, if(o.type = 'expense', -o.amount, o.amount) as should, 0 as has
                from operations o
                semi join (from delivered where judged) using (transaction_id)
                union all
                select day, 0, if(type = 'expense', -amount, amount)
                from delivered
                where judged
            )
            group by all
        )
        """,
    ),
    Check(
        "reconciliation",
        "no_unexplained_difference",
        "Every difference between Sitniks and Finmap has a reason that a person knows or decides.",
        """
        select
            count(*) filter (not explained) as wrong,
            count(*) filter (kind = 'missing') as missing,
            count(*) filter (kind = 'unexpected') as unexpected,
            count(*) filter (not explained and kind not in ('missing', 'unexpected')) as different,
            count(*) filter (explained) as explained,
            coalesce(sum(f.amount) filter (not explained and kind = 'unexpected'), 0) as difference
        from differences d
        left join (select external_id, sum(amount) as amount from finmap_operations group by all) f using (external_id)
        """,
    ),
    Check(
        "reconciliation",
        "nothing_waits_for_a_person",
        "No planned change waits for `sitniks-finmap approve` or `dismiss`.",
        "select count(*) filter (standing = 'waiting') as wrong from plan",
    ),
]


def asset_checks(connection: Connection) -> list[dg.AssetChecksDefinition]:
    """The checks of a connection, those of one table in one step: each step costs an opening of the warehouse."""
    return [_checks_of(connection, table) for table in dict.fromkeys(check.table for check in CHECKS)]


def _checks_of(connection: Connection, table: str) -> dg.AssetChecksDefinition:
    checks = [check for check in CHECKS if check.table == table]
    key = dg.AssetKey([connection.name, table])

    @dg.multi_asset_check(
        name=f"{connection.name}__{table}_checks",
        specs=[dg.AssetCheckSpec(c.name, asset=key, description=c.description, blocking=c.blocking) for c in checks],
        required_resource_keys={connection.name},
    )
    def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with run.explained(), run.warehouse.transaction() as con:
            results = [_result(con, key, check) for check in checks]
        yield from results

    return run_checks


def _result(con: duckdb.DuckDBPyConnection, key: dg.AssetKey, check: Check) -> dg.AssetCheckResult:
    row = con.execute(check.wrong)
    found = dict(zip([column[0] for column in row.description], row.fetchone() or (), strict=True))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check.name,
        passed=found["wrong"] == 0,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        metadata={name: float(value) if name == "difference" else int(value) for name, value in found.items()},
    )
