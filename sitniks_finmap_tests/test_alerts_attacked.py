"""Messages when something odd happens to those who send them: what they remember, their clock, their settings."""

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.alerts import digest_texts
from sitniks_finmap.alerts.cases import CASES
from sitniks_finmap.alerts.conditions import BLOCKERS, CAUSES, FOLLOWS, Fact
from sitniks_finmap.alerts.deployment import Heartbeat
from sitniks_finmap.alerts.observe import Look, observe
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import state_path
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.sandbox import Fault, Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import load_running
from sitniks_finmap.warehouse.last_runs import record_start
from sitniks_finmap.warehouse.store import Damaged, Warehouse, open_warehouse
from sitniks_finmap_tests.inboxes import Inbox
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.warehouses import begun
from sitniks_finmap_tests.watching import FIRST, MINUTE, Watched

pytestmark = [pytest.mark.runs, pytest.mark.usefixtures("room_on_the_disk")]

DAY = "2026-03-09T10:00:00Z"
REFUSED = "u1: Finmap не приймає ключ"
MISSING = "u1: немає ключа Finmap"
WORKS = "u1: ключ Finmap знову працює"
Connect = Callable[..., Connection]


@pytest.fixture
def watched(sandbox: Sandbox, clock: Clock, project: Path) -> Watched:
    (project / "connections.toml").write_text("# no shop yet\n", "utf-8")
    return Watched(sandbox, clock)


@pytest.fixture
def open_shop(connect: Connect, sandbox: Sandbox, watched: Watched) -> Connect:
    """A shop of its own with one sale, that was synced and looked at."""

    def open_shop(name: str = "u1", **settings: object) -> Connection:
        sandbox.add_shop(name).put_transaction({"id": "tx_1", "createdAt": DAY, "amount": 100, "description": "Оплата"})
        shop = connect(name, name, **{"start_date": FIRST, **settings})
        watched.sync(shop)
        watched.look()
        return shop

    return open_shop


def refuse(sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "finmap", status=401, times=None))


# -- What they remember ---------------------------------------------------------------------------------------------


