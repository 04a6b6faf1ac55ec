"""Findings about a connection, each with its reason and remedy. Calls neither API."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from sitniks_finmap.clients.reasons import without_quotes
from sitniks_finmap.days import format_duration
from sitniks_finmap.people.on_its_way import ON_ITS_WAY, moving_of
from sitniks_finmap.people.summary import Summary
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.last_runs import LastRun
from sitniks_finmap.warehouse.store import Warehouse

COPY_TOLERANCE = timedelta(minutes=5)
Verdict = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """`error`: money is missing, duplicated, pending or unread. `warning`: worth checking, or in progress."""

    verdict: Verdict
    what: str
    problem: str = ""  # one word, for programs
    block: str = ""  # lines to copy, as they are
    where: str = ""  # the click path to the remedy
    why: str = ""  # the reasons for messages: of a run, nothing that a vendor said
    count: int = 0  # of records
    since: datetime | None = None  # if it is known
    run_id: str | None = None  # of the run that failed
    reasons: Mapping[str, int] = field(default_factory=dict)  # how many records each concerns
    on_its_way: bool = False  # the run in progress is handling it
    of_sync: bool = True  # of a run: whether people wait for it, unlike a preview or a run of single assets


@dataclass(frozen=True)
class Seen:
    """What the warehouse held at one moment."""

    first_read: datetime | None  # of any day
    last_read: datetime | None  # the last complete read of recent days
    runs: list[LastRun]
    summary: Summary | None
    problems: list[tuple[str, str, int]]  # the problem, the reason, the number of records: rows of sql/status.sql
    broken: list[tuple[str, str, int]]  # a check, its description, and how many rows break it
    delivered_today: int


@dataclass(frozen=True)
class State(Seen):
    """What is known of a connection at one moment."""

    connection: Connection
    now: datetime
    running: bool

    def at(self, moment: datetime | None) -> str:
        """A moment in the connection's zone."""
        return moment.astimezone(self.connection.zone).strftime("%Y-%m-%d %H:%M") if moment else "never"

    @property
    def overdue_after(self) -> timedelta:
        """How old a read of recent days may be; a run in progress may still be delivering."""
        patience = timedelta(minutes=self.connection.deliver_minutes) if self.running else timedelta()
        return 2 * self.connection.sync_every + patience


def find(
    connection: Connection, warehouse: Warehouse, state: State | None, now: datetime, days: tuple[date, date] | None
) -> list[Finding]:
    """Everything wrong with the connection and with the records of these days (default: all), worst first.

    Empty if, as of the last runs, everything in Sitniks is also in Finmap. `state` is None if there is no file yet.
    """
    if problem := connection.problem():
        return [Finding("error", problem.removeprefix(f"{connection.name}: "), "configuration")]
    to_come = connection.today(now) < connection.start_date
    if state is None:
        return [to_begin(connection)] if to_come else [NEVER_SYNCED]
    if to_come:
        return [NOT_BEGUN if state.first_read else to_begin(connection)]
    findings = [*_runs(state), *_records(state), *_checks(state), *_copy(state, warehouse)]
    if days is None:
        findings += _reads(state)
    return sorted(findings, key=lambda finding: finding.verdict)


def to_begin(connection: Connection) -> Finding:
    """start_date is in the future: intended, or a mistyped year."""
    what = f"start_date {connection.start_date} is in the future: nothing is read before that day"
    return Finding("warning", what, "configuration")


NOT_BEGUN = Finding(
    "error", "start_date is in the future, but there is data from before it: nothing is read. "
    "Correct start_date in connections.toml", "configuration",
)  # fmt: skip
NEVER_SYNCED = Finding("error", "never synced: run `sitniks-finmap sync`, or start Dagster", "never synced")


