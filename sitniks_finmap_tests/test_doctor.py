"""doctor: what it prints and how it exits, through the real command, whatever the shop and the two sides are like."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.clients.ratelimit import limiter_for
from sitniks_finmap.figures import counted
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.conftest import SHARED_APIS
from sitniks_finmap_tests.screens import Doctor

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
EXAMPLES = SHARED_APIS / "examples.json"


def sold(number: int, amount: Any = 100, **more: Any) -> dict[str, Any]:
    return {"id": f"tx_{number}", "createdAt": YESTERDAY.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "amount": amount, **more}


def put(shop: Shop, *rows: dict[str, Any]) -> None:
    for row in rows:
        shop.put_transaction(row, YESTERDAY)


def answers(sandbox: Sandbox, path: str, body: str, api: Any = "sitniks", status: int = 200) -> None:
    sandbox.fault(Fault("status", api, path=path, status=status, body=body, times=None))


# -- Shops that are well --


def test_a_shop_that_sells_today_is_examined_to_the_end(connection: Connection, shop: Shop, doctor: Doctor) -> None:
    put(shop, sold(1), sold(2, -5))
    code, said = doctor()
    assert code == 0
    assert "✓ field amount: in 2 of 2 transactions" in said
    assert "✓ the date filter uses createdAt" in said
    assert "✓ GET /orders answers" in said
    assert 'Finmap account "Каса" exists, in UAH' in said


def test_an_empty_shop_before_any_sync_is_no_error(connection: Connection, doctor: Doctor, project: Path) -> None:
    code, said = doctor()
    assert code == 0
    assert "! no transactions in the last 30 days" in said
    assert not list(project.rglob("*.duckdb"))


@pytest.mark.runs
@pytest.mark.skipif(not EXAMPLES.exists(), reason="the vendor's examples are not in this checkout")
@pytest.mark.parametrize("record", ["all", 0, 1, 2, 3])
@pytest.mark.parametrize("shape", ["data, count", "data, total", "transactions, count", "items", "list"])
def test_every_shape_of_answer_is_examined(
    shape: str, record: Any, connection: Connection, sandbox: Sandbox, doctor: Doctor
) -> None:
    rows = json.loads(EXAMPLES.read_text("utf-8").replace("2025-01-15", f"{YESTERDAY:%Y-%m-%d}"))
    rows = rows if record == "all" else [rows[record]]
    array, _, count = shape.partition(", ")
    body = rows if array == "list" else {array: rows} | ({count: len(rows)} if count else {})
    answers(sandbox, "/transactions", json.dumps(body, ensure_ascii=False))
    code, said = doctor()
    assert code == 0
    assert f"field amount: in {len(rows)} of {counted(len(rows), 'transaction')}" in said
    assert ("does not count its list" in said) is not bool(count)


ODD_ROWS = [
    "1", "null", '"text"', "[]", "{}", '{"id": 1, "amount": NaN}', '{"id": 1, "amount": 1e999}',
    '{"id": 2, "amount": "сто", "date": "вчора"}', '{"id": 3, "amount": {"value": 1}, "createdAt": 1763978400000}',
    '{"id": "\\ud83d", "amount": "\\ud83d"}', '{"id": 4, "x": "a\tb\x00"}', '{"id": 5, "id": 6}',
    '{"id": 7, "x": ' + "[" * 60 + "]" * 60 + "}", '{"id": 8, "x": "' + "й" * 200_000 + '"}',
    '{"id": 9, "settlementAccount": 5, "settlementAccountId": {"id": 1}}',
]  # fmt: skip


@pytest.mark.runs
@pytest.mark.parametrize("row", ODD_ROWS, ids=range(len(ODD_ROWS)))
def test_no_row_whatever_ends_in_a_traceback(
    row: str, connect: Callable[..., Connection], sandbox: Sandbox, doctor: Doctor
) -> None:
    connect(accounts={"7": "Каса"})
    answers(sandbox, "/transactions", f'{{"data": [{row}], "count": 1}}')
    _, said = doctor()
    assert "field amount: in " in said
    assert "GET /orders answers" in said


# -- Each side failing in each way --

FAILING = [
    ({"kind": "status", "status": 401}, "refused the key (401)"),
    ({"kind": "status", "status": 402}, "refused access (402)"),
    ({"kind": "status", "status": 403}, "refused the key (403)"),
    ({"kind": "status", "status": 404}, "answered 404"),
    ({"kind": "status", "status": 429}, "rate limit of the key is used up"),
    ({"kind": "status", "status": 500}, "answered 500"),
    ({"kind": "status", "status": 301, "headers": {"Location": "http://[no"}}, "did not answer"),
    ({"kind": "html"}, "web page instead of JSON"),
    ({"kind": "html_403"}, "web page instead of JSON"),
    ({"kind": "drop_before"}, "did not answer"),
    ({"kind": "truncated", "full_length": True}, "did not answer"),
    ({"kind": "status", "status": 200, "body": "OK"}, "not whole JSON"),
    ({"kind": "status", "status": 200, "body": ""}, "answered"),
    ({"kind": "status", "status": 200, "body": "null"}, "answered"),
    ({"kind": "status", "status": 200, "body": "{}"}, "answered"),
    ({"kind": "status", "status": 200, "body": '{"data": null, "message": "try later"}'}, "try later"),
]


@pytest.mark.parametrize(("failing", "said"), FAILING, ids=range(len(FAILING)))
@pytest.mark.parametrize(("side", "path"), [("finmap", "/accounts"), ("sitniks", "/transactions")])
def test_a_side_that_fails_is_said_and_the_other_examined(
    side: Any, path: str, failing: dict[str, Any], said: str, connection: Connection, shop: Shop, sandbox: Sandbox,
    doctor: Doctor,
) -> None:  # fmt: skip
    put(shop, sold(1), sold(2, -5))
    sandbox.fault(Fault(api=side, path=path, times=None, **failing))
    code, output = doctor()
    assert code == 1
    wrong = [line for line in output.splitlines() if "✗" in line]
    assert len(wrong) == 1
    assert said in wrong[0]
    assert side.title() in wrong[0]
    assert ("Finmap accepts the key" if side == "sitniks" else "GET /orders answers") in output


@pytest.mark.parametrize("body", ["[1]", "[{}]", '[{"id": 1}]', '[{"id": null, "label": "a", "currencyId": "UAH"}]'])
def test_accounts_in_another_shape_are_said(
    body: str, connection: Connection, sandbox: Sandbox, doctor: Doctor
) -> None:
    answers(sandbox, "/accounts", body, "finmap")
    code, said = doctor()
    assert code == 1
    assert "✗ Finmap answered to /accounts with rows that lack one of: id, label, currencyId" in said


def test_orders_that_may_not_be_read_are_named(connection: Connection, shop: Shop, doctor: Doctor) -> None:
    shop.forbid("sitniks", "/orders")
    code, said = doctor()
    assert code == 0  # comments lack a little, payments go over
    assert "! GET /orders: Sitniks refused the key (403)" in said


@pytest.mark.timeout(60)
def test_nobody_listening_is_said_by_host(connection: Connection, sandbox: Sandbox, doctor: Doctor) -> None:
    host = sandbox.url.removeprefix("http://")
    sandbox.stop()
    code, said = doctor()
    assert code == 1
    for side in ("Finmap", "Sitniks"):
        assert f"✗ {side} did not answer ({host}: the connection was refused)" in said


def test_a_name_that_cannot_be_resolved_is_named(
    connect: Callable[..., Connection], doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    connect(finmap_url="https://finmap.invalid/v2.2")
    code, said = doctor()
    assert code == 1
    assert "✗ Finmap did not answer (finmap.invalid: the name cannot be resolved" in said


def test_a_paused_key_is_said_and_not_waited_for(connection: Connection, shop: Shop, doctor: Doctor) -> None:
    limiter_for(shop.finmap_key, 0).pause(600)  # to wait for it would run into the time-out of the test
    _, said = doctor()
    assert "Finmap: the rate limit of the key is used up; requests may start again in " in said


def test_progress_is_shown_by_host_in_a_process_of_its_own(
    connection: Connection, shop: Shop, sandbox: Sandbox
) -> None:
    put(shop, sold(1))
    host = sandbox.url.removeprefix("http://")
    ended = subprocess.run(
        [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()", "doctor"],
        capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"}, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "field id: in 1 of 1 transaction" in ended.stdout
    for side in ("Finmap", "Sitniks"):
        assert f"u1: asking {side} at {host}" in ended.stderr


# -- Signs and settlement accounts --


@pytest.mark.parametrize(("rows", "negative", "warned"), [(50, 0, True), (60, 0, True), (50, 1, False), (49, 0, False)])
def test_a_full_page_without_a_negative_amount_is_a_warning(
    rows: int, negative: int, warned: bool, connection: Connection, shop: Shop, doctor: Doctor
) -> None:
    put(shop, *(sold(number, -100 if number < negative else "100.00") for number in range(rows)))
    code, said = doctor()
    assert code == 0
    assert ("! none of 50 amounts is negative" in said) is warned


def test_unmatched_settlement_accounts_and_mappings_are_shown(
    connect: Callable[..., Connection], shop: Shop, doctor: Doctor
) -> None:
    connect(accounts={"ФОП\u00a0 mono": "Каса", "7": "Каса", "Старий рахунок": "Каса"})
    own = [
        {"settlementAccount": {"id": 1, "title": "ФОП Mono"}}, {"settlementAccountId": 7},
        {"settlementAccount": {"id": 3, "title": "ФОП Приват"}}, {"settlementAccountId": "3"}, {},
        {"settlementAccount": {"id": 3, "title": "ФОП Приват"}},
    ]  # fmt: skip
    put(shop, *(sold(number, **one) for number, one in enumerate(own)))
    code, said = doctor()
    assert code == 0
    assert '! [u1.accounts] maps "Старий рахунок", which is not among' in said
    assert '! [u1.accounts] does not map "ФОП Приват" (2), "ID 3" (1), counted in the latest' in said
    assert said.count("[u1.accounts]") == 2


def test_a_mapping_known_to_the_sitniks_directory_is_no_warning(
    connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    connect(accounts={"Рідкісний": "Каса"})
    put(shop, sold(1))
    answers(sandbox, "/settlement-accounts", '{"data": [{"id": 9, "title": "рідкісний"}]}')
    assert "✓ every settlement account" in doctor()[1]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_directory_that_sitniks_does_not_give_is_done_without(
    status: int, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    connect(accounts={"Рідкісний": "Каса"})
    put(shop, sold(1))
    answers(sandbox, "/settlement-accounts", "{}", status=status)
    code, said = doctor()
    assert code == 0
    assert 'maps "Рідкісний", which is not among the latest 1 transaction' in said


def test_without_a_mapping_no_settlement_account_is_asked_for(
    connection: Connection, shop: Shop, sandbox: Sandbox, doctor: Doctor
) -> None:
    put(shop, sold(1, settlementAccountId=5))
    assert "accounts]" not in doctor()[1]
    assert sandbox.requests("sitniks", path="/settlement-accounts") == []


# -- .env, and what was not tried --


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, True), (0o604, True), (0o600, False)])
def test_keys_readable_by_others_are_a_warning_with_the_command(
    mode: int, warned: bool, connection: Connection, doctor: Doctor, project: Path
) -> None:
    (project / ".env").write_text("")
    (project / ".env").chmod(mode)
    code, said = doctor()
    assert code == 0
    assert ("! other users of this machine can read the keys in .env; run `chmod 600 .env`" in said) is warned


def test_what_could_not_be_tried_is_not_ticked(
    connect: Callable[..., Connection], sandbox: Sandbox, doctor: Doctor
) -> None:
    connect(sitniks_requests_per_second=100, finmap_requests_per_second=200)
    said = doctor()[1]
    assert "✓ requests to Sitniks: at most 100/s" in said
    assert "✓ requests to Finmap: at most 200/s" in said
    sandbox.fault(Fault("status", "finmap", path="/accounts", status=401, times=None))
    said = doctor()[1]
    assert "✓ requests to Sitniks" in said
    assert "requests to Finmap" not in said
    sandbox.stop()
    [ticked] = [line for line in doctor()[1].splitlines() if "✓" in line]
    assert "time zone" in ticked


# -- Settings under which payments would be rejected --


def test_what_would_be_rejected_is_told_before_a_sync(
    connect: Callable[..., Connection], shop: Shop, doctor: Doctor
) -> None:
    connect(accounts={"ФОП": "Долари", "Каса": "Каса"}, unmapped_accounts="reject")
    put(
        shop, sold(1, settlementAccount="ФОП"), sold(2, settlementAccount="Каса"), sold(3, 0), sold(4, 0),
        sold(5, settlementAccount="Сейф"),
    )  # fmt: skip
    code, said = doctor()
    assert code == 1
    of_five = "of the latest 5 transactions"
    assert f"✗ {of_five}, 1 would be rejected: currency UAH, but the Finmap account is in USD; correct the acc" in said
    assert f"✗ {of_five}, 1 would be rejected: its settlement account is not mapped to a Finmap account; corr" in said
    assert f"! {of_five}, 2 would be rejected: amount is zero\n" in said
    connect(accounts={"ФОП": "ФОП", "Каса": "Каса"})
    assert doctor()[0] == 0


def test_all_that_finmap_lacks_is_named_at_once(connect: Callable[..., Connection], doctor: Doctor) -> None:
    connect(accounts={"ФОП": "Сейф", "Каса": "Комора"}, categories={"refund": "Ніщо", "delivery": "Нічого"})
    code, said = doctor()
    assert code == 1
    assert 'Finmap account "Сейф" is not among the accounts of the key; correct accounts."ФОП"' in said
    assert 'Finmap account "Комора" is not among the accounts of the key; correct accounts."Каса"' in said
    connect(categories={"refund": "Ніщо", "delivery": "Нічого"})
    code, said = doctor()
    assert code == 1
    assert 'no Finmap category "Ніщо" for refund' in said
    assert 'no Finmap category "Нічого" for delivery' in said


def test_a_missing_key_does_not_hide_the_other_side(
    connection: Connection, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(connection.finmap_key_env)
    code, said = doctor()
    assert code == 1
    assert f"✗ u1: the environment variable {connection.finmap_key_env} is not set; put it into .env" in said
    assert "✓ Sitniks accepts the key" in said
    monkeypatch.delenv(connection.sitniks_key_env)
    assert doctor()[1].count("is not set; put it into .env") == 2
