"""Detects other installations that write to Finmap under a connection's name.

An installation leaves a mark that others can see: a tag in Finmap, `sitniks_finmap <prefix> <n> <id>`, never put on an
operation. `n` counts takeovers; the highest is the current owner. It is a tag because a run reads all tags in one
request and no report shows them; the API has no better place (an operation is money, suppliers and projects appear in
reports, a webhook sends data out).
"""

import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from sitniks_finmap.clients.answers import KeyRefused, Refused, Unavailable
from sitniks_finmap.clients.finmap import Finmap
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap.settings.private_files import private_files, private_folder
from sitniks_finmap.warehouse.store import Warehouse

log = logging.getLogger(__name__)

MARK = re.compile(r"sitniks_finmap (?P<prefix>[a-z0-9_]+) (?P<number>\d{1,9}) (?P<id>[0-9a-f]{12})", re.IGNORECASE)
NOT_SHOWN = -1  # a mark was left but Finmap does not show it unchanged: leave no more


class OtherInstallation(ConfigurationError):
    """Another installation writes to Finmap under this connection's name; nothing was posted."""


@dataclass(frozen=True)
class Mark:
    number: int
    installation: str


def claim(connection: Connection, warehouse: Warehouse, finmap: Finmap, *, takeover: bool = False) -> None:
    """Make sure that no other installation writes under this name, and leave our mark if there is none.

    Raises OtherInstallation unless `takeover`; Unavailable if Finmap does not answer. If Finmap refuses tags, only logs
    a warning: a second installation then goes unnoticed, but the idempotency keys still prevent duplicates.
    """
    mine, last = known_installation(warehouse)
    try:
        newest = newest_marks(connection, finmap)
        if not newest and last != NOT_SHOWN:  # one empty answer proves nothing
            newest = newest_marks(connection, finmap)
        others = {mark.installation for mark in newest} - {mine}
        if others and not takeover:
            raise OtherInstallation(_said(connection, others))
        number = newest[0].number if newest else last
        if others or (not newest and last != NOT_SHOWN):
            number = max(number, last) + 1
            _leave(finmap, f"sitniks_finmap {connection.key_prefix} {number} {mine}")
            # If another one did so at the same moment, both see it and both stop.
            seen = {mark.installation for mark in newest_marks(connection, finmap)}
            if seen - {mine}:
                raise OtherInstallation(_said(connection, seen - {mine}))
            if not seen:
                number = NOT_SHOWN
    except (KeyRefused, Refused) as why:
        log.warning(
            "%s: this installation could not leave its mark in Finmap; a second one would go unnoticed: %s",
            connection.name, why,
        )  # fmt: skip
        number = last
    if (mine, number) != (mine, last) or not last:
        with warehouse.transaction() as con:
            con.execute("delete from installation")
            con.execute("insert into installation values ($1, $2)", [mine, number])


def _leave(finmap: Finmap, label: str) -> None:
    try:
        finmap.create_tag(label)
    except Unavailable as why:  # the next run sees whether it was created; deliveries do not depend on it
        raise Refused(str(why)) from None


def newest_marks(connection: Connection, finmap: Finmap) -> list[Mark]:
    """The marks with the highest number under this prefix; several if left simultaneously. Raises ApiError."""
    marks = [
        Mark(int(found["number"]), found["id"].lower())
        for tag in finmap.tags()
        if (found := MARK.fullmatch(tag.label.strip())) and found["prefix"].lower() == connection.key_prefix
    ]
    highest = max((mark.number for mark in marks), default=0)
    return [mark for mark in marks if mark.number == highest]


def owned_by_others(connection: Connection, warehouse: Warehouse, finmap: Finmap) -> str | None:
    """The message for people if another installation writes under this name, or None. Raises ApiError."""
    mine = known_installation(warehouse, make=False)[0]
    others = {mark.installation for mark in newest_marks(connection, finmap)} - {mine}
    return _said(connection, others) if others else None


def _said(connection: Connection, others: set[str]) -> str:
    return (
        f"{connection.name}: another installation of sitniks_finmap ({', '.join(sorted(others))}) writes to this "
        f'Finmap under "{connection.key_prefix}". Nothing was posted. Let only one of them run this connection; to use '
        f"this one, stop the other and run `sitniks-finmap rebuild-ledger --connection {connection.name}`"
    )


def known_installation(warehouse: Warehouse, *, make: bool = True) -> tuple[str, int]:
    """This installation's ID, and the number of this warehouse's last mark (0: none, or NOT_SHOWN).

    The ID is created once and kept in `<data>/installation`; if that is lost, it is restored from the warehouse.
    """
    kept = None
    if warehouse.exists():
        with warehouse.transaction() as con:
            kept = con.execute("select installation_id, mark from installation").fetchone()
    path = warehouse.path.parent / "installation"
    try:
        mine = path.read_text("ascii").strip()
    except FileNotFoundError:
        mine = kept[0] if kept else secrets.token_hex(6)
        if make:
            _write_once(path, mine)
            mine = path.read_text("ascii").strip()
    if not re.fullmatch("[0-9a-f]{12}", mine):
        raise ConfigurationError(
            f"{path} does not contain an installation ID; delete it, and a new one will be created"
        )
    return mine, kept[1] if kept and kept[0] == mine else 0


def _write_once(path: Path, text: str) -> None:
    """Create the file atomically, unless another process has created it meanwhile."""
    private_folder(path.parent)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with private_files():
        draft.write_text(f"{text}\n", "ascii")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
