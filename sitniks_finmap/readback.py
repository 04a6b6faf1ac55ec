"""What Finmap has, read back: it turns `sent` into `verified`, and shows what people did."""

import logging
from datetime import date, datetime, time, timedelta
from urllib.parse import unquote

import duckdb
import pandas as pd

from sitniks_finmap.delivery import keep_seen
from sitniks_finmap.failpoint import failpoint
from sitniks_finmap.finmap import Operation
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.settlement import VERIFY_AFTER
from sitniks_finmap.warehouse import insert_rows

log = logging.getLogger(__name__)

LOOK_UPS = 500  # of operations that the list did not show, in one run; the rest is looked up by the next


def read_back(run: ConnectionRun, first_day: date, last_day: date, now: datetime) -> int:
    """Reads the operations of these days from Finmap and brings the ledger in line; returns how many there are.

    Raises ApiError; then nothing is changed.
    """
    operations = listed(run, first_day, last_day)
    with run.warehouse.transaction() as con:
        start, end = window(run, first_day, last_day)
        con.execute("delete from finmap_operations where occurred_at between $1 and $2", [start, end])
        keep_seen(con, operations, now)
        adopt(con, run, operations, now)
        hidden = con.execute(
            """
            select l.external_id
            from finmap_upload l
            anti join finmap_operations f on f.external_id = l.external_id and f.read_at = $3
            where l.state in ('sent', 'verified') and l.day between $1 and $2
            order by l.external_id limit $4
            """,
            [first_day, last_day, now, LOOK_UPS],
        ).fetchall()
    failpoint("read_back_committed")
    found = {external_id: run.finmap.details(external_id) for (external_id,) in hidden}
    with run.warehouse.transaction() as con:
        keep_seen(con, [operation for operation in found.values() if operation], now)
        gone = [external_id for external_id, operation in found.items() if operation is None]
        con.execute("delete from finmap_operations where list_contains($1::varchar[], external_id)", [gone])
        # Seen there once and not any more: a person deleted it. Never seen: it is given its time, then looked up.
        con.execute(
            "update finmap_upload set state = if(deleting_at is null, 'deleted', 'withdrawn') "
            "where list_contains($1::varchar[], external_id) and state = 'verified'",
            [gone],
        )
        con.execute(
            "update finmap_upload set next_attempt_at = sent_at + $2 "
            "where list_contains($1::varchar[], external_id) and state = 'sent' and next_attempt_at is null",
            [gone, VERIFY_AFTER],
        )
        con.execute(
            """
            update finmap_upload set state = 'verified', verified_at = f.read_at, next_attempt_at = null
            from finmap_operations f
            where f.external_id = finmap_upload.external_id and f.read_at = $1
                and finmap_upload.state in ('sent', 'verified')
                and f.type = finmap_upload.type
                and (f.amount = finmap_upload.amount or list_contains(kept_fields, 'amount'))
                and (f.occurred_at = finmap_upload.occurred_at or list_contains(kept_fields, 'occurred_at'))
                and (f.account = finmap_upload.account or list_contains(kept_fields, 'account'))
                and (f.comment = finmap_upload.comment or list_contains(kept_fields, 'comment'))
            """,
            [now],
        )
    failpoint("read_back_committed")
    return len(operations) + len(found) - len(gone)


def adopt(con: duckdb.DuckDBPyConnection, run: ConnectionRun, operations: list[Operation], now: datetime) -> None:
    """Takes into the ledger what a run sent, or let be deleted, and was killed before it could write down how it ended.

    Where the transaction is still as it was, the next delivery asks for the key and settles it. Where it is gone or its
    sign turned meanwhile, nobody would ask: what Finmap shows is ours then, and the next plan deletes or replaces it.
    """
    unknown = con.execute(
        """
        select f.external_id
        from finmap_operations f
        left join finmap_upload l using (external_id)
        where f.read_at = $1 and (l.external_id is null or l.state = 'withdrawn')
        """,
        [now],
    ).fetchall()
    ids = {external_id for (external_id,) in unknown}
    rows = [row for one in operations if one.external_id in ids and (row := _ledger_row(run, one, now))]
    if not rows:
        return
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in ("transaction_id", "generation")})
    con.register("shown", frame)
    ours = con.execute(
        """
        select s.transaction_id, s.generation
        from shown s
        left join current_uploads l using (transaction_id)
        left join operations o using (transaction_id)
        where if(
            l.transaction_id is null,
            o.transaction_id is null and s.transaction_id in (select transaction_id from raw_sitniks_transactions),
            (s.generation > l.generation and (l.deleting_at is not null or l.state in ('deleted', 'dismissed')))
                or (s.generation >= l.generation and l.state = 'withdrawn')
        )
        """
    ).fetchall()
    con.unregister("shown")
    adopted = [
        row | {"state": "sent", "rebuilt": False, "verified_at": None, "run_id": run.run_id}
        for row in rows
        if (row["transaction_id"], row["generation"]) in set(ours)
    ]
    insert_rows(con, "finmap_upload", adopted, replacing=True)


def rebuild_ledger(run: ConnectionRun, first_day: date, last_day: date, now: datetime) -> int:
    """Fills an empty ledger from Finmap by externalId, so that nothing is sent twice and no edit is overwritten.

    Returns how many operations were found. An externalId that does not follow our form is left alone.
    """
    operations = [one for one in listed(run, first_day, last_day) if one.content.type in ("income", "expense")]
    rows = [row for operation in operations if (row := _ledger_row(run, operation, now))]
    with run.warehouse.transaction() as con:
        keep_seen(con, operations, now)
        insert_rows(con, "finmap_upload", rows, replacing=True)
    failpoint("ledger_rebuilt")
    return len(rows)


def listed(run: ConnectionRun, first_day: date, last_day: date) -> list[Operation]:
    """The operations of the connection dated in these days. A list that shifts while it is read repeats a row."""
    start, end = window(run, first_day, last_day)
    seen = {(o.id or o.external_id): o for o in run.finmap.operations(start, end, f"{run.connection.key_prefix}:")}
    return list(seen.values())


def window(run: ConnectionRun, first_day: date, last_day: date) -> tuple[datetime, datetime]:
    """First and last millisecond of whole local days."""
    start = datetime.combine(first_day, time.min, run.connection.zone)
    end = datetime.combine(last_day + timedelta(days=1), time.min, run.connection.zone)
    return start, end - timedelta(milliseconds=1)


def _ledger_row(run: ConnectionRun, operation: Operation, now: datetime) -> dict[str, object] | None:
    parts = operation.external_id.split(":")
    if len(parts) not in (2, 3) or not parts[1] or (len(parts) == 3 and not parts[2].isdigit()):
        return None
    content = operation.content
    return {
        "external_id": operation.external_id,
        "transaction_id": unquote(parts[1]),
        "generation": int(parts[2]) if len(parts) == 3 else 1,
        "day": content.occurred_at.astimezone(run.connection.zone).date(),
        "type": content.type,
        "state": "verified",
        "amount": content.amount,
        "occurred_at": content.occurred_at,
        "account": content.account,
        "category": content.category,
        "tag": None,
        "comment": content.comment,
        "content_hash": "",
        "rebuilt": True,
        "attempts": 0,
        "sent_at": now,
        "verified_at": now,
    }
