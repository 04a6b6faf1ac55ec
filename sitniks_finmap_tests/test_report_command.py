"""`sitniks-finmap report` and the asset `report`: where the pages are, who may read them, and how each ends."""

import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.directory import save_directory
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.report.shop import page_of, report_of
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import report_path
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.pages import elements, plain
from sitniks_finmap_tests.records import DAY, transaction
from sitniks_finmap_tests.staging import DIRECTORY
from sitniks_finmap_tests.warehouses import begun
from sitniks_finmap_tests.years import fill

pytestmark = pytest.mark.runs

Command = Callable[..., tuple[Any, str]]
TODAY = datetime.now(UTC).date()


def is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def headline(path: Path) -> str:
    (found,) = [one.text for one in elements(path.read_text("utf-8"), "p") if one.attributes.get("class") == "headline"]
    return found.strip(" ✓!✗")


@pytest.fixture
def synced(connect: Callable[..., Connection], shop: Shop) -> Connection:
    """A shop that has just been synced."""
    connection = connect(start_date=TODAY - timedelta(days=2))
    shop.put_transactions([transaction(n, TODAY - timedelta(days=1), amount=100 + n) for n in range(3)])
    sync(ConnectionRun(connection, begun(open_warehouse(connection)), "run-1"), connection.start_date, TODAY)
    return connection


def test_the_page_of_a_first_sync_calls_nothing_late(
    connect: Callable[..., Connection], shop: Shop, command: Command
) -> None:
    """The sync that writes it has not ended yet."""
    connect(start_date=TODAY - timedelta(days=2))
    shop.put_transactions([transaction(1, TODAY - timedelta(days=1))])
    assert command("sync")[0] == 0
    assert headline(report_path("u1")) == "Finmap і Sitniks збігаються до копійки."


def test_each_shop_has_a_private_page_and_an_index(synced: Connection, command: Command) -> None:
    code, said = command("report")
    assert (code, "Traceback" in said) == (0, False)
    page = report_path("u1")
    assert f"file://{page}" in said
    assert "u1: Finmap і Sitniks збігаються до копійки." in said
    assert headline(page) == "Finmap і Sitniks збігаються до копійки."
    index = page.with_name("index.html")
    assert [one.attributes["href"] for one in elements(index.read_text("utf-8"), "a")] == ["u1.html"]
    assert is_private(page)
    assert is_private(index)
    assert "303,00 ₴" in plain(page.read_text("utf-8"))


def test_it_asks_neither_api(synced: Connection, command: Command, sandbox: Sandbox) -> None:
    sandbox.forget_requests()
    command("report")
    assert [*sandbox.requests("sitniks"), *sandbox.requests("finmap")] == []


def test_a_month_and_a_file_can_be_chosen(synced: Connection, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "звіти" / "листопад.html"
    assert command("report", "--output", str(file), "--month", f"{TODAY:%Y-%m}")[0] == 0
    assert headline(file).startswith("Finmap і Sitniks збігаються")
    assert not report_path("u1").exists()
    for wrong in ("2026-13", "11.2026", "2030-01", "2014-01"):
        code, said = command("report", "--month", wrong)
        assert code == 2
        assert "month" in said


def test_a_page_is_opened_on_request(synced: Connection, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    command("report", "--connection", "u1", "--open")
    command("report", "--open")
    assert [Path(one).name for one in opened] == ["u1.html", "index.html"]


def test_a_shop_that_was_never_read_has_a_clear_page(connection: Connection, command: Command) -> None:
    assert command("report")[0] == 0
    assert headline(report_path("u1")) == "Цей магазин іще не синхронізовано."


def test_a_broken_file_makes_a_clear_page(synced: Connection, command: Command) -> None:
    warehouse = open_warehouse(synced)
    warehouse.read_path.unlink(missing_ok=True)
    warehouse.path.write_bytes(b"no database" * 5000)
    code, said = command("report")
    assert (code, "Traceback" in said) == (0, False)  # it was set aside: the next sync reads everything again
    assert "пошкоджений файл даних відкладено вбік" in report_path("u1").read_text("utf-8").lower()


def test_a_file_of_a_newer_version_makes_an_error(synced: Connection, command: Command) -> None:
    with open_warehouse(synced).transaction() as con:
        con.execute("update schema_version set version = 999")
    code, said = command("report")
    assert code == 1
    assert "Дані цього магазину зараз неможливо прочитати." in said
    assert "newer sitniks_finmap" in report_path("u1").read_text("utf-8")
    assert "u1.html" in report_path("u1").with_name("index.html").read_text("utf-8")


def test_a_page_that_cannot_be_written_is_an_error(synced: Connection, command: Command) -> None:
    report_path("u1").parent.write_text("in the way", "utf-8")
    code, said = command("report", "--connection", "u1")
    assert code == 1
    assert "Traceback" not in said


def test_an_invalid_table_is_in_the_index(synced: Connection, command: Command, project: Path) -> None:
    with (project / "connections.toml").open("a", encoding="utf-8") as file:
        file.write("\n[shop_2]\nstart_date = 2026-01-01\n")
    code, said = command("report")
    assert code == 2
    assert "shop_2: finmap_account is missing" in said
    index = report_path("u1").with_name("index.html").read_text("utf-8")
    assert index.index("shop_2") < index.index("u1.html")
    assert "finmap_account is missing" in index


def test_a_year_of_36000_operations_is_small(connect: Callable[..., Connection], record_property: Any) -> None:
    connection = connect(start_date=date(2025, 11, 20))
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    warehouse = begun(open_warehouse(connection))
    with warehouse.transaction() as con:
        save_directory(con, connection, DIRECTORY)
        fill(con, now.date(), 36_000)
    html = page_of(report_of(connection, warehouse, now), now)
    record_property("said", f"the report of a year has {len(html.encode()):,} bytes")
    assert len(html.encode()) < 400_000
    assert "36 000 операцій" in plain(html)


# -- The asset --


def test_a_sync_writes_the_report_and_shows_its_chart(
    connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    shop.put_transactions([transaction(n, DAY - timedelta(days=n), amount=100 + n) for n in range(2)])
    sandbox.fault(Fault("status", "sitniks", path="/transactions", status=500, times=9))
    assert not run_job(dagster, connection, "sync", DAY - timedelta(days=1), DAY).success

    ended = run_job(dagster, connection, "sync", DAY - timedelta(days=1), DAY)

    assert ended.success
    page = report_path("u1")
    assert is_private(page)
    html = page.read_text("utf-8")
    # The sync that failed before is over, and this one is not reported as broken off.
    assert "синхронізація несподівано" not in html
    entries = dagster.all_logs(ended.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = {}
    for entry in entries:
        assert entry.dagster_event
        one = entry.dagster_event.step_materialization_data.materialization
        if one.asset_key.path == ["u1", "report"] and "file" in one.metadata:
            found[one.partition] = {name: value.value for name, value in one.metadata.items()}
    assert [*found] == [str(DAY)]
    shown = found[str(DAY)]
    assert shown["file"] == str(page)
    assert shown["open"] == page.as_uri()
    assert str(shown["chart"]).startswith("![](data:image/svg+xml;base64,")
    assert "Клієнт" not in str(shown)
