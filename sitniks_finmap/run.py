"""What one run of a connection works with: its clients and its warehouse, held under the connection's lock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import dagster as dg
import duckdb

from sitniks_finmap import finmap, identity, installation, sitniks
from sitniks_finmap.connections import ConfigurationError, Connection, data_folder
from sitniks_finmap.finmap import Finmap
from sitniks_finmap.http import ApiError
from sitniks_finmap.warehouse import Warehouse, WarehouseError

LOCK_WAIT = 3600.0  # seconds; a delivery of a sensor takes at most 45 minutes by default


@dataclass
class ConnectionRun:
    """The run of one connection; the clients are made when they are first asked for.

    Each side then proves to be the company that the warehouse was filled from, so that no job, asset or command can
    forget it. What only looks and leaves no trace (`doctor`, `explain`) is not `proving`.
    """

    connection: Connection
    warehouse: Warehouse
    run_id: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    proving: bool = True

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
        """Finmap, once it is sure that no other installation writes there under this name.

        Raises OtherInstallation, WrongCompany, ApiError.
        """
        installation.claim(self.connection, self.warehouse, self.finmap)
        return self.finmap

    def bounds(self, first_day: date, last_day: date) -> tuple[datetime, datetime]:
        """The instants around whole local days.

        Whether the API takes its bounds as inside or outside is not known: a millisecond before and the first
        moment after are asked for as well, and each row then keeps its own day. The end is never later than now:
        in a shop that sells while it is read the count of the list would not stand still.
        """
        start = datetime.combine(first_day, time.min, self.connection.zone)
        end = datetime.combine(last_day + timedelta(days=1), time.min, self.connection.zone)
        return start - timedelta(milliseconds=1), max(min(end, self.now()), start)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what a person can mend into a Failure that says which connection it is and what to do."""
        try:
            yield
        except duckdb.Error as error:
            # Its text may quote a record, and Dagster keeps the cause of an error, too.
            raise dg.Failure(
                f"{self.connection.name}: DuckDB failed ({type(error).__name__}); nothing of this step was "
                "kept. A record may be too large; the next sync tries again",
                allow_retries=False,
            ) from None
        except (ApiError, ConfigurationError, WarehouseError, sitniks.IncompleteRead) as error:
            message = str(error)
            if not message.startswith(self.connection.name):
                message = f"{self.connection.name}: {message}"
            raise dg.Failure(message, allow_retries=False) from error


def open_warehouse(connection: Connection) -> Warehouse:
    return Warehouse(data_folder(), connection.name)


def run_resource(connection: Connection) -> dg.ResourceDefinition:
    """The Dagster resource of a connection: one for the whole run, so that the lock is held from its first step to
    its last.
    """

    @dg.resource(description=f"The clients and the warehouse of {connection.name}, under its lock.")
    def connection_run(context: dg.InitResourceContext) -> Iterator[ConnectionRun]:
        run_id = context.run.run_id if context.run else None
        run = ConnectionRun(connection, open_warehouse(connection), run_id)
        with run.explained(), run.warehouse.run(wait=LOCK_WAIT):
            yield run

    return connection_run


def today(connection: Connection, now: datetime) -> date:
    return now.astimezone(connection.zone).date()
