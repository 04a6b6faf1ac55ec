"""The digest of a week: equal to `reconciliation`, once, with the report of the shop attached where one can be."""

import os
import shutil
import smtplib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.alerts import messages
from sitniks_finmap.alerts.digest import Days, due, mark_sent
from sitniks_finmap.alerts.sending import send_all
from sitniks_finmap.alerts.state import memory
from sitniks_finmap.alerts.teller import look_around
from sitniks_finmap.people.query import read_only
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.private_files import report_path
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.inboxes import Inbox, Mailbox, Telegram
from sitniks_finmap_tests.sandbox.clients import Clock
from sitniks_finmap_tests.storms import at_once
from sitniks_finmap_tests.watching import Watched

pytestmark = [pytest.mark.runs, pytest.mark.usefixtures("room_on_the_disk")]

MONDAY = datetime(2026, 3, 9, 6, tzinfo=UTC)  # 08:00 in Kyiv
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 8)
TITLE = "u1: підсумок за тиждень, 2–8 березня"
PAGE = "<!doctype html><title>Каса</title>".encode()
HOUR = timedelta(hours=1)
Connect = Callable[..., Connection]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    monkeypatch.setenv("OWNER_URL", mailbox.url)
    yield mailbox
    mailbox.close()


@pytest.fixture
def open_week(connect: Connect, sandbox: Sandbox, clock: Clock) -> Callable[..., Connection]:
    """A shop with two sales and an expense in the week before, at eight o'clock on Monday; synced, unless asked."""

    def open_week(name: str = "u1", *, sync: bool = True, **settings: object) -> Connection:
        clock.now = MONDAY
        shop = sandbox.add_shop(name)
        for number, (day, amount) in enumerate([("02", "100.50"), ("08", "7"), ("08", "-3.25"), ("09", "5000")]):
            shop.put_transaction({"id": f"tx_{number}", "createdAt": f"2026-03-{day}T10:00:00Z", "amount": amount})
        asked = {"start_date": FIRST, "weekly_digest_at": "monday 09:00", "alerts": ["env:OWNER_URL"]}
        connection = connect(name, name, **{**asked, **settings})
        if sync:
            Watched(sandbox, clock).sync(connection)
        return connection

    return open_week


def pass_hours(clock: Clock, hours: float, step: timedelta = HOUR / 2) -> None:
    """Somebody looks and sends, again and again."""
    end = clock() + hours * HOUR
    while clock() < end:
        clock.forward(step.total_seconds())
        look_around("itself", clock)
        send_all(clock)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\r", "").strip()


def of_weeks(inbox: Inbox | Mailbox) -> list[tuple[str, str]]:
    return [(title, plain(body)) for title, body in inbox.messages if "підсумок за тиждень" in title]


def write_page(shop: str = "u1", content: bytes = PAGE) -> Path:
    page = report_path(shop)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(content)
    return page


def test_the_week_arrives_by_mail_with_the_report(
    open_week: Connect, mailbox: Mailbox, operator: Inbox, clock: Clock
) -> None:
    connection = open_week()
    page = write_page(content=PAGE * 5000)
    pass_hours(clock, 6)
    assert of_weeks(mailbox) == [
        (TITLE, "Збігається до копійки: 2 надходження 107,50 ₴, 1 витрата 3,25 ₴.")
    ]  # fmt: skip
    assert mailbox.attached == [("u1.html", page.read_bytes())]
    assert of_weeks(operator) == []
    _, [row] = read_only(
        "select sum(sitniks_income_count), sum(sitniks_income_sum), sum(sitniks_expense_count), "
        "sum(sitniks_expense_sum), sum(finmap_income_sum), sum(finmap_expense_sum) from reconciliation "
        "where day between '2026-03-02' and '2026-03-08'",
        connection,
    )
    assert [Decimal(one) for one in row] == [
        2,
        Decimal("107.50"),
        1,
        Decimal("3.25"),
        Decimal("107.50"),
        Decimal("3.25"),
    ]


def test_without_a_report_the_text_arrives(open_week: Connect, mailbox: Mailbox, clock: Clock) -> None:
    open_week()
    pass_hours(clock, 2)
    assert [title for title, _ in of_weeks(mailbox)] == [TITLE]
    assert mailbox.attached == []


