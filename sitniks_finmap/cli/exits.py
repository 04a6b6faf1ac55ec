"""How a command fails: one line with the remedy, and the exit code."""

import codecs
import errno
import os
import sqlite3
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

import click
import duckdb

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.connections import ConfigurationError
from sitniks_finmap.private_files import data_folder
from sitniks_finmap.settings_files import Unreadable
from sitniks_finmap.warehouse.store import FILE_REMEDIES, WarehouseError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
EXPECTED = (ConfigurationError, Unreadable, WarehouseError, ApiError, OSError, sqlite3.Error, duckdb.Error)
REMEDIES = {
    errno.EACCES: "run the command as the user who owns the files, or give them to this user",
    errno.EPERM: "run the command as the user who owns the files, or give them to this user",
    errno.EROFS: "remount the file system for writing, or set SITNIKS_FINMAP_DATA and DAGSTER_HOME to another folder",
    errno.ENOSPC: "free some disk space, then run the command again",
    errno.EDQUOT: "free some disk space, then run the command again",
    errno.ENOTDIR: "a file is in the way of a folder; move it, or set SITNIKS_FINMAP_DATA to another folder",
    errno.EEXIST: "a file is in the way of a folder; move it, or set SITNIKS_FINMAP_DATA to another folder",
    errno.EISDIR: "a folder is in the way of a file; move it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
PLAIN = {"✓": "+", "✗": "x", "→": "->", "…": "...", "–": "-", "⚠": "!"}  # for terminals without these characters


def describe(error: BaseException) -> str:
    """One line for people: what happened, on which file, and what to do."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        remedy = REMEDIES.get(error.errno)
        return f"{where}{error.strerror}{f'; {remedy}' if remedy else ''}"
    if isinstance(error, sqlite3.Error):
        path = data_folder() / "sandbox.sqlite"  # Dagster's database errors are RunsUnavailable
        return f"{path} cannot be used: {error}; check that it belongs to this user and that the disk has room"
    if isinstance(error, duckdb.Error):
        said = str(error).splitlines()[0]
        remedy = next((f"; {remedy}" for sign, remedy in FILE_REMEDIES.items() if sign in said), "")
        return said + remedy
    return str(error)


def exit_code(error: BaseException) -> int:
    return MISUSED if isinstance(error, ConfigurationError | Unreadable) else FAILED


def run_command(command: Callable[[], Any]) -> NoReturn:
    """Runs a command and exits: 0 done, 1 something failed, 2 usage or configuration error, 130 interrupted."""
    replace_unprintable(sys.stdout)
    replace_unprintable(sys.stderr)
    try:
        command()
        sys.stdout.flush()  # not at exit, where a full disk would cause a traceback
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. Nothing is lost: run the command again to continue.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(MISUSED)
    except BrokenPipeError:
        leave_quietly()
    except EXPECTED as error:
        click.echo(f"Error: {describe(error)}", err=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO):
            leave_quietly()
        sys.exit(exit_code(error))
    sys.exit(0)


def leave_quietly() -> NoReturn:
    """Exits although stdout accepts no more; drops what is still buffered."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILED)


def replace_unprintable(stream: TextIO) -> None:
    """Replaces characters that a non-UTF-8 terminal cannot print, instead of raising an exception."""
    codecs.register_error("plain", _plain)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure and (stream.encoding or "").replace("-", "").lower() not in ("utf8", "utf8sig"):
        reconfigure(errors="plain")
    elif reconfigure:
        reconfigure(errors="backslashreplace")  # a file name need not be UTF-8


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
