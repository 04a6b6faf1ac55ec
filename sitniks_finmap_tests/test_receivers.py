"""Receivers that answer late, never, or to some only: nothing is repeated without end, and nobody is held up."""

import logging
import socket
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from sitniks_finmap.alerts import delivery
from sitniks_finmap.alerts.pings import ping
from sitniks_finmap.alerts.recipients import operators
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import memory
from sitniks_finmap_tests.inboxes import Dripper, Inbox, Mailbox, Telegram
from sitniks_finmap_tests.processes import until
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import waiting

BOT = "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFG"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Callable[..., None]:
    def queue(*titles: str) -> None:
        with memory() as kept:
            for title in titles:
                for recipient in operators():
                    kept.queue(recipient.name, title, "тіло", clock())

    return queue


def for_hours(hours: int, clock: Clock, every: int = 5) -> None:
    """A pass every so many minutes."""
    for _ in range(hours * 60 // every):
        send_all(clock)
        clock.forward(every * 60)


# -- Answers that come late, or never ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "?retry=5&wait=0.1"])
def test_what_may_have_arrived_is_repeated_a_few_times(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, options: str,
) -> None:  # fmt: skip
    """The receiver takes each message and answers after we have gone, for a day."""
    over = threading.Event()
    operator.before_answer = lambda: [over.wait(60)].clear()
    monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:{operator.port}/{options}")
    monkeypatch.setattr(delivery, "WAIT", 0.2)
    queue("один")
    tried: list[int] = []
    for _ in range(24 * 12):
        send_all(clock)
        tried.append(operator.requests)
        clock.forward(300)
    over.set()
    assert operator.requests == 4
    assert [tried.index(n) * 5 for n in range(1, 5)] == [0, 5, 25, 85]  # minutes
    assert waiting() == []
    assert "a message to ALERT_URLS 0 is dropped: it may have arrived several times" in caplog.text


@pytest.mark.runs
def test_a_late_answer_holds_up_later_messages_for_an_hour(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    operator.refuses = lambda said: [said["title"] == "отрута" and over.wait(60)] == [True]
    monkeypatch.setenv("ALERT_URLS", f"{operator.url}&rto=1")
    queue("отрута", "два", "три")
    for_hours(2, clock)
    over.set()
    assert operator.titles == ["два", "три"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
def test_a_connection_cut_after_the_message_is_repeated_little(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """It took the message, and closed the connection instead of answering."""
    server, taken = socket.create_server(("127.0.0.1", 0)), count()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                next(taken)
                connection.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:{server.getsockname()[1]}/")
    queue("один")
    for_hours(12, clock)
    server.close()
    assert (next(taken), waiting()) == (4, [])


@pytest.mark.runs
def test_a_mail_without_an_answer_is_repeated_little(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox()
    mailbox.pause = 3.0
    monkeypatch.setattr(delivery, "WAIT", 1.0)
    monkeypatch.setenv("ALERT_URLS", mailbox.url)
    queue("один")
    for_hours(12, clock)
    mailbox.close()
    assert (len(mailbox.messages), waiting()) == (4, [])


def test_a_receiver_has_half_a_minute_to_answer(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Any] = []
    real = HTTPAdapter.send

    def send(self: HTTPAdapter, *arguments: Any, **options: Any) -> Any:
        waits.append(options["timeout"])
        return real(self, *arguments, **options)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    for options in ("", "?rto=5&cto=6", "?rto=100000&cto=100000"):
        monkeypatch.setenv("ALERT_URLS", f"json://127.0.0.1:{operator.port}/{options}")
        queue("один")
        assert send_all(clock) == 1
    assert waits == [(30, 30), (6, 5), (60, 60)]


# -- Receivers that never accept one message -----------------------------------------------------------------------


def test_a_message_that_is_never_accepted_gives_way(
    operator: Inbox, queue: Callable[..., None], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """One of them is refused each time; the others come in order, within the hour, and it is dropped after a week."""
    operator.refuses = lambda said: said["title"] == "отрута"
    queue("нуль", "отрута", "два", "три")
    for_hours(1, clock)
    assert operator.titles == ["нуль", "два", "три"]
    queue("чотири")
    send_all(clock)
    assert operator.titles[3:] == ["чотири"]
    for_hours(6 * 24, clock, every=60)
    assert [title for _, title in waiting()] == ["отрута"]
    requests = operator.requests
    for_hours(24, clock, every=15)
    assert operator.requests - requests <= 25  # hourly
    assert waiting() == []
    assert "a message to ALERT_URLS 0 is dropped: it was not accepted in a week" in caplog.text


def test_the_order_is_kept_when_a_service_comes_back(operator: Inbox, queue: Callable[..., None], clock: Clock) -> None:
    """It answered 500 for so long that each message gave way to the next."""
    operator.status = 500
    for n in range(6):
        queue(str(n))
        for_hours(1, clock)
    operator.status = 200
    for_hours(2, clock)
    assert operator.titles == [str(n) for n in range(6)]


# -- Several targets in one URL ------------------------------------------------------------------------------------


def test_each_target_of_a_url_gets_a_message_once(
    telegram: Telegram, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three chats has blocked the bot."""
    got: list[int] = []
    telegram.refuses = lambda said: said["chat_id"] == 222 or got.append(said["chat_id"]) is not None
    monkeypatch.setenv("ALERT_URLS", f"{BOT}/111/222/333/")
    queue("один", "два")
    for_hours(3, clock)
    assert sorted(got) == [111, 111, 333, 333]
    assert waiting() == [("ALERT_URLS 1", "один"), ("ALERT_URLS 1", "два")]


@pytest.mark.parametrize("url", [
    f"{BOT}/111/222:5/",
    "mailtos://bot:pa,ss@example.com?to=a@example.com,b@example.com",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general/#ops",
    "ntfy://localhost/a/b",
    "signal://localhost:9900/13805550100/13805550101/13805550102",
    "matrixs://u:pass@host/#room/#b",
])  # fmt: skip
def test_every_target_is_a_recipient_of_its_own(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALERT_URLS", url)
    assert [one.label for one in operators()] == ["ALERT_URLS 0", "ALERT_URLS 1"]
    assert len({one.name for one in operators()}) == 2
    assert len({one.url for one in operators()}) == 2


def test_targets_that_cannot_be_told_apart_count_as_one(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A copy to a third person goes along with each of the two."""
    mailbox = Mailbox()
    mailbox.refuses = "b@example.com"
    several = "to=a@example.com,b@example.com&cc=c@example.com"
    monkeypatch.setenv("ALERT_URLS", mailbox.url.replace("to=owner@example.com", several))
    queue("один")
    for_hours(2, clock)
    mailbox.close()
    assert len(mailbox.messages) == 2  # once for each
    assert "accepted by some of its targets only; it is not repeated" in caplog.text


def test_a_text_in_parts_is_not_repeated_without_end(
    telegram: Telegram, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram.refuses = lambda said: "кінець" in said["text"]
    monkeypatch.setenv("ALERT_URLS", telegram.url)
    with memory() as kept:
        kept.queue("ALERT_URLS 0", "довге", "слово " * 1000 + "кінець", clock())
    for_hours(24, clock)
    assert [title for title, _ in telegram.messages].count("<b>довге</b>") == 4
    assert waiting() == []


# -- Services that hang --------------------------------------------------------------------------------------------


@pytest.mark.runs
@pytest.mark.parametrize(
    "drips", [(), (b"HTTP/1.1 200 OK\r\nX: ",), (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",)]
)
def test_a_service_that_drips_holds_nobody_up(
    operator: Inbox, queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch,
    drips: tuple[bytes, ...], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.ERROR)
    dripper = Dripper(*drips)
    monkeypatch.setattr(delivery, "DEADLINE", 2.0)
    monkeypatch.setenv("ALERT_URLS", f"{dripper.url}?rto=86400&cto=86400&retry=10 {operator.url}")
    queue("один")
    assert send_all(clock) == 1
    for_hours(3, clock)
    dripper.close()
    assert (dripper.taken, operator.titles, waiting()) == (4, ["один"], [])


def test_no_log_shows_a_url_whatever_is_answered(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dripper = Dripper(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno header\r\n\r\n")
    monkeypatch.setenv("ALERT_URLS", f"{dripper.url}t0kensecret")
    monkeypatch.setenv("SHOP_HEARTBEAT", f"http://127.0.0.1:{dripper.port}/t0kensecret")
    queue("один")
    send_all(clock)
    ping("SHOP_HEARTBEAT", "success")
    dripper.close()
    assert dripper.taken == 2
    assert "t0kensecret" not in caplog.text


def test_a_pass_ends_however_many_hang(
    queue: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is left to the next pass, so that the watcher looks again."""
    dripper = Dripper()
    monkeypatch.setattr(delivery, "DEADLINE", 0.1)
    monkeypatch.setattr("sitniks_finmap.alerts.sending.PASS", 0.25)
    monkeypatch.setenv("ALERT_URLS", " ".join(f"{dripper.url}{n}" for n in range(10)))
    queue("один")
    send_all(clock)
    assert dripper.taken <= 4
    for _ in range(10):
        send_all(clock)
    until(lambda: dripper.taken == 10)
    dripper.close()
