"""Edits connections.toml and .env for people: comments, order and the other lines stay, and all files are replaced or
none.
"""

import os
import re
import secrets
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import tomlkit
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, Comment, Item, Table, Whitespace

from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.text_files import is_plain

BY_HAND = "{what} cannot be edited automatically; {remedy}. Nothing was written"
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.:/+=@-]+")
Trivia = list[tuple[Any, Item]]


@dataclass
class EditedFile:
    """A settings file as it was read, and as it is to be. `private`: only its owner may read it."""

    path: Path
    private: bool = False
    before: bytes | None = field(init=False)  # None: there is none

    def __post_init__(self) -> None:
        """Raises ConfigurationError if the file cannot be edited."""
        self.path = self.path.resolve()  # a link stays one
        try:
            self.before = self.path.read_bytes() if self.path.exists() else None
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}") from None
        if not is_plain(self.path):
            raise ConfigurationError(f"{self.path}: save it as UTF-8 without a byte order mark, then run this again")
        self.after = self.before

    @property
    def text(self) -> str:
        """What is in it now, with "\\n" at the end of lines."""
        return (self.before or b"").decode().replace("\r\n", "\n")

    def change(self, text: str) -> None:
        """Keeps the line ends of the file."""
        if text != self.text:
            self.after = text.replace("\n", "\r\n" if b"\r\n" in (self.before or b"") else "\n").encode()

    @property
    def changes(self) -> bool:
        return self.after != self.before


def replace_files(*files: EditedFile) -> None:
    """Replace the files that are to change, or none of them. Raises ConfigurationError."""
    changed = [one for one in files if one.changes]
    for one in changed:
        if (one.path.read_bytes() if one.path.exists() else None) != one.before:
            raise ConfigurationError(f"{one.path} was changed by somebody else meanwhile; nothing was written")
    fresh: list[Path] = []
    at = ""
    try:
        for one in changed:
            at = str(one.path)
            fresh.append(_written(one.path, one.after or b"", private=one.private))
        for path, one in zip(fresh, changed, strict=True):
            at = str(one.path)
            os.replace(path, one.path)
    except BaseException as error:
        for one in changed:
            _put_back(one)
        if isinstance(error, OSError):
            raise ConfigurationError(f"{at} cannot be written: {error.strerror}. Nothing was changed") from None
        raise
    finally:
        for path in fresh:
            path.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replace one file at once, keeping its permissions. Raises OSError."""
    fresh = _written(path, text.encode())
    try:
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _written(path: Path, content: bytes, *, private: bool = False) -> Path:
    """A new file beside this one, with its owner and permissions. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    there = path.stat() if path.exists() else None
    try:
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private or there else 0o666), "wb"
        ) as to:
            to.write(content)
            to.flush()
            os.fsync(to.fileno())
        if there:
            if (there.st_uid, there.st_gid) != ((own := fresh.stat()).st_uid, own.st_gid):
                os.chown(fresh, there.st_uid, there.st_gid)
            fresh.chmod(0o600 if private else there.st_mode & 0o777)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh


def _put_back(file: EditedFile) -> None:
    """Unless it is as it was."""
    with suppress(OSError):
        if file.before is None:
            file.path.unlink(missing_ok=True)
        elif file.path.read_bytes() == file.after:
            os.replace(_written(file.path, file.before, private=file.private), file.path)


# -- connections.toml --


def with_table(text: str, name: str, table: dict[str, Any]) -> str:
    """connections.toml with this table, changed or added at the end. Only the settings that differ are touched.

    Raises ConfigurationError if the result would not be exactly that.
    """
    before = tomllib.loads(text)
    if before.get(name) == table:
        return text
    try:
        document = tomlkit.parse(text)
        if name in before:
            _update(document[name], table)
        else:
            if text.strip():
                document.add(tomlkit.nl())
            document.add(name, tomlkit.item(table))
        edited = tomlkit.dumps(document)
        right = tomllib.loads(edited) == {**before, name: table} and _comments(edited) == _comments(text)
    except (TOMLKitError, tomllib.TOMLDecodeError, AttributeError, TypeError, ValueError):
        right, edited = False, ""
    if not right:
        remedy = f"change the table [{name}] by hand (docs/configuration.md)"
        raise ConfigurationError(BY_HAND.format(what="connections.toml", remedy=remedy))
    return edited


def _update(item: Any, wanted: dict[str, Any]) -> None:
    trailing = _without_trailing(item)
    for key in [key for key in item if key not in wanted]:
        kept = _comments_in(item[key])
        del item[key]
        trailing = kept + trailing
    for key, value in wanted.items():
        if key not in item:
            item.add(key, tomlkit.item(value))
        elif isinstance(value, dict) and isinstance(item[key], AbstractTable):
            _update(item[key], value)
        elif tomlkit.item(item[key]).unwrap() != value:
            item[key] = value
    if trailing:
        _last_table(item).value.body.extend(trailing)


def _without_trailing(item: Any) -> Trivia:
    """Take off the comments and blank lines at the end of a table, which belong to what follows it."""
    body = _last_table(item).value.body
    start = len(body)
    while start and isinstance(body[start - 1][1], Comment | Whitespace):
        start -= 1
    trailing = list(body[start:])
    del body[start:]
    return trailing


def _last_table(item: Any) -> Any:
    """The table that is written last: itself, or the last table in it."""
    body = item.value.body
    inner = next((one for _, one in reversed(body) if not isinstance(one, Comment | Whitespace)), None)
    return _last_table(inner) if isinstance(inner, Table) and body[-1][1] is inner else item


def _comments_in(item: Any) -> Trivia:
    """The lines of comment in a table that is to go, which stay."""
    return [one for one in item.value.body if isinstance(one[1], Comment)] if isinstance(item, AbstractTable) else []


def _comments(text: str) -> list[str]:
    return sorted(line.strip() for line in text.splitlines() if line.lstrip().startswith("#"))


# -- .env --


def with_variables(text: str, values: dict[str, str]) -> str:
    """.env with these variables; all other lines stay. Raises ConfigurationError, without a value."""
    wanted = dotenv_values(stream=StringIO(text)) | values
    lines = [(binding.key, binding.original.string) for binding in parse_stream(StringIO(text))]
    for name, value in values.items():
        line = f"{name}={_quoted(value)}\n"
        at = max((number for number, (key, _) in enumerate(lines) if key == name), default=None)
        if at is None:
            ends = not lines or lines[-1][1].endswith("\n")
            lines.append((name, line if ends else f"\n{line}"))
        else:
            lead = re.match(r"\s*", lines[at][1])
            lines[at] = (name, (lead[0] if lead else "") + line)
    edited = "".join(line for _, line in lines)
    if dotenv_values(stream=StringIO(edited)) != wanted:
        names = " and ".join(values)
        raise ConfigurationError(BY_HAND.format(what=".env", remedy=f"write {names} into it by hand"))
    return edited


def _quoted(value: str) -> str:
    if PLAIN_VALUE.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
