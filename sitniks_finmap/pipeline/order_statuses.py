"""The lists of order statuses in connections.toml: found in Sitniks by title or ID, and saved by ID. A status that is
renamed there keeps its stage.
"""

import logging
from collections import defaultdict

import duckdb

from sitniks_finmap.clients.answers import Refused, Unavailable
from sitniks_finmap.names import normal_name
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import insert_rows, replace_table

log = logging.getLogger(__name__)

Lists = dict[tuple[str, str], set[str]]  # stage and status as configured → the IDs that it means


def check_statuses(run: ConnectionRun, *, again: bool = False) -> Lists | None:
    """What the configured lists mean in Sitniks; None if they mean what is saved. Raises ConfigurationError that lists
    what there is, ApiError.

    Sitniks is asked if the lists are not those saved, because a list that means nothing would take back what was
    booked; `again`: also if they are, because someone may have renamed a status.
    """
    orders = run.connection.orders
    if orders is None:
        return None
    saved = saved_lists(run)
    new = saved.keys() != set(orders.statuses) or not all(saved.values())
    if not new and not again:
        return None
    try:
        there = run.sitniks.order_statuses()
    except (Unavailable, Refused) as error:
        if new:
            raise
        log.info("%s: %s; the order statuses are checked by the next sync", run.connection.name, error)
        return None
    lists = find_statuses(run.connection, there, saved)
    if run.warehouse.exists():
        with run.warehouse.transaction() as con:
            save_titles(con, there)
    return lists


def find_statuses(connection: Connection, there: list[dict[str, str]], saved: Lists) -> Lists:
    """The IDs of the configured statuses among these, and those saved for them before.

    Raises ConfigurationError for each status that is not there or is in two lists, and for each title that moved to
    another status.
    """
    titles = {one["id"]: one["title"] for one in there}
    lists: Lists = {}
    stages: dict[str, str] = {}
    wrong = []
    for stage, status in connection.orders.statuses if connection.orders else ():
        found = {status.strip()} & titles.keys() or {
            id for id, title in titles.items() if normal_name(title) == normal_name(status)
        }
        before = saved.get((stage, status), set())
        if not found and not before & titles.keys():
            wrong.append(f'orders.{stage}: Sitniks has no status "{status}"')
        elif found - before and (moved := sorted(before & titles.keys() - found)):
            wrong.append(
                f'orders.{stage}: "{status}" used to be the status {moved[0]}, which is now called '
                f'"{titles[moved[0]]}"; now {" and ".join(sorted(found))} has that title. Write the ID of the right one'
            )
        lists[stage, status] = found | before
        for id in sorted(found | before):
            other = stages.setdefault(id, stage)
            if other != stage:
                wrong.append(f'orders: the status "{titles.get(id, status)}" ({id}) is in {other} and in {stage}')
    if wrong:
        known = ", ".join(f"{title} ({id})" for id, title in titles.items()) or "none"
        raise ConfigurationError(
            f"{connection.name}: {'. '.join(wrong)}. Nothing was written; correct connections.toml. The statuses are: "
            f"{known}"
        )
    return lists


def saved_lists(run: ConnectionRun) -> Lists:
    """The lists as they were last saved; an empty set where the IDs are not known yet."""
    lists: Lists = defaultdict(set)
    if run.warehouse.exists():
        with run.warehouse.transaction() as con:
            for stage, status, id in con.execute("select stage, status, status_id from order_statuses").fetchall():
                lists[stage, status] |= {id} if id else set()
    return dict(lists)


def save_titles(con: duckdb.DuckDBPyConnection, there: list[dict[str, str]]) -> None:
    """Remember the titles of these statuses: an order may name its status by an old one, and without its ID."""
    rows = [{"title": one["title"], "status_id": one["id"]} for one in there if one["id"]]
    insert_rows(con, "status_titles", rows, replacing=True)


def save_statuses(con: duckdb.DuckDBPyConnection, lists: Lists) -> None:
    """Save the lists, and mark the orders whose stage they change: a person approves what follows."""
    rows = [
        {"stage": stage, "status": status, "status_id": id}
        for (stage, status), ids in sorted(lists.items())
        for id in sorted(ids) or [None]
    ]
    new = con.execute("select exists (from order_statuses)").fetchone() == (False,)
    if not new:
        con.execute(sql("order_stages"))  # of what was read since, under the lists as they were
    replace_table(con, "order_statuses", rows)
    if not new:
        con.execute(sql("restaged_orders"))


def unresolved_lists(connection: Connection) -> Lists:
    """The lists as they are written, when Sitniks was not asked what they mean."""
    return {one: set() for one in connection.orders.statuses} if connection.orders else {}
