"""A deployment that is watched, on a clock that only a test moves: syncs that end somehow, and looks at them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta

from sitniks_finmap.alerts.deployment import Heard, Heartbeat
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import Told, look_around
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.sandbox import Fault, Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.warehouses import begun

FIRST = date(2026, 3, 8)
MINUTE = timedelta(minutes=1)


class Watched:
    """A deployment, its clock, and those who look at it."""

    def __init__(self, sandbox: Sandbox, clock: Clock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.daemon = "first"
        self.look()  # somebody looked before anything happened
        self.clock.forward(600)
        self.look()

    def sync(self, connection: Connection) -> None:
        """A sync as Dagster runs it, which may fail."""
        run = ConnectionRun(connection, begun(open_warehouse(connection)), "run-1", self.clock)
        run.finmap.api.sleep = run.sitniks.api.sleep = lambda seconds: None
        with suppress(StepFailed), run.recorded("sync"):
            sync(run, connection.start_date, connection.today(self.clock()))

    def sync_without_lock(self, connection: Connection) -> None:
        """The steps of a sync, for a test that holds the lock itself."""
        run = ConnectionRun(connection, begun(open_warehouse(connection)), "run-1", self.clock)
        sync(run, connection.start_date, connection.today(self.clock()))

    def look(self, heard: Heard = "itself") -> Told:
        """One look, and all that is due is sent."""
        told = look_around(heard, self.clock)
        send_all(self.clock)
        return told

    def watch(self, hours: float, every: timedelta = MINUTE, heard: Heard = "itself") -> None:
        """Looks again and again, for so long."""
        end = self.clock() + timedelta(hours=hours)
        while self.clock() < end:
            self.clock.forward(every.total_seconds())
            self.look(heard)

    def heartbeat(self) -> Heartbeat:
        """One that the daemon gives now."""
        return Heartbeat(self.clock(), self.daemon)

    @contextmanager
    def cut(self, side: str) -> Iterator[None]:
        """The API does not answer."""
        self.sandbox.fault(Fault("drop_before", side, times=None))  # type: ignore[arg-type]
        yield
        self.sandbox.clear_faults()


def waiting() -> list[tuple[str, str]]:
    """Recipient and title of each message that is not sent yet."""
    with memory() as kept:
        rows = kept.con.execute("select recipient, title from outbox where sent_at is null order by id").fetchall()
    return [(recipient, title) for recipient, title in rows]


def at(hour: int, minute: int = 0, day: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)
