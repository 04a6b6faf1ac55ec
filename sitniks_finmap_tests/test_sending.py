"""The outbox, with real receivers: each message arrives once, in order, at last, and no secret is kept or logged."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.alerts.leases import LEASE, new_lease
from sitniks_finmap.alerts.outbox import ADDED
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import StateUnusable, memory, state_path
from sitniks_finmap_tests.inboxes import Inbox, Mailbox, Telegram
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import waiting


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Callable[..., None]:
    def queue(*titles: str, to: str = "ALERT_URLS 0") -> None:
        with memory() as kept:
            for title in titles:
                kept.queue(to, title, "тіло", clock())

    return queue


def test_messages_arrive_once_and_in_order(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    queue("один", "два", "три")
    assert send_all(clock) == 3
    assert operator.messages == [("один", "тіло"), ("два", "тіло"), ("три", "тіло")]
    assert send_all(clock) == 0
    assert waiting() == []


def test_a_receiver_that_is_down_gets_it_later_and_once(
    operator: Inbox, queue: Callable[..., None], clock: Clock
) -> None:
    operator.status = 500
    queue("один", "два")
    for _ in range(120):
        assert send_all(clock) == 0
        clock.forward(60)
    assert waiting() == [("ALERT_URLS 0", "один"), ("ALERT_URLS 0", "два")]
    operator.status = 200
    clock.forward(3600)
    assert send_all(clock) == 2
    assert operator.titles == ["один", "два"]


def test_a_failing_receiver_is_tried_less_and_less_often(
    operator: Inbox, queue: Callable[..., None], clock: Clock
) -> None:
    tries: list[float] = []
    operator.status = 500
    operator.before_answer = lambda: tries.append(clock.now.timestamp())
    queue("один")
    for _ in range(600):
        send_all(clock)
        clock.forward(60)
    assert [later - sooner for sooner, later in pairwise(tries)][:8] == [
        60, 120, 240, 480, 960, 1920, 3600, 3600
    ]  # fmt: skip


def test_a_receiver_that_is_down_holds_up_nobody_else(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:1/?retry=0\n{operator.url}")
    queue("один", "два")
    queue("один", "два", to="ALERT_URLS 1")
    assert send_all(clock) == 2
    assert operator.titles == ["один", "два"]
    assert waiting() == [("ALERT_URLS 0", "один"), ("ALERT_URLS 0", "два")]


def test_a_corrected_url_gets_what_is_still_to_be_sent(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_URLS", "nonsense://t0kensecret/x")
    queue("один")
    assert send_all(clock) == 0
    monkeypatch.setenv("ALERT_URLS", operator.url)
    clock.forward(3600)
    assert send_all(clock) == 1
    assert operator.titles == ["один"]


def test_a_message_waits_a_week_for_a_recipient_that_is_not_set(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody broke .env, or took the recipient out of it."""
    url = os.environ["ALERT_URLS"]
    monkeypatch.delenv("ALERT_URLS")
    queue("один")
    assert send_all(clock) == 0
    clock.forward(86400)
    monkeypatch.setenv("ALERT_URLS", url)
    assert send_all(clock) == 1
    assert operator.titles == ["один"]
    monkeypatch.delenv("ALERT_URLS")
    queue("два")
    assert send_all(clock) == 0
    clock.forward(8 * 86400)
    assert send_all(clock) == 0
    assert waiting() == []


