"""Sitniks → raw_sitniks_transactions, raw_sitniks_orders."""

import logging
from datetime import date, datetime, timedelta
from typing import Literal

import dagster as dg
import duckdb
import pandas as pd

from sitniks_finmap.assets import add_day_metadata, chosen_days, described_asset, months
from sitniks_finmap.assets.doubles import with_doubles
from sitniks_finmap.connections import Connection
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.schema import sql
from sitniks_finmap.sitniks import Row
from sitniks_finmap.warehouse import WarehouseError, insert_rows, replace_table

log = logging.getLogger(__name__)

OPEN_ORDERS = 200  # looked at again in one run, beyond the window
# What no order is called is not asked for: to an address that it cannot read a server answers with a web page.
# Without a number of repetitions, which takes RE2 a twentieth of a second to compile.
ORDER_ID = r"[\p{L}\p{N}_-][\p{L}\p{N}_.:-]*"
LONGEST_ORDER_ID = 64

Resource = Literal["transactions", "orders"]


def extract_assets(connection: Connection) -> list[dg.AssetsDefinition]:
    @described_asset(connection, "raw_sitniks_transactions", "extract", {"python", "duckdb"})
    def raw_sitniks_transactions(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        first_day, last_day = chosen_days(context)
        from sitniks_finmap.assets.transform import check_references  # which imports this module

        with run.explained("raw_sitniks_transactions"):
            check_references(run)
            read_transactions(run, first_day, last_day)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, totals("transactions"), preview=PREVIEW)

    @described_asset(connection, "raw_sitniks_orders", "extract", {"python", "duckdb"}, deps=[raw_sitniks_transactions])
    def raw_sitniks_orders(context: dg.AssetExecutionContext) -> None:
        run: ConnectionRun = getattr(context.resources, connection.name)
        first_day, last_day = chosen_days(context)
        with run.explained("raw_sitniks_orders"):
            read_orders(run, first_day, last_day)
            with run.warehouse.transaction() as con:
                add_day_metadata(context, con, totals("orders"), preview=ORDERS_PREVIEW)

    return [raw_sitniks_transactions, raw_sitniks_orders]


