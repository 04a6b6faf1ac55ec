"""What is wrong with a connection now, as facts: from the same findings that `status` prints. Calls neither API."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import duckdb

from sitniks_finmap.alerts.conditions import HOUR, KINDS, MINUTE, Fact
from sitniks_finmap.alerts.failures import failure_of, missing_key
from sitniks_finmap.people.findings import Finding, State, find
from sitniks_finmap.people.look import Also, look
from sitniks_finmap.pipeline.checks import checks_of, evaluate
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

FIRST_IMPORT = timedelta(days=1)  # the longest that it may take
EVERYTHING = frozenset(KINDS) - {"invalid"}  # that a table is invalid is known from the file

# Finding → condition; the others are warnings, or facts of their own.
OF_RECORDS = {
    "failed": "failing",
    "backlog": "failing",
    "undelivered": "failing",
    "unseen": "failing",
    "refused": "refused",
    "rejected": "rejected",
    "unexplained": "difference",
    "unread": "unread",
    "overdue": "unread",
    "unread orders": "unread_orders",
    "unreadable orders": "unread_orders",
    "unaccounted": "defect",
    "transaction_ids_are_unique": "defect",
    "sign_and_type_agree": "defect",
}
ABOUT_RECORDS = {*OF_RECORDS.values(), "pending", "safety_catch", "other_operations"}
# The reasons of pending changes that are held because too many would happen at once (sql/plan.sql).
TOO_MANY = re.compile(r"no longer shows|vanished from Sitniks|at once")


@dataclass(frozen=True)
class Look:
    """What was observed of a scope at one moment. What is neither a fact nor `unknown` is well.

    `unknown` is what could not be observed, unless it is a fact.
    """

    scope: str
    at: datetime
    facts: Mapping[str, Fact]
    unknown: frozenset[str] = field(default_factory=frozenset)
    last_sync: Fact | None = None  # of a connection: what "stale" will be, once it is older than its patience

    def now(self, at: datetime) -> "Look":
        """The same at a later moment: nothing has changed but the age of the last sync."""
        last = self.last_sync
        if last is None or (last.since and last.patience and at - last.since < last.patience):
            return replace(self, at=at)
        return replace(self, at=at, facts={**self.facts, "stale": last})

    def knows(self, condition: str) -> bool:
        return condition in self.facts or condition not in self.unknown


def observe(connection: Connection, warehouse: Warehouse, now: datetime, also: Also | None = None) -> Look:
    """Everything wrong with a connection. Never raises: what cannot be read is a fact or unknown.

    `also` reads more of the same moment, unless the keys are missing or the file cannot be read.
    """
    damaged = _damaged(warehouse)
    if problem := connection.problem():
        why = _without_name(connection, problem)
        missing = Fact(why=why, patience=MINUTE, values=missing_key(connection, why))  # a person may be editing .env
        return Look(connection.name, now, {"key": missing} | damaged, EVERYTHING)
    try:
        state = look(connection, warehouse, now, also=also)
        findings = find(connection, warehouse, state, now, None)
        facts = facts_of(connection, findings) | _others(connection, warehouse, state)
    except (WarehouseError, duckdb.Error, OSError) as error:
        said = str(error) if isinstance(error, WarehouseError) else f"DuckDB failed ({type(error).__name__})"
        kind, cause, values = failure_of(connection, said)
        patience = _patience(connection, kind)
        fact = Fact(why=_without_name(connection, said), cause=cause, patience=patience, values=values)
        return Look(connection.name, now, {kind: fact} | _damaged(warehouse), EVERYTHING)
    # During a run, what is missing may be on its way: nothing ends before the run does. What waits for a person waits
    # for them behind the safety catch, too.
    running = state is not None and state.running
    if running and not warehouse.read_path.exists():  # of a first run: nobody could look at a record yet
        facts = {name: fact for name, fact in facts.items() if name not in ABOUT_RECORDS}
    unknown = EVERYTHING if running else frozenset({"pending"} if "safety_catch" in facts else ())
    return Look(connection.name, now, facts | damaged, unknown, last_sync_of(connection, state, now))


def facts_of(connection: Connection, findings: list[Finding]) -> dict[str, Fact]:
    """The facts that these findings amount to."""
    facts: dict[str, Fact] = {}
    for finding in findings:
        for condition, fact in _facts_of(connection, finding):
            before = facts.get(condition)
            facts[condition] = _joined(before, fact) if before else fact
    return facts


def last_sync_of(connection: Connection, state: State | None, now: datetime) -> Fact | None:
    """When a sync last succeeded, of recent days, and how old that may become; None if nothing is expected yet."""
    if connection.today(now) < connection.start_date:
        return None
    if state is None:  # nothing ever began
        return Fact(patience=min(connection.stale_after, HOUR), values={"case": "never"})  # since it was first seen
    last = last_success_of(state)
    if last is None:
        patience = FIRST_IMPORT if state.running else connection.stale_after
        return Fact(patience=patience, values={"case": "never"})
    in_progress = timedelta(minutes=connection.deliver_minutes) if state.running else timedelta()
    return Fact(last, patience=max(connection.stale_after, state.overdue_after) + in_progress)


def last_success_of(state: State) -> datetime | None:
    """When recent days were last both read and delivered: to be read is not enough, nor is a sync of other days."""
    succeeded = next((run.succeeded_at for run in state.runs if run.what == "sync"), None)
    return min(succeeded, state.last_read) if succeeded and state.last_read else None


def _facts_of(connection: Connection, finding: Finding) -> Iterator[tuple[str, Fact]]:
    if finding.problem in ("failed run", "killed run"):
        kind, cause, values = failure_of(connection, finding.why) if finding.why else ("crashed", "", {})
        if kind != "waited" and (kind != "crashed" or finding.of_sync):
            patience = _patience(connection, kind)
            yield kind, Fact(finding.since, 0, finding.why, cause, finding.run_id, patience, values)
    elif finding.problem == "pending":
        held = sum(count for reason, count in finding.reasons.items() if TOO_MANY.search(reason))
        if held:
            yield "safety_catch", Fact(count=held)
        if finding.count > held:
            yield "pending", Fact(count=finding.count - held)
    elif finding.problem == "configuration" and finding.verdict == "error":
        yield "stopped", Fact(why=finding.what)
    elif finding.problem == "rejected":
        yield "rejected", Fact(count=finding.count, reasons=dict(finding.reasons))  # the reasons are our words
    elif finding.problem in OF_RECORDS and not finding.on_its_way:
        yield OF_RECORDS[finding.problem], Fact(count=finding.count)  # a vendor's reason may quote the record


def _joined(one: Fact, other: Fact) -> Fact:
    """Two findings of one condition: the earlier, with the records of both."""
    moments = [fact.since for fact in (one, other) if fact.since]
    return Fact(
        min(moments) if moments else None,
        one.count + other.count,
        one.why or other.why,
        one.cause or other.cause,
        one.run_id or other.run_id,
        one.patience,
        one.values,
        dict(Counter(one.reasons) + Counter(other.reasons)),
    )


def _patience(connection: Connection, kind: str) -> timedelta | None:
    return connection.alert_after if kind in ("unreachable", "crashed") else None


def _without_name(connection: Connection, said: str) -> str:
    return said.removeprefix(f"{connection.name}: ")


def _others(connection: Connection, warehouse: Warehouse, state: State | None) -> dict[str, Fact]:
    """Whether somebody else posts to the accounts of this connection, which no finding of `status` says."""
    if state is None:
        return {}
    check = next(one for one in checks_of(connection.source) if one.name == "nothing_else_is_posted_here")
    with warehouse.transaction() as con:
        found = evaluate(con, check)["wrong"]
    return {"other_operations": Fact(count=found)} if found else {}


def _damaged(warehouse: Warehouse) -> dict[str, Fact]:
    """The damaged files of the connection that were set aside and are still there."""
    aside = sorted(warehouse.path.parent.glob(f"{warehouse.connection}.damaged-*"))
    return {"damaged": Fact(count=len(aside), values={"file": aside[-1].name})} if aside else {}
