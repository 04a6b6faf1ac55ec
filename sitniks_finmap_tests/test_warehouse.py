"""The warehouse: private files, short transactions, a read copy for people, one run at a time."""

import os
import re
import stat
import time
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from sitniks_finmap.settings.private_files import private_files, private_folder
from sitniks_finmap.warehouse import store as module
from sitniks_finmap.warehouse.store import Busy, Damaged, Warehouse, WarehouseError, insert_rows
from sitniks_finmap_tests.processes import Other, hold, run_until_killed
from sitniks_finmap_tests.warehouses import MADE, ROW, count


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


# -- Files --


@MADE
def test_files_are_private_and_so_is_a_new_folder(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.run(wait=0), warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    files = {path.relative_to(project / "data").as_posix(): mode(path) for path in (project / "data").rglob("*")}
    assert files == {
        "u1.duckdb": "0o600", "u1.lock": "0o600", "read": "0o700", "read/u1.duckdb": "0o600",
        "seen": "0o700", "seen/u1.ran": "0o600",
    }  # fmt: skip
    assert mode(project / "data") == "0o700"


@MADE
def test_in_a_folder_that_is_open_to_others_no_file_ever_is(project: Path) -> None:
    """Its WAL and what DuckDB spills to disk neither; also when another that was inside leaves."""
    data = project / "data"
    data.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        warehouse = Warehouse(data, "u1")
        with warehouse.transaction() as con:
            with private_files():
                con.execute(ROW)
            con.execute("set memory_limit = '40MB'")
            con.execute("create temp table big as select range, md5(range::varchar) from range(1000000)")
            con.execute("commit")
            files = {path.relative_to(data).as_posix(): mode(path) for path in data.rglob("*")}
            con.execute("begin")
        assert {"u1.duckdb", "u1.duckdb.wal", "u1.duckdb.tmp"} < files.keys()
        assert {mode for name, mode in files.items() if name != "u1.duckdb.tmp"} == {"0o600"}
        assert files["u1.duckdb.tmp"] == "0o700"
        assert os.umask(0o022) == 0o022  # as it was before
    finally:
        os.umask(before)


def test_every_folder_that_is_made_on_the_way_is_private(project: Path) -> None:
    private_folder(project / "data" / "limits" / "deep")
    assert {mode(folder) for folder in (project / "data").rglob("*")} == {"0o700"}
    assert mode(project / "data") == "0o700"


@MADE
def test_a_folder_that_exists_is_left_as_it_is(project: Path) -> None:
    (project / "data").mkdir(mode=0o755)
    private_folder(project / "data" / "read")
    assert (mode(project / "data"), mode(project / "data" / "read")) == ("0o755", "0o700")


# -- Transactions --


def delete_and_fail(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("delete from settings")
    raise ZeroDivisionError


@MADE
def test_what_a_transaction_did_is_there_or_none_of_it(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    with pytest.raises(ZeroDivisionError), warehouse.transaction() as con:
        delete_and_fail(con)
    with warehouse.transaction() as con:
        assert count(con) == 1


def test_the_file_is_closed_after_an_exception(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with pytest.raises(duckdb.Error), warehouse.transaction() as con:
        con.execute("select nothing of the kind")
    with pytest.raises(duckdb.Error, match="closed"):
        con.execute("select 1")


@MADE
def test_every_session_counts_in_utc(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with Warehouse(project / "data", "u1").transaction() as con:
            assert con.execute("select '2025-01-15 10:00:00+00'::timestamptz::varchar").fetchone() == (
                "2025-01-15 10:00:00+00",
            )
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_a_transaction_waits_for_a_short_one_of_another_process(project: Path) -> None:
    other = Other(hold, project / "data", 0.2)
    with Warehouse(project / "data", "u1").transaction() as con:
        con.execute(ROW)
    other.process.join(10)
    with Warehouse(project / "data", "u1").transaction() as con:
        assert count(con) == 1


def test_a_file_that_stays_locked_is_reported_with_the_remedy(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_DEADLINE", 0.0)
    other = Other(hold, project / "data", 30)
    try:
        with (
            pytest.raises(WarehouseError, match=r"^u1: .*close the program that holds it"),
            Warehouse(project / "data", "u1").transaction(),
        ):
            pass
    finally:
        other.pipe.send("enough")
        other.process.join(10)


def test_views_and_macros_of_another_release_are_replaced(project: Path) -> None:
    with Warehouse(project, "u1").transaction() as con:
        con.execute("drop view unbooked_to_check")
        con.execute("create or replace macro is_out(state) as true")
        con.execute("create or replace macro views_hash() as 'of another release'")
    with Warehouse(project, "u1").transaction() as con:
        assert count(con, "unbooked_to_check") == 0
        assert con.execute("select is_out('sent')").fetchone() == (False,)


def test_a_file_of_a_newer_version_is_not_touched(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute("insert into schema_version values (99)")
    with pytest.raises(WarehouseError, match=r"^u1: .*schema 99.*upgrade"), warehouse.transaction():
        pass


def test_a_thousand_rows_go_in_at_once_and_replace_their_like(project: Path) -> None:
    def rows(run: str) -> list[dict[str, object]]:
        return [
            {"resource": "orders", "day": f"{2000 + n}-01-01", "read_at": "2025-01-15 10:00:00+00", "run_id": run}
            for n in range(1000)
        ]

    with Warehouse(project / "data", "u1").transaction() as con:
        insert_rows(con, "complete_reads", rows("first"))
        insert_rows(con, "complete_reads", rows("second"), replacing=True)
        insert_rows(con, "complete_reads", [])
        assert con.execute("select run_id, count(*) from complete_reads group by all").fetchall() == [("second", 1000)]


# -- The read copy --


def test_the_longest_amount_fits_wherever_it_is(project: Path) -> None:
    """DuckDB guesses the type of many rows from a sample of every second, third … one."""
    amounts = [Decimal("1897.00") if number % 2 else Decimal("30.00") for number in range(2500)]
    with Warehouse(project / "data", "u1").transaction() as con:
        rows = [{"order_id": str(n), "reason": "why", "total": amount} for n, amount in enumerate(amounts)]
        insert_rows(con, "unbooked_orders", rows)
        assert con.execute("select sum(total) from unbooked_orders").fetchone() == (sum(amounts),)


@pytest.mark.parametrize("name", ["u1", "1", "main", "temp", "system", "memory", "fresh", "read", "select"])
def test_the_read_copy_is_complete_whatever_the_connections_name(project: Path, name: str) -> None:
    warehouse = Warehouse(project / "data", name)
    with warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        assert count(con) == 1
        assert count(con, "latest_transactions") == 0  # views and macros too
        assert con.execute('select text_of(\'{"title": "Нова Пошта"}\'::json)').fetchone() == ("Нова Пошта",)


@MADE
def test_the_folder_may_have_any_name(project: Path) -> None:
    warehouse = Warehouse(project / 'дані з "it\'s" 100%', "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        assert count(con) == 1


def test_whoever_reads_the_copy_blocks_nobody_and_sees_it_whole(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as reader:
        with warehouse.transaction() as con:
            con.execute(ROW)
        warehouse.publish()
        assert count(reader) == 1
    with duckdb.connect(warehouse.read_path, read_only=True) as reader:
        assert count(reader) == 2
        assert count(reader, "latest_transactions") == 0
    assert os.listdir(warehouse.read_path.parent) == ["u1.duckdb"]


def test_what_a_killed_publication_left_behind_is_no_obstacle(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    private_folder(warehouse.read_path.parent)
    for suffix in (".fresh", ".fresh.wal"):
        warehouse.read_path.with_suffix(suffix).write_bytes(b"half a copy")
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        assert count(con) == 1


def storage_version(path: Path) -> int:
    """The number in the header of a DuckDB file: 64 is read by 1.1 and later, 68 by 1.5 and later."""
    header = path.read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    return int.from_bytes(header[12:20], "little")


@MADE
def test_older_drivers_open_the_read_copy(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    assert (storage_version(warehouse.path), storage_version(warehouse.read_path)) == (68, 64)
    warehouse.path.write_bytes(b"damaged" * 1000)
    with pytest.raises(Damaged), warehouse.transaction():
        pass
    assert storage_version(warehouse.path) == 68  # made from the copy, and as it was


def test_nothing_in_the_read_copy_needs_a_newer_duckdb(project: Path) -> None:
    """DuckDB 2 stores `if(…)` as a function, which 1.5 and older do not have; lambdas in views came with 1.5."""
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        macros = con.execute(
            "select function_name, macro_definition from duckdb_functions() "
            "where function_type like '%macro' and not internal"
        ).fetchall()
        views = con.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
    assert len(macros) > 5
    assert len(views) > 2
    newer = re.compile(r"\bif\(|\biff\(", re.IGNORECASE)
    assert [name for name, text in macros + views if newer.search(text.replace('"', ""))] == []
    assert [name for name, text in views if "lambda" in text.lower()] == []


# -- One run at a time --


def test_a_connection_has_one_run_at_a_time(project: Path) -> None:
    """Connections do not wait for each other."""
    first, second, other = (Warehouse(project / "data", name) for name in ("u1", "u1", "u2"))
    assert not first.is_running()
    with first.run(wait=0):
        assert second.is_running()
        with pytest.raises(Busy, match=r"^u1: another run"), second.run(wait=0):
            pass
        with other.run(wait=0):
            assert other.is_running()
    assert not second.is_running()
    with second.run(wait=0):
        pass


def test_a_run_that_failed_lets_the_next_one_in(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with pytest.raises(ZeroDivisionError), warehouse.run(wait=0):
        raise ZeroDivisionError
    with warehouse.run(wait=0):
        pass


def test_a_kill_releases_the_connection(project: Path) -> None:
    other = Other(run_until_killed, project / "data")
    warehouse = Warehouse(project / "data", "u1")
    assert warehouse.is_running()
    other.process.kill()
    other.process.join(10)
    assert not warehouse.is_running()
    with warehouse.run(wait=0):
        pass


@pytest.mark.runs
def test_the_read_copy_of_many_long_orders_fits_into_memory(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(
            """
            insert into raw_sitniks_orders by name
            select i as order_id, 1 as version, date '2026-03-01' as day, '' as content_hash, now() as first_seen_at,
                now() as last_seen_at, to_json(array_to_string([md5(i || '.' || j) for j in range(40)], ' ')) as payload
            from range(150000) orders(i)
            """
        )
    warehouse.publish()
    with duckdb.connect(warehouse.read_path, read_only=True) as con:
        assert con.execute("select count(*) from raw_sitniks_orders").fetchone() == (150_000,)
