"""Nothing leaks: no key anywhere but in the environment and on the wire, no customer anywhere but in the warehouse and
in Finmap; whatever goes wrong, and whoever asks.
"""

import hashlib
import logging
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from rich.console import Console
from tenacity import wait_none

from sitniks_finmap.clients.answers import Unavailable
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import RateLimiter
from sitniks_finmap.clients.reasons import without_echo
from sitniks_finmap.defs.launch import Run, instance, run_job
from sitniks_finmap.people.preview import print_plan
from sitniks_finmap.people.query import read_only
from sitniks_finmap.people.run_page import print_runs, print_state
from sitniks_finmap.people.status import fleet_of
from sitniks_finmap.people.status_page import print_fleet
from sitniks_finmap.pipeline import transform
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, FaultKind, Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import choose_any
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.dagster_runs import told_by_alerts
from sitniks_finmap_tests.deliveries import courier_of, stage
from sitniks_finmap_tests.leak_search import as_text, in_any_form
from sitniks_finmap_tests.records import DAY, transaction

pytestmark = pytest.mark.runs

CUSTOMERS = ["Квітослава", "Неповторна", "770011", "(099) 770-22", "kvitoslava", "@kvitka_n"]


# -- A run with every fault on, and the command --


def customer_rows() -> list[dict[str, Any]]:
    """Transactions that name a customer wherever one may be named, also where it makes them unreadable."""
    name, phone, mail, nick = "Квітослава Неповторна", "+38 (099) 770-22-33", "kvitoslava@example.com", "@kvitka_n"
    client = {"id": 770011, "fullname": name, "phone": phone, "email": mail, "instagram": nick}
    paid = f"Оплата від {name}, {phone}"  # the refusals quote it, whichever operation they meet
    rows = [
        transaction(n, DAY, description=paid, counterparty=nick if n % 2 else mail, client=client) for n in range(1, 20)
    ]
    wrong = [
        {"amount": f"сто від {name}"}, {"date": f"вчора, {phone}"}, {"currency": name}, {"amount": mail}, {"id": None},
    ]  # fmt: skip
    rows += [transaction(20 + n, DAY, client=client) | one for n, one in enumerate(wrong)]
    rows.append(transaction(30, DAY, description=paid, source=name, order={"id": 7, "client": client, "source": nick}))
    return rows


def every_fault(sandbox: Sandbox) -> None:
    kinds: list[FaultKind] = [
        "drop_after", "drop_before", "html", "html_after", "truncated", "error_201", "stored", "queued", "status",
    ]  # fmt: skip
    for kind in kinds:
        sandbox.fault(Fault(kind, "finmap", method="POST", path="/operations/income"))
    for kind in ("drop_before", "html", "html_403", "truncated", "page_shift", "page_short", "count_lies", "status"):
        sandbox.fault(Fault(kind, "sitniks"))
    sandbox.fault(Fault("status", "sitniks", status=429, headers={"Retry-After": "0"}))
    echo = '{"message": ["comment: Оплата від Квітослава Неповторна, +38 (099) 770-22-33 | Квітосл"]}'
    for status in (400, 404, 409, 422):
        sandbox.fault(Fault("status", "finmap", method="POST", path="/operations/income", status=status, body=echo))