def test_two_shops_with_damaged_files_are_told(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    shops = [open_shop("u1"), open_shop("u2")]
    for shop in shops:
        open_warehouse(shop).path.write_bytes(b"no database" * 1000)
        with suppress(Damaged):
            watched.sync(shop)
        watched.sync(shop)
    for _ in range(2):
        watched.look()
    assert operator.titles == ["Пошкоджений файл даних відкладено вбік: 2 магазини"]
    assert "u1.damaged-" in operator.messages[0][1]
    assert "u2.damaged-" in operator.messages[0][1]


def test_a_damaged_file_that_was_moved_away_silences_nobody(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, clock: Clock
) -> None:
    """Only the failed run still tells of it, when somebody looks; and another shop has a trouble of its own."""
    shop, other = open_shop(), open_shop("u2")
    warehouse = open_warehouse(shop)
    with suppress(StepFailed, Damaged), ConnectionRun(shop, warehouse, "run-2", clock).recorded("sync"):
        warehouse.path.write_bytes(b"no database" * 1000)
        with warehouse.transaction():
            pass
    for aside in warehouse.path.parent.glob("u1.damaged-*"):
        aside.unlink()
    sandbox.fault(Fault("status", "finmap", status=401, times=None))
    watched.sync(other)
    clock.forward(120)
    watched.look()
    titles = [title for title, _ in operator.messages]
    assert "u2: Finmap не приймає ключ" in titles
    assert "u1: пошкоджений файл даних відкладено вбік" in titles


def test_a_memory_damaged_in_the_middle_is_begun_anew(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    raw = bytearray(state_path().read_bytes())
    for page in range(4096, len(raw), 4096):
        raw[page : page + 64] = os.urandom(64)
    state_path().write_bytes(raw)
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    assert operator.titles == [REFUSED]
    assert list(state_path().parent.glob("alerts.damaged-*"))


def test_a_memory_of_another_version_silences_nobody(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    with sqlite3.connect(state_path()) as con:
        con.execute("update alert_states set state = json_set(state, '$.of_tomorrow', 1)")
    con.close()
    sandbox.clear_faults()
    watched.clock.forward(60)
    watched.look()
    assert operator.titles[:1] == [REFUSED]


def test_what_was_told_of_a_shop_goes_with_its_new_name(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, command: Callable[..., Any]
) -> None:
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    assert command("rename", "u1", "shop")[0] == 0
    watched.clock.forward(60)
    watched.look()
    sandbox.clear_faults()
    [renamed] = load_running().connections
    watched.sync(renamed)
    watched.watch(hours=0.5)
    assert operator.titles == [REFUSED, "shop: ключ Finmap знову працює"]


def test_an_older_look_that_comes_last_changes_nothing(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, clock: Clock
) -> None:
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    once = []

    def slow(connection: Connection, warehouse: Warehouse, now: Any) -> Look:
        """Meanwhile, the shop is mended, synced and looked at by somebody else."""
        seen = observe(connection, warehouse, now)
        if not once:
            once.append(seen)
            clock.forward(5)
            sandbox.clear_faults()
            watched.sync(shop)
            watched.look()
        return seen

    clock.forward(1801)
    look_around("itself", clock, see=slow)
    send_all(clock)
    clock.forward(60)
    watched.look()
    assert operator.titles == [REFUSED, WORKS]


@pytest.mark.parametrize("broken", ["words_of", "words_of_many"])
def test_a_text_that_fails_silences_no_other(
    broken: str, operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A condition whose text has a mistake, and another shop with a trouble of its own at the same moment."""
    monkeypatch.setitem(CASES, "key refused", replace(CASES["key refused"], title="{what_nobody_knows}"))
    names = ["u1", "u2"] if broken == "words_of_many" else ["u1"]
    shops = [open_shop(name, alerts=["env:OWNER_URL"]) for name in names]
    other = open_shop("u3")
    open_warehouse(other).path.write_bytes(b"no database" * 1000)
    refuse(sandbox)
    for shop in shops:
        watched.sync(shop)
    with suppress(Damaged):
        watched.sync(other)
    watched.clock.forward(60)
    watched.look()
    title = f"{', '.join(names)}: повідомлення не вдалося скласти"
    assert title in operator.titles
    assert "u3: пошкоджений файл даних відкладено вбік" in operator.titles
    assert owner.titles == [title]
    assert "Потрібне ваше втручання: key." in owner.messages[0][1]
    assert "the text about key of" in caplog.text
    before = len(operator.titles)
    watched.clock.forward(60)
    watched.look()
    assert len(operator.titles) == before


def test_a_digest_whose_text_fails_silences_no_other(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_texts, "EQUAL", "{what_nobody_knows}")
    """On the next day, nothing was sold, which another text says."""
    shop = open_shop(digest_at="09:00")
    watched.look()
    clock.forward(86400)
    watched.sync(shop)
    watched.look()
    assert operator.titles == ["u1: повідомлення не вдалося скласти", "u1: підсумок за 10 березня"]


# -- Who is told ----------------------------------------------------------------------------------------------------


def test_what_happens_without_env_is_told_when_it_is_back(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A watcher of its own process that cannot read .env knows nobody to tell."""
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    monkeypatch.delenv("ALERT_URLS")
    env = project / ".env"
    env.write_bytes(f"ALERT_URLS={operator.url}\n".encode() + b"\xff\xfe\x00\n")
    watched.look(watched.heartbeat())
    env.write_text(f"ALERT_URLS={operator.url}\n", "utf-8")
    watched.look(watched.heartbeat())
    assert operator.titles == [REFUSED]
    env.unlink()
    watched.watch(hours=0.2, heard=watched.heartbeat())  # gone: nobody is known, and nothing is decided
    env.write_text(f"ALERT_URLS={operator.url}\n", "utf-8")
    sandbox.clear_faults()
    watched.sync(shop)
    watched.look()
    assert operator.titles == [REFUSED, WORKS]
    env.unlink()
    watched.look()


def test_a_watcher_that_knows_nobody_decides_nothing(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The recipients may be in the environment of the daemon's service alone."""
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    with monkeypatch.context() as watcher:
        watcher.delenv("ALERT_URLS")
        watched.look(watched.heartbeat())
        watcher.setattr("sitniks_finmap.cli.alert_commands.utc_now", watched.clock)
        code, said = command("watch")
        assert code == 1
        assert "nobody can be notified from here" in said
        assert "nothing needs a person" not in said
    watched.look()
    assert operator.titles == [REFUSED]


def test_an_owner_of_many_shops_gets_one_message(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched
) -> None:
    shops = [open_shop(f"u{number}", alerts=["env:OWNER_URL"]) for number in range(1, 4)]
    with watched.cut("finmap"):
        for shop in shops:
            watched.sync(shop)
        watched.watch(hours=0.7, every=5 * MINUTE)
        assert len(operator.titles) == 1
        assert len(owner.titles) == 1
        assert "u1, u2, u3" in owner.messages[0][1]


# -- Nothing is well before it is -----------------------------------------------------------------------------------


def test_a_change_behind_the_safety_catch_still_waits(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, clock: Clock
) -> None:
    shop = open_shop(on_change="ask")
    rows = [{"id": f"tx_{n}", "createdAt": DAY, "amount": 10 + n, "description": "Оплата"} for n in range(40)]
    for changed, hours in ((rows, 0), ([rows[0] | {"amount": 7}], 1), ([row | {"amount": 8} for row in rows[1:]], 3)):
        sandbox.shop("u1").put_transactions(changed)
        clock.forward(3600 * hours)
        watched.sync(shop)
        watched.look()
    assert [title for title in operator.titles if "чекає" in title and "жодна" in title] == []
    assert len(operator.titles) == 2


def test_a_key_works_only_once_a_sync_has_used_it(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop()
    good = os.environ["U1_FINMAP_API_KEY"]
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    watched.watch(hours=0.1)
    monkeypatch.setenv("U1_FINMAP_API_KEY", "some-other-text-of-a-key")
    watched.watch(hours=0.1)
    assert operator.titles == [MISSING]
    monkeypatch.setenv("U1_FINMAP_API_KEY", good)
    clock.forward(60)
    watched.sync(shop)
    watched.look()
    assert operator.titles == [MISSING, WORKS]


def test_deleting_a_shop_ends_no_outage(operator: Inbox, open_shop: Connect, watched: Watched, project: Path) -> None:
    shop = open_shop("u1")
    open_shop("u2")
    with watched.cut("finmap"):
        watched.sync(shop)
        watched.watch(hours=0.6, every=5 * MINUTE)
        told = list(operator.titles)
        file = project / "connections.toml"
        file.write_text("[u2]" + file.read_text("utf-8").split("[u2]")[1], "utf-8")
        watched.watch(hours=0.3, every=5 * MINUTE)
    assert len(told) == 1
    assert operator.titles == told


def test_a_run_that_waits_for_another_is_no_outage(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop()
    monkeypatch.setattr("sitniks_finmap.pipeline.run.LOCK_WAIT", 0.1)
    clock.forward(60)
    with open_warehouse(shop).run(wait=0):
        with suppress(StepFailed), ConnectionRun(shop, open_warehouse(shop), "run-2", clock).recorded("sync"):
            pass
        watched.watch(hours=0.7, every=5 * MINUTE)
    assert operator.titles == []


def test_a_first_import_that_hangs_is_told(
    operator: Inbox, connect: Connect, sandbox: Sandbox, watched: Watched, clock: Clock
) -> None:
    sandbox.add_shop("u1")
    warehouse = begun(open_warehouse(connect("u1", "u1", start_date=FIRST)))
    record_start(warehouse, "sync", "run-1", clock())
    with warehouse.run(wait=0):
        watched.watch(hours=48, every=timedelta(hours=1))
    assert len(operator.titles) == 1


def test_read_but_not_delivered_is_no_sync(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox, clock: Clock
) -> None:
    """Nobody synced for hours; then a sync reads, and its delivery is stopped. That is no end, and no all-clear."""
    shop = open_shop()
    watched.watch(hours=3.2, every=5 * MINUTE)
    assert operator.titles == ["u1: давно не було успішної синхронізації"]
    (state_path().parent / "installation").write_text("0123456789ab\n", "ascii")  # a copy of the project elsewhere
    clock.forward(60)
    watched.sync(shop)
    watched.watch(hours=2, every=5 * MINUTE)
    assert operator.titles[1:] == ["u1: операції цього магазину вносить у Finmap ще одна інсталяція"]


@pytest.mark.parametrize("first", ["stale", "crashed", "unreachable"])
def test_no_all_clear_while_something_else_stops_the_syncs(
    first: str, operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    now: dict[str, Fact] = {first: Fact(patience=MINUTE)}

    def see(connection: Connection, warehouse: Warehouse, at: Any) -> Look:
        return Look(shop.name, at, dict(now))

    def look(minutes: int) -> list[str]:
        before = len(operator.titles)
        for _ in range(minutes):
            clock.forward(1801)
            look_around("itself", clock, see=see)
            clock.forward(301)
            look_around("itself", clock, see=see)
            send_all(clock)
        return operator.titles[before:]

    assert len(look(3)) == 1
    now.clear()
    now["stopped"] = Fact()
    assert look(3) == ["u1: синхронізацію зупинено, потрібне ваше втручання"]
    now.clear()
    assert look(3) == ["u1: синхронізація знову працює"]


@pytest.mark.parametrize("seed", range(6))
def test_in_no_course_of_events_is_an_all_clear_false(
    seed: int, operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts come and go, two tellers look, one is killed before it commits, the clock goes back."""
    shop, dice = open_shop(), random.Random(seed)
    names = [*BLOCKERS, "stale", "failing", "unread", "difference", "rejected"]
    facts: dict[str, Fact] = {}

    def see(connection: Connection, warehouse: Warehouse, at: Any) -> Look:
        return Look(shop.name, at, dict(facts))

    monkeypatch.setattr("sitniks_finmap.alerts.observations.FRESH", timedelta())
    open_now: set[str] = set()
    ends = 0
    for _ in range(150):
        name = dice.choice(names)
        for _ in range(dice.choice([0, 0, 1, 2])):
            facts.pop(dice.choice([*facts, ""]), None)
        if len(facts) < 3 and dice.random() < 0.5:
            facts[name] = Fact(count=1, patience=dice.choice([MINUTE, 30 * MINUTE]), values={"case": ""})
        clock.forward(dice.choice([300, 300, 600, 840, 3700, -600]))
        if dice.random() < 0.2:
            with suppress(KeyboardInterrupt), pytest.MonkeyPatch.context() as killed:
                killed.setattr("sitniks_finmap.alerts.teller.queue_digests", _killed)
                look_around("itself", clock, see=see)
        told = look_around("itself", clock, see=see)
        again = look_around("itself", clock, see=see)
        assert again.events == []
        for event in told.events:
            if event.what == "begin":
                assert event.condition not in open_now
            if event.what == "end":
                ends += event.condition in (*CAUSES, *FOLLOWS)
                assert event.condition in open_now
                assert not event.all_well or facts.keys().isdisjoint({*BLOCKERS} - {event.condition})
        open_now = {condition for scope, condition in told.open if scope == "u1"}
    assert ends > 3
    facts.clear()
    for _ in range(30):  # then all is well for more than a day
        clock.forward(3600)
        look_around("itself", clock, see=see)
    assert not look_around("itself", clock, see=see).open


def _killed(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_more_patience_is_no_sync(
    operator: Inbox, open_shop: Connect, connect: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    watched.watch(hours=4, every=10 * MINUTE)
    assert operator.titles == ["u1: давно не було успішної синхронізації"]
    connect("u1", "u1", start_date=FIRST, stale_after="1d")
    watched.watch(hours=2, every=10 * MINUTE)
    assert len(operator.titles) == 1
    watched.sync(shop)
    watched.watch(hours=0.5, every=10 * MINUTE)
    assert operator.titles[1:] == ["u1: магазин синхронізовано"]


def test_a_shop_not_synced_behind_a_dead_daemon_is_told(operator: Inbox, open_shop: Connect, watched: Watched) -> None:
    """The daemon lives again, and the sensor of the shop is off."""
    open_shop()
    watched.look(last := watched.heartbeat())
    watched.watch(hours=5, every=10 * MINUTE, heard=last)
    watched.watch(hours=1, every=10 * MINUTE)
    assert "u1: давно не було успішної синхронізації" in operator.titles
    assert "Демон Dagster не працює" in operator.titles
    assert "u1: магазин синхронізовано" not in operator.titles


def test_what_ends_while_syncs_are_stopped_promises_nothing(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    now: dict[str, Fact] = {"rejected": Fact(count=1)}
    for facts in (now, {"stopped": Fact()}):
        clock.forward(1801)
        look_around("itself", clock, see=lambda connection, warehouse, at, f=facts: Look(shop.name, at, dict(f)))
        send_all(clock)
    (body,) = [body for title, body in operator.messages if "відхилених" in title]
    assert "нічого не треба робити" not in body


def test_records_are_not_told_before_the_first_run_ends(
    operator: Inbox, connect: Connect, sandbox: Sandbox, watched: Watched, clock: Clock
) -> None:
    """The command that lists them reads the copy that appears when a run ends."""
    sandbox.add_shop("u1").put_transaction({"id": "tx_1", "createdAt": DAY, "amount": "сто"})
    shop = connect("u1", "u1", start_date=FIRST)
    warehouse = begun(open_warehouse(shop))
    with warehouse.run(wait=0):
        watched.sync_without_lock(shop)
        watched.look()
        assert operator.titles == []
    clock.forward(60)
    watched.look()
    assert operator.titles == ["u1: 1 запис із Sitniks неможливо внести"]


def test_an_owner_is_asked_to_forward_what_concerns_the_server(
    operator: Inbox, owner: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    shop = open_shop(alerts=["env:OWNER_URL"])
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    asked = "Якщо сервером опікується хтось інший, перешліть це повідомлення йому."
    assert [owner.messages[0][1].splitlines()[-1] == asked, asked in operator.messages[0][1]] == [True, False]


def test_services_are_told_how_serious_it_is(
    operator: Inbox, open_shop: Connect, watched: Watched, sandbox: Sandbox
) -> None:
    kinds: list[str] = []
    operator.refuses = lambda said: bool(kinds.append(said["type"]))
    shop = open_shop()
    refuse(sandbox)
    watched.sync(shop)
    watched.look()
    sandbox.clear_faults()
    watched.clock.forward(60)
    watched.sync(shop)
    watched.look()
    assert kinds == ["failure", "success"]


# -- The clock ------------------------------------------------------------------------------------------------------


def test_a_long_look_makes_no_heartbeat_old(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    open_shop("u1")
    open_shop("u2")
    clock.forward(1801)
    watched.look()
    clock.forward(1801)

    def slow(connection: Connection, warehouse: Warehouse, now: Any) -> Look:
        clock.forward(25)
        return observe(connection, warehouse, now)

    look_around(Heartbeat(clock() - timedelta(seconds=255), "daemon"), clock, see=slow)
    send_all(clock)
    assert operator.titles == []


def test_after_a_sleep_an_old_failure_is_no_news(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop()
    with watched.cut("finmap"):
        watched.sync(shop)
        clock.forward(30)
        watched.look()
    clock.forward(2 * 3600)
    watched.look()
    watched.sync(shop)
    clock.forward(60)
    watched.watch(hours=0.3)
    assert operator.titles == []


def test_a_clock_that_was_far_ahead_silences_no_digest(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop(digest_at="09:00")
    clock.forward(400 * 86400)
    watched.watch(hours=7, every=timedelta(hours=1))
    clock.forward(-400 * 86400)
    watched.look()  # what is due just after such a jump waits, for the clock may be about to be corrected
    before = len(operator.titles)
    for _ in range(3):
        clock.forward(86400)
        watched.sync(shop)
        watched.look()
    assert len([title for title in operator.titles[before:] if "підсумок за" in title]) == 3


def test_a_digest_waits_for_the_read_of_its_day(
    operator: Inbox, open_shop: Connect, watched: Watched, clock: Clock
) -> None:
    shop = open_shop(digest_at="00:00")
    clock.now = clock.now.replace(hour=21, minute=55)
    watched.sync(shop)
    watched.look()  # 23:55 in Kyiv
    clock.forward(330)
    watched.look()  # 00:00:30
    before = len(operator.messages)
    clock.forward(600)
    watched.sync(shop)
    watched.look()
    digests = operator.messages[before:]
    assert len(digests) == 1
    assert "не звірено" not in digests[0][1]


# -- Odd settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\xff\xfe", b"\0" * 400, b"a = " + b"[" * 100_000])
def test_a_file_without_tables_stops_nobody(content: bytes, open_shop: Connect, project: Path) -> None:
    open_shop()
    load_running()
    (project / "connections.toml").write_bytes(content)
    running = load_running()
    assert [one.name for one in running.connections] == ["u1"]
    assert running.problem


def test_a_home_of_no_user_is_no_traceback(
    operator: Inbox, open_shop: Connect, watched: Watched, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_shop()
    monkeypatch.setenv("DAGSTER_HOME", "~nobody_of_this_name/dagster")
    assert command("watch")[0] == 0
    watched.look()
