"""Shared by all assets of a connection: days, description, metadata."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

import dagster as dg
import duckdb

from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.schema import documented, sql


def daily(connection: Connection) -> dg.DailyPartitionsDefinition:
    """The local days of a connection, today included."""
    return dg.DailyPartitionsDefinition(connection.start_date.isoformat(), timezone=connection.timezone, end_offset=1)


def described_asset(connection: Connection, table: str, step: str, kinds: set[str], **more: Any) -> Any:
    """`@dg.asset` for one table of one connection: daily, one run per range, documented by the schema.

    Grouped by connection, so that the lineage shows each shop by name; tagged with the step for filtering.
    """
    return dg.asset(
        key=[connection.name, table],
        partitions_def=daily(connection),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=connection.name,
        kinds=kinds,
        tags={"step": step},
        description=as_markdown(documented()[table][0]),
        metadata={
            "dagster/column_schema": column_schema(table),
            "dagster/table_name": f"{connection.name}.{table}",
        },
        required_resource_keys={connection.name},
        **more,
    )


@cache
def column_schema(table: str) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(name, short_type(type), description=as_markdown(about))
            for name, type, about in documented()[table][1]
        ]
    )


def short_type(type: str) -> str:
    """DuckDB's name for a type, shortened to leave room for the description beside it."""
    return re.sub(r"STRUCT\(.*\)", "STRUCT", type).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")


def as_markdown(text: str) -> str:
    """Text for the UI, which renders Markdown: what looks like a tag is shown instead of swallowed."""
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in re.split(r"(`[^`]*`)", text))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table for the UI. Cells are escaped; unknown values are empty."""

    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        text = "" if value is None else " ".join(str(value).split())
        return text.replace("&", "&amp;").replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")

    lines = [columns, ["---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chosen_days(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First and last local day of the run's partitions."""
    return date.fromisoformat(context.partition_keys[0]), date.fromisoformat(context.partition_keys[-1])


def add_day_metadata(
    context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, tables: Sequence[str] = ("preview",)
) -> None:
    """Gives each day of the run its own numbers (plotted over partitions) and small tables.

    The queries, sql/metadata/<asset>_totals.sql and <asset>_<table>.sql, take $first and $last; their first column is
    `day`. No table contains personal data.
    """
    for key, metadata in day_metadata(context, con, tables).items():
        context.add_asset_metadata(metadata, partition_key=key)


def day_metadata(
    context: dg.AssetExecutionContext, con: duckdb.DuckDBPyConnection, tables: Sequence[str] = ("preview",)
) -> dict[str, dict[str, Any]]:
    """Partition key → its numbers and small tables."""
    first_day, last_day = chosen_days(context)
    days = {"first": first_day, "last": last_day}
    asset = context.asset_key.path[-1]
    found = con.execute(sql(f"metadata/{asset}_totals"), days)
    names = [column[0] for column in found.description][1:]
    numbers = {day: row for day, *row in found.fetchall()}
    previews = {name: _tables_by_day(con, sql(f"metadata/{asset}_{name}"), days) for name in tables}
    every: dict[str, dict[str, Any]] = {}
    for key in context.partition_keys:
        day = date.fromisoformat(key)
        metadata: dict[str, Any] = {
            name: float(value) if name.endswith("_sum") else int(value)
            for name, value in zip(names, numbers.get(day, [0] * len(names)), strict=True)
        }
        for name, previewed in previews.items():
            if table := previewed.get(day):
                metadata[name] = dg.MetadataValue.md(table)
        every[key] = metadata
    return every


def _tables_by_day(con: duckdb.DuckDBPyConnection, query: str, days: dict[str, date]) -> dict[date, str]:
    found = con.execute(query, days)
    columns = [column[0] for column in found.description][1:]
    rows: dict[date, list[tuple[Any, ...]]] = {}
    for day, *row in found.fetchall():
        rows.setdefault(day, []).append(tuple(row))
    return {day: markdown_table(columns, some) for day, some in rows.items()}
