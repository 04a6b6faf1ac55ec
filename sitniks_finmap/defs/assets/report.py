"""reconciliation → the report: a page for the owner."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from sitniks_finmap.defs.assets import daily, markdown_table
from sitniks_finmap.defs.resources import told
from sitniks_finmap.language import Language
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.report.charts import chart_of_days
from sitniks_finmap.report.page import render_chart
from sitniks_finmap.report.write import Written, write_report
from sitniks_finmap.settings.connections import Connection

ABOUT = (
    "A page for the owner of the shop: whether Finmap and Sitniks match to the kopiyka, income and expenses, and what "
    "needs a person. An HTML file that loads nothing from the network; `sitniks-finmap report --open` shows it."
)


def report_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=[connection.name, "report"],
        partitions_def=daily(connection),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=connection.name,
        kinds={"html"},
        tags={"step": "report"},
        description=ABOUT,
        required_resource_keys={connection.name},
        deps=[dg.AssetKey([connection.name, "reconciliation"])],
    )
    def report(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        with told(run.explained("report")):
            run.record_steps()
            written = write_report(run.connection, run.warehouse, datetime.now(UTC))
            # The whole shop, not a day: the last day of the run has it.
            context.add_asset_metadata(metadata_of(written), partition_key=context.partition_keys[-1])

    return [report]


def metadata_of(written: Written) -> dict[str, Any]:
    """For the UI: the answer, the chart by day as an image, this month's numbers, and where the page is."""
    report = written.report
    language = Language(report.connection.language)
    money = report.figures.money if report.figures else []
    images = [b64encode(render_chart(chart_of_days(one, language)).encode()).decode() for one in money]
    columns = ["month", "currency", "income", "expense", "operations"]
    rows = [
        (f"{report.period.month:%Y-%m}", one.currency, one.this.income, one.this.expense, one.this.operations)
        for one in money
    ]
    pictures = {
        "chart": dg.MetadataValue.md("\n\n".join(f"![](data:image/svg+xml;base64,{image})" for image in images)),
        "month": dg.MetadataValue.md(markdown_table(columns, rows)),
    }
    return {
        "answer": written.answer.headline,
        "file": dg.MetadataValue.path(str(written.path)),
        "open": dg.MetadataValue.url(written.path.absolute().as_uri()),
        **(pictures if money else {}),
    }
