"""`status` for programs and for fleets: --json, --prometheus, --watch, and a hundred shops that stay readable."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sitniks_finmap.sandbox import Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse

pytestmark = pytest.mark.runs

Command = Callable[..., tuple[int, str]]
Connect = Callable[..., Connection]
SOLD_AT = datetime.now(UTC) - timedelta(minutes=5)


def sell(shop: Shop, number: int, amount: Any = "100.00") -> None:
    stamp = SOLD_AT.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    shop.put_transaction({"id": f"tx_{number}", "createdAt": stamp, "amount": amount, "description": "Оплата"})


@pytest.fixture
def synced(connect: Connect, shop: Shop, command: Command) -> Connection:
    """Two delivered, one rejected."""
    connection = connect(start_date=SOLD_AT.date() - timedelta(days=2))
    sell(shop, 1)
    sell(shop, 2)
    sell(shop, 3, "сто")
    command("sync")
    return connection


def test_json_has_the_numbers_of_the_table(synced: Connection, command: Command) -> None:
    code, said = command("status", "--json")
    (u1,) = json.loads(said)
    assert code == 1
    assert {name: u1[name] for name in ("connection", "state", "operations", "delivered", "pending", "rejected")} == {
        "connection": "u1", "state": "error", "operations": 2, "delivered": 2, "pending": 0, "rejected": 1,
    }  # fmt: skip
    assert u1["delivered_today"] == 2
    succeeded, due = (datetime.fromisoformat(u1[name]) for name in ("last_success", "next_due"))
    assert timedelta() < datetime.now(UTC) - succeeded < timedelta(minutes=5)
    assert succeeded < due <= succeeded + synced.sync_every
    assert [one["problem"] for one in u1["problems"]] == ["rejected"]
    head, line = command("status")[1].splitlines()[:2]
    assert head.split()[-8:] == ["next", "delivered", "today", "failing", "left", "pending", "rejected", "state"]
    assert line.split()[-9:] == ["2", "of", "2", "2", "0", "0", "0", "1", "error"]


def test_what_was_delivered_before_is_not_delivered_today(synced: Connection, shop: Shop, command: Command) -> None:
    """After the file was lost, the ledger is rebuilt from Finmap: nothing was delivered. A correction was."""
    open_warehouse(synced).path.unlink()
    open_warehouse(synced).read_path.unlink()
    command("sync")
    (u1,) = json.loads(command("status", "--json")[1])
    assert (u1["delivered"], u1["delivered_today"]) == (2, 0)
    sell(shop, 1, "101.00")
    command("sync")
    (u1,) = json.loads(command("status", "--json")[1])
    assert (u1["delivered"], u1["delivered_today"]) == (2, 1)


def test_the_last_success_stays_when_a_sync_fails(
    synced: Connection, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads(command("status", "--json")[1])[0]["last_success"]
    monkeypatch.setenv(synced.finmap_key_env, "another key that nobody knows")
    assert command("sync")[0] != 0
    (u1,) = json.loads(command("status", "--json")[1])
    assert (u1["last_success"], u1["state"]) == (before, "error")


def test_an_empty_and_an_invalid_shop_have_no_numbers(connect: Connect, command: Command, project: Path) -> None:
    connect()
    with (project / "connections.toml").open("a", encoding="utf-8") as file:
        file.write("\n[u2]\nstart_date = 2025-01-15\n")
    code, said = command("status", "--json")
    u2, u1 = json.loads(said)
    assert (code, u1["connection"], u1["operations"], u2["source"]) == (1, "u1", None, None)
    assert [one["problem"] for one in (*u1["problems"], *u2["problems"])] == ["never synced", "configuration"]


def test_metrics_are_read_by_prometheus(synced: Connection, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "sitniks_finmap.prom"
    assert command("status", "--prometheus", str(path))[0] == 1
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(path.read_text("utf-8"))
        for sample in family.samples
    }
    assert found["sitniks_finmap_operations", "u1", "delivered"] == 2
    assert found["sitniks_finmap_rejected_records", "u1"] == 1
    assert (found["sitniks_finmap_state", "u1", "error"], found["sitniks_finmap_state", "u1", "ok"]) == (1, 0)
    assert found["sitniks_finmap_problems", "u1", "rejected", "error"] == 1
    assert abs(found["sitniks_finmap_last_success_timestamp_seconds", "u1"] - time.time()) < 300


def test_a_file_that_cannot_be_written_is_told(synced: Connection, command: Command, tmp_path: Path) -> None:
    code, said = command("status", "--prometheus", str(tmp_path / "no such folder" / "x.prom"))
    assert (code, "no such folder" in said, "Traceback" in said) == (1, True, False)


def test_a_hundred_shops_fit_on_a_screen(synced: Connection, command: Command, project: Path) -> None:
    """The same trouble of many is one line, and the worst come first."""
    with (project / "connections.toml").open("a", encoding="utf-8") as file:
        for number in range(99):
            file.write(f'\n[s{number}]\nstart_date = 2025-01-15\nfinmap_account = "Каса"\n')
    code, said = command("status")
    assert code == 1
    assert "100 shops: 100 error" in said
    told = [line for line in said.splitlines() if line.startswith("✗")]
    assert len(told) == 2
    assert re.match(r"✗ s0, s1, s2, s3 and 95 more: .*not set", told[0] if "s0" in told[0] else told[1])


def test_watch_goes_on_until_ctrl_c(synced: Connection) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "sitniks_finmap.cli.entry", "status", "--watch", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert watching.stdout
    seen = 0
    for line in watching.stdout:
        seen += line.startswith("connection")
        if seen == 3:
            break
    watching.send_signal(signal.SIGINT)
    rest = watching.stdout.read()
    assert (watching.wait(timeout=60), "Traceback" in rest) == (0, False)
