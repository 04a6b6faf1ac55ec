"""The state of connections as of their last runs: one `Status` each. Calls neither API."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time

import duckdb

from sitniks_finmap.people.findings import Finding, State, Verdict, find
from sitniks_finmap.people.look import look
from sitniks_finmap.people.summary import Summary
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import WrongConnection
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.store import WarehouseError, open_warehouse

WORST_FIRST: tuple[Verdict, ...] = ("error", "warning", "ok")
SET_ASIDE = (".damaged-", ".before-rename-")  # in the names of files that belong to no connection


@dataclass(frozen=True)
class Status:
    """One connection: its numbers, if it was ever read, and its findings."""

    connection: Connection
    summary: Summary | None
    findings: list[Finding]
    succeeded_at: datetime | None = None  # the last sync without an error
    next_due: datetime | None = None  # of a sync, if Dagster runs; None if nothing is expected
    delivered_today: int = 0

    @property
    def verdict(self) -> Verdict:
        return self.findings[0].verdict if self.findings else "ok"  # the worst comes first

    @property
    def name(self) -> str:
        return self.connection.name

    def local(self, moment: datetime | None) -> datetime | None:
        """A moment in the connection's zone."""
        return moment.astimezone(self.connection.zone) if moment else None


@dataclass(frozen=True)
class InvalidStatus:
    """A table of connections.toml that is invalid: nothing is known of its shop."""

    name: str
    findings: list[Finding]
    verdict: Verdict = "error"


@dataclass(frozen=True)
class Fleet:
    """All connections, the worst first, and data that belongs to none of them."""

    shops: list[Status | InvalidStatus]
    orphans: list[tuple[str, Finding]] = field(default_factory=list)

    @property
    def told(self) -> list[tuple[str, Finding]]:
        """Every finding with the name that it is about."""
        return [*((shop.name, finding) for shop in self.shops for finding in shop.findings), *self.orphans]

    @property
    def well(self) -> bool:
        return not any(finding.verdict == "error" for _, finding in self.told)


def fleet_of(chosen: list[Connection | WrongConnection], now: datetime, *, whole: bool) -> Fleet:
    """The state of these connections; if they are all there are (`whole`), also data that belongs to none."""
    shops = [_invalid(one) if isinstance(one, WrongConnection) else status_of(one, now) for one in chosen]
    shops.sort(key=lambda shop: WORST_FIRST.index(shop.verdict))  # otherwise as in connections.toml
    return Fleet(shops, [*_orphans({one.name for one in chosen})] if whole else [])


def status_of(connection: Connection, now: datetime, days: tuple[date, date] | None = None) -> Status:
    """The state of a connection as of the last runs. Never raises: unreadable data is a finding."""
    warehouse = open_warehouse(connection)
    try:
        state = look(connection, warehouse, now, days)
        findings = find(connection, warehouse, state, now, days)
    except (WarehouseError, duckdb.Error, OSError) as error:
        said = str(error) if isinstance(error, WarehouseError) else f"DuckDB failed ({type(error).__name__})"
        return Status(connection, None, [Finding("error", said.removeprefix(f"{connection.name}: "), "unreadable")])
    succeeded = next((run.succeeded_at for run in state.runs if run.what == "sync"), None) if state else None
    return Status(
        connection, state.summary if state else None, findings, succeeded, _next_due(connection, state, now),
        state.delivered_today if state else 0,
    )  # fmt: skip


def _next_due(connection: Connection, state: State | None, now: datetime) -> datetime | None:
    """When the next sync is due; the past if it should have begun, now if there was none."""
    if connection.today(now) < connection.start_date:
        return datetime.combine(connection.start_date, time.min, connection.zone)
    if connection.problem():
        return None
    started = next((run.started_at for run in state.runs if run.what == "sync"), None) if state else None
    return started + connection.sync_every if started else now


def _invalid(wrong: WrongConnection) -> InvalidStatus:
    return InvalidStatus(wrong.name, [Finding("error", wrong.why.removeprefix(f"{wrong.name}: "), "configuration")])


def _orphans(names: set[str]) -> Iterator[tuple[str, Finding]]:
    """Data of connections that are no longer configured, perhaps because somebody renamed the table by hand."""
    for path in sorted(data_folder().glob("*.duckdb")) if data_folder().is_dir() else []:
        if path.stem in names or any(mark in path.stem for mark in SET_ASIDE) or not _has_data(str(path)):
            continue
        what = (
            "has data, but is no longer in connections.toml, and is not synced. If its table was renamed, run "
            f"`sitniks-finmap rename {path.stem} NEW`. If it is no longer needed, move {path} away"
        )
        yield path.stem, Finding("warning", what, "not configured")


def _has_data(path: str) -> bool:
    """Whether a warehouse has any transactions or orders; assumed if it cannot be opened."""
    tables = ("raw_sitniks_transactions", "raw_sitniks_orders")
    try:
        with duckdb.connect(path, read_only=True) as con:
            return any(con.execute(f"from {table} limit 1").fetchone() for table in tables)
    except duckdb.Error:
        return True
