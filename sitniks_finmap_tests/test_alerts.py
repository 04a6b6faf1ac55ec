"""Messages, really sent, about real syncs: one when something begins to need a person, one when it is over."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sitniks_finmap.alerts.sending import ping_deployment
from sitniks_finmap.alerts.state import memory, state_path
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.sandbox import Fault, Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import Damaged, open_warehouse
from sitniks_finmap_tests.inboxes import Inbox
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import FIRST, MINUTE, Watched, waiting

pytestmark = [pytest.mark.runs, pytest.mark.usefixtures("room_on_the_disk")]

DAY = "2026-03-09T10:00:00Z"
Connect = Callable[..., Connection]


@pytest.fixture
def open_shop(connect: Connect, sandbox: Sandbox) -> Connect:
    """A shop of its own with one sale, and a connection to it."""

    def open_shop(name: str = "u1", **settings: object) -> Connection:
        sandbox.add_shop(name).put_transaction({"id": "tx_1", "createdAt": DAY, "amount": 100, "description": "Оплата"})
        return connect(name, name, **{"start_date": FIRST, **settings})

    return open_shop


@pytest.fixture
def watched(sandbox: Sandbox, clock: Clock, project: Path) -> Watched:
    (project / "connections.toml").write_text("# no shop yet\n", "utf-8")
    return Watched(sandbox, clock)


# -- From one failure to its message -----------------------------------------------------------------------------


def test_a_shop_that_is_well_makes_no_message(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shop = open_shop()
    for _ in range(3):
        watched.sync(shop)
        watched.watch(hours=1, every=10 * MINUTE)
    assert operator.messages == []


def test_a_refused_key_is_told_at_once_and_when_it_works(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    watched.sync(shop)
    sandbox.fault(Fault("status", "finmap", status=401, times=None))
    watched.sync(shop)
    watched.look()
    assert operator.titles == ["u1: Finmap не приймає ключ"]
    watched.watch(hours=12, every=60 * MINUTE)
    watched.sync(shop)
    watched.watch(hours=1, every=30 * MINUTE)
    sandbox.clear_faults()
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["u1: ключ Finmap знову працює"]
    assert "Тривалість: 13 годин" in operator.messages[1][1]


def test_a_missing_key_is_noticed_while_the_daemon_runs(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop()
    keys = {name: os.environ[name] for name in ("U1_SITNIKS_API_KEY", "U1_FINMAP_API_KEY")}
    for name in keys:
        monkeypatch.delenv(name)
    env = project / ".env"
    env.write_text("".join(f"{name}={key}\n" for name, key in keys.items()), "utf-8")
    watched.look()
    watched.sync(shop)
    watched.look()
    removed = clock()
    env.write_text(f"U1_SITNIKS_API_KEY={keys['U1_SITNIKS_API_KEY']}\n", "utf-8")
    watched.watch(hours=0.1)
    assert operator.titles == ["u1: немає ключа Finmap"]
    assert "змінну середовища U1_FINMAP_API_KEY не задано" in operator.messages[0][1]
    assert clock() - removed <= timedelta(minutes=10)
    env.write_text("".join(f"{name}={key}\n" for name, key in keys.items()), "utf-8")
    watched.look()
    assert operator.titles[1:] == []  # nobody knows yet whether it works
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["u1: ключ Finmap знову працює"]
    env.unlink()
    watched.look()


def test_a_watcher_without_keys_contradicts_no_daemon(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys may be in the environment of the daemon's service alone."""
    shop = open_shop()
    watched.sync(shop)
    for _ in range(6):
        clock.forward(60)
        watched.look()
        with monkeypatch.context() as watcher:
            watcher.delenv("U1_FINMAP_API_KEY")
            clock.forward(60)
            watched.look(watched.heartbeat())
    assert operator.messages == []


