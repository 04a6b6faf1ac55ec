"""Commands for identity: accept a key, take over from another installation, rename a connection."""

from typing import Literal

import click
from rich.markup import escape

from sitniks_finmap.alerts.state import memory, state_path
from sitniks_finmap.cli.terminal import CONNECTION_NAME, ONE_CONNECTION, about, confirmed, one_connection, out
from sitniks_finmap.clients.answers import KeyRefused, Refused
from sitniks_finmap.language import terminal_language
from sitniks_finmap.pipeline import identity
from sitniks_finmap.pipeline.installation import claim, owned_by_others
from sitniks_finmap.pipeline.rename import rename as do_rename
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.settings.private_files import report_path
from sitniks_finmap.warehouse.store import open_warehouse

NOTHING_TO_ACCEPT = "nothing to accept: no key looks like another company's"


@click.command("accept-key")
@ONE_CONNECTION
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept_key(connection: str | None, yes: bool) -> None:
    """Accept a key that looks like another company's.

    For a shop whose account or operations were deleted on purpose. Checks both keys, shows why one looks like another
    company's, and accepts it if you confirm.

    Example: sitniks-finmap accept-key --connection sitniks_user_1
    """
    one, words = one_connection(connection), terminal_language()
    own = ConnectionRun(one, warehouse := open_warehouse(one), proving=False)
    with about(one), warehouse.run(wait=60):
        doubts: dict[identity.Side, str] = {}
        if not identity.is_proven(one, warehouse, "finmap") and (why := identity.doubt_finmap(warehouse, own.finmap)):
            doubts["finmap"] = why
        if not identity.is_proven(one, warehouse, "sitniks") and (
            why := identity.doubt_sitniks(warehouse, own.sitniks, own.bounds)
        ):
            doubts["sitniks"] = why
        if not doubts:
            out.print(f"{one.name}: {words.text(NOTHING_TO_ACCEPT)}")
            return
        for side, why in doubts.items():
            out.print(f"{one.name}: {side.title()}: {escape(words.say(why))}")
        if yes or confirmed("Does this connection belong to this company?"):
            for side in doubts:
                identity.remember(one, warehouse, side, own.now(), "accepted")
            out.print(f"{one.name}: {words.text('accepted; the next sync uses it')}")


def take_over(run: ConnectionRun, *, yes: bool) -> Literal["ours already", "taken over", "declined"]:
    """Makes this installation the one that writes under the connection's name; asks first if another one does."""
    try:
        why = owned_by_others(run.connection, run.warehouse, run.finmap)
    except (KeyRefused, Refused):
        return "ours already"  # without tags, Finmap has no recorded owner
    if why is None:
        return "ours already"
    out.print(escape(terminal_language().say(why)))
    if not yes and not confirmed("Has the other one been stopped, and should this one take over?"):
        return "declined"
    claim(run.connection, run.warehouse, run.finmap, takeover=True)
    return "taken over"


@click.command()
@click.argument("old", type=CONNECTION_NAME)
@click.argument("new")
def rename(old: str, new: str) -> None:
    """Rename a connection; its operations in Finmap stay.

    Moves its DuckDB file and rewrites its table in connections.toml; key_prefix keeps the old name in the keys of its
    operations. If you renamed the table by hand, this does the rest. Fails while the connection has a run in progress.
    Dagster may keep running: click Lineage → Reload definitions afterwards; until then, its syncs fail.

    Example: sitniks-finmap rename sitniks_user_1 my_shop
    """
    for line in do_rename(old, new):
        out.print(escape(terminal_language().say(line)))
    if state_path().exists():
        with memory() as kept:
            kept.rename_scope(old, new)
    for name in (old, new):  # what is there under the new name is of another shop; the next sync writes this one's
        report_path(name).unlink(missing_ok=True)
