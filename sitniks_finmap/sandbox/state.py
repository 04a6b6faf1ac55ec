"""The SQLite database behind the sandbox: in memory, or a file that survives restarts and kills."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists shops (id integer primary key, name text not null unique);

-- one row is one transaction or order of Sitniks, its JSON verbatim; `at` is the date it is filed under
create table if not exists sitniks_rows (
    seq integer primary key, shop integer not null, list text not null, id text, at integer not null,
    body text not null
);
create unique index if not exists sitniks_rows_by_id on sitniks_rows (shop, list, id);
create index if not exists sitniks_rows_by_date on sitniks_rows (shop, list, at, seq);

-- one row is one labelled entry: account, category, tag, project, supplier, status, ...
create table if not exists entries (
    seq integer primary key, shop integer not null, kind text not null, id text not null, body text not null,
    unique (shop, kind, id)
);

-- one row is one operation of Finmap; `sum` in kopiykas, instants in milliseconds
create table if not exists operations (
    seq integer primary key, shop integer not null, id text not null, external_id text not null,
    type text not null, date integer not null, sum integer not null, sum_to integer not null,
    account_to text, account_from text, approved integer not null, body text not null,
    holds_id integer not null, visible_at integer not null, updated_at integer not null, deleted_at integer
);
create index if not exists operations_by_id on operations (shop, id);
create index if not exists operations_by_external_id on operations (shop, external_id);
create index if not exists operations_by_date on operations (shop, date, seq) where deleted_at is null;
"""


class State:
    """One SQLite connection, shared by all threads under one lock."""

    def __init__(self, path: Path | str | None):
        self.lock = threading.RLock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, cached_statements=256
        )
        self._connection.row_factory = sqlite3.Row
        # WAL with synchronous OFF is fast; a killed process loses nothing, only a power cut might
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = off")
        self._connection.create_function("casefold", 1, _casefold, deterministic=True)
        self._connection.executescript(SCHEMA)

    def rows(self, sql: str, parameters: Any = ()) -> list[sqlite3.Row]:
        with self.lock:
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        with self.lock:
            return self._connection.execute(sql, parameters).fetchone()

    def write(self, sql: str, parameters: Any = ()) -> int:
        """Executes and commits one statement; returns how many rows it changed."""
        with self.lock:
            return self._connection.execute(sql, parameters).rowcount

    def write_many(self, sql: str, parameters: list[Any]) -> None:
        with self.together():
            self._connection.executemany(sql, parameters)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commits everything inside at once, or nothing after an exception."""
        with self.lock:
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def close(self) -> None:
        with self.lock:
            self._connection.close()


def _casefold(text: str | None) -> str:
    """SQLite's own lower() handles only ASCII; comments are Ukrainian."""
    return (text or "").casefold()
