"""Which installation writes to Finmap under a connection's name, and whether another one has posted the same already.

An installation leaves its mark where another one can see it: a tag in Finmap, `sitniks_finmap <prefix> <n> <id>`, which
is never put on an operation. `n` counts the takeovers; the highest is the present owner. A tag, because a run reads all
of them in one request and no report shows it; the contract has no better place (an operation is money, suppliers and
projects are shown in reports, a webhook sends data out).
"""

import logging
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from sitniks_finmap.clients.answers import KeyRefused, Refused, Unavailable
from sitniks_finmap.clients.finmap import Finmap, read_operation
from sitniks_finmap.connections import ConfigurationError, Connection
from sitniks_finmap.private_files import private_files, private_folder
from sitniks_finmap.warehouse.store import Warehouse

log = logging.getLogger(__name__)

MARK = re.compile(r"sitniks_finmap (?P<prefix>[a-z0-9_]+) (?P<number>\d{1,9}) (?P<id>[0-9a-f]{12})", re.IGNORECASE)
NOT_SHOWN = -1  # a mark was left and Finmap does not show it as it is: no further one is left
SEVERAL = 3  # equal operations under another name; of a shop that has fewer, all


class OtherInstallation(ConfigurationError):
    """Another installation writes to Finmap under this connection's name; nothing was posted."""


class PostedElsewhere(ConfigurationError):
    """Finmap has the same transactions under another name; nothing was posted."""


@dataclass(frozen=True)
class Mark:
    number: int
    installation: str


def claim(connection: Connection, warehouse: Warehouse, finmap: Finmap, *, takeover: bool = False) -> None:
    """Makes sure that nobody else writes under this name, and leaves our mark where there is none.

    Raises OtherInstallation, unless `takeover`; Unavailable when Finmap does not answer. A Finmap that takes no tags
    only warns: then a second installation goes unnoticed, and its keys still keep a second operation away.
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
            # Another one may have done so in the same moment: then both see it, and both stop.
            seen = {mark.installation for mark in newest_marks(connection, finmap)}
            if seen - {mine}:
                raise OtherInstallation(_said(connection, seen - {mine}))
            if not seen:
                number = NOT_SHOWN
    except (KeyRefused, Refused) as why:
        log.warning(
            "%s: this installation leaves no mark in Finmap, so that a second one would not be noticed: %s",
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
    except Unavailable as why:  # done or not: the next run sees it, and deliveries do not depend on it
        raise Refused(str(why)) from None


def newest_marks(connection: Connection, finmap: Finmap) -> list[Mark]:
    """The marks with the highest number under this prefix: one, unless two came at once. Raises ApiError."""
    marks = [
        Mark(int(found["number"]), found["id"].lower())
        for tag in finmap.tags()
        if (found := MARK.fullmatch(tag.label.strip())) and found["prefix"].lower() == connection.key_prefix
    ]
    highest = max((mark.number for mark in marks), default=0)
    return [mark for mark in marks if mark.number == highest]


def owned_by_others(connection: Connection, warehouse: Warehouse, finmap: Finmap) -> str | None:
    """What to tell a person when another installation writes under this name, or None. Raises ApiError."""
    mine = known_installation(warehouse, make=False)[0]
    others = {mark.installation for mark in newest_marks(connection, finmap)} - {mine}
    return _said(connection, others) if others else None


def _said(connection: Connection, others: set[str]) -> str:
    return (
        f"{connection.name}: another installation of sitniks_finmap ({', '.join(sorted(others))}) writes to this "
        f'Finmap under "{connection.key_prefix}". Nothing was posted. Let only one of them run this connection; to go '
        f"on with this one, stop the other and run `sitniks-finmap rebuild-ledger --connection {connection.name}`"
    )


def known_installation(warehouse: Warehouse, *, make: bool = True) -> tuple[str, int]:
    """This installation's ID, and the number of the last mark that it left from this warehouse (0: none, or NOT_SHOWN).

    The ID is made once and kept in `<data>/installation`; where that was lost, the warehouse knows it.
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
        raise ConfigurationError(f"{path} does not hold an installation ID; delete it, and a new one is made")
    return mine, kept[1] if kept and kept[0] == mine else 0


def _write_once(path: Path, text: str) -> None:
    """Makes the file whole or not at all; one that another process has made meanwhile stays."""
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


def refuse_doubles(connection: Connection, warehouse: Warehouse, finmap: Finmap) -> None:
    """Refuses a first import when Finmap has our transactions under another name. Raises PostedElsewhere, ApiError.

    The same transaction ID, type, amount and day; several of them, and no fewer than those under that name which differ
    (two shops of one company may count their transactions alike).
    """
    with warehouse.transaction() as con:
        rows = con.execute("select transaction_id, type, amount, occurred_at from operations").fetchall()
    if not rows:
        return
    ours = {row[0]: row[1:] for row in rows}
    moments = [row[3] for row in rows]
    equal: dict[str, int] = {}
    different: dict[str, int] = {}
    around = timedelta(days=1)
    for row in finmap.rows(min(moments) - around, max(moments) + around):
        name, _, rest = str(row.get("externalId") or "").partition(":")
        mine = ours.get(unquote(rest.split(":")[0]))
        if not rest or mine is None or name == connection.key_prefix:
            continue
        try:
            has = read_operation(row).content
        except Refused:  # not of our making, and nothing to compare
            continue
        day, my_day = (moment.astimezone(connection.zone).date() for moment in (has.occurred_at, mine[2]))
        count = equal if (has.type, has.amount, day) == (*mine[:2], my_day) else different
        count[name] = count.get(name, 0) + 1
    for name, found in sorted(equal.items(), key=lambda one: -one[1]):
        if found >= max(min(SEVERAL, len(ours)), different.get(name, 0)):
            which = "this transaction" if len(ours) == 1 else f"{found:,} of these {len(ours):,} transactions"
            raise PostedElsewhere(
                f'{connection.name}: Finmap has {which} already, under "{name}" '
                f'("{name}:<transaction>"). Nothing was posted. If {connection.name} is the new name of {name}, run '
                f"`sitniks-finmap rename {name} {connection.name}`; if both are the same shop, let only one of them run"
            )