def said_by(command: list[str], cwd: Path, arguments: set[str]) -> str:
    """What a command prints, its traceback included; `arguments` gathers what `ps` would show of it."""
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        with suppress(OSError):
            arguments.add(Path(f"/proc/{process.pid}/cmdline").read_text())
        return process.communicate(timeout=100)[0]


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_no_fault_leaks_a_key_or_a_customer(
    connect: Callable[..., Connection], project: Path, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Customers are in the warehouse and in Finmap only, keys in no file at all."""
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    connection = connect(source_as_tag=True)
    for row in customer_rows():
        shop.put_transaction(row, datetime(2025, 1, 15, 9, tzinfo=UTC))
    shop.put_order({"id": 7, "createdAt": "2025-01-15T10:00:00Z", "client": {"fullname": "Квітослава Неповторна"}})
    caplog.set_level(logging.DEBUG)
    for logger in ("urllib3", "sitniks_finmap", "dagster"):
        caplog.set_level(logging.DEBUG, logger)

    messages: list[str] = []

    def sync(dagster: dg.DagsterInstance) -> Run:
        ended = run_job(dagster, connection, "sync", DAY - timedelta(days=1), DAY)
        messages.extend(told_by_alerts())
        return ended

    with instance() as dagster:
        every_fault(sandbox)
        endings = [sync(dagster)]
        sandbox.clear_faults()
        for trouble in (
            Fault("status", "finmap", path="/operations", status=401, body='{"message": "Квітослава"}', times=None),
            Fault("page_short", "sitniks", path="/transactions", times=None),
            Fault("status", "sitniks", status=400, body='{"message": "createdAtFrom"}', times=None),
        ):
            sandbox.fault(trouble)
            endings.append(sync(dagster))
            sandbox.clear_faults()
        with monkeypatch.context() as broken:
            broken.setattr(transform, "derive", quote_a_record)
            endings.append(sync(dagster))
    assert [ended.success for ended in endings] == [True, False, False, False, False]

    arguments: set[str] = set()
    program = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()"]
    days = ["--from", str(DAY), "--to", str(DAY)]
    printed = [said_by([*program, *one], project, arguments) for one in (["status"], ["doctor"], ["sync", *days])]
    shop.revoke("sitniks")
    printed.append(said_by([*program, "sync", *days], project, arguments))
    assert "refused the key" in printed[-1]
    assert any("refused" in one or "rejected" in one for one in printed)
    assert arguments

    keys = [shop.sitniks_key, shop.finmap_key]
    said = "\n".join([caplog.text, *capfd.readouterr(), *printed, *messages, *(ended.why for ended in endings)])
    assert len(set(messages)) >= 4
    assert "urllib3" in said  # DEBUG is on
    assert [word for word in keys + CUSTOMERS if word in said] == []
    assert [word for word in keys + CUSTOMERS for one in arguments if word in one] == []
    asked = "".join(f"{one.path}?{one.query}" for one in sandbox.requests())
    assert [word for word in keys if word in asked] == []

    # Byte by byte: the warehouse and its copy hold the customers and no key, no other file holds either.
    warehouse = open_warehouse(connection)
    own = (warehouse.path, warehouse.read_path)
    files = [path for path in project.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        wanted = keys if path in own else keys + CUSTOMERS
        assert [(str(path), word) for word in wanted for form in in_any_form(word) if form in content] == []
    for path in own:
        text = as_text(path)
        assert [word for word in keys if word in text] == []
        assert [word for word in CUSTOMERS if word not in text] == []
    assert any("Квітослава" in one["comment"] for one in shop.operations())
    modes = {
        path.relative_to(project).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (project / "data", project / "home", *(project / "data").rglob("*"))
    }
    assert {one for one, mode in modes.items() if mode != (0o700 if (project / one).is_dir() else 0o600)} == set()


def quote_a_record(*arguments: Any) -> None:
    raise duckdb.ConversionException("Could not convert string 'Квітослава Неповторна 770011' to DECIMAL")


# -- Every field of a record --

MARKER = "Zqxmarker"
MARKED_FIELDS = [
    "date", "createdAt", "amount", "description", "comment", "counterparty", "client.fullname", "client.name",
    "client.email", "client.instagram", "client.phone", "client.id", "source", "salesChannel", "salesChannel.title",
    "order.client.fullname", "order.salesChannel.title", "order.source", "order.orderNumber", "order.delivery",
    "order.status.title", "order.id", "orderNumber", "orderId", "orderStatus", "paymentMethod", "delivery", "currency",
    "currency.code", "currency.title", "currencyId", "currencyCode", "settlementAccount", "settlementAccount.id",
    "settlementAccount.title", "settlementAccount.currency", "settlementAccountId", "type", "direction",
    "operationType", "sign", "category.type", "manager", "responsible.user.fullname",
]  # fmt: skip
MARKED_ORDER_FIELDS = [
    "id", "orderNumber", "createdAt", "status", "status.title", "orderStatus", "client.fullname", "client.email",
    "salesChannel.title", "managerComment", "totalPrice",
]  # fmt: skip


def marked(row: dict[str, Any], field: str, word: str) -> dict[str, Any]:
    """The row with this word in one field, which may lie deeper."""
    *path, last = field.split(".")
    row = inner = dict(row)
    for name in path:
        inner[name] = dict(found) if isinstance(found := inner.get(name), dict) else {}
        inner = inner[name]
    inner[last] = word
    return row


@pytest.mark.timeout(300)
def test_no_field_of_a_record_is_quoted_outside_of_the_warehouse(
    connect: Callable[..., Connection], project: Path, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each field of what was delivered is replaced by a word that nothing else has: metadata, logs, checks, messages
    and all of Dagster's files do not know it. Of what `status` showed, the settlement account alone is kept.
    """
    monkeypatch.setenv("DAGSTER_HOME", str(project / "home"))
    sound = {"amount": 100, "description": "Оплата", "settlementAccountId": 7}
    order = {"status": {"title": "Новий"}}
    connection = connect(source_as_tag=True, accounts={"7": "Каса"}, unmapped_accounts="reject", max_change_share=1)
    for logger in ("sitniks_finmap", "dagster"):
        caplog.set_level(logging.DEBUG, logger)
    fields = [*MARKED_FIELDS, *(f"currency of {one}" for one in ("ZQX", "iva"))]
    days = [datetime(2025, 1, 11 + n // 5, 10, tzinfo=UTC) for n in range(len(fields))]  # a preview shows five of a day
    for n, at in enumerate(days):
        shop.put_transaction({"id": f"t{n}", "createdAt": at.isoformat(), **sound}, at)
    for n, at in enumerate(days[:: len(days) // len(MARKED_ORDER_FIELDS)]):
        shop.put_order({"id": n, "createdAt": at.isoformat(), **order}, at)
    with instance() as dagster:
        endings = [run_job(dagster, connection, "sync", DAY - timedelta(days=5), DAY + timedelta(days=6))]
        for n, (at, field) in enumerate(zip(days, fields, strict=True)):
            row = {"id": f"t{n}", "createdAt": at.isoformat(), **sound}
            word = field.removeprefix("currency of ")
            shop.put_transaction(
                row | {"currency": word} if word != field else marked(row, field, f"{MARKER} {field}"), at
            )
        apart = days[:: len(days) // len(MARKED_ORDER_FIELDS)]
        for n, (at, field) in enumerate(zip(apart, MARKED_ORDER_FIELDS, strict=False)):
            shop.put_order(marked({"id": n, "createdAt": at.isoformat(), **order}, field, f"{MARKER}-{field}"), at)
        endings.append(run_job(dagster, connection, "sync", DAY - timedelta(days=5), DAY + timedelta(days=6)))
        messages = told_by_alerts()
        events = "\n".join(
            repr(entry) for one in endings for entry in dagster.all_logs(one.run_id)
        )  # fmt: skip
    assert [ended.why for ended in endings] == [""] * 2
    warehouse = open_warehouse(connection)
    with warehouse.transaction() as con:
        waiting = con.execute("select distinct why from plan where standing = 'pending'").fetchall()
        written = con.execute(f"select count(*) from rejected_transactions where contains(written, '{MARKER}')")
        assert written.fetchone() == (9,)  # amount, dates, currencies, settlement accounts: for people it is kept
    assert len(waiting) >= 4
    said = "\n".join(
        [caplog.text, *capfd.readouterr(), events, *messages, *(ended.why for ended in endings), str(waiting)]
    )
    assert messages
    assert [line for line in said.splitlines() if MARKER.lower() in line.lower()] == []
    assert not re.search(r"\b(ZQX|IVA)\b", said, re.IGNORECASE)
    own = (warehouse.path, warehouse.read_path, warehouse.path.with_suffix(".duckdb.wal"))
    files = [path for path in project.rglob("*") if path.is_file() and path not in own]
    assert any(path.suffix == ".db" for path in files)
    kept = {path: path.read_bytes().lower() for path in files}
    seen = project / "data" / "seen" / "u1.json"
    kept[seen] = kept[seen].replace(f"{MARKER} settlementAccountId".lower().encode(), b"")
    assert [str(path) for path, text in kept.items() if MARKER.lower().encode() in text] == []
    assert any(MARKER in one["comment"] for one in shop.operations())  # in Finmap it belongs


# -- What is shown of a reason --


def test_a_refusal_is_shown_without_the_words_of_the_record() -> None:
    told = "Оплата від Іваненко | Контрагент: ivan@example.com | +38 (099) 111-22-33"
    said = "400 comment: 'Оплата від ІВАНЕНКО', ivan@exam; 38 099 111; accountToId: not found"
    assert without_echo(said, told) == "400 comment: '…; accountToId: not found"
    assert without_echo("400 amount must be positive", told) == "400 amount must be positive"


def test_status_and_summary_tell_reasons_and_no_values(
    run: ConnectionRun, shop: Shop, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:

    shop.put_transaction(transaction(1, DAY, description="Оплата від Квітослава Неповторна"))
    shop.put_transaction(transaction(8, DAY, amount="сто від Квітослава"))
    shop.put_transaction(transaction(9, DAY, amount="двісті, 770011"))
    body = '{"message": "Оплата від Квітослава Непов: too bad"}'
    sandbox.fault(Fault("status", "finmap", method="POST", status=400, body=body))
    stage(run, DAY - timedelta(days=2), DAY)
    courier_of(run).deliver(DAY - timedelta(days=2), DAY)
    out = Console(width=300)
    print_runs(out, run.connection, (DAY - timedelta(days=2), DAY), ["test-run"], run.now())
    print_state(out, run.connection)
    fleet = fleet_of(choose_any(None), run.now(), whole=True)
    print_fleet(out, fleet, run.now())
    assert not fleet.well
    shown = capsys.readouterr().out
    assert "rejected: 2 (unreadable amount)." in shown
    assert "too bad" in shown
    assert [word for word in CUSTOMERS if word in shown] == []


def test_a_record_cannot_send_commands_to_the_terminal(
    run: ConnectionRun, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    from sitniks_finmap.cli.terminal import out

    markup = r"[red]x[/red] \[bold] [/nothing] [link=http://x]y :boom: {0} %s"
    shop.put_transaction(transaction(1, DAY, description=markup, counterparty="\x1b[31mred\x07"))
    stage(run, DAY, DAY)
    print_plan(out, run.connection, DAY, DAY)
    shown = capsys.readouterr().out
    assert markup in shown
    assert not [letter for letter in shown if ord(letter) < 32 and letter != "\n"]


# -- The command sql --

ATTEMPTS = [
    "insert into operations select * from operations", "update operations set amount = 1", "delete from finmap_upload",
    "drop table operations", "create table mine (x int)", "create view mine as select 1",
    "alter table operations add x int",
    "truncate operations", "vacuum full",
    "attach 'other.duckdb'", "attach 'u1.duckdb' as other", "detach u1",
    "copy operations to 'stolen.csv'", "copy (select 1) to 'stolen.parquet'", "export database 'stolen'",
    "import database 'stolen'", "copy operations from 'connections.toml'",
    "from read_csv('connections.toml')", "from read_text('connections.toml')", "from read_blob('connections.toml')",
    "from 'connections.toml'", "from glob('*')", "from sniff_csv('connections.toml')",
    "from read_json('connections.toml')",
    "from read_parquet('http://127.0.0.1:1/x')", "from parquet_metadata('x.parquet')", "from read_duckdb('u1.duckdb')",
    "install httpfs", "install 'https://example.com/x.duckdb_extension'", "load httpfs", "load 'x.duckdb_extension'",
    "set enable_external_access = true", "set lock_configuration = false", "reset enable_external_access",
    "set memory_limit = '1TB'", "set threads = 64", "set temp_directory = '/'", "set home_directory = '/'",
    "pragma enable_profiling = 'json'", "pragma profiling_output = 'stolen.json'", "set log_query_path = 'stolen.log'",
    "create secret s (type s3, key_id 'a', secret 'b')", "create persistent secret s (type s3, key_id 'a', secret 'b')",
    "select getenv('U1_FINMAP_API_KEY')", "from connection", "from query", "from duckdb_logs_stolen",
    "select 1; copy (select 1) to 'stolen.csv'", "begin; delete from operations; commit",
    "prepare p as copy (select 1) to 'stolen.csv'; execute p", "from query('copy (select 1) to ''stolen.csv''')",
    "from sqlite_scan('sandbox.sqlite', 'shops')", "call enable_logging(storage = 'file')",
]  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published copy, made once for all attempts."""
    folder = tmp_path_factory.mktemp("published")
    settings = {"name": "u1", "start_date": date(2025, 1, 10), "finmap_account": "Каса"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SITNIKS_FINMAP_DATA", str(folder / "data"))
        warehouse = open_warehouse(Connection.model_validate(settings))
        with warehouse.transaction():
            pass
        warehouse.publish()
    (folder / "connections.toml").write_text("[u1]\nfinmap_account = 'secret'\n")
    return folder


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_sql_cannot_reach_files_extensions_or_settings(
    attempt: str, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published)
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(published / "data"))
    monkeypatch.setenv("U1_FINMAP_API_KEY", "a-key-of-finmap")
    connection = Connection.model_validate({"name": "u1", "start_date": date(2025, 1, 10), "finmap_account": "Каса"})
    before = files_of(published)
    with pytest.raises(ConfigurationError) as refused:
        read_only(attempt, connection)
    assert "a-key-of-finmap" not in str(refused.value)
    assert files_of(published) == before


def test_sql_reads(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(published / "data"))
    connection = Connection.model_validate({"name": "u1", "start_date": date(2025, 1, 10), "finmap_account": "Каса"})
    assert read_only("select count(*) as n from operations", connection) == (["n"], [(0,)])


# -- TLS, and redirects to others --


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An https server on this machine whose certificate nobody vouches for, and the headers it was sent."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("there is no openssl to make a certificate with")
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]  # fmt: skip
    subprocess.run([openssl, *made], check=True, capture_output=True)  # noqa: S603
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://localhost:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_a_server_with_an_untrusted_certificate_gets_no_key(
    impostor: tuple[str, list[dict[str, str]]], project: Path
) -> None:
    url, seen = impostor
    headers = {"Authorization": "Bearer a-key-of-sitniks"}
    api = Api("Sitniks", url, headers, RateLimiter(project / "limits", "k", 0))
    with pytest.raises(Unavailable, match=r"^Sitniks did not answer \(localhost:\d+: its TLS certificate is not"):
        api.send("GET", "/transactions")
    assert seen == []
    assert api._session().verify is True


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_takes_no_key_there(
    status: int, run: ConnectionRun, sandbox: Sandbox, shop: Shop
) -> None:
    with Sandbox() as elsewhere:
        there = {"Location": f"{elsewhere.sitniks_url}/transactions"}
        sandbox.fault(Fault("status", "sitniks", status=status, headers=there, times=None))
        with pytest.raises(Unavailable, match=f"answered {status}"):
            run.sitniks.api.send("GET", "/transactions")
        assert elsewhere.requests() == []