def test_a_watcher_without_keys_reports_a_daemon_and_no_key(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container of its own. With .env, it says that a key is missing."""
    shop = open_shop()
    watched.sync(shop)
    watched.look(last := watched.heartbeat())
    for name in ("U1_SITNIKS_API_KEY", "U1_FINMAP_API_KEY"):
        monkeypatch.delenv(name)
    watched.watch(hours=1, every=5 * MINUTE, heard=last)
    assert operator.titles == ["Демон Dagster не працює"]
    Path(".env").write_text("", "utf-8")
    watched.watch(hours=0.2, every=5 * MINUTE, heard=last)
    assert operator.titles[1:] == ["u1: немає ключів Sitniks і Finmap"]


@pytest.mark.parametrize("side", ["sitniks", "finmap"])
def test_an_hour_without_the_api_is_two_messages(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, side: str
) -> None:
    shop = open_shop()
    watched.sync(shop)
    watched.look()
    begun = clock()
    with watched.cut(side):
        for _ in range(4):  # every quarter of an hour
            watched.sync(shop)
            watched.watch(hours=1 / 4, every=3 * MINUTE)
    (title,) = operator.titles
    assert title.startswith(f"Немає зв'язку з {side.capitalize()} (127.0.0.1:")
    assert "Магазини (1): u1." in operator.messages[0][1]
    watched.sync(shop)
    watched.watch(hours=1, every=10 * MINUTE)
    assert [one.split(" (")[0] for one in operator.titles[1:]] == [f"Зв'язок із {side.capitalize()}"]
    assert clock() - begun < timedelta(hours=3)


def test_a_short_outage_is_told_to_nobody(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shop = open_shop()
    with watched.cut("sitniks"):
        watched.sync(shop)
        watched.watch(hours=0.4)
    watched.sync(shop)
    watched.watch(hours=2, every=10 * MINUTE)
    assert operator.messages == []


def test_a_shop_that_nobody_syncs_is_told_after_three_hours(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    watched.sync(shop)
    begun = clock()
    watched.watch(hours=2.9, every=5 * MINUTE)
    assert operator.messages == []
    watched.watch(hours=0.2, every=5 * MINUTE)
    assert operator.titles == ["u1: давно не було успішної синхронізації"]
    assert clock() - begun <= timedelta(hours=3.2)
    watched.watch(hours=24, every=60 * MINUTE)
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["u1: магазин синхронізовано"]


def test_silence_that_another_message_explains_is_not_told(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    watched.sync(shop)
    sandbox.fault(Fault("status", "sitniks", status=401, times=None))
    watched.sync(shop)
    watched.watch(hours=24, every=60 * MINUTE)
    assert operator.titles == ["u1: Sitniks не приймає ключ"]


def test_a_rejected_record_is_told_and_when_it_is_corrected(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    bad = {"id": "tx_2", "createdAt": DAY, "amount": "сто від Квітослава", "description": "Квітослава"}
    sandbox.shop("u1").put_transaction(bad)
    watched.sync(shop)
    watched.look()
    watched.watch(hours=2, every=10 * MINUTE)
    assert operator.titles == ["u1: 1 запис із Sitniks неможливо внести"]
    assert "Чому: нечитабельна сума (1)." in operator.messages[0][1]
    assert "Квітослава" not in str(operator.messages)
    sandbox.shop("u1").put_transaction(bad | {"amount": "100"})
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["u1: відхилених записів більше немає"]


def test_a_change_that_waits_is_told(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shop = open_shop(first_import="review")
    watched.sync(shop)
    watched.look()
    assert operator.titles == ["u1: 1 зміна чекає на ваше рішення"]
    assert "`sitniks-finmap approve --connection u1`" in operator.messages[0][1]


def test_the_safety_catch_is_told_as_such(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    rows = [{"id": f"tx_{n}", "createdAt": DAY, "amount": 10 + n, "description": "Оплата"} for n in range(40)]
    sandbox.shop("u1").put_transactions(rows)
    watched.sync(shop)
    watched.look()
    assert operator.messages == []
    sandbox.shop("u1").put_transactions([row | {"amount": 7} for row in rows])
    watched.sync(shop)
    watched.look()
    assert operator.titles == ["u1: запобіжник зупинив 40 змін"]


def test_a_damaged_file_that_was_set_aside_is_told_once(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shop = open_shop()
    watched.sync(shop)
    open_warehouse(shop).path.write_bytes(b"no database" * 1000)
    with suppress(Damaged):
        watched.sync(shop)
    watched.sync(shop)
    watched.watch(hours=2, every=10 * MINUTE)
    assert operator.titles == ["u1: пошкоджений файл даних відкладено вбік"]
    aside = next(open_warehouse(shop).path.parent.glob("u1.damaged-*.duckdb"))
    assert aside.name in operator.messages[0][1]
    aside.unlink()
    watched.watch(hours=0.5, every=10 * MINUTE)
    assert len(operator.messages) == 1


def test_a_run_that_was_killed_is_told_unless_the_next_succeeds(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    from sitniks_finmap.warehouse.last_runs import record_start

    shop = open_shop()
    watched.sync(shop)
    for heals in (True, False):
        record_start(open_warehouse(shop), "sync", "run-2", clock() + timedelta(seconds=1))
        watched.watch(hours=0.4)
        if heals:
            watched.sync(shop)
            watched.look()
    assert operator.messages == []
    watched.watch(hours=0.3)
    assert operator.titles == ["u1: остання синхронізація несподівано завершилася з помилкою"]


# -- The deployment ----------------------------------------------------------------------------------------------


def test_a_dead_daemon_is_told_within_ten_minutes(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    """The watcher looks every five minutes; the daemon dies right after a heartbeat, at the worst moment."""
    shop = open_shop()
    watched.sync(shop)
    worst = timedelta()
    for seconds in range(0, 300, 60):
        watched.look()
        watched.look(last := watched.heartbeat())
        operator.messages.clear()
        died = clock()
        clock.forward(seconds)
        while not operator.messages:
            watched.look(last)
            clock.forward(300)
        assert operator.titles == ["Демон Dagster не працює"]
        worst = max(worst, clock() - timedelta(seconds=300) - died)
        watched.sync(shop)
        clock.forward(60)
        watched.look()
        watched.look(watched.heartbeat())
        assert operator.titles[1:] == ["Демон Dagster знову працює"]
        clock.forward(7 * 3600)  # so that it is no flapping
        watched.sync(shop)
        watched.look()
        clock.forward(600)
        watched.look()
    assert worst <= timedelta(minutes=10)


def test_a_daemon_that_runs_without_our_sensor_is_told(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    """Its code location does not load: heartbeats go on, and nothing of ours is carried out."""
    watched.sync(open_shop())
    watched.look(watched.heartbeat())
    watched.look()
    broken = clock()
    while not operator.messages and clock() - broken < timedelta(hours=1):
        clock.forward(300)
        watched.look(watched.heartbeat())
    assert operator.titles == ["Демон Dagster працює, але не виконує наших сенсорів"]
    assert clock() - broken <= timedelta(minutes=10)
    watched.look()
    assert operator.titles[1:] == ["Сенсори знову виконуються"]


def test_a_daemon_that_was_just_started_is_given_time(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    watched.sync(shop)
    watched.watch(hours=0.05, heard=watched.heartbeat())
    clock.forward(14 * 60)
    watched.sync(shop)
    watched.daemon = "second"
    watched.look(watched.heartbeat())
    clock.forward(60)
    watched.look(watched.heartbeat())
    assert operator.messages == []


def test_a_lost_dagster_database_hides_no_dead_daemon(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    watched.sync(open_shop())
    watched.look(watched.heartbeat())
    watched.watch(hours=0.2, every=5 * MINUTE, heard=None)
    assert operator.titles == ["Демон Dagster не працює"]
    watched.watch(hours=1, every=5 * MINUTE, heard="unknown")
    assert len(operator.messages) == 1


def test_a_database_that_is_away_is_not_a_dead_daemon(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    watched.sync(open_shop())
    watched.look(before := watched.heartbeat())
    watched.look("itself")
    clock.forward(5 * 60)
    watched.look("unknown")  # once, by the watcher's clock
    clock.forward(60)
    watched.look("itself")
    watched.look(watched.heartbeat())
    assert operator.messages == []
    watched.watch(hours=1, every=5 * MINUTE, heard="unknown")
    assert operator.titles == ["База даних Dagster не читається"]
    watched.look(before)  # the daemon has not said anything since
    watched.look(watched.heartbeat())
    watched.look("itself")
    assert operator.titles[1:] == ["База даних Dagster знову читається"]


def test_without_a_daemon_nobody_misses_one(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    """Syncs by cron and the command alone."""
    shop = open_shop()
    for _ in range(2):
        watched.sync(shop)
        watched.watch(hours=1, every=5 * MINUTE, heard=None)
    assert operator.messages == []


def test_a_machine_that_was_asleep_is_given_time(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    watched.sync(shop)
    watched.look(last := watched.heartbeat())
    clock.forward(9 * 3600)
    watched.look(last)
    assert operator.messages == []
    clock.forward(240)
    watched.sync(shop)
    watched.look()
    clock.forward(300)
    watched.look(watched.heartbeat())
    assert operator.messages == []


def test_a_full_disk_is_told_until_there_is_clearly_room(
    operator: Inbox, watched: Watched, monkeypatch: pytest.MonkeyPatch, open_shop: Connect
) -> None:
    watched.sync(open_shop())
    total = 100_000_000_000
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_BYTES", 1_000_000_000)
    monkeypatch.setattr("sitniks_finmap.alerts.deployment.LEAST_SHARE", 0.05)
    told = []
    for free in (5.1, 4.9, 5.1, 4.9, 5.9, 6.1):
        usage = (total, 0, round(free * total / 100))
        monkeypatch.setattr("sitniks_finmap.alerts.deployment.shutil.disk_usage", lambda path, usage=usage: usage)
        watched.look()
        told.append(len(operator.messages))
    assert told == [0, 1, 1, 1, 1, 2]
    assert operator.titles[0].startswith("Диск майже заповнено: вільно 4900 МБ (4 %)")


def test_a_broken_file_and_its_repair_are_two_messages(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path, clock: Clock
) -> None:
    shop = open_shop()
    watched.sync(shop)
    watched.look()
    path = project / "connections.toml"
    good = path.read_text("utf-8")
    path.write_text(good.replace("[u1]", "[u1"), "utf-8")
    broken = clock()
    watched.watch(hours=0.2)
    assert operator.titles == ["Неможливо прочитати файл connections.toml"]
    assert "connections.toml, рядок 1" in operator.messages[0][1]
    watched.sync(shop)
    watched.watch(hours=2, every=10 * MINUTE)
    assert clock() - broken > timedelta(hours=2)
    path.write_text(good, "utf-8")
    watched.sync(shop)
    watched.look()
    assert operator.titles[1:] == ["Файл connections.toml знову читається"]


def test_an_invalid_table_is_told_to_the_operator(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, project: Path
) -> None:
    shop = open_shop(alerts=["env:OWNER_URL"])
    watched.sync(shop)
    watched.look()
    path = project / "connections.toml"
    good = path.read_text("utf-8")
    path.write_text(f"{good}\n[u2]\n", "utf-8")
    watched.watch(hours=0.1)
    assert operator.titles == ["u2: помилка в налаштуваннях у connections.toml"]
    assert "бракує start_date" in operator.messages[0][1]
    path.write_text(good.replace("[u1]", "[u1]\nsync_evry = '1h'"), "utf-8")
    watched.watch(hours=0.1)
    assert operator.titles[1:] == ["u1: помилка в налаштуваннях у connections.toml"]
    assert owner.messages == []


def test_only_the_sensor_that_notifies_is_off(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    """Shops are synced each minute: that nothing is would be false."""
    watched.sync(open_shop())
    watched.look(watched.heartbeat())
    watched.look()
    while not operator.messages:
        clock.forward(300)
        watched.look(replace(watched.heartbeat(), notifying=False))
    assert operator.titles == ["Сенсор alerts вимкнено"]
    assert "не синхронізує" not in operator.messages[0][1]
    watched.look()
    assert operator.titles[1:] == ["Сенсор alerts знову ввімкнено"]


def test_an_invalid_table_makes_the_heartbeat_fail(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.sync(open_shop())
    path = project / "connections.toml"
    path.write_text(f"{path.read_text('utf-8')}\n[u2]\n", "utf-8")
    watched.watch(hours=0.1)
    called: list[str] = []
    monkeypatch.setenv("HEARTBEAT_URL", "https://hc.example.com/x")
    monkeypatch.setattr("sitniks_finmap.alerts.sending.ping", lambda variable, signal, counts: called.append(signal))
    ping_deployment(watched.clock)
    assert called == ["fail"]


# -- To whom -----------------------------------------------------------------------------------------------------


def test_a_storm_is_one_message_to_the_operator_and_one_to_each(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched
) -> None:
    shops = [open_shop(f"shop_{n}", alerts=["env:OWNER_URL"]) for n in range(4)]
    for shop in shops:
        watched.sync(shop)
    watched.look()
    with watched.cut("finmap"):
        for shop in shops:  # they notice it one after the other, over an hour
            watched.sync(shop)
            watched.watch(hours=1 / 4, every=5 * MINUTE)
        watched.watch(hours=1, every=5 * MINUTE)
    (title,) = operator.titles
    assert title.startswith("Немає зв'язку з Finmap (")
    assert sorted(one.split(":")[0] for one in owner.titles) == sorted(shop.name for shop in shops)
    for shop in shops:
        watched.sync(shop)
    watched.watch(hours=0.5)
    assert len(operator.messages) == 2
    assert len(owner.messages) == 5  # the end came for all four at once


def test_the_same_news_of_many_shops_is_one_message(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shops = [open_shop(f"shop_{n}", first_import="review") for n in range(3)]
    for shop in shops:
        watched.sync(shop)
    watched.look()
    ((title, body),) = operator.messages
    assert title == "3 зміни чекають на ваше рішення: 3 магазини"
    assert body.startswith("Магазини (3): shop_0, shop_1, shop_2.")


def test_who_is_owner_and_operator_gets_one_message(
    operator: Inbox, open_shop: Connect, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_URL", f"json://127.0.0.1:{operator.port}")  # without the trailing slash
    watched.sync(open_shop(first_import="review", alerts=["env:OWNER_URL"]))
    watched.look()
    assert len(operator.messages) == 1


def test_an_owner_is_told_of_no_other_shop(operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched) -> None:
    mine = open_shop("mine", alerts=["env:OWNER_URL"], language="en", first_import="review")
    other = open_shop("other", first_import="review")
    watched.sync(mine)
    watched.sync(other)
    watched.look()
    assert owner.titles == ["mine: 1 change is waiting for your decision"]
    assert "other" not in str(owner.messages).replace("another", "")


# -- Memory ------------------------------------------------------------------------------------------------------


def test_what_was_told_is_known_without_dagster_and_its_files(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path
) -> None:
    """The state is in a file of its own: a lost Dagster database or warehouse makes nothing told twice."""
    shop = open_shop(first_import="review")
    watched.sync(shop)
    watched.look()
    shutil.rmtree(project / "data" / "dagster", ignore_errors=True)
    open_warehouse(shop).path.unlink()
    watched.sync(shop)
    watched.watch(hours=1)
    assert operator.titles == ["u1: 1 зміна чекає на ваше рішення"]


def test_two_tellers_at_once_send_one_message(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    watched.sync(open_shop(first_import="review"))
    both = threading.Barrier(2, timeout=60)

    def look() -> None:
        both.wait()
        watched.look()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert operator.titles == ["u1: 1 зміна чекає на ваше рішення"]
    assert waiting() == []


def test_a_look_that_took_long_overrules_no_later_one(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, sandbox: Sandbox
) -> None:
    from sitniks_finmap.alerts.observe import observe

    shop = open_shop(first_import="review")
    watched.sync(shop)
    old = observe(shop, open_warehouse(shop), clock())
    clock.forward(60)
    watched.look()
    clock.forward(60)
    look_around("itself", clock, see=lambda connection, warehouse, now: old)
    assert [what for _, what in waiting()] == []
    assert len(operator.messages) == 1


def test_a_deleted_table_ends_its_conditions_silently(
    operator: Inbox, open_shop: Connect, watched: Watched, project: Path
) -> None:
    shop = open_shop("u1", first_import="review")
    watched.sync(shop)
    watched.look()
    open_shop("u2")
    text = (project / "connections.toml").read_text("utf-8")
    (project / "connections.toml").write_text(text[text.index("[u2]") :], "utf-8")
    watched.look()
    assert len(operator.messages) == 1
    with memory() as kept:
        assert [scope for scope, _ in kept.states() if scope == "u1"] == []


def test_without_anybody_to_tell_it_is_logged(
    open_shop: Connect, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.sync(open_shop(first_import="review"))
    watched.look()
    assert "u1: 1 зміна чекає на ваше рішення" in caplog.text
    assert waiting() == []
    assert state_path().exists()


def test_a_link_to_the_run_is_there_if_the_ui_has_an_address(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_UI_URL", "https://admin:t0kensecret@dagster.example.com/?t0kensecret")
    sandbox.fault(Fault("status", "finmap", status=401, times=None))
    watched.sync(open_shop())
    watched.look()
    assert operator.titles == ["u1: Finmap не приймає ключ"]  # not that it derived nothing
    assert operator.messages[0][1].endswith("\nЗапуск: https://dagster.example.com/runs/run-1")
