"""The dead man's switch, as healthchecks.io and Uptime Kuma know it: counts only, no redirects, nothing delayed."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.alerts.conditions import Fact, State
from sitniks_finmap.alerts.pings import ping, pinged, request_of
from sitniks_finmap.alerts.sending import ping_deployment
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.inboxes import Dripper
from sitniks_finmap_tests.sandbox.clients import Clock


class Switch:
    """A service that is called: method, path and body of each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.status = 200
        switch = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                switch.calls.append((self.command, self.path, body))
                self.send_response(switch.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/t0kensecret"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    switch = Switch()
    monkeypatch.setenv("SHOP_HEARTBEAT", switch.url)
    yield switch
    switch.server.shutdown()
    switch.server.server_close()


def test_it_says_start_and_success_with_counts(switch: Switch) -> None:
    with pinged("SHOP_HEARTBEAT") as outcome:
        outcome.failed, outcome.counts = False, "created 3"
    assert switch.calls == [("GET", "/t0kensecret/start", ""), ("POST", "/t0kensecret", "created 3")]


def test_a_sync_that_fails_says_so(switch: Switch) -> None:
    with pytest.raises(KeyError), pinged("SHOP_HEARTBEAT"):
        raise KeyError
    assert switch.calls[1:] == [("POST", "/t0kensecret/fail", "")]


def test_uptime_kuma_is_called_as_it_wants() -> None:
    url = "https://status.example.com/api/push/abc?status=up&msg=OK&ping="
    assert request_of(url, "success", "created 3")[:2] == (
        "GET", "https://status.example.com/api/push/abc?status=up&msg=created+3"
    )  # fmt: skip
    assert "status=down&msg=OK" in request_of(url, "fail", "")[1]


def test_only_https_is_called_elsewhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for url in ("http://hc-ping.com/t0kensecret", "ftp://x/t0kensecret", "t0kensecret", "https://[t0kensecret"):
        monkeypatch.setenv("SHOP_HEARTBEAT", url)
        assert not ping("SHOP_HEARTBEAT", "success")
    assert "t0kensecret" not in caplog.text
    assert request_of("https://hc-ping.com/x", "fail", "")[:2] == ("POST", "https://hc-ping.com/x/fail")


@pytest.mark.parametrize("url", [
    "https://admin:t0kensecret@exam℀ple.com/x",
    f"https://t0kensecret{'a' * 64}.example.com/x",
    "https://t0kensecret..example.com/x",
    "https://.t0kensecret.com/x",
    "https://t0kensecret:99999/x",
    "https://t0kensecret:port/x",
    "https://[t0kensecret]/x",
    "https://t0kensecret\u2024.invalid/x",
    "http://t0kensecret/x",
    "https://admin:t0kensecret@127.0.0.1:1/t0kensecret",
    "https://*t0kensecret/x",
])  # fmt: skip
def test_no_log_shows_any_part_of_a_url(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "sitniks_finmap")
    monkeypatch.setenv("SHOP_HEARTBEAT", url)
    assert not ping("SHOP_HEARTBEAT", "success", seconds=30)
    assert "SHOP_HEARTBEAT" in caplog.text
    assert "kensecret" not in caplog.text + capfd.readouterr().err


def test_a_redirect_is_not_followed(switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sitniks_finmap")
    switch.status = 302
    assert not ping("SHOP_HEARTBEAT", "success")
    assert [path for _, path, _ in switch.calls] == ["/t0kensecret"]
    assert "SHOP_HEARTBEAT answered 302" in caplog.text
    assert not ping("UNSET_HEARTBEAT", "success")


def test_a_service_that_hangs_does_not_hold_up_the_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sync begins while the start is still being said."""
    said, done = threading.Event(), threading.Event()

    def hang(*arguments: Any) -> bool:
        said.set()
        done.wait(30)
        return True

    monkeypatch.setattr("sitniks_finmap.alerts.pings.ping", hang)
    with pinged("SHOP_HEARTBEAT"):
        assert said.wait(30)
        done.set()


@pytest.mark.parametrize(
    "drips", [(), (b"HTTP/1.1 200 OK\r\nX: ",), (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",)]
)
def test_a_service_that_drips_delays_a_sync_by_one_timeout(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, drips: tuple[bytes, ...]
) -> None:
    """Start and end together, although each read is answered in time."""
    dripper = Dripper(*drips)
    monkeypatch.setattr("sitniks_finmap.alerts.pings.TIMEOUT", 1.0)
    monkeypatch.setenv("SHOP_HEARTBEAT", f"http://127.0.0.1:{dripper.port}/t0kensecret")
    with pinged("SHOP_HEARTBEAT") as outcome:
        outcome.failed = False
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    assert not ping("SHOP_HEARTBEAT", "success", seconds=1)
    assert time.monotonic() - begun < 5
    dripper.close()
    assert "SHOP_HEARTBEAT did not answer within 1 seconds" in caplog.text


@pytest.mark.runs
def test_a_sync_of_dagster_calls_it(
    switch: Switch, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    shop.put_transactions([{"id": "tx_1", "createdAt": "2025-01-15T10:00:00Z", "amount": 5, "description": "Іваненко"}])
    connection = connect(heartbeat_url="env:SHOP_HEARTBEAT")
    assert run_job(dagster, connection, "sync", date(2025, 1, 15), date(2025, 1, 15)).success
    assert [path for _, path, _ in switch.calls] == ["/t0kensecret/start", "/t0kensecret"]
    assert switch.calls[1][2] == (
        "records_read 1, new_versions 1, created 1, changed 0, withdrawn 0, found 0, failed 0, refused 0"
    )
    assert run_job(dagster, connection, "deliver", date(2025, 1, 15), date(2025, 1, 15)).success
    sandbox.fault(Fault("status", "finmap", status=401, times=None))
    assert not run_job(dagster, connection, "sync", date(2025, 1, 15), date(2025, 1, 15)).success
    assert [path for _, path, _ in switch.calls[2:]] == ["/t0kensecret/start", "/t0kensecret/fail"]


def test_the_deployment_calls_its_own_every_five_minutes(
    switch: Switch, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", switch.url)
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_SHARE", 0)
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_BYTES", 0)
    (project / "connections.toml").write_text("# none\n", "utf-8")
    clock = Clock()
    for _ in range(11):
        if look_around("itself", clock).to_send:
            ping_deployment(clock)
        clock.forward(60)
    assert switch.calls == [("POST", "/t0kensecret", "open conditions 0, of the deployment 0")] * 3
    (project / "connections.toml").write_text("[broken", "utf-8")
    for _ in range(6):
        look_around("itself", clock)
        clock.forward(60)
    ping_deployment(clock)
    assert switch.calls[3:] == [("POST", "/t0kensecret/fail", "open conditions 1, of the deployment 1")]


def test_an_outage_of_an_api_is_no_failure_of_the_deployment(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", switch.url)
    clock = Clock()
    told = State(clock(), Fact(cause="api.finmap.online"), begin_told=clock())
    with memory() as kept:
        kept.keep("*", "outage api.finmap.online", told)
        kept.keep("u1", "unreachable", told)
    ping_deployment(clock)
    assert switch.calls == [("POST", "/t0kensecret", "open conditions 2, of the deployment 0")]
