"""What is mistyped gets the nearest right word; a shell completes commands, options and connections."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from sitniks_finmap.cli.commands import COMPLETING, PROGRAM, cli
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.screens import command

ROOT = Path(__file__).parents[1]
TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["snyc"], "No such command 'snyc'; did you mean sync?"),
        (["Doctor"], "did you mean doctor?"),
        (["sync", "--conection", "u1"], "--connection"),
        (["preview", "--form", "2026-11-20"], "--from"),
        (["preview", "--from", "2026-11-31"], "no such day in the calendar; the last one of that month is 2026-11-30"),
        (["preview", "--from", "20.11.2026"], "write 2026-11-20"),
        (["preview", "--from", f"{TODAY}".replace("-", "")[:-1] + "O"], "did you mean"),
        (["preview", "--from", f"{TODAY:%Y-%m}{TODAY:%d}"], f"did you mean {TODAY}?"),
    ],
)
def test_what_is_mistyped_gets_the_nearest(typed: list[str], meant: str) -> None:
    code, said = command(*typed)
    assert code == 2
    assert meant in said


@pytest.mark.parametrize("typed", ["whatever", "zzz"])
def test_what_is_like_nothing_gets_no_suggestion(typed: str) -> None:
    code, said = command(typed)
    assert code == 2
    assert "did you mean" not in said


@pytest.mark.parametrize("name", ["sandbox_shp", "Sandbox_shop", "sandboxshop"])
def test_a_mistyped_connection_gets_the_nearest(
    name: str, connect: Callable[..., Connection], command: Callable[..., tuple[int, str]]
) -> None:
    connect("u1")
    connect("sandbox_shop")
    code, said = command("status", "--connection", name)
    assert code == 2
    assert f"there is no connection {name}; connections.toml has: " in said
    assert "; did you mean sandbox_shop?" in said


def test_a_day_outside_gets_the_nearest_that_can_be_chosen(
    connect: Callable[..., Connection], command: Callable[..., tuple[int, str]]
) -> None:
    connect("u1", start_date=TODAY - timedelta(days=3))
    code, said = command("preview", "--connection", "u1", "--from", str(TODAY - timedelta(days=30)))
    assert code == 2
    assert f"the nearest is {TODAY - timedelta(days=3)}" in said


def completed(shell: type[ShellComplete], *words: str) -> list[str]:
    found = shell(cli, {}, PROGRAM, COMPLETING).get_completions([*words[:-1]], words[-1])
    return [one.value for one in found]


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
def test_commands_options_and_connections_are_completed(
    shell: type[ShellComplete], connect: Callable[..., Connection]
) -> None:
    connect("shop_1")
    connect("shop_2")
    connect("other")
    assert completed(shell, "pre") == ["preview"]
    assert completed(shell, "preview", "--co") == ["--connection"]
    assert completed(shell, "preview", "--connection", "sh") == ["shop_1", "shop_2"]
    assert completed(shell, "rename", "o") == ["other"]


def test_without_connections_nothing_is_completed(project: Path) -> None:
    assert completed(BashComplete, "preview", "--connection", "") == []
    (project / "connections.toml").write_text("[broken\n")
    assert completed(BashComplete, "preview", "--connection", "") == []


@pytest.mark.runs
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_as_the_readme_says(connect: Callable[..., Connection], project: Path) -> None:
    connect("shop_1")
    (project / ".env").write_bytes(b"\xff\xfe\xfa")  # unreadable: to complete a word it is not needed
    program = project / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom sitniks_finmap.cli.entry import main\nmain()\n")
    program.chmod(0o755)
    readme = (ROOT / "README.md").read_text("utf-8")
    line = f'eval "$({COMPLETING}=bash_source {PROGRAM})"'
    assert line in readme
    script = (
        f"{line}\nCOMP_WORDS=({PROGRAM} status --connection s); COMP_CWORD=3\n"
        f'_sitniks_finmap_completion {PROGRAM}; echo "${{COMPREPLY[@]}}"'
    )
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603
        [str(shutil.which("bash")), "-c", script], capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr.strip()) == ("shop_1", "")
