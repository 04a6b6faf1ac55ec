"""What README and docs tell people to type works, and both languages tell the same."""

import re
import subprocess
import tomllib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import click
import pytest

from sitniks_finmap.cli.commands import COMMANDS, cli
from sitniks_finmap.people.query import read_only
from sitniks_finmap.sandbox import Sandbox
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.books import TODAY, Books, days_ago
from sitniks_finmap_tests.doc_blocks import (
    LINK,
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    blocks_in,
    called_in,
    headings,
    lines_of,
    mentioned_in,
    pairs,
    programs,
    prose,
    spans,
)
from sitniks_finmap_tests.order_books import move
from sitniks_finmap_tests.warehouses import begun

Keep = Callable[..., Books]
Command = Callable[..., tuple[int, str]]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
# Blocks of these languages are for eyes.
FOR_EYES = {"", "mermaid", "text"}
# Programs of which the first word is not ours: deploy/systemd/sitniks-finmap passes them on.
PASSED_ON = {"dagster"}
# Our commands that are run as the pages have them; `sql` has a test of its own.
RUN = ["doctor", "status", "report", "backup", "restore", "rename"]
REPORTS = {"doctor", "status"}  # they end with 1 if something is wrong with a shop
# The others are read as the program reads them, and not run here; why, and which test runs them.
NOT_RUN = {
    "init": "asks: test_tutorial.py and test_init.py answer",
    "sync": "a job of Dagster takes seconds: test_tutorial.py, test_cli.py",
    "preview": "a job of Dagster: test_cli.py",
    "demo": "a job of Dagster: test_exits.py",
    "sandbox": "serves until Ctrl-C: test_exits.py",
    "watch": "goes on until Ctrl-C, and needs a daemon: test_watch.py",
    "alert-test": "sends messages: test_watch.py",
    "rebuild-ledger": "needs another installation: test_installation.py",
    "hosts": "needs Dagster's database: test_hosts.py",
    "rollback": "asks about what a run created: test_cli.py",
    "accept-key": "needs another company: test_identity.py",
    "approve": "needs what is pending: test_decisions.py",
    "dismiss": "needs what is pending: test_decisions.py",
    "catch-up": "changes what later syncs post: test_cli.py",
    "explain": "named without a record: test_explain.py",
}
# What blocks for a shell start besides; a shell only reads these lines.
ELSEWHERE = {
    "the shell's own": {".", "cd", "echo", "export", "umask"},
    "changes the machine": {
        "apt-get", "chgrp", "chmod", "cp", "install", "mkdir", "$to", "runuser", "sudo", "systemctl", "useradd",
    },
    "needs the network": {"git", "pip", "pip-audit", "uv"},
    "needs Docker": {"docker"},
    "goes on until Ctrl-C": {"dagster", "dagster-daemon", "dagster-webserver"},
    "tests and checks, as CI runs them": {"pytest", "pyright", "ruff", "run"},
    "of the machine": {"date", "journalctl", "openssl", "python3"},
}  # fmt: skip
EVERY_SETTING = {*Connection.model_fields, *Connection.model_fields["orders"].annotation.__args__[0].model_fields}  # type: ignore[union-attr]


@pytest.fixture
def of_transactions(keep_books: Keep) -> Connection:
    """A shop with something of everything that is asked for, and its published copy."""
    books = keep_books()
    for number, source in enumerate(("Instagram", "Rozetka", "Prom.ua"), 1):
        books.sell(number, counterparty="Олена", source=source, at=days_ago(number))
    books.sell(4, "-12.50", description="Комісія", source="Rozetka", at=days_ago(1))
    books.sell(5, "-20", description="Повернення за замовлення #5", at=days_ago(1))
    books.sell(6, "сто", at=days_ago(1))
    books.sync()
    books.warehouse.publish()
    return books.run.connection


@pytest.fixture
def of_orders(keep_orders: Keep) -> Connection:
    books = keep_orders()
    move(books, "Виконано", "Повернено", number=1)
    move(books, "Новий", number=2)
    books.warehouse.publish()
    return books.run.connection


@pytest.fixture
def pages_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """In no browser; what commands say is English."""
    monkeypatch.setattr("webbrowser.open", lambda page: True)
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "en")


# -- What runs --


def test_every_block_is_one_that_is_tested_or_for_eyes() -> None:
    found = {block.language for page in PAGES for block in blocks(page)}
    assert found <= FOR_EYES | {"sh", "toml", "sql"}
    assert len(blocks_in("sql")) >= 30


@pytest.mark.parametrize("source", ["of_transactions", pytest.param("of_orders", marks=pytest.mark.runs)])
def test_every_query_runs_on_both_sources(source: str, request: pytest.FixtureRequest) -> None:
    connection: Connection = request.getfixturevalue(source)
    calls = [call for page in PAGES for call in called_in(page) if call[:1] == ["sql"] and "…" not in call]
    queries = [block.text for block in blocks_in("sql")] + [call[1] for call in calls if len(call) > 1]
    rows = [len(read_only(query, connection)[1]) for query in dict.fromkeys(queries)]
    assert sum(rows) > len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_the_program_takes(name: str) -> None:
    for call in called_in(ROOT / name):
        if not call or call == ["…"]:
            continue
        assert call[0] in {*COMMANDS, *PASSED_ON} or call[0].startswith("-"), call
        one = cli.get_command(click.Context(cli), call[0])
        if one and len(call) > 1 and "…" not in call:
            with suppress(click.exceptions.Exit):  # of --help
                one.make_context(call[0], call[1:])  # raises UsageError