@pytest.mark.parametrize("odd", ["folder", "empty", "dangling", "too large"])
def test_no_report_keeps_the_text_from_arriving(odd: str, open_week: Connect, mailbox: Mailbox, clock: Clock) -> None:
    open_week()
    page = write_page(content=b"" if odd == "empty" else PAGE * 2000)
    if odd in ("folder", "dangling"):
        page.unlink()
        page.mkdir() if odd == "folder" else page.symlink_to("nowhere")
    mailbox.most_bytes = 20_000
    pass_hours(clock, 6)
    assert [title for title, _ in of_weeks(mailbox)] == [TITLE]
    assert mailbox.attached == []


def test_a_webhook_gets_both_in_one_request(open_week: Connect, owner: Inbox, clock: Clock) -> None:
    open_week()
    write_page()
    pass_hours(clock, 2)
    assert ([title for title, _ in of_weeks(owner)], owner.requests) == ([TITLE], 1)
    assert owner.attached == [("u1.html", PAGE)]


@pytest.mark.parametrize("refuses", [False, True])
def test_a_chat_gets_the_text_once_then_the_report(
    refuses: bool, open_week: Connect, telegram: Telegram, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are two requests: whatever becomes of the second, the first is not repeated."""
    monkeypatch.setenv("OWNER_URL", telegram.url)
    telegram.refuses = lambda said: refuses and "document" in said
    open_week()
    write_page()
    pass_hours(clock, 6)
    assert [title.strip() for title, _ in telegram.messages if "підсумок" in title] == [f"<b>{TITLE}</b>"]
    assert telegram.attached == ([] if refuses else [("u1.html", PAGE)])


def test_a_receiver_that_was_down_gets_both_once(open_week: Connect, mailbox: Mailbox, clock: Clock) -> None:
    """The report is that of the moment when it arrives."""
    open_week()
    write_page(content=b"old")
    mailbox.most_bytes = 0
    pass_hours(clock, 3)
    write_page()
    mailbox.most_bytes = 1 << 20
    pass_hours(clock, 6)
    assert [title for title, _ in of_weeks(mailbox)] == [TITLE]
    assert mailbox.attached == [("u1.html", PAGE)]


def test_an_owner_gets_the_report_of_no_other_shop(
    open_week: Connect, mailbox: Mailbox, sandbox: Sandbox, clock: Clock, operator: Inbox, project: Path
) -> None:
    """Nor that of another owner's shop, which has the name by now."""
    open_week()
    write_page("u2", b"of u2")
    write_page(content=b"of somebody else")
    mailbox.most_bytes = 0
    pass_hours(clock, 2)
    file = project / "connections.toml"
    file.write_text(file.read_text("utf-8").replace("OWNER_URL", "ANOTHER_URL"), "utf-8")
    mailbox.most_bytes = 1 << 20
    pass_hours(clock, 2)
    assert [title for title, _ in of_weeks(mailbox)] == [TITLE]
    assert mailbox.attached == []


def test_it_goes_with_a_new_name(
    open_week: Connect, mailbox: Mailbox, clock: Clock, command: Callable[..., tuple[object, str]]
) -> None:
    open_week()
    mailbox.most_bytes = 0
    pass_hours(clock, 2)
    assert command("rename", "u1", "shop")[0] == 0
    write_page("shop")
    mailbox.most_bytes = 1 << 20
    pass_hours(clock, 6)
    assert ([title for title, _ in of_weeks(mailbox)], mailbox.attached) == ([TITLE], [("shop.html", PAGE)])


def test_a_shop_without_an_owner_tells_the_operator(open_week: Connect, operator: Inbox, clock: Clock) -> None:
    open_week(alerts=[])
    write_page()
    pass_hours(clock, 2)
    assert ([title for title, _ in of_weeks(operator)], operator.attached) == ([TITLE], [("u1.html", PAGE)])


# -- Honest, and once -----------------------------------------------------------------------------------------------


def test_a_week_not_reconciled_never_agrees(open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock) -> None:
    connection = open_week(sync=False)
    pass_hours(clock, 3.5)
    assert of_weeks(owner) == []  # until noon it may still come
    pass_hours(clock, 40, HOUR)
    [(title, body)] = of_weeks(owner)
    assert title == TITLE
    assert body.startswith("Цей тиждень ще не звірено, тому підсумків немає.")
    Watched(sandbox, clock).sync(connection)
    pass_hours(clock, 3)
    assert [body.partition(":")[0] for _, body in of_weeks(owner)[1:]] == ["Збігається до копійки"]


def test_a_week_with_a_day_not_read_is_not_equal(
    open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock
) -> None:
    """One day was read only before its end: what was sold afterwards is unknown."""
    connection = open_week(sync=False)
    clock.now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    Watched(sandbox, clock).sync(connection)
    clock.now = MONDAY
    pass_hours(clock, 6)
    [(_, body)] = of_weeks(owner)
    assert "Збігається" not in body


def test_what_differs_in_a_week_is_said_first(open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock) -> None:
    connection = open_week()
    sandbox.shop("u1").edit_operation("u1:tx_1", amount=8)
    Watched(sandbox, clock).sync(connection)
    pass_hours(clock, 2)
    [(_, body)] = of_weeks(owner)
    assert body.splitlines()[0] == "Sitniks і Finmap не збігаються: відрізняється 1 запис за ці дні."
    assert "where day between '2026-03-02' and '2026-03-08'" in body


def test_two_tellers_and_a_restart_tell_a_week_once(open_week: Connect, owner: Inbox, clock: Clock) -> None:
    open_week()
    write_page()
    clock.forward(3700)
    for _ in range(3):
        at_once([lambda: (look_around("itself", clock), send_all(clock))] * 3)
        clock.forward(60)
    clock.forward(-86400 * 3)  # set back
    pass_hours(clock, 6, HOUR)
    clock.now = MONDAY + timedelta(days=5)
    pass_hours(clock, 6, HOUR)
    assert [title for title, _ in of_weeks(owner)] == [TITLE]
    assert len(owner.attached) == 1


def test_it_is_due_once_a_week_for_a_week(connect: Connect) -> None:
    connection = connect(weekly_digest_at="monday 09:00")
    with memory() as kept:
        told = []
        for hour in range(24 * 21):
            now = MONDAY - timedelta(days=3) + timedelta(hours=hour)
            for one in due(kept, connection, now):
                told.append((now.astimezone(connection.zone).strftime("%a %H"), one.first.day, one.last.day))
                mark_sent(kept, connection, one)
        assert told == [("Fri 08", 23, 1), ("Mon 09", 2, 8), ("Mon 09", 9, 15), ("Mon 09", 16, 22)]
        assert due(kept, connect(), MONDAY + timedelta(days=90)) == []  # off by default
        assert due(kept, connection, MONDAY) == []  # the clock was set back
        far = MONDAY + timedelta(days=365)
        mark_sent(kept, connection, due(kept, connection, far)[0])
        assert len(due(kept, connection, MONDAY + timedelta(days=21))) == 1  # it was far ahead


def test_the_first_week_begins_with_the_shop(connect: Connect) -> None:
    connection = connect(weekly_digest_at="Monday 09:00", start_date=date(2026, 3, 5))
    with memory() as kept:
        assert due(kept, connection, MONDAY + 2 * HOUR) == [Days(date(2026, 3, 5), LAST, is_week=True)]
        assert due(kept, connection, MONDAY - timedelta(days=6)) == []


@pytest.mark.parametrize("written", ["09:00", "mon 09:00", "monday", "monday 9:00", "monday 25:00", "понеділок 09:00"])
def test_an_odd_time_of_the_week_is_refused_with_an_example(written: str, connect: Connect) -> None:
    with pytest.raises(ValueError, match='write a day of the week and a time as "monday 09:00"'):
        connect(weekly_digest_at=written)


def test_the_setting_outlives_a_broken_file(
    open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock, project: Path
) -> None:
    open_week()
    (project / "connections.toml").write_text("[u1", "utf-8")
    pass_hours(clock, 2)
    assert [title for title, _ in of_weeks(owner)] == [TITLE]
    shutil.rmtree(project / "data" / "reports", ignore_errors=True)


def test_why_there_is_none_of_a_shop_never_read(
    open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock
) -> None:
    open_week(sync=False, digest_at="09:00")
    pass_hours(clock, 6, HOUR)
    told = {title: plain(body) for title, body in owner.messages if "підсумок" in title}
    assert [*told] == ["u1: підсумок за 8 березня", TITLE]
    assert all("Чому: " in body and "Збігається" not in body for body in told.values())


def test_why_there_is_none_if_the_file_is_unreadable(
    open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock, project: Path
) -> None:
    """Somebody put a folder in its place."""
    connection = open_week()
    path = open_warehouse(connection).path
    path.unlink()
    path.mkdir()
    pass_hours(clock, 6, HOUR)
    [(_, body)] = of_weeks(owner)
    assert body.startswith("Цей тиждень ще не звірено, тому підсумків немає.")
    assert "Чому: " in body


def test_a_week_with_a_day_partly_read_is_not_equal(
    open_week: Connect, owner: Inbox, sandbox: Sandbox, clock: Clock
) -> None:
    """A read that began after the end of the week stopped halfway: Sitniks answered some pages only."""
    connection = open_week(sync=False)
    clock.now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    watched = Watched(sandbox, clock)
    watched.sync(connection)
    clock.now = MONDAY
    for number in range(60):
        row = {"id": f"tx_late_{number}", "createdAt": "2026-03-08T20:00:00Z", "amount": 10}
        sandbox.shop("u1").put_transaction(row)
    sandbox.fault(Fault("status", "sitniks", status=500, path="/transactions", after=1, times=None))
    watched.sync(connection)
    pass_hours(clock, 6, HOUR)
    [(_, body)] = of_weeks(owner)
    assert "Збігається" not in body


# -- What a reader broke --------------------------------------------------------------------------------------------


def test_a_sync_of_other_days_reconciles_no_week(
    open_week: Callable[..., Connection], owner: Inbox, clock: Clock, sandbox: Sandbox
) -> None:
    """Equal on Sunday noon; then an accountant edits, and Finmap is away on Monday when Sitniks is read."""
    shop = open_week(sync=False, start_date=date(2026, 2, 1))
    clock.now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    watched = Watched(sandbox, clock)
    watched.sync(shop)
    sandbox.shop("u1").edit_operation("u1:tx_0", amount=50)
    clock.now = MONDAY - 2 * HOUR
    with watched.cut("finmap"):
        watched.sync(shop)
    clock.now = MONDAY - HOUR
    run = ConnectionRun(shop, open_warehouse(shop), "run-2", clock)
    with run.recorded("sync"):
        sync(run, date(2026, 2, 1), date(2026, 2, 3))
    clock.now = MONDAY
    pass_hours(clock, 2)
    assert TITLE not in owner.titles
    watched.sync(shop)
    pass_hours(clock, 2)
    (body,) = (body for title, body in owner.messages if title == TITLE)
    assert "не збігаються" in body


def test_a_receiver_that_cuts_off_the_report_gets_the_text(
    open_week: Callable[..., Connection], mailbox: Mailbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_week()
    write_page()
    send = smtplib.SMTP.sendmail

    def cut(smtp: smtplib.SMTP, *rest: Any, **more: Any) -> Any:
        if len(str(rest)) > 4000:
            raise smtplib.SMTPServerDisconnected
        return send(smtp, *rest, **more)

    report_path("u1").write_bytes(PAGE * 1000)
    monkeypatch.setattr(smtplib.SMTP, "sendmail", cut)
    pass_hours(clock, 6)
    assert len(of_weeks(mailbox)) == 1


def test_the_page_of_an_earlier_shop_goes_to_nobody(
    open_week: Callable[..., Connection], owner: Inbox, clock: Clock
) -> None:
    """Its name belongs to another customer now, whose first sync wrote no page yet."""
    write_page()
    before = (MONDAY - 24 * HOUR).timestamp()
    os.utime(report_path("u1"), (before, before))
    open_week()
    pass_hours(clock, 2)
    assert TITLE in owner.titles
    assert owner.attached == []


def test_a_digest_that_fails_silences_no_other(
    open_week: Callable[..., Connection], owner: Inbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_week()
    open_week("u2")
    read = messages.digest_of

    def mistaken(connection: Connection, *rest: Any) -> Any:
        if connection.name == "u2":
            raise ValueError
        return read(connection, *rest)

    monkeypatch.setattr(messages, "digest_of", mistaken)
    pass_hours(clock, 5)
    assert TITLE in owner.titles


@pytest.mark.parametrize("days", [1, 7, 40])
def test_a_clock_set_back_and_corrected_repeats_nothing(
    days: int, open_week: Callable[..., Connection], owner: Inbox, clock: Clock
) -> None:
    open_week(sync=False, start_date=date(2026, 1, 1), digest_at="08:30")
    pass_hours(clock, 5)
    told = owner.titles.copy()
    assert len(told) >= 2
    clock.forward(-86400 * days)
    for _ in range(3):
        clock.forward(60)
        look_around("itself", clock)
        send_all(clock)
    clock.forward(86400 * days)
    pass_hours(clock, 2)
    assert len(owner.titles) == len(set(owner.titles))
