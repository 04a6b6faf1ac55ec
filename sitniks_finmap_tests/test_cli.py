"""The command: what it prints and writes, its exit codes, and that the documents tell the same as the code."""

import json
import re
import runpy
import shlex
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from sitniks_finmap.cli.commands import COMMANDS, cli, main
from sitniks_finmap.people.preview import print_plan
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.deliveries import sync, writes

pytestmark = pytest.mark.runs

ROOT = Path(__file__).parents[1]


def command(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=answer)


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """As a shell sees it."""
    monkeypatch.setattr("sys.argv", ["sitniks-finmap", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


# -- The documents -----------------------------------------------------------------------------------------------


def table_of(readme: str) -> dict[str, str]:
    rows = re.findall(r"^\| `sitniks-finmap ([a-z-]+)` \| (.+) \|$", (ROOT / readme).read_text("utf-8"), re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_the_readmes_list_exactly_the_commands_that_help_lists() -> None:
    text = command("--help").output
    listed = re.findall(r"^  ([a-z-]+) {2,}(.+)$", text[text.index("Commands:") :], re.MULTILINE)
    assert len(listed) == len(COMMANDS)
    assert table_of("README.md") == dict(listed)
    assert list(table_of("README.md")) == list(table_of("README.uk.md"))


def test_the_page_of_settings_is_the_one_that_the_code_makes() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == made


def test_every_command_explains_itself() -> None:
    for name, (_, about) in COMMANDS.items():
        result = command(name, "--help")
        assert (result.exit_code, result.output.startswith(f"Usage: cli {name} ")) == (0, True)
        assert result.output.splitlines()[2] == f"  {about}"


def test_every_command_gives_an_example_that_it_accepts() -> None:
    for name in COMMANDS:
        one = cli.get_command(click.Context(cli), name)
        assert one
        [example] = re.findall(r"^ *Example.*: (sitniks-finmap .+)$", one.help or "", re.MULTILINE)
        program, called, *arguments = shlex.split(example)
        assert (program, called) == ("sitniks-finmap", name)
        one.make_context(name, arguments)  # raises UsageError


# -- Preview, decide, sync ---------------------------------------------------------------------------------------

TODAY = datetime.now(UTC).date()
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - timedelta(days=2)


def transaction(number: int, amount: str = "1500.00", **more: Any) -> dict[str, Any]:
    at = NOON.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"id": f"tx_{number}", "createdAt": at, "amount": amount, "description": f"Оплата [{number}]", **more}


@pytest.fixture
def synced(connect: Callable[..., Connection], shop: Shop, home: None) -> ConnectionRun:
    """Three operations that Finmap has; since then a correction, a turned sign, one that is gone and a new one."""
    connection = connect(start_date=TODAY - timedelta(days=3), on_change="ask")
    run = ConnectionRun(connection, open_warehouse(connection), "first-run")
    shop.put_transactions([transaction(n) for n in (1, 2, 3)])
    days: tuple[date, date] = (connection.start_date, TODAY)
    sync(run, *days)
    shop.put_transactions([transaction(1, "1499.90"), transaction(2, "-1500.00"), transaction(4, "10.00")])
    shop.delete_transaction("tx_3")
    run.now = lambda: datetime.now(UTC) - timedelta(minutes=15)
    read_transactions(run, *days)  # misses it for the first time
    return run


def test_preview_approve_sync_status(
    synced: ConnectionRun, shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.forget_requests()
    before = shop.operations()
    result = command("preview")
    assert result.exit_code == 0, result.output
    assert "1 to write; 3 wait for your decision" in result.output
    assert re.search(r"pending update 1 income, 1,499.90", result.output)
    assert "amount: 1,500.00 → 1,499.90" in result.output
    assert "type: income → expense" in result.output
    assert "on_change is ask" in result.output
    assert "u1:tx_4" in result.output
    assert (writes(sandbox), shop.operations()) == ([], before)

    with monkeypatch.context() as staged:
        staged.setattr("sitniks_finmap.cli.sync_commands.run", lambda *what: True)  # it was read just now
        result = command("preview", "--json")
    assert result.exit_code == 0
    plan = {row["external_id"]: row for row in json.loads(result.output)}
    assert {name: (row["action"], row["standing"]) for name, row in plan.items()} == {
        "u1:tx_1": ("update", "pending"), "u1:tx_2:2": ("replace", "pending"), "u1:tx_3": ("withdraw", "pending"),
        "u1:tx_4": ("create", "go"),
    }  # fmt: skip
    assert plan["u1:tx_1"]["changes"] == [{"field": "amount", "before": "1500.00", "after": "1499.90"}]
    assert plan["u1:tx_4"]["amount"] == "10.00"
    assert (writes(sandbox), shop.operations()) == ([], before)

    nothing = command("approve", "--transaction", "tx_9", "--yes")
    assert (nothing.exit_code, "nothing to approve for tx_9" in nothing.output) == (1, True)
    asked = command("approve", "--transaction", "u1:tx_1", answer="n\n")
    assert "Approve this change?" in asked.output
    assert "u1:tx_1" in asked.output
    assert command("status").output.count("pending changes: 3") == 1  # declined: nothing was decided
    approved = command("approve", "--transaction", "u1:tx_1", "--yes")
    assert approved.output.strip().endswith("u1: 1 approved; the next sync applies them")
    assert command("dismiss", "--transaction", "tx_3", "--yes").output.strip().endswith("u1: 1 dismissed")
    assert writes(sandbox) == []
    status = command("status")
    assert status.exit_code == 1
    assert "pending changes: 1 (on_change is ask). `sitniks-finmap preview` shows them" in status.output

    assert command("approve", "--yes").output.strip().endswith("u1: 1 approved; the next sync applies them")
    result = command("sync")
    assert result.exit_code == 0, result.output
    has = {row["externalId"]: (row["type"], str(row["sum"])) for row in shop.operations()}
    assert has == {
        "u1:tx_1": ("income", "1499.9"), "u1:tx_2:2": ("expense", "1500"), "u1:tx_3": ("income", "1500"),
        "u1:tx_4": ("income", "10"),
    }  # fmt: skip
    status = command("status")
    assert status.exit_code == 0
    assert re.search(r"^u1 .* ok$", status.output, re.MULTILINE)
    assert "u1: also in Finmap: 1 operation" in status.output  # tx_3, whose withdrawal was dismissed


def test_a_preview_lists_rejections_and_target_accounts(
    connect: Callable[..., Connection], shop: Shop, home: None
) -> None:
    connect(start_date=TODAY - timedelta(days=3), accounts={"ФОП": "ФОП", "Долари": "Долари"})
    rows = [transaction(1), transaction(2, "0"), transaction(3, "0"), transaction(4), transaction(5)]
    for row, account in zip(rows, ("ФОП", "ФОП", "ФОП", "Долари", "Сейф"), strict=True):
        row["settlementAccount"] = account
    shop.put_transactions(rows)
    said = command("preview").output
    assert "2 to write" in said
    assert "  rejected 2: amount is zero\n" in said
    assert "  rejected 1: currency UAH, but the Finmap account is in USD\n" in said
    assert re.search(r"→ ФОП +u1:tx_1 ", said)
    assert re.search(r"→ Каса +u1:tx_5 ", said)
    output = command("preview", "--json").output
    plan = json.loads(output[output.index("[\n") :])
    assert [(row["transaction_id"], row["why"]) for row in plan if row["action"] == "reject"] == [
        ("tx_2", "amount is zero"), ("tx_3", "amount is zero"),
        ("tx_4", "currency UAH, but the Finmap account is in USD"),
    ]  # fmt: skip
    assert {row["external_id"]: row["account"] for row in plan if row["action"] == "create"} == {
        "u1:tx_1": "ФОП", "u1:tx_5": "Каса"
    }  # fmt: skip


def test_all_that_waits_for_a_person_is_printed(connect: Callable[..., Connection], shop: Shop, home: None) -> None:
    connect(start_date=TODAY - timedelta(days=3), on_change="ask", max_change_share=1.0)
    shop.put_transactions([transaction(n) for n in range(60)])
    assert command("sync").exit_code == 0
    shop.put_transactions([transaction(n, "1499.90") for n in range(60)])
    for said in (command("preview").output, command("approve", answer="n\n").output):
        assert all(f" u1:tx_{n} " in said for n in range(60))
    assert "u1: 60 approved" in command("approve", "--yes").output


def test_what_preview_did_not_show_is_not_decided_by_yes(synced: ConnectionRun) -> None:
    derive_operations(synced, TODAY - timedelta(days=3), TODAY)
    result = command("approve", "--transaction", "tx_1", "--yes")
    assert result.exit_code == 1
    assert "`preview` has shown none of the pending changes" in result.output
    assert "nothing to approve for tx_1; run `sitniks-finmap preview` first" in result.output


def test_what_came_after_the_preview_is_said_once(synced: ConnectionRun) -> None:
    derive_operations(synced, TODAY - timedelta(days=3), TODAY)
    assert command("approve", "--yes").output == "u1: `preview` has shown none of the pending changes (2)\n"
    print_plan(Console(quiet=True), synced.connection, TODAY - timedelta(days=3), TODAY)
    with synced.warehouse.transaction() as con:
        con.execute("delete from shown_changes where transaction_id = 'tx_2'")
    said = command("approve", "--yes").output
    assert "1 more since the last `preview` stays pending" in said
    assert "other change" not in said


def test_a_decision_about_nothing_says_why(synced: ConnectionRun, shop: Shop) -> None:
    assert command("preview").exit_code == 0
    said = {
        wanted: command(*arguments)
        for wanted, arguments in {
            "tx_9": ("approve", "--transaction", "tx_9", "--yes"),
            "tx_4": ("approve", "--transaction", "tx_4", "--yes"),
            "order": ("approve", "--order", "999", "--yes"),
            "warning": ("dismiss", "--unbooked", "--order", "999"),
        }.items()
    }
    decided = "none of its changes waits for a person"
    unread = "no order with this number or ID was read from Sitniks"
    assert {wanted: (one.exit_code, one.output) for wanted, one in said.items()} == {
        "tx_9": (1, "✗ nothing to approve for tx_9: no transaction with this ID was read from Sitniks\n"),
        "tx_4": (1, f"✗ nothing to approve for tx_4: {decided}; `sitniks-finmap explain tx_4` shows why\n"),
        "order": (1, f"✗ nothing to approve for order 999: {unread}\n"),
        "warning": (1, f"✗ no warning about order 999: {unread}\n"),
    }


def test_a_rollback_asks_first(synced: ConnectionRun, shop: Shop, sandbox: Sandbox) -> None:
    sandbox.forget_requests()
    result = command("rollback", "--run", "first", answer="n\n")
    assert result.exit_code == 0
    assert "3 operations would be deleted in Finmap" in result.output
    assert writes(sandbox) == []
    result = command("rollback", "--run", "first", answer="y\n")
    assert (result.exit_code, shop.operations()) == (0, []), result.output
    assert "3 rolled back" in result.output


def test_wrong_use_is_exit_code_2_and_one_line(synced: ConnectionRun, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code(monkeypatch, "rollback") == 2
    assert exit_code(monkeypatch, "rollback", "--run", "x", "--from", "2026-01-01", "--to", "2026-01-01") == 2
    assert exit_code(monkeypatch, "catch-up") == 2
    assert exit_code(monkeypatch, "preview", "--connection", "nobody") == 2
    assert exit_code(monkeypatch, "sync", "--connection", "u1", "--from", "2001-01-01") == 2
    assert exit_code(monkeypatch, "frobnicate") == 2
    assert exit_code(monkeypatch, "explain", "tx_404") == 1
    assert exit_code(monkeypatch, "explain", "tx_1") == 0


def test_a_preview_that_cannot_read_exits_1_with_an_empty_plan(synced: ConnectionRun, shop: Shop) -> None:
    shop.revoke("sitniks")
    result = command("preview", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output[result.output.rindex("[") :]) == []
    assert "refused the key (401)" in result.output


def test_a_sync_delivers_the_months_that_could_be_read(
    home: None, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.clients.http.READ_ATTEMPTS", 1)
    before = TODAY.replace(day=1) - timedelta(days=1)
    connect(start_date=before - timedelta(days=2))
    month_before, this_month = (
        {"id": name, "createdAt": f"{day}T00:30:00.000Z", "amount": 5, "description": "Оплата", "orderId": 5003}
        for name, day in (("tx_1", before), ("tx_2", TODAY.replace(day=1)))
    )
    shop.put_transactions([month_before, this_month])
    sandbox.fault(Fault("status", "sitniks", path="/orders/5003", times=None))
    broken = datetime.fromisoformat(f"{before}T00:30:00+00:00")
    sandbox.fault(Fault("status", "sitniks", times=None, path="/transactions", holding=broken))
    result = command("sync")
    assert result.exit_code == 1
    assert f'answered 500: "sandbox fault" (when reading {before - timedelta(days=2)} to {before})' in result.output
    assert [row["externalId"] for row in shop.operations()] == ["u1:tx_2"]
