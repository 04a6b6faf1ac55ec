"""Commands about the whole installation: backup, restore."""

import os
import time
from pathlib import Path

import click
from rich.markup import escape

from sitniks_finmap.alerts.deployment import Heartbeat
from sitniks_finmap.backup.make import make_backup
from sitniks_finmap.backup.restore import Restored, restore_backup
from sitniks_finmap.cli.terminal import out
from sitniks_finmap.days import utc_now
from sitniks_finmap.figures import counted
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.settings.connections import ConfigurationError

FILE = click.Path(dir_okay=False, path_type=Path)
ALIVE = 40  # seconds; the daemon gives a sign of life every 30


@click.command()
@click.argument("file", type=FILE)
@click.option("--without-keys", is_flag=True, help="Leave .env out.")
def backup(file: Path, without_keys: bool) -> None:
    """Write everything into one archive; runs go on.

    FILE is a new tar archive that only you can read: the data of every connection, connections.toml, .env with the
    keys, the installation's ID, what people were told, and Dagster's runs if they are in SQLite files (back up Postgres
    with pg_dump). It is complete or not there at all.
    """
    made = make_backup(file, keys=not without_keys)
    what = counted(len(made.connections), "connection")
    out.print(f"{MARKS['ok']} {escape(str(made.path))}: {made.size / 1_000_000:.1f} MB, {what}")
    if made.keys:
        out.print(f"{MARKS['warning']} it contains .env with the keys: store it where only you can read it")
    else:
        out.print("  it contains no keys: keep those elsewhere")
    if not made.dagster:
        out.print("  it contains no runs of Dagster: if they are in Postgres, back that up with pg_dump")


@click.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Set aside what is here, and restore in its place.")
def restore(file: Path, replace: bool) -> None:
    """Restore an archive that backup wrote.

    Stop Dagster first, and run this in the folder of connections.toml. Every file of FILE is verified before anything
    is changed. What is here already is left alone, or with --replace set aside. If a restore was interrupted, this
    finishes it, and restores nothing else.
    """
    _refuse_a_daemon()
    _tell(restore_backup(file, replacing=replace))


def _refuse_a_daemon() -> None:
    """Raises ConfigurationError while Dagster's daemon lives: it would go on with what is set aside."""
    home = os.environ.get("DAGSTER_HOME") or Path(os.environ.get("SITNIKS_FINMAP_DATA") or "data", "dagster")
    if not Path(home).expanduser().is_dir():
        return  # importing Dagster takes a second
    from sitniks_finmap.defs.heartbeats import last_heartbeat

    first = last_heartbeat()
    if not isinstance(first, Heartbeat) or not 0 <= (utc_now() - first.at).total_seconds() < ALIVE:
        return
    out.print(f"  Dagster's daemon ran until a moment ago: watching for {ALIVE} seconds whether it has stopped …")
    for _ in range(ALIVE):
        time.sleep(1)
        if last_heartbeat() != first:
            raise ConfigurationError("Dagster's daemon is running: stop it, then try again. Nothing was changed")


def _tell(done: Restored) -> None:
    what = counted(len(done.connections), "connection")
    if made := done.manifest:
        out.print(f"{MARKS['ok']} restored {what} as of {made.made_at}, from sitniks-finmap {made.sitniks_finmap}")
    else:
        out.print(f"{MARKS['ok']} the restore that was interrupted is complete now: {what}")
    for path in done.aside:
        out.print(f"  set aside: {escape(str(path))}")
    if not done.dagster:
        out.print(
            "  the backup has no runs of Dagster: restore Postgres with pg_restore, or start with an empty history"
        )
    if not done.keys:
        out.print(f"{MARKS['warning']} the backup has no keys: put them into .env")
    out.print("  next: make sure that no other machine runs these connections, run `sitniks-finmap doctor`, then")
    out.print("        start Dagster. The next sync finds what was delivered after the backup; nothing is sent twice.")
