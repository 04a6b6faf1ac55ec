"""A key that an API quotes, in whatever spelling, is cut out before anybody sees it; records stay as they are."""

import base64
import json
import logging
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.clients.http import Api
from sitniks_finmap.clients.ratelimit import RateLimiter
from sitniks_finmap.clients.redaction import CUT, Redaction
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.dagster_runs import told_by_alerts
from sitniks_finmap_tests.leak_search import as_text, in_any_form
from sitniks_finmap_tests.records import DAY, transaction

pytestmark = pytest.mark.runs

KEY = "eyJhbGci.Zx9/q+7w==4f9c2e-7ab1_Q"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "in a URL": lambda key: quote(key, safe=""),
    "in a URL, small letters": lambda key: re.sub("%..", lambda escaped: escaped[0].lower(), quote(key, safe="")),
    "escaped by PHP": lambda key: key.replace("/", "\\/"),
    "escaped by JSON": lambda key: key.replace("=", "\\u003d").replace("+", "\\u002B"),
    "in base64": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "in base64 of a URL": lambda key: base64.urlsafe_b64encode(f"{key}:".encode()).decode(),
    "in base64, one further": lambda key: base64.b64encode(f"x{key}".encode()).decode(),
    "in base64, two further": lambda key: base64.b64encode(f"xy{key}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_cut_out_however_it_is_spelled(spelling: str) -> None:
    quoted = SPELLINGS[spelling](KEY)
    for cut in (Redaction([KEY]).record, Redaction([KEY]).error):
        said = cut(f'{{"message": "the key {quoted} is wrong"}}')
        assert CUT in said
        assert len(said) < len(f'{{"message": "the key {quoted} is wrong"}}') - len(quoted) / 2 + len(CUT)
        assert KEY[4:20] not in said


@pytest.mark.parametrize(
    "part", [KEY[:12], KEY[-9:], KEY[5:20], KEY.upper(), f"{KEY[:4]}****", f"{KEY[:6]}…{KEY[-3:]}"]
)
def test_of_an_error_parts_of_a_key_are_cut_out_too(part: str) -> None:
    said = Redaction([KEY]).error(f"the key {part} is wrong")
    assert said.startswith(f"the key {CUT}")
    assert said.endswith(" is wrong")
    assert part not in said


def test_a_record_that_only_resembles_a_key_stays_verbatim() -> None:
    record = f'{{"description": "{KEY[:12]}", "id": "{KEY[3:]}"}}'
    assert Redaction([KEY]).record(record) == record
    assert Redaction(["abc", ""]).error("abc") == "abc"  # too short to be told from a word


@given(
    st.text(min_size=0, max_size=30), st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=8)
)
def test_whatever_the_key_it_is_cut_out_and_nothing_else(around: str, key: str) -> None:
    redaction = Redaction([key])
    assert key not in redaction.error(f"{around} {key} {around}").replace(CUT, "")
    assert key not in redaction.record(json.dumps([key, around])).replace(CUT, "")


# -- Through everything that keeps or shows what an API says --


def everywhere(connection: Connection, project: Path, *said: str) -> bytes:
    """Whatever a run left behind: its files, DuckDB's tables in the clear, what was printed and logged."""
    left = b"".join(path.read_bytes() for path in project.rglob("*") if path.is_file())
    warehouse = open_warehouse(connection)
    if warehouse.exists():
        left += as_text(warehouse.path).encode()
    return left + "".join(said).encode()


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 503, 201])
def test_a_quoted_key_reaches_no_database_log_or_alert(
    status: int, connection: Connection, project: Path, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sitniks_finmap.clients.http.PAUSE_AFTER_429", 0.0)
    caplog.set_level(logging.DEBUG)
    shop.put_transactions([transaction(n, DAY) for n in range(1, 4)])
    keys = [shop.sitniks_key, shop.finmap_key]
    body = json.dumps({"status": "Error", "statusCode": 3, "message": f"wrong keys: {keys}, {keys[1][:14]}"})
    path = "/operations" if status != 201 else "/operations/income"
    sandbox.fault(Fault("status", "finmap", method="POST", path=path, status=status, body=body, times=8))
    run = run_job(dagster, connection, "sync", DAY, DAY)
    messages = told_by_alerts()
    printed = capfd.readouterr()
    left = everywhere(connection, project, caplog.text, printed.out, printed.err, run.why, *messages)
    left += "".join(str(entry) for entry in dagster.all_logs(run.run_id)).encode()
    assert [key for key in keys for form in in_any_form(key) if form in left] == []


def test_a_record_that_holds_a_key_is_kept_without_it(run: ConnectionRun, shop: Shop, project: Path) -> None:
    from sitniks_finmap.pipeline.extract import read_transactions

    shop.put_transaction(transaction(1, DAY, description=f"ключ {shop.finmap_key}, {shop.sitniks_key}"))
    read_transactions(run, DAY, DAY)
    left = everywhere(run.connection, project)
    assert [key for key in (shop.finmap_key, shop.sitniks_key) if key.encode() in left] == []
    assert CUT.encode() in left


def test_a_key_in_a_broken_head_is_not_logged(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs what it cannot read of a head."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        client, _ = server.accept()
        client.recv(10_000)
        client.sendall(f"HTTP/1.1 200 OK\r\nX-A: 1\r\n {KEY}\r\nno colon {KEY}\r\nContent-Length: 2\r\n\r\n[]".encode())
        client.close()

    threading.Thread(target=answer, daemon=True).start()
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")  # whoever silenced it
    api = Api(
        "Sitniks", f"http://127.0.0.1:{server.getsockname()[1]}", {}, RateLimiter(project / "limits", KEY, 0),
        secrets=[KEY], timeout=(2, 2),
    )  # fmt: skip
    with suppress(ApiError):
        api.send("GET", "/x")
    server.close()
    assert "urllib3" in str([record.name for record in caplog.records])
    assert KEY not in caplog.text
