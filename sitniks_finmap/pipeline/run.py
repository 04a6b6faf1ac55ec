"""One run of a connection: its clients and its warehouse, under the connection's lock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import duckdb

from sitniks_finmap.clients import finmap, sitniks
from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.finmap import Directory, Finmap
from sitniks_finmap.pipeline import identity, installation
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.warehouse.last_runs import LastRun, record_ends, record_start
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError

LOCK_WAIT = 3600.0  # seconds; a delivery of the sensor takes at most 45 minutes by default


class StepFailed(Exception):
    """A step stopped for a reason that a person can fix: the message names the connection and the remedy."""

    def __init__(self, message: str, *, misconfigured: bool = False) -> None:
        super().__init__(message)
        self.misconfigured = misconfigured  # the reason is in the settings or the keys


@dataclass
class ConnectionRun:
    """The run of one connection; each client is created on first use.

    The identity of the company is verified then, so that no job, asset or command can forget it. Read-only commands
    (`doctor`, `explain`) set `proving` to False.
    """

    connection: Connection
    warehouse: Warehouse
    run_id: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ended: dict[str, LastRun] = field(default_factory=dict)  # how the steps of this run ended, by name
    proving: bool = True
    directory: Directory | None = None  # as an earlier step of this run read it, for the next one

    @cached_property
    def sitniks(self) -> sitniks.Sitniks:
        """Raises WrongCompany, ApiError."""
        client = sitniks.connect(self.connection)
        if self.proving:
            identity.prove_sitniks(self.connection, self.warehouse, client, self.bounds, self.now())
        return client

    @cached_property
    def finmap(self) -> Finmap:
        """Raises WrongCompany, ApiError."""
        client = finmap.connect(self.connection)
        if self.proving:
            identity.prove_finmap(self.connection, self.warehouse, client, self.now())
        return client

    @cached_property
    def finmap_to_write(self) -> Finmap:
        """Finmap, after making sure that no other installation writes there under this name.

        Raises OtherInstallation, WrongCompany, ApiError.
        """
        installation.claim(self.connection, self.warehouse, self.finmap)
        return self.finmap

    def bounds(self, first_day: date, last_day: date) -> tuple[datetime, datetime]:
        """The instants around whole local days.

        Whether the API's bounds are inclusive is unknown, so they include a millisecond before and the first instant
        after; each row is then filed under its own day. The end is never later than now, because the count of the list
        would keep changing while the shop sells.
        """
        start = datetime.combine(first_day, time.min, self.connection.zone)
        end = datetime.combine(last_day + timedelta(days=1), time.min, self.connection.zone)
        return start - timedelta(milliseconds=1), max(min(end, self.now()), start)

    @contextmanager
    def explained(self, step: str | None = None) -> Iterator[None]:
        """Raise StepFailed for errors that a person can fix, and note how a named step ended."""
        started = self.now()
        try:
            yield
        except BaseException as error:
            failure = self._failure(error)
            self.note(step, started, str(failure) if failure else _unexpected(self.connection.name, error))
            if failure is None or failure is error:
                raise
            # DuckDB's message may quote a record, and Dagster also stores the cause of an error.
            raise failure from (None if isinstance(error, duckdb.Error) else error)
        self.note(step, started, None)

    def note(self, step: str | None, started: datetime, error: str | None) -> None:
        """Keep how a step ended until the end of the run; the first note about a step wins."""
        if step and step not in self.ended:
            self.ended[step] = LastRun(step, self.run_id, started, self.now(), error)

    def record_steps(self) -> None:
        """Record the steps that have ended so far, for what reads the file before the run ends."""
        record_ends(self.warehouse, list(self.ended.values()))

    def _failure(self, error: BaseException) -> StepFailed | None:
        """The failure to show people, or None for an unexpected error."""
        if isinstance(error, StepFailed):
            return error
        if isinstance(error, duckdb.Error):
            large = isinstance(error, duckdb.OutOfMemoryException)
            hint = "A record may be too large" if large else "If it fails again, report it"
            return StepFailed(
                f"{self.connection.name}: DuckDB failed ({type(error).__name__}); nothing of this step was kept, and "
                f"the next sync tries again. {hint}"
            )
        if isinstance(error, (ApiError, ConfigurationError, WarehouseError, sitniks.IncompleteRead)):
            message = str(error)
            if not message.startswith(self.connection.name):
                message = f"{self.connection.name}: {message}"
            return StepFailed(message, misconfigured=isinstance(error, ConfigurationError))
        return None

    @contextmanager
    def recorded(self, what: str) -> Iterator[None]:
        """Lock the connection for a run of this kind, and record its start, its end, and how its steps ended.

        Also records a run that could not start: another run held the lock, or the file could not be opened.
        """
        started = self.now()
        try:
            with self.explained(what), self.warehouse.run(wait=LOCK_WAIT):
                started = self.now()
                record_start(self.warehouse, what, self.run_id, started)
                yield
                self._record(what, started)  # under the lock, so that the read copy has it
        except BaseException:
            self._record(what, started)
            raise

    def _record(self, what: str, started: datetime) -> None:
        """Record the steps that ended, and the run with their first error."""
        error = next((one.error for one in self.ended.values() if one.error), None)
        self.note(what, started, error)
        record_ends(self.warehouse, list(self.ended.values()))


def _unexpected(connection: str, error: BaseException) -> str:
    if isinstance(error, Exception):
        # Its text may quote a record.
        return f"{connection}: stopped by an unexpected {type(error).__name__}; see the run in the Dagster UI"
    return f"{connection}: the run was interrupted; the next one continues where it stopped"
