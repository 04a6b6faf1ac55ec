"""Dry run of deriving operations from some transactions or orders with the current configuration; nothing is stored."""

from datetime import timedelta

from sitniks_finmap.clients.finmap import Directory
from sitniks_finmap.clients.sitniks_list import Row
from sitniks_finmap.pipeline.directory import save_directory
from sitniks_finmap.pipeline.order_statuses import save_statuses, unresolved_lists
from sitniks_finmap.pipeline.reading import store_rows
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive
from sitniks_finmap.warehouse.schema import in_memory_warehouse


def rejections(run: ConnectionRun, directory: Directory, rows: list[Row]) -> dict[str, int]:
    """Reason for rejection → how many of these transactions or orders, most first. Raises ConfigurationError."""
    last_day = run.connection.today(run.now())
    with in_memory_warehouse() as con:
        save_statuses(con, unresolved_lists(run.connection))
        save_directory(con, run.connection, directory)
        store_rows(con, run, run.connection.source, rows, last_day - timedelta(days=1), last_day, run.now())
        derive(con, run.connection.start_date, last_day, run.now())
        found = con.execute("select reason, count(*) from rejections group by all order by 2 desc, 1")
        return dict(found.fetchall())
