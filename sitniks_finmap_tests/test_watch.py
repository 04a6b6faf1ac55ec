"""The watcher outside of the daemon, and the daemon's own sensor: as people and Dagster start them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.alerts.leases import is_held
from sitniks_finmap.alerts.sending import send_all, send_apart, send_in_time
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.defs import storage
from sitniks_finmap.defs.alerts import alerts_sensor
from sitniks_finmap.defs.heartbeats import last_heartbeat
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.inboxes import Dripper, Inbox
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.watching import waiting

pytestmark = [pytest.mark.runs, pytest.mark.usefixtures("room_on_the_disk")]
ROOT = Path(__file__).parents[1]
Command = Callable[..., tuple[Any, str]]


def test_watch_exits_with_0_whatever_it_saw(
    connection: Connection, command: Command, operator: Inbox, project: Path
) -> None:
    assert command("watch")[0] == 0
    (project / "connections.toml").write_text("[u1", "utf-8")
    assert command("watch")[0] == 0
    with memory() as kept:
        assert [*kept.states()] == [("*", "file")]


def test_watch_that_cannot_look_exits_with_1(connection: Connection, command: Command, project: Path) -> None:
    (project / "data" / "alerts.sqlite").mkdir(parents=True)
    code, said = command("watch")
    assert code == 1
    assert "alerts.sqlite cannot be used" in said


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 80 MB as the data folder."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount or os.geteuid() != 0:
        pytest.skip("no disk can be mounted without root")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=80m", "tmpfs", disk], capture_output=True).returncode:  # noqa: S603
        pytest.skip("no disk can be mounted here")
    monkeypatch.setenv("SITNIKS_FINMAP_DATA", str(disk / "data"))
    yield disk
    subprocess.run([umount, "--lazy", disk], check=True)  # noqa: S603


def test_a_disk_without_a_free_byte_is_told(
    small_disk: Path, connection: Connection, command: Command, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("watch")[0] == 0
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_SHARE", 0.05)
    filled = small_disk / "backup.zip"
    with filled.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0" * 4096)
    assert shutil.disk_usage(small_disk).free == 0
    for _ in range(2):
        assert command("watch")[0] == 0
    assert operator.titles == ["Диск майже заповнено: вільно 1 МБ (1 %)"]
    filled.unlink()
    assert command("watch")[0] == 0
    assert len(operator.titles) == 2  # and that it has room again


def test_alert_test_reaches_everybody(
    connect: Callable[..., Connection], command: Command, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Inbox()
    monkeypatch.setenv("OWNER_URL", owner.url)
    connect("u1", alerts=["env:OWNER_URL"], language="en")
    code, said = command("alert-test")
    assert (code, said.count("accepted")) == (0, 2)
    assert operator.titles == ["sitniks_finmap: пробне повідомлення"]
    assert owner.messages[0][1] == "Messages about the shop u1 arrive here. You need not do anything."
    owner.status = 500
    code, said = command("alert-test", "--connection", "u1")
    assert (code, "u1, OWNER_URL: the service refused the message; check the URL" in said) == (1, True)
    monkeypatch.delenv("OWNER_URL")
    assert "u1, OWNER_URL: not set: put it into .env" in command("alert-test")[1]
    owner.close()


def test_alert_test_names_which_of_several_services_is_down(
    connection: Connection, command: Command, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:1/ {operator.url}")
    code, said = command("alert-test")
    assert code == 1
    assert "operator, recipient 1 of ALERT_URLS: the service cannot be reached; nothing was sent" in said
    assert "operator, recipient 2 of ALERT_URLS: accepted" in said
    assert "check the URL" not in said


def test_alert_test_says_whom_it_skipped(
    connect: Callable[..., Connection], command: Command, operator: Inbox, owner: Inbox, project: Path
) -> None:
    connect("u1", alerts=["env:OWNER_URL"])
    file = project / "connections.toml"
    good = file.read_text("utf-8")
    file.write_text(good + "\n[u2]\n", "utf-8")
    code, said = command("alert-test")
    assert (code, said.count(": accepted"), "u2: skipped, because its table is invalid: start_date" in said) == (
        1, 2, True,
    )  # fmt: skip
    file.write_text("[u1", "utf-8")
    code, said = command("alert-test")
    assert (code, "operator, ALERT_URLS: accepted" in said, "No owner was sent anything" in said) == (1, True, True)


def test_alert_test_tells_a_heartbeat_that_nobody_will_call(
    connect: Callable[..., Connection], command: Command, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("u1", heartbeat_url="env:SHOP_HEARTBEAT")
    monkeypatch.setenv("HEARTBEAT_URL", "http://hc.example.com/t0kensecret")
    code, said = command("alert-test")
    assert code == 1
    assert "HEARTBEAT_URL: will not be called: must be https://" in said
    assert "u1, SHOP_HEARTBEAT: not set: put it into .env" in said
    assert "t0kensecret" not in said
    monkeypatch.setenv("HEARTBEAT_URL", "https://hc.example.com/t0kensecret")
    monkeypatch.setenv("SHOP_HEARTBEAT", "https://kuma.example.com/api/push/t0kensecret")
    code, said = command("alert-test")
    assert (code, said.count("would be called; not called now")) == (0, 2)


def test_alert_test_without_anybody_says_so(connection: Connection, command: Command) -> None:
    code, said = command("alert-test")
    assert (code, "nobody is notified: set ALERT_URLS" in said) == (2, True)


def test_alerts_in_a_wrong_form_are_not_nobody(project: Path, command: Command) -> None:
    table = '[u1]\nstart_date = 2025-01-15\nfinmap_account = "Каса"\nalerts = "env:OWNER_URL"\n'
    (project / "connections.toml").write_text(table, "utf-8")
    code, said = command("alert-test")
    assert (code, "u1: skipped, because its table is invalid: alerts" in said) == (1, True)
    assert "nobody is notified" not in said


def test_watch_where_nothing_was_set_up_creates_nothing(project: Path, command: Command) -> None:
    code, said = command("watch")
    assert (code, f"{project / 'connections.toml'} nor" in said, "folder of the syncs" in said) == (1, True, True)
    assert not (project / "data").exists()


def test_watch_says_what_it_waits_for(connection: Connection, command: Command, operator: Inbox) -> None:
    code, said = command("watch")
    assert (code, "nothing needs a person" in said) == (0, False)
    assert "u1: never synced; told at " in said
    assert "Dagster has never run here" in said
    for minutes in range(5, 75, 5):
        look_around(None, lambda after=minutes: datetime.now(UTC) + timedelta(minutes=after))
    send_all(lambda: datetime.now(UTC) + timedelta(minutes=75))
    assert operator.titles == ["u1: ще жодного разу не синхронізовано"]


def test_a_secret_in_the_file_is_refused_without_showing_it(project: Path, command: Command) -> None:
    table = '[u1]\nstart_date = 2025-01-15\nfinmap_account = "Каса"\nalerts = ["tgram://123456789:t0kensecret/1"]\n'
    (project / "connections.toml").write_text(table, "utf-8")
    code, said = command("alert-test", "--connection", "u1")
    assert code == 2
    assert 'alerts.0: write "env:NAME" and put the URL into .env as NAME: it contains a token' in said
    assert "t0kensecret" not in said


def test_the_sensor_looks_and_sends_in_a_process_of_its_own(
    connection: Connection, dagster: dg.DagsterInstance, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    now = datetime.now(UTC) - timedelta(minutes=30)
    sensor = alerts_sensor(lambda: now)

    def tick(moment: datetime) -> str:
        nonlocal now
        now = moment
        with dg.build_sensor_context(dagster) as context:
            return sensor.evaluate_tick(context).skip_message or ""

    assert tick(now) == "Open: nothing. 0 messages to be sent."
    assert tick(now + timedelta(minutes=2)) == "Open: u1: key. 1 message to be sent."
    until(lambda: operator.messages, seconds=60)
    assert operator.titles == ["u1: немає ключа Finmap"]
    until(lambda: not waiting(), seconds=30)
    send_apart()
    assert len(operator.messages) == 1


def test_the_sensor_opens_dagsters_storage_once(
    connection: Connection, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "warned", set())
    opened = []
    monkeypatch.setattr(dg.SensorEvaluationContext, "instance", property(lambda _: opened.append(1) or dagster))
    sensor = alerts_sensor()
    for _ in range(3):
        with dg.build_sensor_context(dagster) as context:
            sensor.evaluate_tick(context)
    assert len(opened) == 1


def test_the_sending_process_logs_where_the_daemon_does(
    project: Path, operator: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    operator.status = 500
    with memory() as kept:
        kept.queue("ALERT_URLS 0", "один", "тіло", datetime.now(UTC))
    assert send_apart().wait(60) == 0
    assert "ERROR: a message to ALERT_URLS 0 was not accepted" in capfd.readouterr().err


def test_a_service_that_hangs_leaves_no_process_behind(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`watch --every` goes on, and looks again."""
    dripper = Dripper(b"HTTP/1.1 200 OK\r\nX: ")
    monkeypatch.setenv("ALERT_URLS", dripper.url)
    with memory() as kept:
        kept.queue("ALERT_URLS 0", "один", "тіло", datetime.now(UTC))
    sending = threading.Thread(target=send_in_time, args=(15,))
    sending.start()
    until(lambda: dripper.taken, seconds=60)
    sending.join(60)
    dripper.close()
    assert not sending.is_alive()
    with memory() as kept:
        ((message,),) = kept.unsent().values()
    assert not is_held(message.lease, datetime.now(UTC))


