"""What is installed on a server: the lock pins all that the package asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE)  # a package may have one pin for each Python


@pytest.mark.parametrize(
    "wanted", tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
)
def test_the_lock_pins_what_the_package_asks_for(wanted: str) -> None:
    requirement = Requirement(wanted)
    pins = [version for name, version in PINNED if name == requirement.name]
    assert pins
    assert all(requirement.specifier.contains(version) for version in pins)


def test_everything_in_the_lock_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(PINNED)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
