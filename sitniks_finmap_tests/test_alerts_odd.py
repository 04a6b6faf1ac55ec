"""Messages in the odd cases that readers found: each is told as it is, once, to whom it concerns."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.alerts import observe
from sitniks_finmap.people.findings import Finding
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.sandbox import Fault, Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import load_running
from sitniks_finmap.warehouse.last_runs import record_start
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.inboxes import Inbox
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import FIRST, MINUTE, Watched

pytestmark = [pytest.mark.runs, pytest.mark.usefixtures("room_on_the_disk")]

REFUSED = "u1: Finmap не приймає ключ"
Connect = Callable[..., Connection]
Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def watched(sandbox: Sandbox, clock: Clock, project: Path) -> Watched:
    (project / "connections.toml").write_text("# no shop yet\n", "utf-8")
    return Watched(sandbox, clock)


@pytest.fixture
def open_shop(connect: Connect, sandbox: Sandbox, watched: Watched) -> Connect:
    """A shop of its own that was synced and looked at."""

    def open_shop(name: str = "u1", **settings: object) -> Connection:
        sandbox.add_shop(name).put_transaction({"id": "tx_1", "createdAt": "2026-03-09T10:00:00Z", "amount": 100})
        shop = connect(name, name, **{"start_date": FIRST, **settings})
        watched.sync(shop)
        watched.look()
        return shop

    return open_shop


def refuse(sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "finmap", status=401, times=None))


# -- Who is told ----------------------------------------------------------------------------------------------------


def test_a_watcher_without_the_operator_swallows_nothing(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It knows the owner only; the daemon knows both."""
    shop = open_shop(alerts=["env:OWNER_URL"])
    refuse(sandbox)
    watched.sync(shop)
    with monkeypatch.context() as watcher:
        watcher.delenv("ALERT_URLS")
        assert not watched.look(watched.heartbeat()).can_tell
    watched.look()
    assert (operator.titles, owner.titles) == ([REFUSED], [REFUSED])


