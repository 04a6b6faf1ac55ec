"""The lists of order statuses in connections.toml: checked against Sitniks, and saved for the SQL."""

import logging
from datetime import datetime

import duckdb

from sitniks_finmap.clients.answers import Refused, Unavailable
from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.names import normal_name
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.warehouse.store import replace_table

log = logging.getLogger(__name__)


def check_statuses(run: ConnectionRun, *, again: bool = False) -> None:
    """Find a status that Sitniks does not have. Raises ConfigurationError that lists what there is, ApiError.

    Sitniks is asked if the lists are not those saved, because a list that means nothing would take back what was
    booked; `again`: also if they are, because someone may have renamed a status.
    """
    orders = run.connection.orders
    if orders is None:
        return
    new = _saved(run) != set(orders.statuses)
    if not new and not again:
        return
    try:
        there = run.sitniks.order_statuses()
    except (Unavailable, Refused) as error:
        if new:
            raise
        log.info("%s: %s; the order statuses are checked by the next sync", run.connection.name, error)
        return
    refuse_unknown_statuses(run.connection, there)


def refuse_unknown_statuses(connection: Connection, there: list[dict[str, str]]) -> None:
    """Raise ConfigurationError for each configured status that is not among these, and for one meant twice."""
    stages: dict[str, str] = {}
    wrong = []
    for stage, status in connection.orders.statuses if connection.orders else ():
        found = [one for one in there if one["id"] == status.strip()] or [
            one for one in there if normal_name(one["title"]) == normal_name(status)
        ]
        if not found:
            wrong.append(f'orders.{stage}: Sitniks has no status "{status}"')
        for one in found:
            other = stages.setdefault(one["id"], stage)
            if other != stage:
                wrong.append(f'orders: the status "{one["title"]}" ({one["id"]}) is in {other} and in {stage}')
    if wrong:
        titles = ", ".join(f"{one['title']} ({one['id']})" for one in there) or "none"
        raise ConfigurationError(
            f"{connection.name}: {'. '.join(wrong)}. Nothing was written; correct connections.toml. The statuses are: "
            f"{titles}"
        )


def save_statuses(con: duckdb.DuckDBPyConnection, connection: Connection, now: datetime) -> None:
    """Save the lists. If they changed, hold what they add of before `now` until a person approves."""
    wanted = set(connection.orders.statuses if connection.orders else ())
    saved = set(con.execute("select stage, status from order_statuses").fetchall())
    if wanted == saved:
        return
    if saved:
        con.execute("delete from held_statuses")
        con.execute("insert into held_statuses values ($1)", [now])
    rows = [{"status": status, "stage": stage} for stage, status in sorted(wanted)]
    replace_table(con, "order_statuses", rows)


def _saved(run: ConnectionRun) -> set[tuple[str, str]]:
    if not run.warehouse.exists():
        return set()
    with run.warehouse.transaction() as con:
        return set(con.execute("select stage, status from order_statuses").fetchall())
