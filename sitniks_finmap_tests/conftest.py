"""What every test works with: the sandbox over real HTTP, a connection to it, a warehouse in a folder of its own."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, settings
from tenacity import wait_none

from sitniks_finmap.cli.entry import main
from sitniks_finmap.clients import sitniks
from sitniks_finmap.clients.sitniks import Sitniks
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.text_files import load_env
from sitniks_finmap.warehouse.store import SETTINGS, Warehouse, open_warehouse
from sitniks_finmap_tests.books import START, Books, OpenWarehouse
from sitniks_finmap_tests.deliveries import courier_of, run_of
from sitniks_finmap_tests.inboxes import Inbox, Telegram
from sitniks_finmap_tests.order_books import LISTS, KeepOrders, furnish
from sitniks_finmap_tests.plain_settings import PLAIN
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.screens import ANY_MARK, Doctor
from sitniks_finmap_tests.staging import Stage
from sitniks_finmap_tests.warehouses import attached, begun, open_begun

# No test depends on how fast the machine is.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

LONG = ("runs", "simulation", "fuzz", "chaos", "kill")
LONGEST = 600  # seconds of a test of these suites
AS_SHIPPED = ("simulation", "fuzz", "chaos", "kill")  # suites in which DuckDB runs as people run it
SHARED_APIS = Path(__file__).parents[2] / "shared" / "apis"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="1/1", help="run every third of the tests, beginning with the second: 2/3")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, so that no process of pytest is left alone with one: those with the longest time-out.

    A test of the long suites has ten minutes, unless it says otherwise: it may share the machine with others.
    """

    def longest(item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        return -marker.args[0] if marker else 0

    items.sort(key=longest)
    for item in items:
        if not item.get_closest_marker("timeout") and is_of(item, *LONG):
            item.add_marker(pytest.mark.timeout(LONGEST))
    share, shares = map(int, str(config.getoption("share")).split("/"))
    items[:] = items[share - 1 :: shares]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a test wants to have said (`record_property("said", …)`), from whichever process it ran in."""
    for report in (one for ended in ("passed", "failed") for one in terminalreporter.stats.get(ended, [])):
        for name, value in getattr(report, "user_properties", ()):
            if name == "said" and report.when == "call":
                terminalreporter.write_line(value)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def migrations() -> Iterator[None]:
    """Of Dagster's databases: read once, and not for every instance in memory."""
    read = ScriptDirectory.from_config
    known: dict[tuple[str | None, ...], ScriptDirectory] = {}

    def directory(config: Config) -> ScriptDirectory:
        places = config.get_main_option("script_location"), config.get_main_option("version_locations")
        if places not in known:
            known[places] = read(config)
        return known[places]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", directory)
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def shop(sandbox: Sandbox) -> Shop:
    return sandbox.shop()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder of its own, with nothing of the environment; and of its .env nothing stays."""
    monkeypatch.chdir(tmp_path)
    for variable in (
        "SITNIKS_FINMAP_CONNECTIONS", "SITNIKS_FINMAP_DATA", "SITNIKS_FINMAP_LANGUAGE", "SITNIKS_FINMAP_UI_URL",
        "DAGSTER_HOME", "ALERT_URLS", "HEARTBEAT_URL",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # the limiters of this test are nobody else's
    yield tmp_path
    load_env(tmp_path / "none")


@pytest.fixture(autouse=True)
def optimizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's optimizer: off in quick tests, on in simulation, fuzz and chaos; a test may ask for either."""
    if getattr(request, "param", "on" if is_of(request.node, *AS_SHIPPED) else "off") == "off":
        for name, value in PLAIN.items():
            monkeypatch.setitem(SETTINGS, name, value)


@pytest.fixture(autouse=True)
def new_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of new warehouses: copies of one in quick tests, made in the others; a test may ask for either."""
    if getattr(request, "param", "made" if is_of(request.node, *AS_SHIPPED) else "copied") == "copied":
        monkeypatch.setattr("sitniks_finmap.warehouse.store.open_file", open_begun)


def is_of(test: pytest.Item, *suites: str) -> bool:
    return any(test.get_closest_marker(suite) for suite in suites)


@pytest.fixture
def connect(sandbox: Sandbox, project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Connection]:
    """Writes connections to the sandbox into connections.toml and returns the last; no rate limit unless asked."""
    tables: dict[str, dict[str, Any]] = {}

    def connect(name: str = "u1", shop: str = "demo", **settings: Any) -> Connection:
        tenant = sandbox.shop(shop)
        monkeypatch.setenv(f"{name.upper()}_SITNIKS_API_KEY", tenant.sitniks_key)
        monkeypatch.setenv(f"{name.upper()}_FINMAP_API_KEY", tenant.finmap_key)
        tables[name] = {
            "start_date": date(2025, 1, 10),
            "finmap_account": "Каса",
            "sitniks_url": sandbox.sitniks_url,
            "finmap_url": sandbox.finmap_url,
            "sitniks_requests_per_second": 0,
            "finmap_requests_per_second": 0,
            **settings,
        }
        text = "\n".join(_table(name, table) for name, table in tables.items())
        (project / "connections.toml").write_text(text, "utf-8")
        return Connection.model_validate({"name": name, **tables[name]})

    return connect


@pytest.fixture
def connection(connect: Callable[..., Connection]) -> Connection:
    return connect()


@pytest.fixture
def client(connection: Connection) -> Sitniks:
    """The client of the connection; between two attempts no time passes."""
    return sitniks.connect(connection, sleep=lambda seconds: None)


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, connection: Connection) -> Iterator[Warehouse]:
    """In quick tests its file stays attached from one transaction to the next: to attach it takes longer than most."""
    warehouse = begun(open_warehouse(connection))
    with nullcontext() if is_of(request.node, "runs", *AS_SHIPPED) else attached(warehouse):
        yield warehouse


@pytest.fixture
def run(connection: Connection, warehouse: Warehouse) -> ConnectionRun:
    """The clients and the warehouse of the connection, without Dagster."""
    return run_of(connection, warehouse)


@pytest.fixture
def clock(sandbox: Sandbox) -> Clock:
    """The clock of the sandbox and of the courier, which only a test moves."""
    sandbox.clock = clock = Clock()
    return clock


@pytest.fixture
def courier(run: ConnectionRun, clock: Clock) -> Courier:
    """Delivers the operations of the connection."""
    return courier_of(run, now=clock)


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One empty file for all tests of a module; each leaves it as it was."""
    return Warehouse(tmp_path_factory.mktemp("staging"), "u1")


@pytest.fixture
def stage(staging: Warehouse) -> Iterator[Stage]:
    settings = {"name": "u1", "start_date": date(2015, 1, 1), "finmap_account": "Каса"}
    with staging.transaction() as con:
        yield Stage(con, Connection.model_validate(settings), staging)
        con.rollback()
        con.begin()


@pytest.fixture(autouse=True)
def closed_books() -> Iterator[None]:
    yield
    for one in OpenWarehouse.all_open.copy():
        one.close()


@pytest.fixture
def keep_books(connect: Callable[..., Connection], sandbox: Sandbox) -> Callable[..., Books]:
    """Books of the shop "demo" under these settings, on a clock that only a test and a sync move."""
    clock = Clock()
    sandbox.clock = clock
    return lambda **settings: Books(sandbox, sandbox.shop(), connect(**{"start_date": START, **settings}), clock)


@pytest.fixture
def books(keep_books: Callable[..., Books]) -> Books:
    return keep_books()


@pytest.fixture
def keep_orders(keep_books: Callable[..., Books], sandbox: Sandbox) -> KeepOrders:
    """Books of a shop whose source is its orders, posted without review unless a test says otherwise."""
    furnish(sandbox.shop())

    def keep(orders: dict[str, Any] | None = None, **settings: Any) -> Books:
        return keep_books(**{"source": "orders", "first_import": "post", "orders": LISTS | (orders or {}), **settings})

    return keep


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command; its exit code and what it printed. Nothing of it may be a traceback."""
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())
    monkeypatch.setattr("sitniks_finmap.cli.sync_commands.show_progress", lambda: None)

    def run() -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["sitniks-finmap", "doctor"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        findings = [line for line in printed.out.splitlines() if line.startswith(" ")]
        assert [line for line in findings if line.strip()[:1] not in ANY_MARK] == []
        assert isinstance(ended.value.code, int)
        assert ended.value.code == (1 if "✗" in printed.out else 0)
        return ended.value.code, printed.out

    return run


@pytest.fixture
def dagster(project: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(project)) as instance:
        yield instance


@pytest.fixture
def home(dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands keep their runs in memory, for a new database takes seconds, and show no progress."""
    monkeypatch.setattr("sitniks_finmap.defs.launch.instance", lambda: nullcontext(dagster))
    monkeypatch.setattr("sitniks_finmap.cli.sync_commands.show_progress", lambda: None)
    monkeypatch.setattr("sitniks_finmap.cli.terminal.show_progress", lambda: None)


@pytest.fixture
def command(
    home: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Any, str]]:
    """Runs a command as a shell does; its exit code, and all that it printed."""

    def command(*arguments: str) -> tuple[Any, str]:
        monkeypatch.setattr("sys.argv", ["sitniks-finmap", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return ended.value.code, printed.out + printed.err

    return command


def _table(name: str, settings: dict[str, Any]) -> str:
    lines = [f"[{name}]"]
    nested = []
    for field, value in settings.items():
        field = field if re.fullmatch(r"[A-Za-z0-9_-]+", field) else f'"{field}"'
        match value:
            case dict():
                nested.append(_table(f"{name}.{field}", value))
            case date():
                lines.append(f"{field} = {value.isoformat()}")
            case bool():
                lines.append(f"{field} = {str(value).lower()}")
            case int() | float():
                lines.append(f"{field} = {value}")
            case _:
                lines.append(f"{field} = {value!r}".replace("'", '"'))
    return "\n".join([*lines, *nested])


# -- Who gets messages --------------------------------------------------------------------------------------------


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    yield from _inbox("ALERT_URLS", monkeypatch)


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    yield from _inbox("OWNER_URL", monkeypatch)


def _inbox(variable: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    inbox = Inbox()
    monkeypatch.setenv(variable, inbox.url)
    yield inbox
    inbox.close()


@pytest.fixture
def telegram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telegram]:
    telegram = Telegram()
    monkeypatch.setattr("apprise.plugins.telegram.NotifyTelegram.notify_url", telegram.address)
    yield telegram
    telegram.close()


@pytest.fixture
def room_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full the disk is that the tests run on."""
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_BYTES", 0)
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_SHARE", 0)