def test_without_an_operator_the_owner_is_told(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Somebody took the operator out: the daemon says so, and its watcher goes on as well."""
    shop = open_shop(alerts=["env:OWNER_URL"])
    monkeypatch.delenv("ALERT_URLS")
    watched.look()
    refuse(sandbox)
    watched.sync(shop)
    watched.look(watched.heartbeat())
    assert owner.titles == [REFUSED]


def test_an_owner_whose_variable_changes_gets_the_end(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shop = open_shop(alerts=["env:OWNER_URL"])
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    other = Inbox()
    monkeypatch.setenv("OWNER_URL", other.url)
    sandbox.clear_faults()
    watched.clock.forward(60)
    watched.sync(shop)
    watched.look()
    other.close()
    assert (owner.titles, other.titles) == ([REFUSED], ["u1: ключ Finmap знову працює"])


def test_who_is_owner_and_operator_is_told_once(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_URL", operator.url)
    shop = open_shop(alerts=["env:OWNER_URL"])
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    assert operator.titles == [REFUSED]


# -- What is said ---------------------------------------------------------------------------------------------------


def test_no_valid_version_is_promised_where_there_is_none(operator: Inbox, watched: Watched, project: Path) -> None:
    file = project / "connections.toml"
    file.write_text("[u1", "utf-8")
    watched.watch(hours=0.1)
    file.write_text("[u1]\n", "utf-8")
    watched.watch(hours=0.1)
    bodies = dict(operator.messages)
    assert "Попередньої правильної версії файлу немає" in bodies["Неможливо прочитати файл connections.toml"]
    assert "Попередньої правильної версії налаштувань немає" in bodies["u1: помилка в налаштуваннях у connections.toml"]


def test_with_a_valid_version_the_message_says_so(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path
) -> None:
    open_shop()
    (project / "connections.toml").write_text("[u1", "utf-8")
    watched.watch(hours=0.1)
    [(_, body)] = operator.messages
    assert "Магазини працюють далі з останньою правильною версією файлу." in body


def test_an_env_that_cannot_be_read_takes_no_key_away(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher without a daemon, whose keys are all in .env."""
    open_shop()
    watched.clock.forward(3600)
    for name in ("U1_SITNIKS_API_KEY", "U1_FINMAP_API_KEY"):
        monkeypatch.delenv(name)
    (project / ".env").write_bytes(b"U1_FINMAP_API_KEY=a\n\xff\xfe\x00\n")
    for _ in range(6):
        watched.clock.forward(60)
        watched.look(None)
    (project / ".env").unlink()
    assert operator.titles == ["Неможливо прочитати файл .env"]
    assert "Після перезапуску або без нього" in operator.messages[0][1]


def test_another_side_before_it_was_told_has_its_own_time(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    """Sitniks was down for 20 minutes, then Finmap: nobody may read that Finmap was down from the beginning."""
    shop = open_shop()
    with watched.cut("sitniks"):
        watched.sync(shop)
        watched.watch(hours=1 / 3, every=5 * MINUTE)
    with watched.cut("finmap"):
        watched.sync(shop)
        began = clock()
        watched.watch(hours=0.4, every=5 * MINUTE)
    [(title, body)] = operator.messages
    assert "Finmap" in title
    local = began.astimezone(shop.zone)
    assert f"о {local:%H:%M}" in body.splitlines()[1]


def test_a_killed_preview_is_no_failed_sync(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    clock.forward(60)
    record_start(open_warehouse(shop), "preview", "run-2", clock())
    watched.watch(hours=1, every=10 * MINUTE)
    assert operator.titles == []


def test_a_killed_sync_still_is_told(operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock) -> None:
    shop = open_shop()
    clock.forward(60)
    with suppress(StepFailed):
        ConnectionRun(shop, open_warehouse(shop), "run-2", clock)
    record_start(open_warehouse(shop), "sync", "run-2", clock())
    watched.watch(hours=1, every=10 * MINUTE)
    assert operator.titles == ["u1: остання синхронізація несподівано завершилася з помилкою"]


# -- Shops that go --------------------------------------------------------------------------------------------------


def test_a_shop_that_is_gone_leaves_the_list_of_an_outage(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path
) -> None:
    shops = [open_shop(name) for name in ("u1", "u2")]
    with watched.cut("finmap"):
        for shop in shops:
            watched.sync(shop)
        watched.watch(hours=0.6, every=5 * MINUTE)
        file = project / "connections.toml"
        file.write_text("[u2]" + file.read_text("utf-8").split("[u2]")[1], "utf-8")
        watched.look()
    watched.clock.forward(60)
    watched.sync(shops[1])
    watched.watch(hours=0.5, every=5 * MINUTE)
    begin, end = [body.splitlines()[0] for _, body in operator.messages]
    assert (begin, end) == ("Магазини (2): u1, u2.", "Магазини (1): u2.")


def test_a_renamed_shop_has_its_new_name_in_an_outage(
    operator: Inbox, open_shop: Connect, watched: Watched, connect: Connect, command: Command
) -> None:
    shops = [open_shop(name) for name in ("u1", "u2")]
    with watched.cut("finmap"):
        for shop in shops:
            watched.sync(shop)
        watched.watch(hours=0.6, every=5 * MINUTE)
        assert command("rename", "u1", "shop")[0] == 0
        watched.look()
    watched.clock.forward(60)
    for shop in load_running().connections:
        watched.sync(shop)
    watched.watch(hours=0.5, every=5 * MINUTE)
    assert [body.splitlines()[0] for _, body in operator.messages] == [
        "Магазини (2): u1, u2.",
        "Магазини (2): shop, u2.",
    ]


def test_a_shop_that_comes_back_is_told_anew(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, project: Path
) -> None:
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    file = project / "connections.toml"
    text = file.read_text("utf-8")
    file.write_text("# none\n", "utf-8")
    watched.clock.forward(60)
    watched.look()
    file.write_text(text, "utf-8")
    watched.clock.forward(60)
    watched.look()
    assert operator.titles == [REFUSED, REFUSED]
    sandbox.clear_faults()
    watched.clock.forward(60)
    watched.sync(shop)
    watched.look()
    assert operator.titles[2:] == ["u1: ключ Finmap знову працює"]


# -- The clock, and the command -------------------------------------------------------------------------------------


def test_a_clock_at_1970_for_a_moment_tells_nothing(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, clock: Clock
) -> None:
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    now = clock()
    clock.now = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    watched.look()
    clock.now = now + timedelta(minutes=2)
    watched.watch(hours=1.5, every=5 * MINUTE)
    assert operator.titles == [REFUSED]
    sandbox.clear_faults()
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["u1: ключ Finmap знову працює"]
    assert "1970" not in "".join(body for _, body in operator.messages)


def test_watch_promises_no_message_that_will_not_come(
    operator: Inbox, connect: Connect, watched: Watched, sandbox: Sandbox, command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A shop that was never synced, because its key is missing: the message is about the key."""
    sandbox.add_shop("u1")
    connect("u1", "u1", start_date=FIRST)
    watched.clock.forward(60)
    watched.look()
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    monkeypatch.setattr("sitniks_finmap.cli.alert_commands.utc_now", watched.clock)
    said = ""
    for _ in range(3):
        watched.clock.forward(600)
        said = command("watch")[1]
    assert "u1: the Finmap key is missing" in said
    assert "never synced; told at" not in said
    assert "Dagster has never run here" not in said  # the sensor of the daemon has looked


def test_alert_test_is_ukrainian(command: Command, operator: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:1/ {operator.url}")
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    said = command("alert-test")[1]
    assert "оператор, отримувач 1 у ALERT_URLS: зі службою немає зв'язку; нічого не надіслано" in said
    assert "оператор, отримувач 2 у ALERT_URLS: " in said
    assert "recipient" not in said
    assert "accepted" not in said


def test_a_bug_about_one_shop_silences_no_other(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of it brings out a mistake of ours; the file of the other cannot be read."""
    shops = [open_shop(name) for name in ("u1", "u2")]
    find = observe.find

    def mistaken(connection: Connection, *rest: Any) -> list[Finding]:
        if connection.name == "u1":
            raise IndexError
        return find(connection, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(observe, "find", mistaken)
        sandbox.fault(Fault("status", "finmap", status=401, times=None))
        watched.clock.forward(60)
        for shop in shops:
            watched.sync(shop)
        watched.watch(hours=0.2)
        assert sorted(operator.titles) == ["u1: невідомо, чи все є у Finmap", REFUSED.replace("u1", "u2")]
        assert "IndexError" in "".join(body for _, body in operator.messages)
    sandbox.clear_faults()
    for shop in shops:
        watched.sync(shop)
    watched.watch(hours=0.7)
    assert "u1: знову відомо, чи все є у Finmap" in operator.titles