def _runs(state: State) -> Iterator[Finding]:
    """Runs that failed or were killed, and steps that failed, unless a later run succeeded."""
    failed_steps = [run for run in state.runs if run.what not in KINDS and run.error]
    through = next((run.ended_at for run in state.runs if run.what == "reconciliation" and not run.error), None)
    told: set[str] = set()
    for run in sorted(state.runs, key=lambda one: one.what not in KINDS):  # a run's error says more than its step's
        if run.what in KINDS and through and run.started_at < through and not failed_steps:
            continue
        which = KINDS.get(run.what) or f"run of {run.what}"
        why = (run.error or "").removeprefix(f"{state.connection.name}: ")
        if why and why not in told:
            told.add(why)
            yield Finding(
                "error", f"the last {which} failed at {state.at(run.ended_at)}: {why}", "failed run",
                why=without_quotes(why), since=run.ended_at, run_id=run.run_id, of_sync=run.what not in ASIDE,
            )  # fmt: skip
        if run.unfinished and not state.running:
            yield Finding(
                "error", f"the {which} that started at {state.at(run.started_at)} was killed. Nothing is lost: the "
                "next one continues where it stopped. Run `sitniks-finmap sync`, or start Dagster", "killed run",
                since=run.started_at, run_id=run.run_id, of_sync=run.what not in ASIDE,
            )  # fmt: skip


ASIDE = ("preview", "partial")  # runs that a person starts and sees
KINDS = {"sync": "sync", "deliver": "delivery", "preview": "preview or catch-up", "partial": "run of single assets"}


def _reads(state: State) -> Iterator[Finding]:
    """Whether the shop is read at all, and often enough."""
    failing = any(run.error for run in state.runs)
    if state.first_read is None:
        if not failing and not state.running:
            yield NEVER_SYNCED
        return
    if state.last_read is None or state.now - state.last_read > state.overdue_after:
        started = max((run.started_at for run in state.runs if run.what == "sync"), default=None)
        tried = started is not None and state.now - started <= state.overdue_after
        since = f"were last read at {state.at(state.last_read)}" if state.last_read else "are overdue"
        said = f"recent days should be read every {format_duration(state.connection.sync_every)}, but {since}"
        if not (tried and failing):
            said += ". Is `dagster dev` or the daemon running? `sitniks-finmap sync` syncs now"
        yield Finding("error", said, "not read", since=state.last_read)


def _records(state: State) -> Iterator[Finding]:
    """What is wrong with records, one finding for each kind."""
    found: dict[str, Counter[str]] = {}
    for problem, reason, records in state.problems:
        found.setdefault(problem, Counter())[reason] += records
    # Without a table of accounts or channels, nothing needs a mapping.
    not_expected = () if state.connection.accounts or state.connection.channels else ("unmapped", "unused")
    texts = RECORDS | OF_ORDERS if state.connection.source == "orders" else RECORDS
    for problem, text in texts.items():
        if problem in found and problem not in not_expected:
            moving = moving_of(problem, found[problem]) if state.running else Counter[str]()
            if moving:
                yield _about(state, problem, ON_ITS_WAY[problem], moving, on_its_way=True)
            if left := found[problem] - moving:
                yield _about(state, problem, text, left)


def _about(state: State, problem: str, text: str, reasons: Counter[str], *, on_its_way: bool = False) -> Finding:
    told = [f"{reason} ({count:,})" if len(reasons) > 1 else reason for reason, count in reasons.most_common(REASONS)]
    if len(reasons) > REASONS:
        told.append("…")
    why = "; ".join(one for one in told if one)
    verdict: Literal["error", "warning"] = "warning" if on_its_way or problem in WORTH_A_LOOK else "error"
    retry = format_duration(state.connection.retry_every)
    unmapped = "go to `finmap_account`" if state.connection.unmapped_accounts == "default" else "are rejected"
    said = text.format(
        count=f"{reasons.total():,}", why=why, retry=retry, shop=state.connection.name, unmapped=unmapped
    ).replace(" ()", "", 1)
    return Finding(
        verdict, said, problem, why="; ".join(reasons), count=reasons.total(), reasons=reasons, on_its_way=on_its_way
    )


