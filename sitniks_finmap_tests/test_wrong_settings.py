"""Settings, keys and days that are wrong: each command says which one and the remedy, and ends with one exit code.

A command that works (sync, preview, approve …) ends with 2. doctor and status are reports: they end with 1.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.clients.http import UNREACHED_ATTEMPTS
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.records import transaction

pytestmark = pytest.mark.runs

START = datetime.now(UTC).date() - timedelta(days=2)
Command = Callable[..., tuple[Any, str]]
WORKS = [["sync"], ["preview"], ["sync", "--connection", "u1"], ["preview", "--connection", "u1"]]
REPORTS = [["doctor"], ["doctor", "--connection", "u1"], ["status"], ["status", "--connection", "u1"]]


# -- One rule for the exit code --

Break = Callable[[Callable[..., Connection], pytest.MonkeyPatch], None]


def no_key(connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(start_date=START)
    monkeypatch.delenv("U1_FINMAP_API_KEY")


def unknown_account(connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(start_date=START, finmap_account="Каса 2")


def unknown_category(connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(start_date=START, categories={"delivery": "Немає"})


def misspelt_setting(connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    connect(start_date=START, finmap_acount="Каса")


WRONG: dict[str, tuple[Break, str]] = {
    "a missing key": (no_key, "U1_FINMAP_API_KEY"),
    "an unknown account": (unknown_account, "finmap_account"),
    "an unknown category": (unknown_category, "categories.delivery"),
    "a misspelt setting": (misspelt_setting, "finmap_acount"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_exit_2_for_work_and_1_for_reports(
    wrong: str, connect: Callable[..., Connection], shop: Shop, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put_transaction(transaction(1, START))
    setup, named = WRONG[wrong]
    with suppress(ValueError):  # the file is written before the fixture validates it
        setup(connect, monkeypatch)
    for arguments in WORKS:
        code, said = command(*arguments)
        assert code == 2, (arguments, said)
        assert "u1: " in said
        assert named in said
    for arguments in REPORTS:
        code, said = command(*arguments)
        assert code == 1, (arguments, said)
        assert named in said


@pytest.mark.parametrize("arguments", [["doctor"], ["status"], ["sync"], ["preview"], ["approve"], ["dismiss"]])
def test_without_connections_nothing_can_be_reported(arguments: list[str], command: Command, project: Path) -> None:
    code, said = command(*arguments)
    assert (code, "connections.toml does not exist" in said) == (2, True)


@pytest.mark.parametrize("arguments", [["approve", "--yes"], ["dismiss", "--yes"]])
def test_a_decision_says_which_connection_is_wrong(
    arguments: list[str], connect: Callable[..., Connection], command: Command, project: Path
) -> None:
    connect(start_date=START)
    path = project / "connections.toml"
    path.write_text(path.read_text("utf-8") + "\n[u2]\nstart_date = 2026-01-01\n", "utf-8")
    code, said = command(*arguments)
    assert code == 2
    assert "u2: finmap_account is missing" in said
    assert "u1: never synced; nothing is pending" in said


def test_the_key_of_another_company_is_wrong_configuration(
    connect: Callable[..., Connection],
    sandbox: Sandbox,
    shop: Shop,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.put_transaction(transaction(1, START))
    connect(start_date=START)
    assert command("sync")[0] == 0
    monkeypatch.setenv("U1_FINMAP_API_KEY", sandbox.add_shop("other").finmap_key)
    for arguments in WORKS:
        code, said = command(*arguments)
        assert code == 2, (arguments, said)
        assert "looks like the Finmap key of another company" in said
        assert "U1_FINMAP_API_KEY in .env" in said
    assert [command(*arguments)[0] for arguments in (["doctor"], ["status"])] == [1, 1]


# -- Keys --


@pytest.mark.parametrize("arguments", [["sync"], ["preview"], ["doctor"], ["status"]])
def test_both_missing_keys_are_named_at_once(
    arguments: list[str], connect: Callable[..., Connection], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(start_date=START)
    for side in ("SITNIKS", "FINMAP"):
        monkeypatch.delenv(f"U1_{side}_API_KEY")
    code, said = command(*arguments)
    assert code == (1 if arguments == ["doctor"] else 2 if arguments != ["status"] else code), said
    for side in ("SITNIKS", "FINMAP"):
        assert f"U1_{side}_API_KEY" in said, said
    assert ".env" in said


def test_a_key_that_cannot_be_one_is_named_with_its_place(
    connect: Callable[..., Connection], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(start_date=START)
    monkeypatch.setenv("U1_SITNIKS_API_KEY", "ключ")
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    code, said = command("sync")
    assert code == 2
    assert "U1_SITNIKS_API_KEY holds characters that no key has; copy the key into .env again" in said
    assert "the environment variable U1_FINMAP_API_KEY is not set; put it into .env" in said
    assert "ключ" not in said.split()


def test_swapped_keys_are_told_by_the_names_of_their_variables(
    connect: Callable[..., Connection], shop: Shop, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(start_date=START)
    monkeypatch.setenv("U1_SITNIKS_API_KEY", shop.finmap_key)
    monkeypatch.setenv("U1_FINMAP_API_KEY", shop.sitniks_key)
    code, said = command("doctor")
    assert code == 1
    for side in ("Sitniks", "Finmap"):
        [line] = [line for line in said.splitlines() if f"{side} refused the key (401)" in line]
        assert f"U1_{side.upper()}_API_KEY in .env" in line
    for arguments in (["sync"], ["preview"]):
        code, said = command(*arguments)
        assert code == 1
        assert "u1: Finmap refused the key (401)" in said
        assert "U1_FINMAP_API_KEY in .env" in said
    assert shop.finmap_key not in said
    assert shop.sitniks_key not in said


# -- The account --


def test_an_unknown_account_is_reported_with_the_known_ones(
    connect: Callable[..., Connection], command: Command
) -> None:
    """By the setting that names it."""
    connect(start_date=START, finmap_account="Каса 2")
    for arguments in (["preview"], ["doctor"]):
        said = command(*arguments)[1]
        assert (
            'u1: Finmap account "Каса 2" is not among the accounts of the key; correct finmap_account in conn' in said
        )
        assert "Каса (" in said
    connect(start_date=START, accounts={"ФОП": "Каса 2"})
    for arguments in (["preview"], ["doctor"]):
        assert 'correct accounts."ФОП" in connections.toml' in command(*arguments)[1]


# -- Days --


@pytest.mark.parametrize(
    "arguments", [["sync"], ["preview"], ["preview", "--json"], ["rollback"], ["rollback", "--yes"]]
)
def test_reversed_days_are_wrong_use(
    arguments: list[str], connect: Callable[..., Connection], command: Command
) -> None:
    connect(start_date=START)
    code, said = command(*arguments, "--from", "2026-11-20", "--to", "2026-11-10")
    assert code == 2
    assert "--from is after --to" in said
    assert "start_date" not in said


@pytest.mark.parametrize("name", ["sync", "preview"])
def test_days_of_a_shop_that_begins_later_say_so(
    name: str, connect: Callable[..., Connection], command: Command
) -> None:
    connect(start_date=START + timedelta(days=370))
    code, said = command(name)
    assert code == 2
    assert "u1: start_date" in said
    assert "is in the future: nothing is read before that day" in said


def test_the_whole_history_and_some_days_exclude_each_other(
    connect: Callable[..., Connection], command: Command
) -> None:
    connect(start_date=START)
    code, said = command("sync", "--full", "--from", str(START))
    assert (code, "use either --full, or --from and --to" in said) == (2, True)


def test_one_end_of_the_days_is_enough(connect: Callable[..., Connection], shop: Shop, command: Command) -> None:
    shop.put_transaction(transaction(1, START))
    connect(start_date=START)
    assert command("sync", "--from", str(START))[0] == 0
    assert command("preview", "--to", str(START))[0] == 0
    code, said = command("sync", "--from", "2001-01-01")
    assert (code, "choose days from start_date " in said) == (2, True)
    assert ", not 2001-01-01; the nearest is " in said, "only the day that was given is named"
    code, said = command("preview", "--to", "2001-01-01")
    assert (code, f", not 2001-01-01; the nearest is {START}" in said) == (2, True)


def test_a_last_day_before_what_is_due_asks_for_the_first(
    connect: Callable[..., Connection], shop: Shop, command: Command
) -> None:
    shop.put_transaction(transaction(1, START))
    connect(start_date=START - timedelta(days=30))
    assert command("sync")[0] == 0
    code, said = command("preview", "--to", str(START - timedelta(days=20)))
    assert (code, "name the first day with --from" in said) == (2, True), said


def test_an_undo_with_nothing_skipped_says_so(connect: Callable[..., Connection], command: Command) -> None:
    connect(start_date=START)
    code, said = command("catch-up", "--undo")
    assert (code, "nothing was skipped; nothing to undo" in said) == (0, True)


@pytest.mark.parametrize("until", ["2001-01-01", "2099-01-01"])
def test_a_catch_up_to_a_day_outside_the_import_is_wrong_use(
    until: str, connect: Callable[..., Connection], command: Command
) -> None:
    connect(start_date=START)
    code, said = command("catch-up", "--until", until)
    assert (code, f"--until is {until}" in said) == (2, True), said


# -- Nobody there --


@pytest.mark.parametrize("name", ["sync", "preview"])
def test_without_network_a_run_ends_soon(
    name: str,
    connect: Callable[..., Connection],
    sandbox: Sandbox,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every line of the log names the connection."""
    caplog.set_level("INFO", "sitniks_finmap")
    connect(start_date=START - timedelta(days=100))
    sandbox.stop()
    slept: list[float] = []
    monkeypatch.setattr(
        "sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: lambda state: slept.append(1) or 0
    )
    code, said = command(name)
    assert code == 1
    assert "u1: Sitniks did not answer" in said
    assert "several times in a row" not in said
    assert len(slept) <= 3 * UNREACHED_ATTEMPTS  # each side once, and the orders
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("sitniks_finmap")]
    assert [line for line in lines if not line.startswith("u1: ")] == []


def test_an_api_that_fails_a_command_is_told_with_the_connection(
    connect: Callable[..., Connection], sandbox: Sandbox, shop: Shop, command: Command
) -> None:
    shop.put_transaction(transaction(1, START))
    connect(start_date=START)
    assert command("sync")[0] == 0
    sandbox.stop()
    for arguments in (["rebuild-ledger"], ["rebuild-ledger", "--connection", "u1"], ["rollback", "--from", str(START),
                      "--to", str(START), "--yes"]):  # fmt: skip
        code, said = command(*arguments)
        assert code == 1
        assert "u1: Finmap did not answer" in said
