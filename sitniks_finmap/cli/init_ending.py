"""How `init` ends: doctor, a preview of the first import, and the next command."""

from datetime import date, timedelta

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.asking import Asker
from sitniks_finmap.cli.exits import FAILED
from sitniks_finmap.cli.terminal import out, run, show_progress
from sitniks_finmap.days import utc_now
from sitniks_finmap.people.doctor import is_well, print_examination
from sitniks_finmap.people.preview import print_plan
from sitniks_finmap.pipeline.due import days_to_sync
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse

LONGEST = 31  # days to preview: a person is waiting


def finish(asker: Asker, connection: Connection) -> int:
    """Exit code: 0, or 1 if doctor or the preview found an error."""
    asker.out.print(f"\n[bold]{asker.text(texts.CHECKING)}[/]")
    well = is_well(print_examination(out, connection))
    name = f"--connection {connection.name}"
    sync = (f"sitniks-finmap sync {name}", asker.text(texts.NEXT_SYNC))
    always = ("dagster dev", asker.text(texts.NEXT_AUTOMATIC))
    if connection.start_date > connection.today(utc_now()):
        asker.say("\n" + asker.text(texts.STARTS_LATER, day=connection.start_date))
        _tell(asker, texts.NEXT, always)
        return 0 if well else FAILED
    try:
        well &= _preview(asker, connection)
    except KeyboardInterrupt:
        _tell(asker, texts.NEXT_AFTER_STOP, (f"sitniks-finmap preview {name}", ""))
        raise
    if not well:
        _tell(asker, texts.FIX_FIRST, (f"sitniks-finmap doctor {name}", ""))
    review = [(f"sitniks-finmap approve {name}", asker.text(texts.NEXT_APPROVE))]
    _tell(asker, texts.NEXT, *(review if connection.first_import == "review" else []), sync, always)
    return 0 if well else FAILED


def _preview(asker: Asker, connection: Connection) -> bool:
    """Returns whether it could be read."""
    first, last = days_to_sync(connection, open_warehouse(connection), utc_now())
    shown = max(first, last - timedelta(days=LONGEST - 1))
    heading = texts.PREVIEWING if shown == first else texts.PREVIEWING_LATEST
    asker.out.print(f"\n[bold]{asker.text(heading, days=LONGEST)}[/]")
    show_progress()
    return _read(connection, shown, last)


def _read(connection: Connection, first: date, last: date) -> bool:
    ended = run("preview", connection, (first, last))
    if ended:
        print_plan(out, connection, first, last)
    return ended


def _tell(asker: Asker, heading: str, *commands: tuple[str, str]) -> None:
    asker.out.print(f"\n[bold]{asker.text(heading)}[/]")
    width = max(len(command) for command, _ in commands)
    for command, why in commands:
        asker.say(f"   {command:<{width}}   {why}".rstrip())
