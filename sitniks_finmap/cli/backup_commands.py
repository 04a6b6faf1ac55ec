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
from sitniks_finmap.language import terminal_language
from sitniks_finmap.people.marks import MARKS
from sitniks_finmap.settings.connections import ConfigurationError

FILE = click.Path(dir_okay=False, path_type=Path)
ALIVE = 40  # seconds; the daemon gives a sign of life every 30


@click.command()
@click.argument("file", type=FILE)
@click.option("--without-keys", is_flag=True, help="Leave .env out.")
def backup(file: Path, without_keys: bool) -> None:
    """Write everything into one archive while runs continue.

    FILE is a new tar archive that only you can read: the data of every connection, connections.toml, .env with the
    keys, the installation's ID, what people were told, and Dagster's runs if they are in SQLite files (back up Postgres
    with pg_dump). It is complete or not there at all.

    Example: sitniks-finmap backup backups/2026-11-26.tar
    """
    made, words = make_backup(file, keys=not without_keys), terminal_language()
    size = words.number(round(made.size / 1_000_000, 1))
    said = words.counted(*WRITTEN, len(made.connections), path=made.path, size=size)
    out.print(f"{MARKS['ok']} {escape(said)}")
    if made.keys:
        said = words.text("it contains .env with the keys: store it where only you can read it")
        out.print(f"{MARKS['warning']} {said}")
    else:
        out.print(f"  {words.text('it contains no keys: keep those elsewhere')}")
    if not made.dagster:
        said = words.text("it contains no runs of Dagster: if they are in Postgres, back that up with pg_dump")
        out.print(f"  {said}")


@click.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Set aside what is here, and restore in its place.")
@click.option("--connection", metavar="NAME", help="Only the data of this connection, which moves to this host.")
def restore(file: Path, replace: bool, connection: str | None) -> None:
    """Restore an archive that backup wrote.

    Stop Dagster first, and run this in the folder of connections.toml. Every file of FILE is verified before anything
    is changed. What is here already is left alone, or with --replace set aside. If a restore was interrupted, this
    finishes it, and restores nothing else. With --connection, the data of one shop is added to what is here, and
    Dagster may go on; its table and its keys are yours to write (docs/hosts.md).

    Example: sitniks-finmap restore backups/2026-11-26.tar --replace
    """
    if connection:
        _tell_one(connection, restore_backup(file, replacing=replace, connection=connection))
        return
    _refuse_a_daemon()
    _tell(restore_backup(file, replacing=replace))


def _tell_one(connection: str, done: Restored) -> None:
    words = terminal_language()
    if done.manifest is None:
        _tell(done)
        return
    said = words.text("{shop}: its data is restored as of {moment}", shop=connection, moment=done.manifest.made_at)
    out.print(f"{MARKS['ok']} {escape(said)}")
    for path in done.aside:
        out.print(f"  {escape(words.text('set aside: {path}', path=path))}")
    out.print(f"  {escape(words.text(NEXT_OF_ONE, shop=connection))}")


def _refuse_a_daemon() -> None:
    """Raises ConfigurationError while Dagster's daemon lives: it would go on with what is set aside."""
    home = os.environ.get("DAGSTER_HOME") or Path(os.environ.get("SITNIKS_FINMAP_DATA") or "data", "dagster")
    if not Path(home).expanduser().is_dir():
        return  # importing Dagster takes a second
    from sitniks_finmap.defs.heartbeats import last_heartbeat

    first = last_heartbeat()
    if not isinstance(first, Heartbeat) or not 0 <= (utc_now() - first.at).total_seconds() < ALIVE:
        return
    said = "Dagster's daemon ran until a moment ago: watching for {count} seconds whether it has stopped …"
    out.print(f"  {terminal_language().text(said, count=ALIVE)}")
    for _ in range(ALIVE):
        time.sleep(1)
        if last_heartbeat() != first:
            raise ConfigurationError("Dagster's daemon is running: stop it, then try again. Nothing was changed")


def _tell(done: Restored) -> None:
    words, count = terminal_language(), len(done.connections)
    if made := done.manifest:
        said = words.counted(*RESTORED, count, moment=made.made_at, version=made.sitniks_finmap)
    else:
        said = words.counted(*FINISHED, count)
    out.print(f"{MARKS['ok']} {said}")
    for path in done.aside:
        out.print(f"  {escape(words.text('set aside: {path}', path=path))}")
    if not done.dagster:
        said = "the backup has no runs of Dagster: restore Postgres with pg_restore, or start with an empty history"
        out.print(f"  {words.text(said)}")
    if not done.keys:
        out.print(f"{MARKS['warning']} {words.text('the backup has no keys: put them into .env')}")
    out.print(f"  {words.text(NEXT)}")


WRITTEN = ("{path}: {size} MB, {count} connection", "{path}: {size} MB, {count} connections")
RESTORED = (
    "restored {count} connection as of {moment}, from sitniks-finmap {version}",
    "restored {count} connections as of {moment}, from sitniks-finmap {version}",
)
FINISHED = (
    "the restore that was interrupted is complete now: {count} connection",
    "the restore that was interrupted is complete now: {count} connections",
)
NEXT_OF_ONE = (
    "next: make sure that its table is gone from the other host, write it and its keys here, then run `sitniks-finmap "
    "rebuild-ledger --connection {shop}`, which lets this host take over in Finmap."
)
NEXT = (
    "next: make sure that no other machine runs these connections, run `sitniks-finmap doctor`, then start Dagster. "
    "The next sync finds what was delivered after the backup; nothing is sent twice."
)
