"""Jobs from the command line: Dagster's own database, and what is said when it cannot be used."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sitniks_finmap.connections import Connection
from sitniks_finmap.launch import RunsUnavailable, instance, prepare_home
from sitniks_finmap.terminal import run


def test_a_database_of_runs_that_another_process_holds_is_said_with_the_remedy(
    connection: Connection, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with instance() as dagster:
        assert dagster.get_run_records() == []
    with closing(sqlite3.connect(prepare_home() / "history" / "runs.db", isolation_level=None)) as holder:
        holder.execute("begin exclusive")
        day = connection.start_date
        assert not run("sync", connection, (day, day))
    said = capsys.readouterr().out
    assert said.startswith("✗ u1: Dagster's database of runs")
    assert "database is locked. Stop what holds it" in said
    assert "Traceback" not in said


def test_what_is_no_matter_of_the_database_stays_what_it_is(connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), instance():
        raise ZeroDivisionError
    with instance():
        (prepare_home() / "history" / "runs.db").write_bytes(b"no database")
    with pytest.raises(RunsUnavailable, match="cannot be used"), instance() as dagster:
        dagster.get_run_records()
