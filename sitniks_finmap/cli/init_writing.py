"""What `init` writes: shown first, then written as a whole or not at all."""

import difflib
import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.init_answers import Answers
from sitniks_finmap.clients.finmap import Directory
from sitniks_finmap.pipeline.decisions import catch_up, undo_catch_up
from sitniks_finmap.pipeline.directory import category_mapping, find_accounts
from sitniks_finmap.pipeline.order_statuses import find_statuses, saved_lists
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.connections_file import connections_path, read_tables
from sitniks_finmap.settings.edit import EditedFile, replace_files, with_table, with_variables
from sitniks_finmap.warehouse.store import Warehouse, open_warehouse


class Files:
    """connections.toml and .env."""

    def __init__(self) -> None:
        """Raises ConfigurationError if they cannot be edited."""
        self.toml = EditedFile(connections_path())
        self.env = EditedFile(Path(".env").absolute(), private=True)
        for folder in (self.toml.path.parent, self.env.path.parent):
            if not os.access(folder, os.W_OK):
                raise ConfigurationError(f"{folder} cannot be written by this user; nothing was written")

    def tables(self) -> dict[str, Any]:
        """The tables of connections.toml; none if it does not exist. Raises ConfigurationError."""
        return read_tables() if self.toml.before is not None else {}

    def prepare(self, answers: Answers) -> bool:
        """Works out both files, and whether anything is to be written. Raises ConfigurationError, ApiError."""
        _refuse_what_both_sides_lack(answers, answers.connection())
        if answers.is_new:
            first = {
                key: answers.table[key] for key in ("source", "start_date", "finmap_account") if key in answers.table
            }
            answers.table = first | answers.table
        self.toml.change(with_table(self.toml.text, answers.name, answers.table))
        known = self.env.text
        self.env.change(with_variables(known, answers.keys) if answers.keys else known)
        return self.toml.changes or self.env.changes or answers.skip_until is not None

    @property
    def written(self) -> str:
        return ", ".join(one.path.name for one in (self.toml, self.env) if one.changes)


def _refuse_what_both_sides_lack(answers: Answers, connection: Connection) -> None:
    """Raises ConfigurationError for an account, category or status that is not there."""
    find_accounts(connection, answers.finmap.accounts)
    if connection.categories:
        category_mapping(connection, Directory(answers.finmap.accounts, answers.finmap.categories))
    if connection.orders:
        known = [{"id": id, "title": title} for id, title, *_ in answers.sitniks.statuses]
        find_statuses(connection, known, saved_lists(ConnectionRun(connection, open_warehouse(connection))))


def agreed(answers: Answers, files: Files) -> bool:
    """Shows what will be written, and asks."""
    asker = answers.asker
    asker.out.print(f"\n[bold]{asker.text(texts.SUMMARY)}[/]")
    if files.toml.changes:
        asker.say("   " + asker.text(texts.INTO_TOML, path=files.toml.path))
        for line in _changed_lines(files.toml):
            asker.say(f"      {line}")
    if files.env.changes:
        asker.say("   " + asker.text(texts.INTO_ENV, path=files.env.path, names=", ".join(answers.keys)))
    if answers.skip_until:
        asker.say("   " + asker.text(texts.SKIPS, day=answers.skip_until, name=answers.name))
    if answers.connection().first_import == "review" and answers.is_new:
        asker.say("   " + asker.text(texts.REVIEW))
    for warning in answers.warnings:
        asker.note(warning, "warning")
    if answers.options.yes:
        return True
    asker.say("")
    return asker.ask_yes(asker.text(texts.CONFIRM), default=True)


def _changed_lines(file: EditedFile) -> list[str]:
    """What is added, and with a "-" what goes."""
    after = (file.after or b"").decode()
    lines = list(difflib.unified_diff(file.text.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    changes = [line for line in lines if not line.startswith("@@")]
    if all(line.startswith("+") for line in changes):
        return [line[1:] for line in changes if line != "+"]
    return [f"{line[0]} {line[1:]}" for line in changes if line.strip("+-")]


def write(answers: Answers, files: Files) -> None:
    """Writes everything or nothing: what is skipped first, so that no sync can post it meanwhile.

    Raises ConfigurationError, WarehouseError.
    """
    warehouse = open_warehouse(answers.connection())
    existed, before = warehouse.exists(), skipped_until(warehouse)
    if answers.skip_until is not None:
        _skip(warehouse, answers.skip_until)
    try:
        replace_files(files.env, files.toml)
    except BaseException:
        if answers.skip_until is not None:
            _unskip(warehouse, before, existed=existed)
        raise


def skipped_until(warehouse: Warehouse) -> date | None:
    if not warehouse.exists():
        return None
    with warehouse.transaction() as con:
        (until,) = con.execute("select max(until_day) from caught_up").fetchone() or (None,)
    return until


def _skip(warehouse: Warehouse, until: date) -> None:
    with warehouse.run(wait=60):
        catch_up(warehouse, until)


def _unskip(warehouse: Warehouse, until: date | None, *, existed: bool) -> None:
    if not existed:
        for path in (warehouse.path, warehouse.read_path, warehouse.lock_path):
            with suppress(OSError):
                path.unlink(missing_ok=True)
    elif until:
        _skip(warehouse, until)
    else:
        undo_catch_up(warehouse)