def read_transactions(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Reads the transactions of these days, a month at a time, each kept as soon as it is whole."""
    for first, last in months(first_day, last_day):
        begun = run.now()
        rows = read_list(run, first, last)
        missing = transactions_missing(run, rows, first, last, begun)
        if missing:
            # Gone from one complete read; it counts as gone when a second one does not have it either.
            begun = run.now()
            rows = read_list(run, first, last)
            missing &= transactions_missing(run, rows, first, last, begun)
        with run.warehouse.transaction() as con:
            store(con, run, "transactions", rows, first, last, begun)
            con.execute(
                "update raw_sitniks_transactions set gone_at = $1 "
                "where list_contains($2::varchar[], transaction_id) and gone_at is null "
                "and (transaction_id, version) in (select (transaction_id, version) from latest_transactions)",
                [run.now(), sorted(missing)],
            )
        failpoint("window_committed")
        gone = f", {len(missing)} gone" if missing else ""
        log.info("%s: %d transactions from %s to %s%s", run.connection.name, len(rows), first, last, gone)


def read_list(run: ConnectionRun, first: date, last: date) -> list[Row]:
    bounds = run.bounds(first, last)
    return with_doubles(run, run.sitniks.transactions(*bounds), *bounds)


def transactions_missing(run: ConnectionRun, rows: list[Row], first: date, last: date, begun: datetime) -> set[str]:
    """The live transactions of these days, up to `begun`, that are not among the rows of a complete read.

    Only what lies inside of the bounds that were asked for: in another time zone it was put on another day.
    """
    if not run.warehouse.exists():
        return set()
    start, end = run.bounds(first, last)
    with run.warehouse.transaction() as con:
        known = con.execute(
            """
            select transaction_id
            from (
                select transaction_id, list_transform(
                    list_transform(json_extract(payload, ['$.createdAt', '$.date']), lambda value : text_of(value)),
                    lambda stamp : instant_of(stamp, $5)
                ) as instants
                from latest_transactions
                where gone_at is null and day between $1 and $2
            )
            where coalesce(instants[1], instants[2]) between $3 and $4 - interval 1 millisecond
            """,
            [first, last, start, min(end, begun), run.connection.timezone],
        ).fetchall()
    return {transaction_id for (transaction_id,) in known} - {row.id for row in rows}


def read_orders(run: ConnectionRun, first_day: date, last_day: date) -> None:
    """Reads the orders of these days, and by id those that transactions refer to or that are still open."""
    asked: set[str] = set()
    for first, last in months(first_day, last_day):
        begun = run.now()
        rows = run.sitniks.orders(*run.bounds(first, last))
        with run.warehouse.transaction() as con:
            store(con, run, "orders", rows, first, last, begun)
            others = orders_referred_to(con, first, last) - asked - {row.id for row in rows}
        failpoint("orders_committed")
        asked |= others | {row.id for row in rows}
        fetch_orders(run, others, first)
        log.info("%s: %d orders, %d by id, %s to %s", run.connection.name, len(rows), len(others), first, last)
    if run.connection.final_order_statuses:
        with run.warehouse.transaction() as con:
            still_open = open_orders(con, run.connection.final_order_statuses) - asked
        fetch_orders(run, still_open, first_day)


def open_orders(con: duckdb.DuckDBPyConnection, final_statuses: list[str]) -> set[str]:
    """The orders of operations whose status may still move, those first that were not looked at for longest."""
    rows = con.execute(
        """
        select distinct o.order_key, order_read.last_seen_at
        from operations o
        left join latest_orders order_read on order_read.order_id = o.order_key
        where regexp_full_match(o.order_key, $3) and length(o.order_key) <= $4 and order_read.gone_at is null
            and not list_contains($1::varchar[], coalesce(o.order_status, ''))
        order by order_read.last_seen_at nulls first, o.order_key
        limit $2
        """,
        [final_statuses, OPEN_ORDERS, ORDER_ID, LONGEST_ORDER_ID],
    ).fetchall()
    return {order_id for order_id, _ in rows}


def store(
    con: duckdb.DuckDBPyConnection,
    run: ConnectionRun,
    resource: Resource,
    rows: list[Row],
    first: date,
    last: date,
    begun: datetime | None = None,
) -> None:
    """Keeps the rows of one complete read of these days, begun then: new or changed ones as a new version."""
    keep_settings(con, run.connection)
    read_at = begun or run.now()
    store_rows(con, run, resource, rows, first, last, read_at)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    read = [{"resource": resource, "day": day, "read_at": read_at, "run_id": run.run_id} for day in days]
    insert_rows(con, "complete_reads", read, replacing=True)


def store_rows(
    con: duckdb.DuckDBPyConnection,
    run: ConnectionRun,
    resource: Resource,
    rows: list[Row],
    first: date,
    last: date,
    at: datetime,
) -> None:
    """Keeps rows; one without a usable date of its own is put on `first`."""
    con.execute(
        "create or replace temp table this_read as select $1::date as first_day, $2::date as last_day, "
        "$3::timestamptz as read_at, $4::varchar as run_id",
        [first, last, at, run.run_id],
    )
    frame = pd.DataFrame(
        {"id": [r.id for r in rows], "amount": [r.amount for r in rows], "text": [r.text for r in rows]}, dtype=object
    )
    con.register("told", frame)
    con.execute(sql("incoming"))
    con.execute(sql(f"raw_sitniks_{resource}"))
    con.execute("drop view incoming")
    con.unregister("told")


def keep_settings(con: duckdb.DuckDBPyConnection, connection: Connection) -> None:
    """Writes down what the SQL needs to know. Raises WarehouseError when the file belongs to another company."""
    kept = con.execute("select sitniks_url, finmap_url, meaning_hash from settings").fetchone()
    if kept and kept[:2] != (connection.sitniks_url, connection.finmap_url):
        raise WarehouseError(
            f"{connection.name}: its DuckDB file was filled from {kept[0]} and {kept[1]}; give the new company a "
            "connection with a name of its own, or move the file away"
        )
    fields = (
        "timezone", "comment_fields", "source_as_tag", "on_change", "on_delete", "max_change_share", "first_import",
        "start_date", "lookback_days", "unmapped_accounts", "sitniks_url", "finmap_url", "key_prefix",
    )  # fmt: skip
    row = {"connection": connection.name, **{name: getattr(connection, name) for name in fields}}
    replace_table(con, "settings", [row | {"meaning_hash": kept[2] if kept else None}])


def orders_referred_to(con: duckdb.DuckDBPyConnection, first: date, last: date) -> set[str]:
    """The orders that transactions of these days name without telling the order's status; not the deleted ones."""
    rows = con.execute(
        """
        select distinct coalesce(t[1], t[2]) as order_id
        from (
            select list_transform(
                json_extract(payload, ['$.orderId', '$.order.id', '$.order.status', '$.orderStatus']),
                lambda value : text_of(value)
            ) as t
            from latest_transactions
            where day between $1 and $2 and gone_at is null
        )
        where coalesce(t[3], t[4]) is null
            and regexp_full_match(order_id, $3) and length(order_id) <= $4
        except
        select order_id from latest_orders where gone_at is not null
        """,
        [first, last, ORDER_ID, LONGEST_ORDER_ID],
    ).fetchall()
    return {row[0] for row in rows}


def fetch_orders(run: ConnectionRun, order_ids: set[str], day: date) -> None:
    """Reads orders one by one, a few at a time into the warehouse; a deleted one (404) stays as last known."""
    waiting = sorted(order_ids)
    while waiting:
        batch, waiting = waiting[:50], waiting[50:]
        found = {order_id: run.sitniks.order(order_id) for order_id in batch}
        now = run.now()
        with run.warehouse.transaction() as con:
            store_rows(con, run, "orders", [row for row in found.values() if row], day, day, now)
            gone = [order_id for order_id, row in found.items() if row is None]
            con.execute(
                "update raw_sitniks_orders set gone_at = $1 where list_contains($2, order_id) and gone_at is null",
                [now, gone],
            )
        failpoint("orders_committed")


def totals(resource: Resource) -> str:
    return f"""
        select day, count(distinct {resource[:-1]}_id) as rows, count(*) as versions
        from raw_sitniks_{resource} where day between $first and $last group by all
    """


PREVIEW = """
    select day, transaction_id, version, if(amount_of(amount, false) is null, 'unreadable', amount) as amount,
        strftime(first_seen_at, '%Y-%m-%d %H:%M') as first_seen_utc
    from raw_sitniks_transactions where day between $first and $last
    qualify row_number() over (partition by day order by transaction_id, version) <= 5
"""
# Whatever Sitniks writes there may be in a text: only a plain number is surely an ID.
ORDERS_PREVIEW = """
    select day, if(regexp_full_match(order_id, '[0-9]{1,9}'), order_id, '…') as order_id, version,
        strftime(first_seen_at, '%Y-%m-%d %H:%M') as first_seen_utc
    from raw_sitniks_orders where day between $first and $last
    qualify row_number() over (partition by day order by order_id, version) <= 5
"""
