"""What a warehouse does when its file, its disk or its version is not as it should be: says so, and loses nothing."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import duckdb
import pytest

from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.warehouse import schema
from sitniks_finmap.warehouse.schema import SCHEMA_VERSION
from sitniks_finmap.warehouse.store import Damaged, Warehouse, WarehouseError
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.order_books import KeepOrders
from sitniks_finmap_tests.processes import in_another_process
from sitniks_finmap_tests.records import transaction
from sitniks_finmap_tests.warehouses import MADE, ROW, count

pytestmark = pytest.mark.runs

SCHEMAS = Path(__file__).parent / "schemas"

Damage = Callable[[bytes], bytes]
DAMAGES = [
    pytest.param(lambda whole: b"not a database", id="text"),
    pytest.param(lambda whole: b"", id="empty"),
    pytest.param(lambda whole: whole[: len(whole) // 2], id="cut short"),
    pytest.param(lambda whole: whole[:100], id="only a beginning"),
    pytest.param(lambda whole: whole[:9000] + b"x" * 1000 + whole[10_000:], id="a block overwritten"),
    pytest.param(lambda whole: whole[:4096] + b"x" * 8192 + whole[12_288:], id="both headers overwritten"),
]

processes = multiprocessing.get_context("forkserver")


@pytest.fixture
def filled(project: Path) -> Warehouse:
    warehouse = Warehouse(project / "data", "u1")
    with warehouse.transaction() as con:
        con.execute(ROW)
    return warehouse


def damage(path: Path, how: Damage) -> bytes:
    path.write_bytes(how(path.read_bytes()))
    return path.read_bytes()


def aside(warehouse: Warehouse) -> dict[str, bytes]:
    """What was set aside: the end of the name → the content."""
    found = warehouse.path.parent.glob("u1.damaged-*")
    return {path.name.partition(".duckdb")[2]: path.read_bytes() for path in found}


# -- Damaged bytes --


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_replaced_by_the_read_copy(filled: Warehouse, how: Damage) -> None:
    """It is kept under another name."""
    filled.publish()
    before = damage(filled.path, how)
    with pytest.raises(Damaged, match=r"^u1: .*is kept as u1\.damaged-.*the read copy of 20"), filled.transaction():
        pass
    assert aside(filled) == {"": before}
    with filled.transaction() as con:
        assert count(con) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_without_a_readable_copy_the_next_run_starts_afresh(filled: Warehouse, how: Damage) -> None:
    filled.publish()
    before = damage(filled.path, how)
    damage(filled.read_path, how)
    with pytest.raises(Damaged, match="the next run reads everything again"), filled.transaction():
        pass
    assert aside(filled) == {"": before}
    with filled.transaction() as con:
        assert count(con) == 0


def test_damage_that_shows_during_a_read_is_found_too(filled: Warehouse) -> None:
    with filled.transaction() as con:
        con.execute(
            "insert into finmap_requests select now(), null, uuid()::varchar, '', uuid()::varchar, 201, '', 1, null "
            "from range(20000)"
        )
    filled.publish()
    size = filled.path.stat().st_size
    third = size // 3
    damage(filled.path, lambda whole: whole[:third] + bytes(third) + whole[2 * third :])
    with pytest.raises(Damaged), filled.transaction() as con:
        con.execute("select max(path) from finmap_requests").fetchall()
    with filled.transaction() as con:
        assert count(con, "finmap_requests") == 20_000


def leave_a_log(said: Pipe, path: Path) -> None:
    con = duckdb.connect(path)
    con.execute("set wal_autocheckpoint = '1GB'")
    con.execute("pragma disable_checkpoint_on_shutdown")
    con.execute("insert into decisions select uuid()::varchar, '', '', 'dismiss', now() from range(5000)")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_damaged_log_costs_the_last_transaction_and_no_more(filled: Warehouse) -> None:
    assert in_another_process(leave_a_log, filled.path) is None
    log = filled.path.with_name("u1.duckdb.wal")
    half = log.stat().st_size // 2
    before = damage(log, lambda whole: whole[:half] + b"x" * 64 + whole[half + 64 :])
    said = r"u1\.duckdb\.wal was damaged .*Only the last transaction is lost"
    with pytest.raises(Damaged, match=said), filled.transaction():
        pass
    assert aside(filled) == {".wal": before}
    with filled.transaction() as con:
        assert (count(con), count(con, "decisions")) == (1, 0)


def test_a_log_that_a_kill_left_behind_is_taken_in(filled: Warehouse) -> None:
    in_another_process(leave_a_log, filled.path)
    with filled.transaction() as con:
        assert count(con, "decisions") == 5000


def test_a_file_replaced_by_another_process_is_not_set_aside(filled: Warehouse) -> None:
    filled.publish()
    damage(filled.path, lambda whole: b"")
    said = filled._set_aside(0, "not a valid DuckDB database")
    assert "Another process has already replaced it" in said
    assert aside(filled) == {}


def test_after_damage_the_next_sync_goes_on_and_doubles_nothing(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox
) -> None:
    days = run.connection.start_date, run.connection.start_date
    shop.put_transactions([transaction(n, days[0], amount=100 + n) for n in range(20)])
    sync(run, *days)
    run.warehouse.publish()
    shop.put_transactions([transaction(n, days[0], amount=100 + n) for n in range(20, 30)])
    sync(run, *days)  # not in the copy
    damage(run.warehouse.path, lambda whole: b"")
    with pytest.raises(Damaged):
        sync(run, *days)
    sync(run, *days)
    sums = sorted(operation["sum"] for operation in shop.operations())
    assert sums == [100 + n for n in range(30)]
    with run.warehouse.transaction() as con:
        assert con.execute("from differences").fetchall() == []


# -- The disk --


def write_with_little_room(said: Pipe, folder: Path, bytes_more: int) -> None:
    """Writes until the file may not grow: to a program that is as a full disk, and needs no disk."""
    warehouse = Warehouse(folder, "u1")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = warehouse.path.stat().st_size + bytes_more
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        with warehouse.transaction() as con:
            con.execute(
                "insert into decisions select uuid()::varchar, '', uuid()::varchar, 'approve', now() from range(100000)"
            )
        said.send("written")
    except WarehouseError as error:
        said.send(str(error))


def test_a_full_disk_is_reported_and_what_was_committed_stays(filled: Warehouse) -> None:
    before = filled.path.read_bytes()
    said = in_another_process(write_with_little_room, filled.path.parent, 500_000)
    assert said
    assert said.startswith("u1: ")
    assert "cannot be written" in said
    assert filled.path.read_bytes()[:4096] == before[:4096]
    with filled.transaction() as con:
        assert (count(con), count(con, "decisions")) == (1, 0)
    assert aside(filled) == {}


def write_as_nobody(said: Pipe, folder: Path) -> None:
    os.setuid(65534)
    try:
        with Warehouse(folder, "u1").transaction() as con:
            con.execute(ROW)
        said.send("written")
    except WarehouseError as error:
        said.send(str(error))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_without_write_permission_is_not_set_aside(filled: Warehouse) -> None:
    for folder in (filled.path.parent, *filled.path.parents):
        if folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    filled.path.chmod(0o444)
    said = in_another_process(write_as_nobody, filled.path.parent)
    assert said
    assert said.startswith("u1: ")
    assert "permission denied; give the files back" in said
    assert aside(filled) == {}


def test_a_read_copy_that_cannot_be_made_fails_no_run(filled: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    filled.read_path.parent.write_text("in the way of the folder")
    with filled.run(wait=0):
        pass
    assert "u1: the read copy could not be updated" in caplog.text
    assert not filled.is_running()


# -- Versions --


def as_of(version: int, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(path) as con:
        con.execute((SCHEMAS / f"{version}.sql").read_text("utf-8"))


def catalog(con: duckdb.DuckDBPyConnection) -> list[tuple]:
    """Every table, column, default, constraint, comment, view and macro of a file."""
    return con.execute(
        """
        select table_name, column_name, data_type, is_nullable::varchar, column_default, comment
        from duckdb_columns() where not internal
        union all
        select table_name, constraint_text, '', '', '', '' from duckdb_constraints()
        union all
        select table_name, '', '', '', '', comment from duckdb_tables() where not internal
        union all
        select view_name, sql, '', '', '', '' from duckdb_views() where not internal
        union all
        select function_name, macro_definition, parameters::varchar, '', '', '' from duckdb_functions()
        where not internal
        order by all
        """
    ).fetchall()


@MADE
@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_file_of_each_released_version_becomes_as_a_new_one_is(project: Path, version: int) -> None:
    old, new = Warehouse(project / "old", "u1"), Warehouse(project / "new", "u1")
    as_of(version, old.path)
    with old.transaction() as con:
        migrated = catalog(con)
        assert con.execute("select max(version) from schema_version").fetchone() == (SCHEMA_VERSION,)
    with new.transaction() as con:
        assert migrated == catalog(con)


def migrate_and_die(said: Pipe, folder: Path) -> None:
    """Dies in the middle of the migration: after its last step, before the commit."""
    step = schema.sql

    def dying(name: str) -> str:
        if name == "views":
            os.kill(os.getpid(), signal.SIGKILL)
        return step(name)

    schema.sql = dying  # type: ignore[assignment]
    with Warehouse(folder, "u1").transaction():
        said.send("migrated")


def test_a_killed_migration_is_rolled_back_and_done_next_time(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    as_of(1, warehouse.path)
    with duckdb.connect(warehouse.path) as con:
        con.execute(ROW)
        before = catalog(con)
    assert in_another_process(migrate_and_die, warehouse.path.parent) is None
    with duckdb.connect(warehouse.path) as con:
        assert catalog(con) == before
    with warehouse.transaction() as con:
        assert (count(con), count(con, "schema_version")) == (1, 2)


OLD_LEDGER = """
    insert into finmap_upload by name
    select
        l.external_id, l.transaction_id, l.generation, l.day, l.written.type as type,
        case l.state when 'refused' then 'rejected' when 'rolled_back' then 'dismissed' else l.state end as state,
        l.written.amount as amount, l.written.occurred_at as occurred_at, l.written.account as account,
        l.written.category as category, l.written.tag as tag, l.written.comment as comment,
        '' as content_hash, l.attempts, l.last_error, l.next_attempt_at, l.sent_at, l.verified_at, l.run_id
    from now.finmap_upload l
    join now.operations o using (transaction_id)
