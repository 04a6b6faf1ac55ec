"""The rooms of the house: who may import whom. docs/architecture.md shows the plan."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sitniks_finmap
from sitniks_finmap.cli.commands import COMMANDS

HOUSE = Path(sitniks_finmap.__file__).parent
READING = {"settings", "clients", "warehouse", "language"}
BELOW = {
    "settings": set(),
    "clients": {"settings"},
    "warehouse": {"settings"},
    "language": set(),
    "pipeline": {"settings", "clients", "warehouse"},
    "people": READING | {"pipeline"},
    "alerts": READING | {"pipeline", "people"},
    "report": READING | {"pipeline", "people", "alerts"},
    "backup": {"settings", "warehouse"},
    "defs": READING | {"pipeline", "alerts", "report"},
    "cli": READING | {"pipeline", "people", "alerts", "report", "backup", "defs", "sandbox"},
    "sandbox": set(),
}
FOREIGN = {  # libraries that only these rooms may know
    "dagster": {"defs", "definitions.py"},
    "duckdb": {"warehouse", "pipeline", "people", "alerts", "report", "backup", "defs", "cli"},
    "requests": {"clients", "alerts", "cli"},
    "babel": {"language"},
    "jinja2": {"report"},
    "apprise": {"alerts"},
    "sqlite3": {"alerts", "backup", "sandbox", "cli", "defs"},
    "click": {"cli", "sandbox"},
}
SLOW = {"dagster", "pandas", "starlette"}
# Imported where it is used, because it costs a command that does without it more than it can spare.
LAZY = {
    "cli/alert_commands.py": {"sitniks_finmap.defs.heartbeats"},  # Dagster: 1 s
    "cli/backup_commands.py": {"sitniks_finmap.defs.heartbeats"},  # Dagster: 1 s
    "cli/host_commands.py": {"sitniks_finmap.defs.hosts", "sitniks_finmap.defs.launch"},  # Dagster: 1 s
    "cli/entry.py": {"sitniks_finmap.cli.commands"},  # until it is imported nothing can answer Ctrl-C
    "cli/exits.py": {"sitniks_finmap.cli.errors"},  # DuckDB and pydantic, which --help does without: 0.4 s
    "cli/sandbox_commands.py": {"sitniks_finmap.cli.demo"},  # Dagster and the server of the sandbox: 1.5 s
    # Dagster: 1 s; what draws bars: 20 ms of the half second that `status` has
    "cli/terminal.py": {"sitniks_finmap.defs.launch", "sitniks_finmap.cli.bars"},
    "cli/reading_commands.py": {"rich.live"},  # 40 ms
    "people/status_exports.py": {"prometheus_client"},  # 0.1 s
    "warehouse/store.py": {"pandas"},  # 0.4 s
}


@cache
def modules() -> dict[str, Path]:
    return {
        ".".join(("sitniks_finmap", *path.relative_to(HOUSE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in HOUSE.rglob("*.py")
    }


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Each module that one imports, and whether it does so inside of a function."""
    return [*imported(path, modules())]


def imported(path: Path, known: dict[str, Path]) -> Iterator[tuple[str, bool]]:
    package = ["sitniks_finmap", *path.relative_to(HOUSE).parent.parts]
    tree = ast.parse(path.read_text("utf-8"))
    inner = {id(node) for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) for node in ast.walk(one)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*package[: len(package) - node.level + 1], node.module or ""] if node.level else [node.module or ""]
            )
            for alias in node.names:
                whole = f"{base.strip('.')}.{alias.name}"
                yield whole if whole in known else base.strip("."), id(node) in inner


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_no_room_knows_one_above_it() -> None:
    known = modules()
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        if name != "sitniks_finmap.definitions"
        for other, _ in imports(path)
        if other.startswith("sitniks_finmap.")
        and room(other) in BELOW
        and room(other) not in BELOW.get(room(name), set()) | {room(name)}
    ]
    assert wrong == []


def test_each_library_is_known_in_its_rooms_only() -> None:
    known = modules()
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other, _ in imports(path)
        if other.split(".")[0] in FOREIGN and path.relative_to(HOUSE).parts[0] not in FOREIGN[other.split(".")[0]]
    ]
    assert wrong == []


def test_nothing_is_imported_in_a_circle() -> None:
    known = modules()
    graph = {name: {other for other, _ in imports(path) if other in known} - {name} for name, path in known.items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = graph[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        return seen

    assert [name for name in graph if name in reached(name)] == []


def test_only_what_is_slow_is_imported_inside_of_a_function() -> None:
    known = modules()
    lazy: dict[str, set[str]] = {}
    for path in known.values():
        for other, inside in imports(path):
            if inside:
                lazy.setdefault(path.relative_to(HOUSE).as_posix(), set()).add(other)
    assert lazy == LAZY


# What each command does without, beside what is slow for all: cli/commands.py imports a command when it is used.
WITHOUT = {
    "sitniks_finmap.cli.alert_commands": SLOW,
    "sitniks_finmap.cli.backup_commands": SLOW,
    "sitniks_finmap.cli.commands": SLOW | {"duckdb", "pydantic", "requests", "rich"},
    "sitniks_finmap.cli.host_commands": SLOW,
    "sitniks_finmap.cli.report_commands": SLOW,
    "sitniks_finmap.cli.reading_commands": SLOW | {"requests", "tenacity", "jinja2"},
    "sitniks_finmap.cli.sync_commands": SLOW,
    "sitniks_finmap.cli.decision_commands": SLOW,
    "sitniks_finmap.cli.init_commands": SLOW,
    "sitniks_finmap.cli.identity_commands": SLOW,
    "sitniks_finmap.cli.sandbox_commands": SLOW,
}


@pytest.mark.parametrize("module", WITHOUT)
def test_a_command_starts_without_what_it_does_not_need(module: str) -> None:
    said = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"import sys, {module}; print(*{WITHOUT[module]} & {{*sys.modules}})"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.split() == []


def test_every_command_is_in_the_test_above() -> None:
    assert {f"sitniks_finmap.cli.{module}" for module, _ in COMMANDS.values()} < set(WITHOUT)


def test_every_sql_file_starts_with_a_comment() -> None:
    """It says what one row is, or what the file does."""
    files = {path.relative_to(HOUSE).as_posix(): path.read_text("utf-8") for path in HOUSE.rglob("*.sql")}
    assert "sql/plan.sql" in files
    assert [name for name, text in files.items() if not text.startswith("-- ")] == []