REASONS = 5
RECORDS = {
    "unexplained": "unexplained differences between Sitniks and Finmap: {count} ({why}). "
    '`sitniks-finmap sql "from differences where not explained" --connection {shop}` lists them, '
    "`sitniks-finmap explain` shows why",
    "unaccounted": "live transactions that should be either an operation or rejected, but are not: {count} ({why}). "
    "Run `sitniks-finmap sync`; if it persists, report it",
    "failed": "failed: {count} ({why}). Retried every {retry} while Dagster runs; `sitniks-finmap sync` retries now",
    "refused": "refused by Finmap: {count} ({why}). Correct them in Sitniks, or the accounts and "
    "categories in connections.toml, and they are sent again; `sitniks-finmap explain` shows details",
    "pending": "pending changes: {count} ({why}). `sitniks-finmap preview` shows them; then `approve` or `dismiss`",
    "undelivered": "not up to date in Finmap: {count}. Delivered within {retry} while Dagster runs; `sitniks-finmap "
    "sync` does it now",
    "backlog": "not in Finmap: {count}. Delivered within {retry} while Dagster runs; `sitniks-finmap sync` does it now",
    "waiting": "waiting: {count} ({why}). A run delivers them once that has happened",
    "rejected": "rejected: {count} ({why}). Correct them in Sitniks, or the account in connections.toml, and they "
    "are retried; "
    '`sitniks-finmap sql "from rejected_transactions" --connection {shop}` lists them',
    "unseen": "accepted by Finmap but not seen there since: {count}. `sitniks-finmap sync` looks them up",
    "unread": "days never read completely: {count} ({why}). `sitniks-finmap sync` reads them",
    "unread orders": "days whose orders could not be read: {count} ({why}); comments keep what was last known",
    "unreadable orders": "orders that could not be read: {count} ({why}). They are retried less and less often; "
    "comments keep what was last known",
    "unmapped": "payments from settlement accounts not mapped in [{shop}.accounts]: {count} ({why}). They "
    "{unmapped}; map them in connections.toml",
    "unused": "mappings in [{shop}.accounts] that match no payment: {count} ({why}). Was one renamed in Sitniks?",
    "overdue": "days overdue for the full re-read: {count} ({why}); late corrections may be missing. "
    "`sitniks-finmap sync --full` reads them",
}
# With orders as the source.
OF_ORDERS = {
    "unaccounted": "live orders that should be booked, rejected or unbooked, but are not: {count} ({why}). "
    "Run `sitniks-finmap sync`; if it persists, report it",
    "rejected": "rejected orders: {count} ({why}). Correct them in Sitniks, or the account in connections.toml, and "
    'they are retried; `sitniks-finmap sql "from rejected_transactions" --connection {shop}` lists them',
    "unreadable orders": "orders that could not be read: {count} ({why}). They are retried less and less often; their "
    "operations stay as last known",
    "missing orders": "orders that Sitniks no longer showed when last asked: {count}. Their operations stay. "
    "The first sync after {why} asks again; a second such answer means that they were deleted",
    "unmapped": "orders from sales channels not mapped in [{shop}.channels]: {count} ({why}). Their money goes to "
    "`finmap_account`; map them in connections.toml",
    "unused": "mappings in [{shop}.channels] that match no order: {count} ({why}). Was one renamed in Sitniks?",
    "unbooked": "unbooked orders that a person should check: {count} ({why}). "
    '`sitniks-finmap sql "from unbooked_orders" --connection {shop}` lists them, `sitniks-finmap explain` shows why, '
    "`sitniks-finmap dismiss --unbooked` ends this warning",
    "unbooked parts": "missing parts of orders that are otherwise booked, to be checked by a person: {count} ({why}). "
    '`sitniks-finmap sql "from unbooked_orders where part is not null" --connection {shop}` lists them, '
    "`sitniks-finmap explain` shows why, `sitniks-finmap dismiss --unbooked` ends this warning",
}
WORTH_A_LOOK = (
    "unread orders", "unreadable orders", "missing orders", "unmapped", "unused", "unbooked", "unbooked parts"
)  # fmt: skip


def _checks(state: State) -> Iterator[Finding]:
    for check, description, wrong in state.broken:
        yield Finding(
            "error", f"check {check} failed: {wrong:,} ({description}). Run `sitniks-finmap sync`; if it persists, "
            "report it", check, count=wrong,
        )  # fmt: skip


def _copy(state: State, warehouse: Warehouse) -> Iterator[Finding]:
    """Whether the published copy is up to date with the last run."""
    ended = max((run.ended_at for run in state.runs if run.ended_at and run.what == "sync"), default=None)
    if ended is None or state.running:
        return
    made = warehouse.read_path.stat().st_mtime if warehouse.read_path.exists() else None
    if made is None or ended.timestamp() - made > COPY_TOLERANCE.total_seconds():
        yield Finding(
            "warning", f"the read copy, {warehouse.read_path}, is older than the last sync: is the disk full?",
            "read copy",
        )  # fmt: skip
