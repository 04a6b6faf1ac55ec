"""`doctor` for programs and for whoever helps: --json, --bundle, and the click path to what is wrong."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection

Command = Callable[..., tuple[int, str]]
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
KEYS = "Settings → Integrations → Open API"
CUSTOMER = "Квітослава Неповторна"


def sell(shop: Shop, number: int, amount: Any = "100.00") -> None:
    stamp = YESTERDAY.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    row = {"id": f"tx_{number}", "createdAt": stamp, "amount": amount, "description": f"Оплата від {CUSTOMER}"}
    shop.put_transaction(row)


def refuse(sandbox: Sandbox, api: Any) -> None:
    sandbox.fault(Fault("status", api, status=401, times=None))


@pytest.mark.parametrize(("side", "path"), [("sitniks", KEYS), ("finmap", "Finmap → company settings → API")])
def test_a_refused_key_is_told_with_its_click_path(
    side: str, path: str, connection: Connection, sandbox: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(sandbox, side)
    code, said = command("doctor")
    assert (code, path in said) == (1, True), said
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    assert "Налаштування" in command("doctor")[1]


def test_a_missing_key_is_told_with_its_click_path(
    connection: Connection, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(connection.sitniks_key_env)
    code, said = command("doctor")
    assert (code, KEYS in said) == (1, True), said


@pytest.mark.parametrize("fails", [False, True])
def test_doctor_prints_json_and_nothing_else(
    fails: bool,
    connection: Connection,
    sandbox: Sandbox,
    shop: Shop,
    command: Command,
) -> None:
    sell(shop, 1)
    if fails:
        refuse(sandbox, "finmap")
    code, said = command("doctor", "--json")
    (told,) = json.loads(said[said.index("[\n") :])
    assert (code, told["connection"], told["ok"]) == (int(fails), "u1", not fails)
    assert {one["verdict"] for one in told["findings"]} >= ({"error"} if fails else {"ok"})


@pytest.mark.runs
@pytest.mark.parametrize("shop_is", ["selling", "empty", "failing", "invalid", "unreadable"])
def test_the_bundle_has_what_helps_and_no_secret(
    shop_is: str, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, command: Command, project: Path
) -> None:
    connection = connect(start_date=YESTERDAY.date() - timedelta(days=3))
    if shop_is != "empty":
        sell(shop, 1)
        sell(shop, 2, f"сто від {CUSTOMER}")
        command("sync")
    if shop_is == "failing":
        refuse(sandbox, "finmap")
        refuse(sandbox, "sitniks")
    if shop_is == "invalid":
        with (project / "connections.toml").open("a", encoding="utf-8") as file:
            file.write("\n[u2]\nstart_date = 2025-01-15\n")
    if shop_is == "unreadable":
        for path in project.rglob("u1.duckdb"):
            path.write_bytes(b"no database" * 1000)
    command("doctor", "--bundle", str(project / "help.json"))
    text = (project / "help.json").read_text("utf-8")
    bundle = json.loads(text)
    assert stat.S_IMODE((project / "help.json").stat().st_mode) == 0o600
    assert bundle["versions"]["sitniks_finmap"]
    assert {one["name"] for one in bundle["connections"]} >= {"u1"}
    assert bundle["doctor"]["u1"]
    for secret in (os.environ[connection.sitniks_key_env], os.environ[connection.finmap_key_env], "Квітослав"):
        assert secret not in text
    if shop_is == "selling":
        (u1,) = bundle["connections"]
        assert u1["file"]["rows"]["raw_sitniks_transactions"] == 2
        assert {run["what"] for run in u1["file"]["last_runs"]} >= {"sync", "finmap_upload"}
        assert bundle["status"][0]["rejected"] == 1
