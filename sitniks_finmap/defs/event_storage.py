"""Dagster's events in SQLite, those of a range of days together.

Dagster materializes each day of a run by an event of its own, and commits each in two files. A year read again is nine
thousand commits: more CPU than reading it. Dagster hands such events over in batches if DAGSTER_EVENT_BATCH_SIZE is
set, but its SQLite storage has nothing for them; that for Postgres has.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config import StringSource
from dagster._core.events import ASSET_CHECK_EVENTS, BATCH_WRITABLE_EVENTS
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection


class BatchingEventStorage(SqliteEventLogStorage):
    """The same files and rows as SqliteEventLogStorage, two commits for a batch instead of two for each event."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"base_dir": dg.Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchingEventStorage":
        """Without `base_dir`, where Dagster keeps the events by default."""
        folder = config_value.get("base_dir") or Path(os.environ["DAGSTER_HOME"], "history", "runs")
        return cls(str(folder), inst_data)

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


def _insert(con: Connection, row: Mapping[str, Any]) -> int:
    inserted = con.execute(SqlEventLogStorageTable.insert(), row).inserted_primary_key
    assert inserted is not None  # noqa: S101 - SQLite names the row of each single insert
    return inserted[0]
