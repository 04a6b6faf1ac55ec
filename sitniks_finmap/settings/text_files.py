"""Reads connections.toml and .env as people save them: UTF-8 with or without a BOM, UTF-16, or Windows-1251."""

import codecs
import os
import re
import tomllib
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from sitniks_finmap.days import day_of

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Characters that Ukrainian and Russian text uses; anything else means that it is not Windows-1251.
CYRILLIC = re.compile(r"[\x00-\x7fА-ЩЬЮЯҐЄІЇа-щьюяґєіїЁЪЫЭёъыэ«»“”„’‘–—…№ \xa0]*")
UNQUOTED_DAY = re.compile(r"=\s*(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})\b")
UNQUOTED_DURATION = re.compile(r"=\s*(\d+\s*[smhd])\b")
COMMA = re.compile(r"=\s*(\d+),(\d+)\b")
YES_OR_NO = re.compile(r"(?i)=\s*(true|yes|on|false|no|off)\b")
QUOTES = re.compile("[“”„«»‘’]")
# tomllib's messages for common mistakes; the remedy is more specific.
UNREADABLE_VALUE = ("Expected newline or end of document after a statement", "Invalid date or datetime")

BLANKS = " \t\r\n\f\v\xa0\u200b\u2060\ufeff"  # the last four are invisible


class Unreadable(Exception):
    """A settings file cannot be read; the message names the file, the line and the remedy, and quotes nothing."""


def read_text(path: Path) -> str:
    """Read a text file in any of these encodings. Raises Unreadable, FileNotFoundError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        whose = isinstance(error, PermissionError)
        why = "permission denied; make it readable for the user that runs the command" if whose else error.strerror
        raise Unreadable(f"{path} cannot be read: {why}") from None
    line = 0  # of the first invalid UTF-8
    for encoding in _encodings(raw):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            line = line or raw[: error.start].count(b"\n") + 1
            continue
        if "\0" in text:
            line = line or text[: text.index("\0")].count("\n") + 1
        elif encoding != "cp1251" or CYRILLIC.fullmatch(text):
            return text
    raise Unreadable(f"{path}, line {line}: not valid UTF-8; save the file as UTF-8")


def _encodings(raw: bytes) -> list[str]:
    """The encodings to try, in order."""
    marked = next((encoding for mark, encoding in MARKS.items() if raw.startswith(mark)), None)
    if marked:
        return [marked]
    if b"\0" in raw[:2]:  # UTF-16 without a BOM: the file begins with an ASCII letter
        return ["utf-16-be" if raw[:1] == b"\0" else "utf-16-le"]
    return ["utf-8", "cp1251"]


def is_plain(path: Path) -> bool:
    """Whether a file is UTF-8 without a BOM, the only encoding that Dagster accepts in .env."""
    raw = path.read_bytes() if path.is_file() else b""
    return not raw.startswith(tuple(MARKS)) and _encodings(raw)[0] == "utf-8" and _decodes(raw)


def _decodes(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of connections.toml. Raises Unreadable, FileNotFoundError."""
    text = read_text(path).replace("\r\n", "\n")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise Unreadable(f"{path}: too many brackets inside of each other") from None
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).rpartition(" (at ")
        found = re.match(r"line (\d+)", place)
        number = int(found[1]) if found else text.count("\n") + 1
        lines = text.split("\n")
        line = lines[number - 1] if number <= len(lines) else ""
        # tomllib may quote part of a key.
        fault = re.sub(r":? '.{5,}'|\(.*\)", "", what or str(error)) or "not TOML"
        fault = "a table with this name already exists" if "twice" in str(error) else fault
        fault = "the value of this setting cannot be read" if fault in UNREADABLE_VALUE else fault
        raise Unreadable(f"{path}, line {number}: {fault}; {_remedy(line)}") from None


def _remedy(line: str) -> str:
    if day := UNQUOTED_DAY.search(line):
        try:
            day_of(day[1])
        except ValueError as error:
            return f"{error}; a day has the form 2026-11-20, without quotation marks"
    if duration := UNQUOTED_DURATION.search(line):
        return f'write a duration in quotation marks: "{"".join(duration[1].split())}"'
    if number := COMMA.search(line):
        return f"write the number with a point: {number[1]}.{number[2]}"
    if answer := YES_OR_NO.search(line):
        return f"write {'true' if answer[1].lower() in ('true', 'yes', 'on') else 'false'}, in small letters"
    if QUOTES.search(line.partition("#")[0]):
        return 'write straight quotation marks: "'
    return 'write name = "value", and each connection under its [name]'


_loaded: dict[str, tuple[str | None, str]] = {}  # variables that .env set: what they were before, and what they became


def load_env(path: Path | None = None) -> None:
    """Load .env into the environment, overriding existing variables, as Dagster does. What an earlier call set, and
    .env no longer has, is as it was before. Raises Unreadable.

    A variable that had the value in .env already was set from there, by Dagster or a parent process: it goes with it.
    """
    path = path or Path(".env").absolute()
    try:
        text = read_text(path)
    except FileNotFoundError:
        text = ""
    values = {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
    for name in [one for one in _loaded if one not in values]:
        before, became = _loaded.pop(name)
        if os.environ.get(name) != became:
            continue  # somebody else has set it since
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
    for name, value in values.items():
        before = _loaded[name][0] if name in _loaded else os.environ.get(name)
        _loaded[name] = (None if before == value else before, value)
        os.environ[name] = value


def bare_key(value: str) -> str:
    """Strip what is often copied along with a key: whitespace, quotation marks, "Bearer"."""
    value = value.strip(BLANKS)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1].strip(BLANKS)
    return re.sub(r"(?i)^bearer\s+", "", value)
