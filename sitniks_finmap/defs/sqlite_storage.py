"""Dagster's storage in SQLite, the same files and rows with less work for each.

Dagster opens its SQLite files anew for each transaction, four fifths of what a small one costs; with a hundred shops,
the ticks of their sensors alone took a third of a core. Here a connection is kept from one to the next. And Dagster
materializes each day of a run by an event of its own, each committed to two files: a year read again was nine thousand
commits. It hands such events over in batches if DAGSTER_EVENT_BATCH_SIZE is set; its storage in Postgres has something
for them, that in SQLite has not.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._config import StringSource
from dagster._core.events import ASSET_CHECK_EVENTS, BATCH_WRITABLE_EVENTS
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.event import listen

BUSY = 30.0  # seconds to wait for another process's transaction
# Pages in the file beside the database until they are moved into it; SQLite's 1,000 would keep 4 MB on disk for each.
MOVED_AFTER = 100


class KeptConnection:
    """Transactions of one SQLite file, on a connection that stays open between them.

    A file that was deleted or replaced meanwhile is opened anew: nothing is written into one that has no name.
    """

    def __init__(self, url: str) -> None:
        self._path = make_url(url).database or ""
        # One connection is kept; a second one, for another thread at the same time, is closed again.
        self._engine = create_engine(url, pool_size=1, max_overflow=-1, connect_args={"timeout": BUSY})
        listen(self._engine, "connect", _keep_small)
        self._file: tuple[int, int] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        found = _identity(self._path)
        if found != self._file:
            self._engine.dispose()
        self._file = found
        with self._engine.connect() as con, con.begin():
            yield con

    def close(self) -> None:
        self._engine.dispose()


class Runs(SqliteRunStorage):
    schedules: SqliteScheduleStorage | None = None  # to be closed with the runs: an instance that ends forgets them

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.kept = KeptConnection(conn_string)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self.kept.transaction() as con:
            yield con

    def dispose(self) -> None:
        self.kept.close()
        if self.schedules:
            self.schedules.dispose()


class Schedules(SqliteScheduleStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.kept = KeptConnection(conn_string)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self.kept.transaction() as con:
            yield con

    def dispose(self) -> None:
        self.kept.close()


class Events(SqliteEventLogStorage):
    """A file for each run, and the index of all; kept are the index and the run of the latest event."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._kept: dict[str, KeptConnection] = {}
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard):  # creates its tables
                pass
        with self._db_lock, self._connection_to(shard).transaction() as con:
            yield con

    def _connection_to(self, shard: str) -> KeptConnection:
        if shard not in self._kept:
            for other in [one for one in self._kept if INDEX_SHARD_NAME not in (one, shard)]:
                self._kept.pop(other).close()
            self._kept[shard] = KeptConnection(self.conn_string_for_shard(shard))
        return self._kept[shard]

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Stores the events of one run. If it raises, Dagster stores each of them alone."""
        types = {event.dagster_event_type for event in events}
        if not types <= BATCH_WRITABLE_EVENTS or len({event.run_id for event in events}) != 1:
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        with self.run_connection(events[0].run_id) as con:
            con.execute(SqlEventLogStorageTable.insert(), rows)
        with self.index_transaction() as con:
            ids = [_insert(con, row) for row in rows]
            stored = list(zip(events, ids, strict=True))
            of_assets = [one for one in stored if one[0].dagster_event_type not in ASSET_CHECK_EVENTS]
            self._store_asset_event_tags(con, [event for event, _ in of_assets], [number for _, number in of_assets])
            # Each event overwrites the row of its asset, so the last one of each asset is enough.
            latest = {event.get_dagster_event().asset_key: (event, number) for event, number in of_assets}
            for event, number in latest.values():
                self._store_asset_event(con, event, number)
        for event, number in stored:
            if event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, number)

    def dispose(self) -> None:
        super().dispose()
        for one in self._kept.values():
            one.close()


class SqliteStorage(DagsterSqliteStorage):
    """All three, where Dagster keeps them by default; `storage` in dagster.yaml names this class."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._inst_data = inst_data
        runs = Runs.from_local(os.path.join(base_dir, "history", ""))
        runs.schedules = Schedules.from_local(os.path.join(base_dir, "schedules"))
        self._run_storage = runs
        self._event_log_storage = Events(os.path.join(base_dir, "history", "runs", ""))
        self._schedule_storage = runs.schedules
        DagsterStorage.__init__(self)  # without that of its subclass, which opens the files its own way

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"base_dir": dg.Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "SqliteStorage":
        return cls.from_local(config_value.get("base_dir") or os.environ["DAGSTER_HOME"], inst_data)


def _keep_small(con: sqlite3.Connection, _: object) -> None:
    con.execute(f"pragma wal_autocheckpoint = {MOVED_AFTER}")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _insert(con: Connection, row: Mapping[str, Any]) -> int:
    inserted = con.execute(SqlEventLogStorageTable.insert(), row).inserted_primary_key
    assert inserted is not None  # noqa: S101 - SQLite names the row of each single insert
    return inserted[0]
