"""connections.toml and .env are edited as a careful person would: comments, order and the other lines stay."""

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.edit import EditedFile, replace_files, with_table, with_variables

TEXT = """\
# One table for each shop.

# The first.
[a]   # main
start_date = 2026-01-15   # the first day
finmap_account = "Каса"
sync_every = "1m"   # quickly

[a.accounts]   # from → to
"ФОП" = "Каса"   # FOP

# The second.
[b]
start_date = 2026-02-01
finmap_account = 'Каса'

# [c]
# start_date = 2026-01-15
"""
TABLES = tomllib.loads(TEXT)


def edited(name: str, **settings: Any) -> str:
    """The text with these settings; None takes one away."""
    table = {**TABLES.get(name, {}), **settings}
    return with_table(TEXT, name, {key: value for key, value in table.items() if value is not None})


# -- connections.toml --


def test_a_table_that_is_not_changed_leaves_every_byte() -> None:
    assert edited("a") == TEXT


def test_a_changed_value_is_the_only_line_that_differs() -> None:
    found = edited("a", start_date=date(2026, 3, 1))
    assert found == TEXT.replace("2026-01-15   # the first day", "2026-03-01   # the first day")


def test_a_new_setting_stands_with_its_table() -> None:
    found = edited("b", source_as_tag=True)
    assert found == TEXT.replace("'Каса'\n", "'Каса'\nsource_as_tag = true\n")


def test_a_new_setting_stands_before_the_inner_tables() -> None:
    found = edited("a", source_as_tag=True)
    assert found == TEXT.replace("# quickly\n", "# quickly\nsource_as_tag = true\n")


def test_a_table_that_goes_leaves_the_comment_after_it() -> None:
    found = edited("a", accounts=None)
    assert "# The second.\n[b]" in found
    assert "accounts" not in found


def test_a_new_inner_table_stands_with_its_table() -> None:
    found = edited("b", orders={"paid": ["Виконано"]})
    assert found.index("[b.orders]") < found.index("# [c]")
    assert tomllib.loads(found)["b"]["orders"] == {"paid": ["Виконано"]}


def test_a_new_shop_stands_at_the_end() -> None:
    found = edited("d", start_date=date(2026, 5, 1), finmap_account='Каса "1"', orders={"paid": ["4"]})
    assert found.startswith(TEXT + "\n[d]\nstart_date = 2026-05-01\n")
    assert tomllib.loads(found)["d"]["finmap_account"] == 'Каса "1"'


@pytest.mark.parametrize("text", ["", "# only a comment\n", "# without a line end"])
def test_the_first_shop_of_a_file_is_added(text: str) -> None:
    found = with_table(text, "a", {"finmap_account": "Каса"})
    assert found.startswith(text)
    assert tomllib.loads(found) == {"a": {"finmap_account": "Каса"}}


@pytest.mark.parametrize(
    "text",
    [
        '[a]\nfinmap_account = "Каса"\naccounts = { "ФОП" = "Каса" }\n',
        '[a]\naccounts.x = "Каса"\nfinmap_account = "Каса"\n[b]\n',
        '[a]\nfinmap_account = "Каса"\n[[a.rules]]\nclassification = "x"\n# end\n[b]\n[a.accounts]\nz = "y"\n',
        'a.finmap_account = "Каса"\n',
    ],
)
def test_other_spellings_are_edited_or_refused(text: str) -> None:
    wanted = {**tomllib.loads(text)["a"], "finmap_account": "ФОП", "accounts": {"Сейф": "ФОП"}}
    try:
        found = with_table(text, "a", wanted)
    except ConfigurationError as refused:
        assert "change the table [a] by hand" in str(refused)  # noqa: PT017
    else:
        assert tomllib.loads(found) == {**tomllib.loads(text), "a": wanted}


# -- .env --

ENV = "# Keys\nexport A_KEY=old # mine\n\nB_KEY='b c'\n# A_KEY=no\nTEXT=\"two\nA_KEY=no\nlines\"\n"


def test_a_variable_is_changed_and_the_other_lines_stay() -> None:
    assert with_variables(ENV, {"A_KEY": "new"}) == ENV.replace("export A_KEY=old # mine", "A_KEY=new")


@pytest.mark.parametrize("text", ["", ENV, ENV.rstrip("\n"), "A=1"])
def test_a_new_variable_is_added_at_the_end(text: str) -> None:
    found = with_variables(text, {"C_KEY": "c", "D_KEY": "it's#\\"})
    assert found.startswith(text)
    assert found.endswith("C_KEY=c\nD_KEY='it\\'s#\\\\'\n")


def test_what_dotenv_would_read_otherwise_is_refused_unsaid() -> None:
    with pytest.raises(ConfigurationError, match="write C_KEY into it by hand") as refused:
        with_variables(ENV, {"C_KEY": "a${HOME}b"})
    assert "HOME" not in str(refused.value)


# -- The files --


def files(project: Path) -> tuple[EditedFile, EditedFile]:
    return EditedFile(project / "connections.toml"), EditedFile(project / ".env", private=True)


def listed(project: Path) -> set[str]:
    return {path.name for path in project.iterdir() if path.is_file()}


def test_both_files_are_written_and_only_env_is_private(project: Path) -> None:
    (project / "connections.toml").write_bytes(b"# one\r\n")
    (project / "connections.toml").chmod(0o640)
    (project / ".env").write_text("A=1\n")
    (project / ".env").chmod(0o644)
    toml, env = files(project)
    toml.change("# one\n# two\n")
    env.change("A=2\n")
    replace_files(env, toml)
    assert (project / "connections.toml").read_bytes() == b"# one\r\n# two\r\n"
    assert [oct((project / name).stat().st_mode & 0o777) for name in ("connections.toml", ".env")] == ["0o640", "0o600"]
    assert listed(project) == {"connections.toml", ".env"}


def test_a_new_env_is_private_at_once(project: Path) -> None:
    _, env = files(project)
    env.change("A=2\n")
    replace_files(env)
    assert (project / ".env").stat().st_mode & 0o777 == 0o600


def test_a_file_that_somebody_changed_meanwhile_stays(project: Path) -> None:
    toml, env = files(project)
    toml.change("[a]\n")
    env.change("A=2\n")
    (project / "connections.toml").write_text("[b]\n")
    with pytest.raises(ConfigurationError, match="was changed by somebody else meanwhile; nothing was written"):
        replace_files(env, toml)
    assert listed(project) == {"connections.toml"}


@pytest.mark.parametrize("error", [OSError(30, "Read-only file system"), KeyboardInterrupt()])
def test_what_fails_at_the_second_file_puts_the_first_back(
    error: BaseException, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("A=1\n")
    toml, env = files(project)
    toml.change("[a]\n")
    env.change("A=2\n")
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if target.name == "connections.toml":
            raise error
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises((ConfigurationError, KeyboardInterrupt)):
        replace_files(env, toml)
    assert (project / ".env").read_text() == "A=1\n"
    assert listed(project) == {".env"}


def test_a_link_stays_a_link(project: Path) -> None:
    (project / "real.toml").write_text("")
    (project / "connections.toml").symlink_to("real.toml")
    toml, _ = files(project)
    toml.change("[a]\n")
    replace_files(toml)
    assert (project / "connections.toml").is_symlink()
    assert (project / "real.toml").read_text() == "[a]\n"


def test_a_file_of_another_encoding_is_refused(project: Path) -> None:
    (project / "connections.toml").write_bytes("[a]\n".encode("utf-16"))
    with pytest.raises(ConfigurationError, match="save it as UTF-8 without a byte order mark"):
        files(project)
