"""What people rely on, checked after every run; a check that guards delivery stops it."""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import duckdb

from sitniks_finmap.connections import Connection
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.warehouse import Warehouse, WarehouseError


class CheckFailed(WarehouseError):
    """A check that guards delivery failed; nothing was delivered."""


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
            count(*) filter (l.state in ('failed', 'refused')) as wrong,
            count(*) filter (l.state = 'failed') as failed,
            count(*) filter (l.state = 'refused') as refused,
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
        select count(*) filter (should <> has) as wrong, coalesce(sum(abs(should - has)), 0) as difference
        from (
            select
                o.day,
                sum(if(o.content.type = 'expense', -o.content.amount, o.content.amount)) as should,
                sum(if(c.type = 'expense', -c.amount, c.amount)) as has
            from wanted_operations o
            join (
                select transaction_id, coalesce(written, shown) as c from current_uploads where state in ('sent', 'verified')
            ) l using (transaction_id)
            anti join (from plan where action in ('update', 'replace', 'withdraw')) p using (transaction_id)
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
        "select count(*) filter (standing = 'pending') as wrong from plan",
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
        started = run.now()
        with run.explained(f"{table}_checks"), run.warehouse.transaction() as con:
            results = [_result(con, key, check) for check in checks]
            failed = [c.name for c, result in zip(checks, results, strict=True) if c.blocking and not result.passed]
            if failed:
                why = f"{connection.name}: nothing was delivered: the check {', '.join(failed)} failed"
                run.note(f"{table}_checks", started, why)
        yield from results

    return run_checks


def guard_delivery(warehouse: Warehouse) -> None:
    """Evaluates the checks that guard delivery; Dagster does so in a sync only, and not where delivery runs alone.

    Raises CheckFailed.
    """
    with warehouse.transaction() as con:
        failed = [(check, wrong) for check in CHECKS if check.blocking and (wrong := _evaluate(con, check)["wrong"])]
    if failed:
        what = "; ".join(f"{check.name} ({wrong} wrong): {check.description}" for check, wrong in failed)
        raise CheckFailed(
            f"{warehouse.connection}: nothing was delivered, because the staged data fails {what} "
            "Run `sitniks-finmap sync --full`; if it still fails, report it as a bug"
        )


def _evaluate(con: duckdb.DuckDBPyConnection, check: Check) -> dict[str, int]:
    row = con.execute(check.wrong)
    return dict(zip([column[0] for column in row.description], row.fetchone() or (), strict=True))


def _result(con: duckdb.DuckDBPyConnection, key: dg.AssetKey, check: Check) -> dg.AssetCheckResult:
    found = _evaluate(con, check)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=check.name,
        passed=found["wrong"] == 0,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        metadata={name: float(value) if name == "difference" else int(value) for name, value in found.items()},
    )