"""


def put_back(warehouse: Warehouse, version: int) -> None:
    """The same data in a file of that version."""
    old = warehouse.path.with_suffix(".old")
    as_of(version, old)
    with duckdb.connect(old) as con:
        con.execute(f"attach '{warehouse.path}' as now (read_only)")
        con.execute("alter table operations alter content_hash drop not null")  # since version 6 nobody makes one
        if version >= 3:
            con.execute("alter table tasks alter others drop not null")  # since version 6 it has another name
        both = con.execute(
            """
            select o.table_name, string_agg(o.column_name, ', ')
            from duckdb_columns() o
            join duckdb_columns() n using (table_name, column_name)
            where o.database_name = 'u1' and n.database_name = 'now' and o.table_name in (from duckdb_tables() select
                table_name) and o.table_name not in ('schema_version', 'plan')
            group by all
            """
        ).fetchall()
        for table, columns in both:
            if table != "finmap_upload" or version >= 3:
                con.execute(f"insert into {table} ({columns}) select {columns} from now.{table}")
        if version < 3:
            con.execute(OLD_LEDGER)
        con.execute("detach now")
    os.replace(old, warehouse.path)


def test_the_data_of_the_first_version_is_delivered_on(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    """A warehouse filled under version 1 loses nothing by the migration, and nothing is written again."""
    day = run.connection.start_date
    shop.put_transactions([transaction(n, day, amount=100 + n) for n in range(5)])
    sync(run, day, day)
    put_back(run.warehouse, 1)
    sandbox.forget_requests()
    sync(run, day, day)
    assert sandbox.requests("finmap", path="/operations/income") == []
    with run.warehouse.transaction() as con:
        assert con.execute("select count(*) from current_uploads where state = 'verified'").fetchone() == (5,)
        assert con.execute("from plan").fetchall() == []


def test_the_data_of_version_3_gets_no_new_versions(run: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    """Since version 4, a record's hash covers only the fields that are read."""
    day = run.connection.start_date
    shop.put_transactions([transaction(n, day, amount=100 + n) for n in range(5)])
    sync(run, day, day)
    with run.warehouse.transaction() as con:
        hashes = con.execute("select transaction_id, content_hash from raw_sitniks_transactions order by 1").fetchall()
        con.execute("update raw_sitniks_transactions set content_hash = md5(payload::varchar)")
    old = run.warehouse.path.with_suffix(".old")
    as_of(3, old)
    with duckdb.connect(old) as con:
        con.execute(f"attach '{run.warehouse.path}' as now (read_only)")
        for table in ("raw_sitniks_transactions", "complete_reads", "finmap_upload", "identity", "installation"):
            con.execute(f"insert into {table} by name from now.{table}")
        con.execute("detach now")
    os.replace(old, run.warehouse.path)
    sandbox.forget_requests()
    sync(run, day, day)
    with run.warehouse.transaction() as con:
        now = con.execute("select transaction_id, content_hash from raw_sitniks_transactions order by 1").fetchall()
    assert now == hashes
    assert [one for one in sandbox.requests("finmap") if one.method in ("PATCH", "DELETE")] == []
    assert sandbox.requests("finmap", path="/operations/income") == []


