"""Whom a message is for: however its URL is written, moved, corrected or repeated, and whatever is taken away."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from sitniks_finmap.alerts.addresses import addresses_in, service_of
from sitniks_finmap.alerts.recipients import operators, owners
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import memory, state_path
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.inboxes import Inbox, Mailbox, Telegram
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.watching import waiting

DOWN = "json://127.0.0.1:1/"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def other() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def queue(clock: Clock) -> Callable[..., None]:
    def queue(title: str) -> None:
        with memory() as kept:
            for recipient in operators():
                kept.queue(recipient.name, title, "тіло", clock())

    return queue


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def urls(*written: str) -> None:
        monkeypatch.setenv("ALERT_URLS", " ".join(written))

    return urls


# -- URLs that move ------------------------------------------------------------------------------------------------


def test_a_message_finds_its_recipient_wherever_it_moved(
    inbox: Inbox, other: Inbox, queue: Callable[..., None], clock: Clock, urls: Callable[..., None]
) -> None:
    """A and B; B is down; A is taken out, or something put before it."""
    for written in ([inbox.url], [DOWN, other.url, inbox.url], [inbox.url, other.url]):
        urls(other.url, inbox.url)
        inbox.status = 500
        queue("один")
        send_all(clock)
        urls(*written)
        inbox.status = 200
        clock.forward(3600)
        send_all(clock)
    assert (inbox.titles, other.titles) == (["один"] * 3, ["один"] * 3)
    assert waiting() == []


def test_a_corrected_url_takes_over_what_waits(
    inbox: Inbox, other: Inbox, queue: Callable[..., None], clock: Clock, urls: Callable[..., None]
) -> None:
    """In order, although something new was already queued to it."""
    urls(other.url, DOWN)
    queue("один")
    send_all(clock)
    urls(other.url, inbox.url)
    clock.forward(60)
    queue("два")
    send_all(clock)
    clock.forward(3600)
    send_all(clock)
    assert inbox.titles == ["один", "два"]
    assert other.titles == ["один", "два"]


def test_nobody_gets_the_message_of_one_who_left(
    inbox: Inbox, queue: Callable[..., None], clock: Clock, urls: Callable[..., None]
) -> None:
    urls(DOWN, inbox.url)
    queue("один")
    send_all(clock)
    urls(inbox.url)
    for _ in range(24 * 8):
        clock.forward(3600)
        send_all(clock)
    assert inbox.titles == ["один"]
    assert waiting() == []  # dropped after a week


@pytest.mark.parametrize("position", [0, 1])
def test_what_an_earlier_version_queued_is_delivered(
    inbox: Inbox, telegram: Telegram, clock: Clock, urls: Callable[..., None], position: int
) -> None:
    """It knew positions only, and wrote one message to a URL with two chats."""
    urls(f"tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFG/111/222/ {inbox.url}")
    with memory() as kept:
        kept.queue(f"ALERT_URLS {position}", "один", "тіло", clock())
    assert send_all(clock) == (2, 1)[position]
    assert len(telegram.messages) == (2, 0)[position]
    assert inbox.titles == ([], ["один"])[position]


def test_a_corrected_password_is_the_same_recipient() -> None:
    """And no hash of it is kept, because a password can be guessed."""
    before, after = (addresses_in(f"mailto://shop:{word}@example.com?to=a@example.com") for word in ("один", "два"))
    assert [one.key for one in before] == [one.key for one in after]
    assert "один" not in before[0].canonical


def test_the_file_keeps_a_hash_only(
    queue: Callable[..., None], urls: Callable[..., None], clock: Clock, inbox: Inbox
) -> None:
    urls("tgram://123456789:t0kensecrett0kensecrett0kensecret123/111/", "nonsense://user:t0kensecret@x", inbox.url)
    queue("один")
    with closing(sqlite3.connect(state_path())) as con:
        kept = con.execute("select recipient, address from outbox").fetchall()
    assert [label for label, _ in kept] == ["ALERT_URLS 0", "ALERT_URLS 1", "ALERT_URLS 2"]
    assert all(len(address) == 16 and int(address, 16) for _, address in kept)
    assert b"t0kensecret" not in state_path().read_bytes()


# -- How URLs are written ------------------------------------------------------------------------------------------


def test_a_comma_belongs_to_a_password_or_a_list(
    queue: Callable[..., None], urls: Callable[..., None], clock: Clock, inbox: Inbox
) -> None:
    mailbox = Mailbox()
    urls(mailbox.url.replace("to=owner@example.com", "to=a@example.com,b@example.com"), inbox.url)
    queue("один")
    assert send_all(clock) == 3
    mailbox.close()
    assert (len(mailbox.messages), inbox.titles) == (2, ["один"])
    (first, second) = addresses_in("mailtos://bot:pa,ss@example.com?to=a@example.com, b@example.com")
    assert [getattr(service_of(one), "password", None) for one in (first, second)] == ["pa,ss"] * 2


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n", " ,\n ", ";", "\r\n"])
def test_urls_are_separated_by_spaces_commas_or_lines(separator: str) -> None:
    written = ["json://one/", "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFG/1/", "mailto://u:p,w@example.com"]
    assert [one.written for one in addresses_in(separator.join(["", *written, ""]))] == written


# -- One recipient, written twice ----------------------------------------------------------------------------------


def test_each_spelling_of_a_url_is_one_recipient(urls: Callable[..., None]) -> None:
    spellings = (
        "json://example.com/x",
        "json://example.com/x/",
        "JSON://example.com/x?rto=40",
        "json://example.com/x/?wait=2",
    )
    urls(*spellings, "json://example.com/y")
    assert [one.label for one in operators()] == ["ALERT_URLS 0", "ALERT_URLS 1"]


def test_an_owner_in_two_variables_is_one_recipient(
    connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch, urls: Callable[..., None]
) -> None:
    monkeypatch.setenv("OWNER_URL", "json://example.com/x")
    monkeypatch.setenv("MANAGER_URL", "json://example.com/x/ json://example.com/y")
    connection = connect(alerts=["env:OWNER_URL", "env:MANAGER_URL"])
    assert [one.label for one in owners(connection)] == ["OWNER_URL 0", "MANAGER_URL 1"]
