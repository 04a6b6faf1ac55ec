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
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.books import TODAY, Books, days_ago
from sitniks_finmap_tests.doc_blocks import (
    LINK,
    PAGES,
    ROOT,
    SPAN,
    Block,
    anchors,
    blocks,
    blocks_in,
    called_in,
    headings,
    lines_of,
    pairs,
    prose,
)
from sitniks_finmap_tests.order_books import move

Keep = Callable[..., Books]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
# Blocks of these languages are for eyes.
FOR_EYES = {"", "mermaid", "text"}
# Programs of which the first word is not ours: deploy/systemd/sitniks-finmap passes them on.
PASSED_ON = {"dagster"}
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


# -- What runs --


def test_every_block_is_one_that_is_tested_or_for_eyes() -> None:
    found = {block.language for page in PAGES for block in blocks(page)}
    assert found <= FOR_EYES | {"sh", "toml", "sql"}
    assert len(blocks_in("sql")) >= 30


@pytest.mark.parametrize("source", ["of_transactions", "of_orders"])
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
    spans = [one.strip("`").partition(" ")[0] for one in SPAN.findall(prose(page))]
    return {one for one in spans if one in EVERY_SETTING or re.fullmatch(r"[A-Z]+(_[A-Z]+)+", one)}


@pytest.mark.parametrize(("english", "ukrainian"), pairs(), ids=lambda page: page.name)
def test_both_languages_tell_the_same(english: Path, ukrainian: Path) -> None:
    assert [level for level, _ in headings(ukrainian)] == [level for level, _ in headings(english)]
    assert code(ukrainian) == code(english)
    assert settings_named(ukrainian) == settings_named(english)
    assert [bool(image) for image, _ in LINK.findall(prose(ukrainian)) if image] == [
        bool(image) for image, _ in LINK.findall(prose(english)) if image
    ]