@pytest.mark.parametrize("name", NAMES)
def test_every_option_named_in_prose_exists(name: str) -> None:
    for call in mentioned_in(ROOT / name):
        one = cli.get_command(click.Context(cli), call[0])
        assert one
        known = {option for param in one.params for option in [*param.opts, *param.secondary_opts]}
        assert [word for word in call if word.startswith("--") and word not in known] == []


def test_every_program_named_is_ours_or_known_not_to_run() -> None:
    started = {program for block in blocks_in("sh") for line in lines_of(block) for program in programs(line)}
    assert started - set().union(*ELSEWHERE.values()) == {"sitniks-finmap"}
    called = {call[0] for page in PAGES for call in called_in(page) if call and call[0] in COMMANDS}
    assert called == {*RUN, *NOT_RUN, "sql"}
    for name, why in NOT_RUN.items():
        for module in re.findall(r"test_\w+\.py", why):
            assert f'"{name}"' in (Path(__file__).parent / module).read_text("utf-8"), (name, module)


def test_every_quick_command_runs_as_it_is_written(
    connect: Callable[..., Connection], sandbox: Sandbox, command: Command, pages_open: None
) -> None:
    """With the shops that the pages name, and with paths that lead into this project."""
    sandbox.add_shop("second")
    for name, shop in {"shop_1": "demo", "shop_2": "second"}.items():
        begun(open_warehouse(connect(name, shop)))
    called = [call for page in PAGES for call in called_in(page) if len(call) > 1 and call[0] in RUN]
    complete = {tuple(map(here, call)) for call in called if not any(word.isupper() for word in call)}
    assert {call[0] for call in complete} == {*RUN}
    for call in sorted(complete, key=lambda call: RUN.index(call[0])):
        code, said = command(*call)
        assert code in ((0, 1) if call[0] in REPORTS else (0,)), (call, said)
        assert "Error: " not in said, (call, said)


def here(word: str) -> str:
    """A path of a page leads into this folder, and each archive is the same one."""
    path = Path(word)
    return f"here{path.suffix}" if "/" in word or path.suffix == ".tar" else word


@pytest.mark.parametrize("block", blocks_in("sh"), ids=lambda block: block.name)
def test_every_block_for_a_shell_is_one(block: Block) -> None:
    """A shell can read it, and what it copies of ours is here."""
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)  # noqa: S607
    assert checked.returncode == 0, checked.stderr
    for line in lines_of(block):
        for path in re.findall(r"(?<!\S)(?:/opt/sitniks_finmap/)?(deploy/\S+)", line):
            assert [*ROOT.glob(path)], path


@pytest.mark.parametrize("block", blocks_in("toml"), ids=lambda block: block.name)
def test_every_block_of_settings_is_valid(block: Block) -> None:
    """A block that is a part of a table is read as a part of one that has what is required."""
    required = {"start_date": TODAY - timedelta(days=9), "finmap_account": "Каса"}
    tables = tomllib.loads(block.text)
    loose = {name: value for name, value in tables.items() if not isinstance(value, dict)}
    whole = {name: value for name, value in tables.items() if isinstance(value, dict)} | (
        {"shop": loose} if loose else {}
    )
    assert whole
    for name, table in whole.items():
        assert Connection.model_validate({"name": name, **required, **table}).name == name


# -- Links --


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for _, target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


# -- Two languages --


def code(page: Path) -> list[tuple[str, str]]:
    """Its blocks of code without comments; what is quoted may differ."""
    found = [(block.language, "\n".join(lines_of(block))) for block in blocks(page) if block.language not in FOR_EYES]
    return [(language, re.sub(r'"[^"\n]*"', '""', text)) for language, text in found]


def settings_named(page: Path) -> set[str]:
    """Settings and environment variables in backticks."""
    words = [span.partition(" ")[0] for span in spans(page)]
    return {one for one in words if one in EVERY_SETTING or re.fullmatch(r"[A-Z]+(_[A-Z]+)+", one)}


@pytest.mark.parametrize(("english", "ukrainian"), pairs(), ids=lambda page: page.name)
def test_both_languages_tell_the_same(english: Path, ukrainian: Path) -> None:
    assert [level for level, _ in headings(ukrainian)] == [level for level, _ in headings(english)]
    assert code(ukrainian) == code(english)
    assert settings_named(ukrainian) == settings_named(english)
    assert [bool(image) for image, _ in LINK.findall(prose(ukrainian)) if image] == [
        bool(image) for image, _ in LINK.findall(prose(english)) if image
    ]
