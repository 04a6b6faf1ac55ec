"""What a person decides: approve, dismiss, catch up, roll back."""

from datetime import date, datetime
from typing import Any

from sitniks_finmap.delivery import Courier, Delivery, make_plan
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.schema import sql
from sitniks_finmap.warehouse import Warehouse

CAUGHT_UP = "seen before the first import, by catch-up"


def decide(
    warehouse: Warehouse,
    decision: str,
    now: datetime,
    *,
    day: date | None = None,
    transaction: str | None = None,
    recreate: bool = False,
) -> int:
    """Approves or dismisses what waits: all of it, of one day, or of one transaction; returns how many.

    To create again what a person deleted in Finmap is decided by `recreate` alone, and by naming the transaction.
    Each decision is about the planned action as it is now: when the transaction changes again, it waits again. Until
    it is carried out it may be turned round, by naming the transaction.
    """
    with warehouse.transaction() as con:
        make_plan(con, date.min, date.max, now, every_failed=True)
        decided = con.execute(
            """
            insert into decisions
            select transaction_id, action, subject, $decision, $now
            from plan
            where (
                    standing = 'waiting'
                    or (standing = 'kept' and action = 'recreate')
                    or (decision <> $decision and $transaction::varchar is not null)
                )
                and ($day::date is null or day = $day::date)
                and ($transaction::varchar is null or transaction_id = $transaction)
                and (action = 'recreate') = ($recreate or (action = 'recreate' and $dismissed))
            returning 1
            """,
            {
                "decision": decision,
                "now": now,
                "day": day,
                "transaction": transaction,
                "recreate": recreate,
                "dismissed": decision == "dismiss" and transaction is not None,
            },
        ).fetchall()
        make_plan(con, date.min, date.max, now, every_failed=True)  # so that nobody is told that it still waits
    return len(decided)


def catch_up(warehouse: Warehouse, until: date) -> int:
    """Marks the operations up to this day that were never sent as seen: they are not posted. Returns how many."""
    with warehouse.transaction() as con:
        return len(
            con.execute(
                """
                insert into finmap_upload by name
                select
                    external_id, transaction_id, 1 as generation, day, type, 'dismissed' as state, amount, occurred_at,
                    account, category, tag, comment, content_hash, 0 as attempts, $why as last_error
                from operations
                where day <= $until and transaction_id not in (select transaction_id from finmap_upload)
                returning 1
                """,
                {"why": CAUGHT_UP, "until": until},
            ).fetchall()
        )


def undo_catch_up(warehouse: Warehouse) -> int:
    """Takes `catch_up` back: the next sync posts what it marked. Returns how many."""
    with warehouse.transaction() as con:
        return len(
            con.execute(
                "delete from finmap_upload "
                "where state = 'dismissed' and sent_at is null and last_error = $1 returning 1",
                [CAUGHT_UP],
            ).fetchall()
        )


def plan_rollback(
    warehouse: Warehouse,
    *,
    run_id: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    force: bool = False,
) -> list[tuple[Any, ...]]:
    """Writes the deletions into `plan`; returns them as (standing, why, day, type, amount, external_id)."""
    with warehouse.transaction() as con:
        con.execute(
            "create or replace temp table this_rollback as select $1::varchar as run_id, $2::date as first_day, "
            "$3::date as last_day, $4::boolean as force",
            [run_id, first_day, last_day, force],
        )
        con.execute(f"create or replace table plan as {sql('rollback')}")
        return con.execute(
            "select standing, why, day, type, amount, external_id from plan order by position"
        ).fetchall()


def roll_back(run: ConnectionRun) -> Delivery:
    """Carries out the rollback that `plan` holds; what it takes out of Finmap is not sent again by a sync."""
    courier = Courier(run.warehouse, run.finmap_to_write, retry_every=run.connection.retry_every, run_id=run.run_id)
    return courier.carry_out()
