"""What is installed on a server: the lock pins all that the package asks for, and an old pip can install it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
# A package may have one pin for each Python.
PINNED = re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)", LOCK, re.MULTILINE)
EXTRAS = {name: set(extras.split(",")) for name, extras in re.findall(r"^([a-z0-9-]+)\[(.*)\]==", LOCK, re.MULTILINE)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DECLARED = {Requirement(one).name for one in PROJECT["dependencies"]}
BY_ANOTHER = {
    "dagster-webserver": "the UI, a program of its own",
    "tabulate": "pandas makes Markdown tables with it",
}


@pytest.mark.parametrize("wanted", PROJECT["dependencies"])
def test_the_lock_pins_what_the_package_asks_for(wanted: str) -> None:
    requirement = Requirement(wanted)
    pins = [version for name, version in PINNED if name == requirement.name]
    assert pins
    assert all(requirement.specifier.contains(version) for version in pins)


def test_everything_in_the_lock_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9-]+(?:\[.*\])?==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINNED)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_extras_that_a_package_asks_for_are_in_its_pin() -> None:
    """Without them pip 23 calls the pin none: "all requirements must have their versions pinned"."""
    missing = []
    for name, _ in PINNED:
        try:
            asked = requires(name) or []
        except ModuleNotFoundError:  # of another platform
            continue
        for one in map(Requirement, asked):
            if one.extras and (not one.marker or one.marker.evaluate({"extra": ""})):
                missing += [str(one)] if not one.extras <= EXTRAS.get(one.name, set()) else []
    assert missing == []


def imported() -> set[str]:
    """The distributions whose modules the package imports, anywhere in it."""
    modules: set[str] = set()
    for path in (ROOT / "sitniks_finmap").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    known = packages_distributions()
    return {known[module][0].lower() for module in modules - sys.stdlib_module_names - {"sitniks_finmap"}}


def test_what_is_imported_is_declared_and_what_is_declared_imported() -> None:
    assert imported() - DECLARED == set()
    assert DECLARED - imported() == set(BY_ANOTHER)
