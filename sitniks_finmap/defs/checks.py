"""The checks as Dagster shows them, evaluated after every run."""

from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import duckdb

from sitniks_finmap.defs.assets import as_markdown
from sitniks_finmap.defs.resources import told
from sitniks_finmap.pipeline.checks import Check, checks_of, evaluate
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import Connection


def asset_checks(connection: Connection) -> list[dg.AssetChecksDefinition]:
    """The checks of a connection, one step per table, as each step has to open the warehouse."""
    tables = dict.fromkeys(check.table for check in checks_of(connection.source))
    return [_checks_of(connection, table) for table in tables]


def _checks_of(connection: Connection, table: str) -> dg.AssetChecksDefinition:
    checks = [check for check in checks_of(connection.source) if check.table == table]
    key = dg.AssetKey([connection.name, table])

    @dg.multi_asset_check(
        name=f"{connection.name}__{table}_checks",
        specs=[
            dg.AssetCheckSpec(c.name, asset=key, description=_described(c, connection), blocking=c.blocking)
            for c in checks
        ],
        description=f"The checks of {table}.",
        can_subset=True,
        required_resource_keys={connection.name},
    )
    def run_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        run: ConnectionRun = getattr(context.resources, connection.name)
        started = run.now()
        with told(run.explained(f"{table}_checks")), run.warehouse.transaction() as con:
            chosen = {check_key.name for check_key in context.selected_asset_check_keys}
            evaluated = [check for check in checks if check.name in chosen]
            results = [result_of(con, connection, check) for check in evaluated]
            failed = [c.name for c, result in zip(evaluated, results, strict=True) if c.blocking and not result.passed]
            if failed:
                why = f"{connection.name}: nothing was delivered: the check {', '.join(failed)} failed"
                run.note(f"{table}_checks", started, why)
        yield from results

    return run_checks


def _described(check: Check, connection: Connection) -> str:
    """What the check promises, and what to do if it fails."""
    remedy = check.remedy.format(connection=connection.name, for_example="ID")
    return as_markdown(f"{check.description} If this fails: {remedy}")


def result_of(con: duckdb.DuckDBPyConnection, connection: Connection, check: Check) -> dg.AssetCheckResult:
    found = evaluate(con, check)
    passed = found["wrong"] == 0
    said = {"connection": connection.name, **found}
    words = {} if passed else {"problem": check.problem.format(**said), "what_to_do": check.remedy.format(**said)}
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([connection.name, check.table]),
        check_name=check.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        description=as_markdown(" ".join(words.values())) or None,
        metadata={
            **words,
            **{check.counted if name == "wrong" else name: _shown(value) for name, value in found.items()
               if value is not None},
        },
    )  # fmt: skip


def _shown(value: object) -> int | float | str:
    """A number, which the UI plots over runs, or else text."""
    match value:
        case int():
            return value
        case Decimal() | float():
            return float(value)
    return str(value)
