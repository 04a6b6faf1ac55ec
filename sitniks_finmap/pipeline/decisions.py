"""A person's decisions: approve, dismiss, catch up, roll back."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from sitniks_finmap.pipeline.courier import Courier, Delivery
from sitniks_finmap.pipeline.plan import Action, Standing
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import Warehouse, insert_rows


@dataclass(frozen=True)
class Change:
    """One planned change that a person may decide about."""

    transaction_id: str
    action: Action
    standing: Standing
    kind: str | None
    why: str | None
    day: date
    type: str
    amount: Decimal
    external_id: str
    occasion: str


def pending(
    con: duckdb.DuckDBPyConnection,
    decision: str,
    *,
    day: date | None = None,
    transaction: str | None = None,
    order: str | None = None,
    recreate: bool = False,
    conflicts: bool = False,
) -> list[Change]:
    """The changes that a decision with these options would cover: all pending ones, or those of one day, one
    transaction (its ID or the externalId of its operation) or one order (its number or ID).

    Conflicts need `conflicts` or a name, and operations that a person deleted in Finmap need `recreate`. A decision
    about a named transaction or order may be reversed until it is carried out.
    """
    rows = con.execute(
        sql("pending_changes"),
        {
            "decision": decision,
            "day": day,
            "transaction": transaction,
            "order": _order_id(con, order),
            "recreate": recreate,
            "conflicts": conflicts,
        },
    ).fetchall()
    return [Change(id, Action(action), Standing(standing), *rest) for id, action, standing, *rest in rows]


def was_read(con: duckdb.DuckDBPyConnection, *, transaction: str | None, order: str | None) -> bool:
    """Whether the transaction or order that a person named was ever read from Sitniks."""
    named = {"transaction": transaction, "order": _order_id(con, order)}
    return bool((con.execute(sql("was_read"), named).fetchone() or (False,))[0])


def _order_id(con: duckdb.DuckDBPyConnection, wanted: str | None) -> str | None:
    """The ID of the order that a person named by its number or ID. Raises ConfigurationError if there are several."""
    if wanted is None:
        return None
    name, zone = con.execute("select connection, timezone from settings").fetchone() or ("", "UTC")
    found = con.execute(sql("orders_named"), {"wanted": wanted.strip(), "zone": zone}).fetchall()
    if len(found) > 1:
        named = ", ".join(
            f"order-{order_id} (№{number or '–'}, {created or 'no date'})" for order_id, number, created, _ in found
        )
        raise ConfigurationError(
            f"{name}: several orders may be meant by {wanted}: {named}. Name one like this: --order order-{found[0][0]}"
        )
    return found[0][0] if found else wanted


def save_decisions(con: duckdb.DuckDBPyConnection, changes: list[Change], decision: str, now: datetime) -> int:
    """Save a decision about these changes, each for this occasion only; skip those whose occasion has passed."""
    current = {(t, a, o) for t, a, o in con.execute("select transaction_id, action, occasion from plan").fetchall()}
    still = [one for one in changes if (one.transaction_id, one.action, one.occasion) in current]
    rows = [
        {
            "transaction_id": one.transaction_id, "action": one.action, "occasion": one.occasion,
            "decision": decision, "decided_at": now,
        }
        for one in still
    ]  # fmt: skip
    insert_rows(con, "decisions", rows, replacing=True)
    return len(still)


@dataclass(frozen=True)
class Unbooked:
    """One order, or one part of it, that has no operation, for a reason that a person should check."""

    transaction_id: str
    order_number: str | None
    day: date
    reason: str
    total: Decimal | None


def unbooked(con: duckdb.DuckDBPyConnection, *, day: date | None = None, order: str | None = None) -> list[Unbooked]:
    """The unbooked orders that `status` warns of: all, or those created on one day, or one order (number or ID)."""
    return [
        Unbooked(*row)
        for row in con.execute(sql("chosen_unbooked"), {"day": day, "order": _order_id(con, order)}).fetchall()
    ]


def dismiss_unbooked(con: duckdb.DuckDBPyConnection, chosen: list[Unbooked], now: datetime) -> None:
    """Warn no more of these orders, unless the reason changes."""
    rows = [
        {
            "transaction_id": one.transaction_id, "action": "unbooked", "occasion": one.reason,
            "decision": "dismiss", "decided_at": now,
        }
        for one in chosen
    ]  # fmt: skip
    insert_rows(con, "decisions", rows, replacing=True)


def note_shown(
    con: duckdb.DuckDBPyConnection, external_ids: list[str], first_day: date, last_day: date, now: datetime
) -> None:
    """Record what a person was shown of `previewed`: `--yes` decides about that and about nothing newer."""
    con.execute("delete from shown_changes")
    con.execute(sql("shown_changes"), {"external_ids": external_ids, "first": first_day, "last": last_day, "now": now})


def only_shown(con: duckdb.DuckDBPyConnection, changes: list[Change]) -> list[Change]:
    """The changes that a person was already shown in their present form."""
    shown = _shown(con)
    return [one for one in changes if (one.transaction_id, one.action, one.occasion) in shown]


def only_shown_unbooked(con: duckdb.DuckDBPyConnection, chosen: list[Unbooked]) -> list[Unbooked]:
    """The unbooked orders that were counted when a person was shown why."""
    shown = _shown(con)
    return [one for one in chosen if (one.transaction_id, "unbooked", one.reason) in shown]


def _shown(con: duckdb.DuckDBPyConnection) -> set[tuple[str, str, str]]:
    return set(con.execute("select transaction_id, action, occasion from shown_changes").fetchall())


def other_kinds(con: duckdb.DuckDBPyConnection, changes: list[Change]) -> dict[str, int]:
    """Count by kind the pending changes that are none of these."""
    rows = con.execute("select transaction_id, action, kind from plan where standing = 'pending'").fetchall()
    chosen = {(one.transaction_id, one.action) for one in changes}
    return dict(Counter(kind for transaction_id, action, kind in rows if (transaction_id, action) not in chosen))


def catch_up(warehouse: Warehouse, until: date) -> int:
    """Skip history: never post unsent transactions of days up to this one, including ones that appear later. Return how
    many operations are skipped now.
    """
    with warehouse.transaction() as con:
        con.execute("delete from caught_up")
        con.execute("insert into caught_up values ($1)", [until])
        return _skipped(con)


def undo_catch_up(warehouse: Warehouse) -> int:
    """Undo `catch_up`: the next sync posts what it skipped. Return how many."""
    with warehouse.transaction() as con:
        skipped = _skipped(con)
        con.execute("delete from caught_up")
        return skipped


def _skipped(con: duckdb.DuckDBPyConnection) -> int:
    (count,) = con.execute("select count(*) from skipped_operations").fetchone() or (0,)
    return count


@dataclass(frozen=True)
class RolledBack:
    """One operation that a rollback would remove from Finmap, or leave because a person edited it."""

    standing: Standing
    why: str | None
    day: date
    type: str
    amount: Decimal
    external_id: str
    forced: bool
    theirs: dict[str, Any] | None  # as shown to the person who confirms
    edited: list[str]


def run_named(con: duckdb.DuckDBPyConnection, wanted: str) -> str | None:
    """The run that created operations and that a person named by its ID or the first characters of it.

    Raises ConfigurationError if there are several.
    """
    found = con.execute(sql("runs_named"), {"wanted": wanted.strip()}).fetchall()
    if len(found) > 1:
        (name,) = con.execute("select connection from settings").fetchone() or ("",)
        named = ", ".join(f"{run_id} ({began:%Y-%m-%d %H:%M} UTC)" for run_id, began in found)
        raise ConfigurationError(f"{name}: several runs begin with {wanted}: {named}. Name one: --run {found[0][0]}")
    return found[0][0] if found else None


def plan_rollback(
    con: duckdb.DuckDBPyConnection,
    *,
    run_id: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    force: bool = False,
) -> list[RolledBack]:
    """List what a rollback would remove; writes nothing. A run may be named as in `run_named`."""
    if run_id and not (run_id := run_named(con, run_id)):
        return []
    which = {"run_id": run_id, "first_day": first_day, "last_day": last_day, "force": force}
    rows = con.execute(sql("rollback"), which).fetchall()
    return [RolledBack(Standing(standing), *rest) for standing, *rest in rows]


def fill_rollback(con: duckdb.DuckDBPyConnection, planned: list[RolledBack]) -> None:
    """Fill `tasks` with a rollback that a person confirmed."""
    con.execute(
        "create or replace temp table confirmed as select unnest($keys::varchar[]) as external_id, $forced as forced",
        {
            "keys": [one.external_id for one in planned if one.standing is Standing.GO],
            "forced": any(one.forced for one in planned),
        },
    )
    con.execute(sql("rollback_tasks"))
    for one in planned:
        if one.edited:
            con.execute(
                "update tasks set theirs = $1, edited = $2 where external_id = $3",
                [one.theirs, one.edited, one.external_id],
            )


def roll_back(run: ConnectionRun, planned: list[RolledBack]) -> Delivery:
    """Remove these operations from Finmap; a sync does not send them again."""
    with run.warehouse.transaction() as con:
        fill_rollback(con, planned)
    courier = Courier(
        run.warehouse, run.finmap_to_write, retry_every=run.connection.retry_every, run_id=run.run_id, now=run.now
    )
    return courier.carry_out()
