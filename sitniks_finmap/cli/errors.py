"""The errors that commands expect, each as one line with the remedy."""

import errno
import sqlite3

import duckdb

from sitniks_finmap.clients.answers import ApiError
from sitniks_finmap.language import terminal_language
from sitniks_finmap.settings.connections import ConfigurationError
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.settings.text_files import Unreadable
from sitniks_finmap.warehouse.store import FILE_REMEDIES, WarehouseError

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


def said_error(error: str) -> str:
    """The line that tells an English error to the person at the terminal, in their language."""
    words = terminal_language()
    return words.text("Error: {why}", why=words.say(error))


def said_interruption() -> str:
    return terminal_language().text("Interrupted. Nothing is lost: run the command again to continue.")


def is_misconfigured(error: BaseException) -> bool:
    """Whether the settings are to be corrected, rather than something failed."""
    return isinstance(error, ConfigurationError | Unreadable)
