"""What a vendor says is shown, with what to do; never a customer, and expired is told from wrong."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from sitniks_finmap.alerts.observe import observe
from sitniks_finmap.clients import finmap, sitniks
from sitniks_finmap.clients.answers import ApiError, KeyRefused
from sitniks_finmap.clients.finmap import Outcome
from sitniks_finmap.clients.reasons import reason_of
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.run import ConnectionRun, StepFailed
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.deliveries import sync
from sitniks_finmap_tests.records import DAY, transaction

RENEW = "pay for or renew the "
NEW_KEY = "; put the correct "
RIGHTS = "give it the missing rights"


@pytest.mark.parametrize(
    ("status", "said", "shown", "remedy"),
    [
        (403, "Your subscription has expired", True, RENEW),
        (403, "Термін дії підписки закінчився 30.11.2026", True, RENEW),
        (403, "Trial period ended", True, RENEW),
        (401, "Subscription Expired", True, RENEW),
        (402, "Payment Required", False, RENEW),
        (402, "pay 1000 UAH until 2026-12-01", True, RENEW),
        (403, "expired", True, RENEW),
        (401, "jwt expired", True, "it has expired: create a new one"),
        (403, "API key expired on 2026-11-20", True, "it has expired: create a new one"),
        (401, "Термін дії ключа закінчився", True, "it has expired: create a new one"),
        (401, "Unauthorized", False, NEW_KEY),
        (401, "Invalid API key", True, NEW_KEY),
        (403, "forbidden_resource", True, RIGHTS),
        (403, "Forbidden", False, RIGHTS),
        (403, "Your IP address is not allowed", True, RIGHTS),
    ],
)
@pytest.mark.parametrize("side", ["sitniks", "finmap"])
def test_a_refusal_shows_the_reason_and_its_remedy(
    side: Any, status: int, said: str, shown: bool, remedy: str, connection: Connection, sandbox: Sandbox
) -> None:
    sandbox.fault(Fault("status", side, status=status, body=json.dumps({"message": said, "error": "Forbidden"})))
    api = (sitniks if side == "sitniks" else finmap).connect(connection).api
    with pytest.raises(KeyRefused, match=rf"^{side.title()} refused .*\({status}\)") as refused:
        api.read("GET", "/accounts")
    assert (f'"{said}"' in str(refused.value)) is shown
    assert remedy in str(refused.value)
    assert (RENEW in str(refused.value)) is (remedy == RENEW)


@pytest.mark.runs
@pytest.mark.parametrize("status", [402, 403])
def test_an_expired_subscription_stops_a_delivery_at_once(
    status: int, connection: Connection, shop: Shop, sandbox: Sandbox, dagster: dg.DagsterInstance
) -> None:
    shop.put_transactions([transaction(n, DAY) for n in range(1, 30)])
    body = '{"message": "Your subscription has expired"}'
    sandbox.fault(
        Fault("status", "finmap", method="POST", path="/operations/income", status=status, body=body, times=None)
    )
    ended = run_job(dagster, connection, "sync", DAY, DAY)
    assert not ended.success
    assert ended.why.startswith(f'u1: Finmap refused access ({status}): "Your subscription has expired"; pay for or')
    assert len(sandbox.requests("finmap", path="/operations/income")) <= 4
    with open_warehouse(connection).transaction() as con:
        assert con.execute("select count(*) from finmap_upload where attempts > 0").fetchone() == (0,)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"message": ["Maintenance until 06:00"]}', "Maintenance until 06:00"),
        ('{"error": {"message": "the database is down"}}', "the database is down"),
        ('{"errors": [{"detail": "try later"}]}', "try later"),
        ("upstream connect error", "upstream connect error"),
        ("<html><head><title>Technical works until 06:00</title></head></html>", "Technical works until 06:00"),
        ('{"message": "Internal Server Error"}', ""),
        ('{"message": "Service Unavailable", "statusCode": 503}', ""),
        ('{"statusCode": 500}', ""),
        ("", ""),
        ("[" * 9999, ""),
        ('{"message": "Квітослава"}', ""),
        ('{"message": "Квітослава Неповторна"}', ""),
        ('{"message": "no access for user Квітослава Неповторна, +38 (099) 770-22-33"}', "no access for user …"),
        ('{"message": "kvitoslava@example.com and @kvitka_n 770011 are not allowed"}', "… and … are not allowed"),
        ('{"message": "paid until 2026-11-30 12:00:00"}', "paid until 2026-11-30 12:00:00"),
    ],
)
def test_a_reason_is_what_the_vendor_says_without_people(body: str, shown: str) -> None:
    assert reason_of(body) == shown


def test_a_reason_does_not_quote_the_request() -> None:
    sent = '{"comment": "оплата від квітослава", "label": "мій тег", "amount": 5}'.encode()
    said = '{"message": "comment оплата від квітослава is not allowed for мій тег"}'
    assert reason_of(said, sent) == "comment … is not allowed for …"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 503, "body": '{"message": "maintenance until 06:00"}'}, "maintenance until 06:00"),
        ({"status": 429, "body": '{"message": "daily quota used up"}'}, "daily quota used up"),
        ({"status": 410, "body": '{"message": "version 2.2 is retired"}'}, "version 2.2 is retired"),
        ({"status": 200, "body": '{"message": "try later"}'}, "try later"),
    ],
)
@pytest.mark.parametrize("ask", ["accounts", "details", "transactions", "order"])
def test_no_error_drops_what_the_vendor_said(
    ask: str,
    fault: dict[str, Any],
    said: str,
    connection: Connection,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_sitniks, in_finmap = sitniks.connect(connection), finmap.connect(connection)
    moment = datetime(2025, 1, 15, tzinfo=UTC)
    asks: dict[str, Callable[[], Any]] = {
        "accounts": in_finmap.accounts,
        "details": lambda: in_finmap.details("x"),
        "transactions": lambda: in_sitniks.page("/transactions", moment, moment),
        "order": lambda: in_sitniks.order("1"),
    }
    if (ask, fault["status"]) == ("order", 200):
        pytest.skip("any object is an order")
    monkeypatch.setattr("sitniks_finmap.clients.http.PAUSE_AFTER_429", 0.0)
    for api in (in_finmap.api, in_sitniks.api):
        api.attempts = 1
    for side in ("finmap", "sitniks"):
        sandbox.fault(Fault("status", side, times=None, **fault))
    with pytest.raises(ApiError, match=said):
        asks[ask]()


def test_a_write_that_failed_says_why(connection: Connection, sandbox: Sandbox) -> None:
    body = '{"status": "Error", "statusCode": 3, "message": "the account is closed"}'
    sandbox.fault(Fault("status", "finmap", method="DELETE", status=201, body=body))
    write = finmap.connect(connection).delete("u1:1", "income")
    assert (write.outcome, write.error) == (Outcome.ERROR, 'Finmap answered Error: "the account is closed"')


ABOUT_PEOPLE = [
    ('{"message":"Марія Іваненко has no valid address; client Ключник Оксана, ОЛЯ"}', 500),
    ('{"message":"Ключник \\"Оксана\\", ОЛЯ; pay \\": \\" Payment ОЛЯ"}', 503),
    ("Марія Ключник", 500),
    ('<html><title>Марія ОЛЯ " Ключник</title></html>', 502),
    ('{"message":"client Ключник: \\"ОЛЯ\\""}', 403),
    ('{"message":"Марія key expired: client ОЛЯ"}', 401),
    ('{"message":"plan of client ОЛЯ"}', 402),
    ('{"message":"Марія не має доступу, ОЛЯ"}', 404),
    ('{"Марія": 1, "ОЛЯ": 2}', 200),
]


@pytest.mark.parametrize(
    ("side", "body", "status"),
    [
        pytest.param(side, *said, marks=[] if number % 2 == turn else pytest.mark.runs)
        for turn, side in enumerate(["sitniks", "finmap"])
        for number, said in enumerate(ABOUT_PEOPLE)
    ],
)
def test_a_message_quotes_nothing_of_a_vendor(
    side: Any, body: str, status: int, connection: Connection, run: ConnectionRun, sandbox: Sandbox
) -> None:
    """The run's error may, because only the operator's own terminal and Dagster show it."""
    sandbox.fault(Fault("status", side, status=status, body=body, times=None))
    run.sitniks.api.sleep = run.finmap.api.sleep = lambda seconds: None
    with suppress(StepFailed), run.recorded("sync"):
        sync(run, connection.start_date, connection.start_date)
    facts = observe(connection, run.warehouse, run.now()).facts
    told = " ".join(fact.why for fact in facts.values())
    assert f"{side.title()} " in told
    assert str(status) in told or status == 200
    for word in ("Марія", "Іваненко", "Ключник", "Оксана", "ОЛЯ", "client", "Payment"):
        assert word.casefold() not in told.casefold()