@pytest.mark.timeout(300)
def test_a_daemon_that_is_killed_is_told_for_real(
    connection: Connection, project: Path, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dagster-daemon run` beats, is killed with all its children, and is reported by the next looks."""
    home = project / "data" / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    (project / "workspace.yaml").write_bytes((ROOT / "workspace.yaml").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: not isinstance(last_heartbeat(), str | None), seconds=120)
        until(lambda: _teller() is not None, seconds=120)
    finally:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
    died = datetime.now(UTC)
    told = []
    for seconds in range(0, 660, 300):  # the watcher looks every five minutes
        look_around(last_heartbeat(), lambda at=died + timedelta(seconds=seconds): at)
        send_all(lambda at=died + timedelta(seconds=seconds): at)
        told.append([title for title in operator.titles if "Демон" in title])
    assert told == [[], told[1], ["Демон Dagster не працює"]]


def _teller() -> datetime | None:
    with memory() as kept:
        return kept.moment("teller")


def test_a_test_of_a_shop_without_an_owner_is_no_success(
    operator: Inbox, connect: Callable[..., Connection], command: Command
) -> None:
    connect()
    code, said = command("alert-test", "--connection", "u1")
    assert code == 2
    assert "u1: only the operator is notified of it, for its table has no alerts" in said
    assert operator.messages == []
