"""A connection in numbers, for people: what was read, what was delivered, what waits, whether both sides agree."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.readback import listed
from sitniks_finmap.reasons import without_echo
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.warehouse import Warehouse


@dataclass(frozen=True)
class Sums:
    """Operations of one side: how many, and exact sums in the account's currency."""

    operations: int
    income: Decimal
    expense: Decimal


@dataclass(frozen=True)
class Summary:
    """One connection over some days."""

    transactions: int  # live in Sitniks
    wanted: Sums  # as derived
    delivered: int
    failed: int
    backlog: int
    refused: dict[str, int]  # Finmap's reason → how many
    rejected: dict[str, int]  # our reason → how many
    last_read: datetime | None
    waiting: int  # planned changes that a person must decide

    @property
    def well(self) -> bool:
        return not (self.failed or self.refused or self.backlog or self.waiting or self.rejected)


def summarize(warehouse: Warehouse, first_day: date | None = None, last_day: date | None = None) -> Summary | None:
    """The numbers of these days (default: all), or None when nothing was read yet."""
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        days = {"first": first_day or date.min, "last": last_day or date.max}
        return Summary(
            transactions=_one(con, f"select count(*) from latest_transactions where gone_at is null and {DAYS}", days),
            wanted=Sums(*_row(con, WANTED, days)),
            delivered=_one(con, f"{LEDGER} where state in ('sent', 'verified') and {DAYS}", days),
            failed=_one(con, f"{LEDGER} where state = 'failed' and {DAYS}", days),
            backlog=_one(con, BACKLOG, days),
            refused=_refused(con, days),
            # What could not be read comes after ": ", and may be somebody's name.
            rejected=_counts(
                con, f"select regexp_extract(reason, '^[^:]*'), count(*) from rejected_transactions where {DAYS}", days
            ),
            waiting=_one(con, f"select count(*) from plan where standing = 'pending' and {DAYS}", days),
            last_read=_one(con, "select max(read_at) from complete_reads where day <= $last and day >= $first", days),
        )  # fmt: skip


def finmap_side(run: ConnectionRun, first_day: date, last_day: date) -> Sums:
    """What Finmap itself has of this connection in these days, read from Finmap and not from our ledger."""
    count, sums = 0, {"income": Decimal(0), "expense": Decimal(0)}
    for operation in listed(run, first_day, last_day):
        count += 1
        sums[operation.content.type] += operation.content.amount
    return Sums(count, sums["income"], sums["expense"])


LEDGER = "select count(*) from finmap_upload"
DAYS = "day between $first and $last"
WANTED = f"""
    select
        count(*),
        coalesce(sum(amount) filter (type = 'income'), 0),
        coalesce(sum(amount) filter (type = 'expense'), 0)
    from operations where {DAYS}
"""
REFUSED = f"""
    select l.last_error, concat_ws(' ', l.written.comment, l.written.tag, l.refused.comment, o.comment, o.tag)
    from current_uploads l
    join operations o using (transaction_id)
    where l.state = 'refused' and l.{DAYS}
"""
BACKLOG = """
    select count(*) from plan where action = 'create' and standing = 'go' and state is null and day between $first and $last
"""


def _refused(con: duckdb.DuckDBPyConnection, days: dict[str, date]) -> dict[str, int]:
    rows = con.execute(REFUSED, days).fetchall()
    return dict(Counter(without_echo(said or "", told) for said, told in rows).most_common())


def _row(con: duckdb.DuckDBPyConnection, query: str, days: dict[str, date]) -> tuple[Any, ...]:
    return con.execute(query, days).fetchone() or ()


def _one(con: duckdb.DuckDBPyConnection, query: str, days: dict[str, date]) -> Any:
    return _row(con, query, days)[0]


def _counts(con: duckdb.DuckDBPyConnection, query: str, days: dict[str, date]) -> dict[str, int]:
    return dict(con.execute(f"{query} group by all order by 2 desc, 1", days).fetchall())