def test_two_senders_at_once_send_each_message_once(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    both = threading.Barrier(2, timeout=30)
    queue(*(f"№ {n}" for n in range(20)))

    def send() -> None:
        both.wait()
        send_all(clock)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    send_all(clock)
    assert sorted(operator.titles) == sorted(f"№ {n}" for n in range(20))


@pytest.mark.parametrize("seconds", [-86400, -0.001, 0, 0.001, 86400])
def test_no_clock_lets_two_send_one_message(
    operator: Inbox, queue: Callable[..., None], clock: Clock, seconds: float
) -> None:
    """Another sender comes while one is at it, with a clock that was read before or set since."""
    others: list[int] = []
    operator.before_answer = lambda: others.append(send_all(lambda: clock() + timedelta(seconds=seconds)))
    queue("один")
    assert send_all(clock) == 1
    assert others == [0]
    assert operator.titles == ["один"]


def test_the_clock_is_read_after_the_wait_for_the_file(
    operator: Inbox, queue: Callable[..., None], clock: Clock
) -> None:
    """Whoever waited long for the file knows what others have done meanwhile."""
    queue("один")
    held: list[bool] = []

    def read() -> datetime:
        with closing(sqlite3.connect(state_path(), timeout=0, isolation_level=None)) as other:
            try:
                other.execute("begin immediate")
                held.append(False)
            except sqlite3.OperationalError:
                held.append(True)  # by us
        return clock()

    assert send_all(read) == 1
    assert held[0]


def test_a_sender_of_another_machine_has_minutes(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    """Nobody here can see whether it lives."""
    queue("один")
    with memory() as kept:
        ((message,),) = kept.unsent().values()
        kept.lease(message, replace(new_lease(clock()), space="elsewhere", boot="another"))
    assert send_all(clock) == 0
    clock.forward(LEASE.total_seconds() + 1)
    assert send_all(clock) == 1
    assert operator.titles == ["один"]


def test_a_sender_that_could_not_write_tries_again(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process may go on, as `watch --every` does: its own claim does not stop it."""
    queue("один")
    with monkeypatch.context() as broken:
        broken.setattr("sitniks_finmap.alerts.state.Memory.sent", _no_room)
        with pytest.raises(StateUnusable):
            send_all(clock)
    assert send_all(clock) == 1


def _no_room(*arguments: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.runs
def test_many_processes_at_once_send_each_message_once(operator: Inbox, queue: Callable[..., None]) -> None:
    queue(*(f"№ {n}" for n in range(10)))
    senders = [_sender() for _ in range(5)]
    assert [sender.wait(60) for sender in senders] == [0] * 5
    assert sorted(operator.titles) == sorted(f"№ {n}" for n in range(10))


@pytest.mark.runs
def test_a_sender_that_was_killed_is_replaced_at_once(
    operator: Inbox, queue: Callable[..., None], clock: Clock
) -> None:
    begun, killed = threading.Event(), threading.Event()
    operator.before_answer = lambda: (begun.set(), killed.wait(60))  # type: ignore[func-returns-value]
    queue("один")
    sender = _sender()
    assert begun.wait(60)
    assert send_all(lambda: clock() + timedelta(days=1)) == 0  # it lives
    sender.kill()  # nobody waits for it yet: a zombie
    killed.set()
    until(lambda: operator.messages)
    operator.before_answer = lambda: None
    assert send_all(clock) == 1
    sender.wait(60)


def _sender() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "sitniks_finmap.alerts.sending"])


def test_a_file_of_an_earlier_version_is_used_on(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    queue("один")
    with closing(sqlite3.connect(state_path())) as con:
        for column in ADDED:
            con.execute(f"alter table outbox drop column {column}")
        con.commit()
    assert send_all(clock) == 1
    assert operator.titles == ["один"]


def test_a_clock_set_back_does_not_hold_messages_up(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    operator.status = 500
    queue("один")
    send_all(clock)
    operator.status = 200
    clock.now -= timedelta(days=365)
    assert send_all(clock) == 1


def test_nothing_is_sent_inside_of_a_transaction(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    """While a receiver takes its time, another teller can write."""
    written: list[int] = []

    def look() -> None:
        with memory() as kept:
            kept.set_note("looked", clock().isoformat())
            written.append(kept.count_unsent())

    operator.before_answer = look
    queue("один")
    assert send_all(clock) == 1
    assert written == [1]


# -- Receivers of other kinds ------------------------------------------------------------------------------------


def test_a_message_arrives_by_mail(queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = Mailbox()
    monkeypatch.setenv("ALERT_URLS", mailbox.url)
    queue("Магазин: ключ не приймають")
    assert send_all(clock) == 1
    mailbox.close()
    ((subject, text),) = mailbox.messages
    assert subject == "Магазин: ключ не приймають"
    assert "тіло" in text


def test_a_message_arrives_in_telegram(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = Telegram()
    monkeypatch.setattr("apprise.plugins.telegram.NotifyTelegram.notify_url", telegram.address)
    monkeypatch.setenv("ALERT_URLS", telegram.url)
    queue("Магазин: ключ не приймають")
    assert send_all(clock) == 1
    telegram.close()
    ((title, text),) = telegram.messages
    assert "Магазин: ключ не приймають" in title
    assert "тіло" in text


def test_a_text_too_long_for_the_service_arrives_in_parts(
    clock: Clock, operator: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram = Telegram()
    monkeypatch.setattr("apprise.plugins.telegram.NotifyTelegram.notify_url", telegram.address)
    monkeypatch.setenv("ALERT_URLS", telegram.url)
    with memory() as kept:
        kept.queue("ALERT_URLS 0", "довге", "слово " * 2000, clock())
    assert send_all(clock) == 1
    telegram.close()
    assert sum(f"{title}{text}".count("слово") for title, text in telegram.messages) >= 1998


# -- The file ----------------------------------------------------------------------------------------------------


def test_the_file_is_private_and_holds_no_url(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(
        "ALERT_URLS", f"json://user:t0kensecret@127.0.0.1:1/?retry=0 {operator.url} nonsense://t0kensecret"
    )
    for n in range(3):
        queue("один", to=f"ALERT_URLS {n}")
    assert send_all(clock) == 1
    assert stat.S_IMODE(state_path().stat().st_mode) == 0o600
    assert "t0kensecret" not in caplog.text
    assert b"t0kensecret" not in state_path().read_bytes()


def test_a_damaged_file_is_set_aside(project: Path, clock: Clock) -> None:
    with memory() as kept:
        kept.set_note("looked", "x")
    state_path().write_bytes(b"no database at all" * 500)
    with memory() as kept:
        assert kept.note("looked") is None
    assert len(list(state_path().parent.glob("alerts.damaged-*.sqlite"))) == 1


def test_an_unusable_file_is_one_clear_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state_path().mkdir(parents=True)
    said = r"alerts\.sqlite cannot be used: .*check that it belongs to this user"
    with pytest.raises(StateUnusable, match=said), memory():
        pass


def test_a_failed_transaction_keeps_nothing(project: Path, clock: Clock) -> None:
    def fail() -> Any:
        with memory() as kept:
            kept.queue("ALERT_URLS 0", "один", "", clock())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert waiting() == []
    assert sqlite3.connect(state_path()).execute("pragma integrity_check").fetchone() == ("ok",)
