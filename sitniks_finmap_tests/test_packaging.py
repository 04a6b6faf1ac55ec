"""What is installed on a server: the lock pins all that the package asks for, and an old pip can install it; and what
the project's own files say twice, they say alike.
"""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sitniks_finmap import __version__
from sitniks_finmap.defs.launch import DEFINITIONS, LOCATION

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


@pytest.mark.parametrize("wanted", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["postgres"]])
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
    return {canonicalize_name(known[module][0]) for module in modules - sys.stdlib_module_names - {"sitniks_finmap"}}


def test_imports_and_declared_dependencies_match() -> None:
    assert imported() - DECLARED == set()
    assert DECLARED - imported() == set(BY_ANOTHER)


# -- What is said twice --


def test_pyproject_and_workspace_name_the_same_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dg dev` and `dagster dev` read [tool.dg.project], the webserver and the daemon of a server workspace.yaml."""
    monkeypatch.chdir(ROOT)
    told = {
        (origin.location_name, target.module_name, Path(target.working_directory or "").resolve())
        for file in (WorkspaceFileTarget(paths=["workspace.yaml"]), PyProjectFileTarget("pyproject.toml"))
        for origin in file.create_origins()
        for target in [origin.loadable_target_origin]
    }
    assert told == {(LOCATION, DEFINITIONS, ROOT.resolve())}


def test_the_version_is_the_same_everywhere_and_has_its_changes() -> None:
    assert PROJECT["version"] == __version__
    assert re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0] == __version__


def test_links_to_pages_of_the_project_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_every_file_named_in_the_architecture_page_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    names = re.findall(r"`([\w./]+(?:\.(?:py|sql|toml)|/))`", page)
    assert len(names) > 40
    assert [
        name for name in names if not any((folder / name).exists() for folder in (ROOT, ROOT / "sitniks_finmap"))
    ] == []