def test_what_changed_lists_held_is_held_in_the_new_schema(project: Path) -> None:
    warehouse = Warehouse(project / "data", "u1")
    as_of(4, warehouse.path)
    with duckdb.connect(warehouse.path) as con:
        con.execute("insert into held_statuses values ('2026-03-05 12:00:00+00')")
        for order, day in ((1, 4), (2, 6)):
            con.execute(
                """
                insert into operations by name
                select 'order-' || $1 || '.sale' as transaction_id, 'k' || $1 as external_id, date '2026-03-04' as day,
                    make_timestamptz(2026, 3, $2, 10, 0, 0) as occurred_at, 'income' as type, 1 as amount,
                    'UAH' as currency, 'sale' as classification, 'a' as account, '' as comment, 1 as raw_version,
                    $1 as order_key, '' as content_hash
                """,
                [str(order), day],
            )
    with warehouse.transaction() as con:
        assert con.execute("from restaged_orders").fetchall() == [("1",)]


DERIVED = [
    "from operations order by all",
    "from unbooked_orders order by all",
    "from rejected_transactions order by all",
    "select * exclude (meaning_hash) from order_stages order by all",
    "select order_id, version, fields from raw_sitniks_orders order by all",
]


def test_the_orders_of_version_4_are_derived_as_before(keep_orders: KeepOrders) -> None:
    """Since version 5, the fields of an order are read when it is stored."""
    books = keep_orders()
    books.order(1, "Передплата", prepayment=30)
    books.order(2, "Виконано", lines=[("12.50", "2"), (5, "0.5")])
    books.order(3, "Новий")
    books.order(4, "Виконано", "сто")
    books.sync()
    books.order(1, "Виконано", prepayment=30)
    books.sync()
    assert books.written()
    derived = [books.rows(query) for query in DERIVED]
    assert all(derived)
    books.warehouse.close()
    put_back(books.warehouse, 4)
    with books.warehouse.transaction() as con:
        assert con.execute("select count(*) from raw_sitniks_orders where fields is null").fetchone() == (5,)
        con.execute("update order_stages set meaning_hash = null")
    books.sync()
    assert books.written() == []
    assert [books.rows(query) for query in DERIVED] == derived
