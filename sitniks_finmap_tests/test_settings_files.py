"""connections.toml and .env as people save them, and days as they write them: read, or told in one line."""

import codecs
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sitniks_finmap.days import day_of
from sitniks_finmap.definitions import defs
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import load_connections
from sitniks_finmap.settings.text_files import Unreadable, is_plain, load_env, read_text

LEAST = 'start_date = 2025-01-15\nfinmap_account = "Каса"\n'
SAVED_AS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16, Windows": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big end": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "Windows-1251": lambda text: text.encode("cp1251"),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n").encode(),
}


def encoded(saved_as: str, text: str) -> bytes:
    return SAVED_AS[saved_as](text)


# -- Encodings --


@pytest.mark.parametrize("saved_as", SAVED_AS)
def test_connections_are_read_however_they_were_saved(saved_as: str, project: Path) -> None:
    heading = "" if saved_as == "UTF-16 without a mark" else "# Магазин\n"
    (project / "connections.toml").write_bytes(encoded(saved_as, f"{heading}[u1]\n{LEAST}"))
    [connection], wrong = load_connections()
    assert (connection.name, connection.finmap_account, wrong) == ("u1", "Каса", [])


@pytest.mark.parametrize("saved_as", SAVED_AS)
def test_keys_are_read_however_env_was_saved(saved_as: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_KEY", "")
    monkeypatch.setenv("SECOND_KEY", "")
    (project / ".env").write_bytes(encoded(saved_as, "FIRST_KEY=one\nSECOND_KEY=two  # ключ магазину\n"))
    load_env()
    assert (os.environ["FIRST_KEY"], os.environ["SECOND_KEY"]) == ("one", "two")
    assert is_plain(project / ".env") is (saved_as in ("UTF-8", "line ends of Windows"))


@pytest.mark.parametrize("before", ["from .env", "of a service", None])
def test_a_key_goes_with_its_line_in_env(before: str | None, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster sets what .env holds before our code runs; what a service set comes back."""
    monkeypatch.setenv("SHOP_KEY", before or "")
    if before is None:
        monkeypatch.delenv("SHOP_KEY")
    (project / ".env").write_text("SHOP_KEY='from .env'\n", "utf-8")
    load_env()
    assert os.environ["SHOP_KEY"] == "from .env"
    (project / ".env").write_text("", "utf-8")
    load_env()
    assert os.environ.get("SHOP_KEY") == ("of a service" if before == "of a service" else None)


def test_dagster_too_gets_the_first_key_behind_a_mark(
    connect: Callable[..., Connection], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect()
    monkeypatch.setenv("U1_SITNIKS_API_KEY", "")
    (project / ".env").write_bytes(codecs.BOM_UTF8 + b"U1_SITNIKS_API_KEY=sk_live_4f9c2e7ab1\n")
    defs()
    assert os.environ["U1_SITNIKS_API_KEY"] == "sk_live_4f9c2e7ab1"


UNREADABLE = {
    "half a letter": (b"\xd0\x9a\n\xd0\n", 2),
    "UTF-16 that breaks off": (codecs.BOM_UTF16_LE + "a\nb\n".encode("utf-16-le") + b"\x00", 3),
    "DOS letters": (b"# a\n# \x8a\xa0\xe1\xa0 \xb3\x9f\n", 2),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", 1),
}


@pytest.mark.parametrize("name", [".env", "connections.toml"])
@pytest.mark.parametrize("content", UNREADABLE)
def test_what_cannot_be_read_is_one_line_with_its_remedy(
    content: str, name: str, connect: Callable[..., Connection], project: Path, command: Any
) -> None:
    connect()
    raw, line = UNREADABLE[content]
    (project / name).write_bytes(raw)
    code, said = command("doctor")
    assert code == 2
    assert said == f"Error: {project / name}, line {line}: not valid UTF-8; save the file as UTF-8\n"


def test_a_folder_in_place_of_a_file_is_one_line(
    connect: Callable[..., Connection], project: Path, command: Any
) -> None:
    connect()
    (project / ".env").mkdir()
    assert command("doctor") == (2, f"Error: {project / '.env'} cannot be read: Is a directory\n")


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("[u1\n", 1, 'write name = "value"'),
        ("[u1]\nfinmap_account = Каса\n", 2, 'write name = "value"'),
        ("[u1]\nfinmap_account = “Каса”\n", 2, "straight quotation marks"),
        ("[u1]\nstart_date = 01.11.2026\n", 2, "write 2026-11-01"),
        ("[u1]\nstart_date = 2026-11-1\n", 2, "write 2026-11-01; a day has the form 2026-11-20"),
        ("[u1]\n# day\nstart_date = 2026-1-05 # first\n", 3, "write 2026-01-05; a day has the form 2026-11-20"),
        (
            "[u1]\nstart_date = 2026-02-30\n",
            2,
            "no such day in the calendar; the last one of that month is 2026-02-28; a day has the form 2026-11-20",
        ),
        ("[u1]\nstart_date = 20/11/2026\n", 2, "write 2026-11-20; a day has the form 2026-11-20"),
        ("[u1]\nstart_date = 2026.11.1\n", 2, "write 2026-11-01; a day has the form 2026-11-20"),
        ("[u1]\nsync_every = 15m\n", 2, 'write a duration in quotation marks: "15m"'),
        ("[u1]\nmax_change_share = 0,2\n", 2, "write the number with a point: 0.2"),
        ("[u1]\nsource_as_tag = True\n", 2, "write true, in small letters"),
        ("[u1]\nsource_as_tag = no\n", 2, "write false, in small letters"),
        ("[u1]\nsitniks_key = sk_live_4f9c2e7ab1\n", 2, 'write name = "value"'),
        ("[u1]\n[u1]\n", 2, "a table with this name already exists"),
        ("[u1]\na = 1", 1, "set"),
    ],
)
def test_a_fault_in_the_toml_is_one_line_with_its_remedy(
    text: str, line: int, remedy: str, project: Path, command: Any
) -> None:
    (project / "connections.toml").write_text(text, "utf-8")
    code, said = command("doctor")
    if remedy == "set":
        assert code == 1
        return
    assert code == 2
    assert said.startswith(f"Error: {project / 'connections.toml'}, line {line}: ")
    assert remedy in said
    assert said.count("\n") == 1
    assert "sk_live" not in said


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n"])
@pytest.mark.parametrize(
    "arguments", [["doctor"], ["sync"], ["preview"], ["approve"], ["dismiss"], ["explain", "tx_1"], ["rebuild-ledger"]]
)
def test_a_file_without_a_connection_says_so(text: str, arguments: list[str], project: Path, command: Any) -> None:
    (project / "connections.toml").write_text(text, "utf-8")
    code, said = command(*arguments)
    assert code == 2
    assert "connections.toml has no connection; add a table for each shop" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["approve"], ["dismiss"], ["explain", "tx_1"]])
def test_a_decision_for_only_invalid_connections_is_refused(arguments: list[str], project: Path, command: Any) -> None:
    (project / "connections.toml").write_text("[u1]\nstart_date = 2025-01-15\n", "utf-8")
    assert command(*arguments) == (2, "Error: u1: finmap_account is missing\n")


def test_a_missing_file_is_left_to_who_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")
    with pytest.raises(Unreadable):
        read_text(tmp_path)


# -- Days --

DAYS = [
    ("20.11.2026", "write 2026-11-20"), ("1.2.2026", "write 2026-02-01"), ("20-11-2026", "write 2026-11-20"),
    ("20/11/2026", "write 2026-11-20"), ("11/20/2026", "write 2026-11-20"), ("2026/11/20", "write 2026-11-20"),
    ("2026.11.20", "write 2026-11-20"), ("2026-1-5", "write 2026-01-05"), ("20261120", "write 2026-11-20"),
    ("2026-11-20T10:00:00", "write 2026-11-20"), ("11/12/2026", "write a day as 2026-11-20"),
    ("вчора", "write a day as 2026-11-20"), ("20 листопада 2026", "write a day as 2026-11-20"),
    ("20.11.26", "write a day as 2026-11-20"), ("31.02.2026", "write a day as 2026-11-20"),
    ("2026-02-30", "no such day"), ("", "write a day as 2026-11-20"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "said"), DAYS)
def test_a_day_in_another_form_is_told_the_one_to_write(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        day_of(written)


@pytest.mark.parametrize("value", [True, 5, 1.5, None, [], {}, 20261120.0])
def test_what_is_no_day_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^write a day as"):
        day_of(value)


def test_a_day_is_read() -> None:
    assert day_of("2026-11-20") == day_of(" 2026-11-20 ") == day_of(date(2026, 11, 20)) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("setting", "said"),
    [('"01.11.2026"', "2026-11-01"), ("2026-11-01T10:00:00", "2026-11-01"), ("20261101", "2026-11-01")],
)
def test_a_start_date_in_another_form_is_told_the_one_to_write(setting: str, said: str, project: Path) -> None:
    (project / "connections.toml").write_text(f'[u1]\nstart_date = {setting}\nfinmap_account = "Каса"\n', "utf-8")
    assert [one.why for one in load_connections()[1]] == [f"u1: start_date: write {said}"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "--from"], ["sync", "--to"], ["preview", "--from"], ["preview", "--to"], ["rollback", "--from"],
        ["rollback", "--to"], ["approve", "--day"], ["dismiss", "--day"], ["catch-up", "--until"],
    ],
)  # fmt: skip
def test_every_option_for_a_day_tells_the_form_to_write(arguments: list[str], command: Any) -> None:
    code, said = command(*arguments, "20.11.2026")
    assert code == 2
    assert "write 2026-11-20" in said
    assert "%Y" not in said
