"""`sitniks-finmap rename`: the operations keep their keys, the files move, connections.toml keeps its comments."""

import errno
import os
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.rename import rename, renamed_text
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import WrongConnection, choose, load_connections
from sitniks_finmap.warehouse.store import open_warehouse

pytestmark = pytest.mark.runs

TODAY = datetime.now(UTC).date()
DAYS = (TODAY - timedelta(days=3), TODAY)
TABLE = """\
# our shops
[u1]  # the first
start_date = 2025-01-15   # the day we began
finmap_account = "Каса"

[ u1.accounts ]
"ФОП" = "Рахунок [u1]"
[[u1.rules]]
classification = "packaging"   # [u1]
description = ["пакув"]

[u10]
start_date = 2025-01-15
finmap_account = "u1"
"""


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def put(shop: Shop, *numbers: int) -> None:
    at = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    shop.put_transactions([{"id": f"tx_{n}", "createdAt": at, "amount": "100.00"} for n in numbers])


def keys(shop: Shop) -> list[str]:
    return sorted(row["externalId"] for row in shop.operations())


@pytest.fixture
def synced(
    connect: Callable[..., Connection], shop: Shop, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Connection:
    monkeypatch.setattr("sitniks_finmap.defs.launch.instance", lambda: nullcontext(dagster))
    connection = connect(start_date=DAYS[0])
    put(shop, 1, 2, 3)
    assert run_job(dagster, connection, "sync", *DAYS).success
    return connection


def by_hand(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person renames the table and, it being the default, the variables of the keys."""
    path = project / "connections.toml"
    path.write_text(path.read_text("utf-8").replace("[u1]", "[shop]"), "utf-8")


# -- The text ----------------------------------------------------------------------------------------------------


def test_the_table_is_renamed_with_its_tables_and_comments() -> None:
    assert renamed_text(TABLE, "u1", "shop") == TABLE.replace(
        "[u1]  # the first\n",
        '[shop]  # the first\nkey_prefix = "u1"\nsitniks_key_env = "U1_SITNIKS_API_KEY"\n'
        'finmap_key_env = "U1_FINMAP_API_KEY"\n',
    ).replace("[ u1.accounts ]", "[ shop.accounts ]").replace("[[u1.rules]]", "[[shop.rules]]")


def test_what_is_set_already_stays_as_it_is() -> None:
    text = '[u1]\nstart_date = 2025-01-15\nkey_prefix = "first"\nsitniks_key_env = "S"\nfinmap_key_env = "F"\n'
    assert renamed_text(text, "u1", "shop") == text.replace("[u1]", "[shop]")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ['["u1"]', "['u1']", "[ u1 ]", "  [u1]"])
def test_a_header_may_be_written_in_any_way(header: str, newline: str) -> None:
    text = newline.join([header, "start_date = 2025-01-15", 'finmap_account = "К"', ""])
    renamed = tomllib.loads(renamed_text(text, "u1", "shop"))
    assert (list(renamed), renamed["shop"]["key_prefix"]) == (["shop"], "u1")


@pytest.mark.parametrize(
    "text",
    [
        'u1.start_date = 2025-01-15\nu1.finmap_account = "К"\n',
        'u1 = {start_date = 2025-01-15, finmap_account = "К"}\n',
        '[u2]\nfinmap_account = """\n[u1]\n"""\n[u1]\nstart_date = 2025-01-15\n',
    ],
)
def test_what_cannot_be_renamed_for_sure_is_left_to_a_person(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r'cannot be edited auto.*key_prefix = "u1".*Nothing was changed'):
        renamed_text(text, "u1", "shop")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("u1", "u10", "has both"),
        ("nobody", "somebody", "has neither"),
        ("u1", "Крамниця", "must match"),
        ("u1", "u1", "already has that name"),
    ],
)
def test_wrong_use_changes_nothing(project: Path, old: str, new: str, why: str) -> None:
    path = project / "connections.toml"
    path.write_text(TABLE, "utf-8")
    result = command("rename", old, new)
    assert (result.exit_code, why in str(result.exception)) == (1, True)
    assert path.read_text("utf-8") == TABLE


# -- The whole way -----------------------------------------------------------------------------------------------


def test_a_renamed_connection_goes_on_with_the_same_keys(
    synced: Connection, shop: Shop, project: Path, dagster: dg.DagsterInstance, sandbox: Sandbox
) -> None:
    assert command("report").exit_code == 0
    assert (project / "data" / "reports" / "u1.html").exists()
    result = command("rename", "u1", "shop")
    assert result.exit_code == 0, result.output
    assert "u1.duckdb is shop.duckdb" in result.output
    files = {path.name for path in (project / "data").glob("*.*")} - {"connections.last-good.json"}
    assert files == {"shop.duckdb", "shop.lock"}
    assert [path.name for path in (project / "data" / "read").iterdir()] == ["shop.duckdb"]
    assert not (project / "data" / "reports" / "u1.html").exists()
    [renamed] = load_connections()[0]
    assert (renamed.name, renamed.key_prefix, renamed.sitniks_key_env) == ("shop", "u1", "U1_SITNIKS_API_KEY")

    put(shop, 2, 4)
    sandbox.forget_requests()
    assert run_job(dagster, renamed, "sync", *DAYS).success
    assert keys(shop) == [f"u1:tx_{n}" for n in (1, 2, 3, 4)]
    assert len(sandbox.requests("finmap", method="POST", path="/operations/income")) == 1
    with open_warehouse(renamed).transaction() as con:
        assert con.execute("select distinct state from finmap_upload").fetchall() == [("verified",)]

    open_warehouse(renamed).path.unlink()  # and a lost file still finds its own
    assert run_job(dagster, renamed, "sync", *DAYS).success
    assert keys(shop) == [f"u1:tx_{n}" for n in (1, 2, 3, 4)]
    assert "nothing to do" in command("rename", "u1", "shop").output


def test_a_table_renamed_by_hand_is_refused_then_adopted(
    synced: Connection, shop: Shop, project: Path, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(project, monkeypatch)
    for side, value in (("SITNIKS", shop.sitniks_key), ("FINMAP", shop.finmap_key)):
        monkeypatch.setenv(f"SHOP_{side}_API_KEY", value)
    ended = run_job(dagster, choose("shop")[0], "sync", *DAYS)
    assert "run `sitniks-finmap rename u1 shop`" in ended.why
    assert keys(shop) == [f"u1:tx_{n}" for n in (1, 2, 3)]

    result = command("rename", "u1", "shop")
    assert result.exit_code == 0, result.output
    assert "what was read as shop before is kept as shop.before-rename-" in result.output
    renamed = choose("shop")[0]
    assert (renamed.key_prefix, renamed.sitniks_key_env) == ("u1", "SHOP_SITNIKS_API_KEY")
    put(shop, 4)
    assert run_job(dagster, renamed, "sync", *DAYS).success
    assert keys(shop) == [f"u1:tx_{n}" for n in (1, 2, 3, 4)]


def test_a_name_that_never_posted_is_not_kept_as_a_prefix(
    connect: Callable[..., Connection], project: Path, dagster: dg.DagsterInstance, shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    connection = connect(start_date=DAYS[0])
    put(shop, 1)
    assert run_job(dagster, connection, "preview", *DAYS).success
    result = command("rename", "u1", "shop")
    assert (result.exit_code, 'writes under key_prefix = "shop"' in result.output) == (0, True)
    assert run_job(dagster, choose("shop")[0], "sync", *DAYS).success
    assert keys(shop) == ["shop:tx_1"]


def test_variables_that_were_not_renamed_are_written_out(
    synced: Connection, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(project, monkeypatch)
    assert command("rename", "u1", "shop").exit_code == 0
    renamed = choose("shop")[0]
    assert (renamed.sitniks_key_env, renamed.problem()) == ("U1_SITNIKS_API_KEY", None)


def test_a_renaming_that_was_killed_is_finished_by_the_next(
    synced: Connection, project: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "connections.toml"
    with monkeypatch.context() as killed:
        killed.setattr(Path, "rename", lambda *paths: 1 / 0)
        assert isinstance(command("rename", "u1", "shop").exception, ZeroDivisionError)
    assert (project / "data" / "u1.duckdb").exists()
    text = path.read_text("utf-8")
    assert command("rename", "u1", "shop").exit_code == 0
    assert path.read_text("utf-8") == text
    assert (project / "data" / "shop.duckdb").exists()
    assert not (project / "data" / "u1.duckdb").exists()


def test_a_file_that_cannot_be_rewritten_is_named(
    synced: Connection, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/nowhere/.connections.toml.1234")

    before = (project / "connections.toml").read_text()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigurationError, match=r"connections\.toml cannot be rewritten: No space left on device"):
        rename("u1", "u2")
    assert (project / "connections.toml").read_text() == before


def test_nothing_is_renamed_while_a_run_is_going_on(synced: Connection, project: Path) -> None:
    before = (project / "connections.toml").read_text("utf-8")
    with FileLock(project / "data" / "u1.lock"):
        result = command("rename", "u1", "shop")
    assert "another run is still in progress" in str(result.exception)
    assert (project / "connections.toml").read_text("utf-8") == before
    assert (project / "data" / "u1.duckdb").exists()


def test_a_name_with_operations_of_its_own_takes_over_nothing(
    synced: Connection, connect: Callable[..., Connection], sandbox: Sandbox, dagster: dg.DagsterInstance,
    project: Path,
) -> None:  # fmt: skip
    other = sandbox.add_shop("other")
    put(other, 7)
    second = connect("u2", shop="other", start_date=DAYS[0])
    assert run_job(dagster, second, "sync", *DAYS).success
    path = project / "connections.toml"
    path.write_text(path.read_text("utf-8").partition("[u2]")[2].replace("\n", "[u2]\n", 1), "utf-8")
    before = path.read_text("utf-8")
    result = command("rename", "u1", "u2")
    assert 'u2: has operations in Finmap under "u2" (1)' in str(result.exception)
    assert path.read_text("utf-8") == before
    assert {one.name for one in (project / "data").glob("*.duckdb")} == {"u1.duckdb", "u2.duckdb"}


def test_two_connections_with_one_prefix_are_invalid(
    connect: Callable[..., Connection], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.add_shop("other")
    connect("new", key_prefix="old")
    connect("old", shop="other")
    valid, invalid = load_connections()
    assert [one.name for one in valid] == ["new"]
    assert invalid == [WrongConnection("old", 'old: key_prefix: new already writes to Finmap under "old"')]


@pytest.mark.parametrize("prefix", ["", "Крамниця", "a:b", "A"])
def test_a_prefix_that_no_name_could_be_is_invalid(connect: Callable[..., Connection], prefix: Any) -> None:
    with pytest.raises(ValueError, match="key_prefix"):
        connect(key_prefix=prefix)
