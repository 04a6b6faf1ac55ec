"""A shop at rest is looked at without its file being opened, and what is shown is what a new look would show."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from sitniks_finmap.people.findings import State
from sitniks_finmap.people.look import look
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.warehouse.last_runs import LastRun, record_ends, record_start
from sitniks_finmap.warehouse.store import Warehouse, WarehouseError
from sitniks_finmap_tests.books import Books


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a warehouse was opened."""
    count: list[int] = []
    transaction = Warehouse.transaction

    @contextmanager
    def counting(self: Warehouse) -> Any:
        count.append(1)
        with transaction(self) as con:
            yield con

    monkeypatch.setattr(Warehouse, "transaction", counting)
    return count


def kept_files() -> list[Path]:
    return sorted((data_folder() / "seen").glob("*.json"))


def now_and_anew(books: Books, now: datetime) -> tuple[State | None, State | None]:
    """What a look shows, and what one shows that finds nothing kept; what was kept stays."""
    warehouse = Warehouse(data_folder(), "u1")
    shown = look(books.run.connection, warehouse, now)
    files = {path: path.read_bytes() for path in kept_files()}
    for path in files:
        path.unlink()
    anew = look(books.run.connection, warehouse, now)
    for path, content in files.items():
        path.write_bytes(content)
    return shown, anew


@pytest.fixture
def settled(books: Books) -> Books:
    """Two operations in Finmap; the file is closed, and was looked at."""
    books.sell_many(2)
    books.sync()
    return looked_at(books)


def looked_at(books: Books) -> Books:
    books.warehouse.close()
    assert look(books.run.connection, Warehouse(data_folder(), "u1"), books.clock())
    assert kept_files()
    return books


def test_a_shop_at_rest_is_not_opened_again(settled: Books, opened: list[int]) -> None:
    shown, anew = now_and_anew(settled, settled.clock())
    assert shown == anew
    assert len(opened) == 1  # for the new look


@pytest.mark.runs
@pytest.mark.parametrize("source", ["transactions", "orders"])
def test_at_every_hour_the_kept_is_what_a_new_look_shows(
    source: str, keep_books: Callable[..., Books], keep_orders: Callable[..., Books], opened: list[int]
) -> None:
    """Retries become due, days end, what Finmap accepted is not seen there, and a full read is overdue."""
    settings = {"sync_every": "2h", "full_resync_every": "1d", "retry_every": "3h"}
    books = keep_orders(**settings) if source == "orders" else keep_books(**settings)
    for number in range(1, 5):
        books.order(number, "Оплачено") if source == "orders" else books.sell(number)
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=400))
    books.sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=500, times=9))
    books.read()
    books.deliver()
    looked_at(books)
    moments = [books.clock() + timedelta(minutes=minutes) for minutes in range(0, 3 * 24 * 60, 97)]
    shown = []
    for now in moments:
        seen, anew = now_and_anew(books, now)
        assert seen == anew, now
        shown.append({**vars(seen), "now": None})
    assert sum(one != other for one, other in pairwise(shown)) >= 4
    assert len(opened) < 1.5 * len(moments)  # each new look opens it, and few of the others


def test_what_changes_is_seen_at_once(settled: Books) -> None:
    changes: dict[str, Callable[[], Any]] = {
        "a delivery": lambda: (settled.sell(3), settled.sync()),
        "a pending change": lambda: (settled.edit(1, amount="7.00"), settled.sell(1, "8.00"), settled.sync()),
        "a decision": lambda: settled.decide("dismiss", conflicts=True),
        "a run begins": lambda: record_start(settled.warehouse, "sync", "r1", settled.clock()),
        "a run fails": lambda: record_ends(
            settled.warehouse, [LastRun("sync", "r1", settled.clock(), settled.clock(), "Finmap is down")]
        ),
        "another setting": lambda: settled.configure(settled.run.connection.model_copy(update={"on_change": "ask"})),
        "the clock was set back": lambda: settled.clock.forward(-60),
    }
    before = None
    for change, make in changes.items():
        make()
        settled.warehouse.close()
        shown, anew = now_and_anew(settled, settled.clock())
        assert shown == anew, change
        assert shown != before, change
        before = shown


def test_a_run_in_progress_keeps_nothing(settled: Books) -> None:
    warehouse = Warehouse(data_folder(), "u1")
    for path in kept_files():
        path.unlink()
    with warehouse.run(0):
        running = look(settled.run.connection, warehouse, settled.clock())
        assert running
        assert (running.running, kept_files()) == (True, [])


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"stamp": 1}', b"\xff\x00"])
def test_a_kept_file_that_is_damaged_counts_for_nothing(settled: Books, content: bytes) -> None:
    (path,) = kept_files()
    path.write_bytes(content)
    shown, anew = now_and_anew(settled, settled.clock())
    assert shown == anew
    assert len(path.read_bytes()) > len(content)


def test_where_nothing_can_be_kept_the_file_is_read(settled: Books) -> None:
    (path,) = kept_files()
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    assert look(settled.run.connection, Warehouse(data_folder(), "u1"), settled.clock())


def test_what_is_kept_names_no_customer(books: Books) -> None:
    books.sell(1, description="Оплата", counterparty="Олена Шевченко")
    books.sandbox.fault(
        Fault("status", "finmap", method="POST", path="/operations/income", status=400, body="Олена Шевченко?")
    )
    books.sync()
    looked_at(books)
    (path,) = kept_files()
    assert "Шевченко" not in path.read_text("utf-8")
    assert path.stat().st_mode & 0o077 == 0


def test_a_run_that_cannot_open_the_file_ends_what_is_kept(settled: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds it: every sync fails before it can write why."""
    monkeypatch.setattr("sitniks_finmap.warehouse.store.OPEN_DEADLINE", 0.2)
    warehouse = Warehouse(data_folder(), "u1")
    held = f"import duckdb; con = duckdb.connect({str(warehouse.path)!r}, read_only=True); print(); input()"
    program = subprocess.Popen([sys.executable, "-c", held], stdin=PIPE, stdout=PIPE)  # noqa: S603
    assert program.stdin
    assert program.stdout
    program.stdout.readline()
    with pytest.raises(WarehouseError, match="cannot be opened"), warehouse.run(0), warehouse.transaction():
        pass
    with pytest.raises(WarehouseError, match="cannot be opened"):
        look(settled.run.connection, warehouse, settled.clock())
    program.communicate(b"\n")
    assert look(settled.run.connection, warehouse, settled.clock())


def test_other_rights_end_what_is_kept(settled: Books, opened: list[int]) -> None:
    warehouse = Warehouse(data_folder(), "u1")
    warehouse.path.chmod(0o640)
    assert look(settled.run.connection, warehouse, settled.clock())
    assert len(opened) == 1


@pytest.mark.runs
@pytest.mark.parametrize("sync_every", ["2h", "3h"])
def test_the_end_of_summer_time_ends_no_day_late(sync_every: str, keep_books: Callable[..., Books]) -> None:
    books = keep_books(sync_every=sync_every)
    books.clock.now = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first, last = date(2026, 10, 20), date(2026, 10, 24)
    books.sell(1, at=datetime(2026, 10, 23, 10, tzinfo=UTC))
    books.sync(first, last)
    looked_at(books)
    for hour in range(1, 18):
        seen, anew = now_and_anew(books, books.clock() + timedelta(hours=hour))
        assert seen == anew, hour
