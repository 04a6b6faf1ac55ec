"""The report of a shop, which goes along with its weekly digest if there is one when that is sent."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from sitniks_finmap.alerts.recipients import OPERATOR, Recipient
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import load_running
from sitniks_finmap.settings.private_files import report_path
from sitniks_finmap.warehouse.schema import sql
from sitniks_finmap.warehouse.store import open_warehouse

log = logging.getLogger(__name__)


def report_for(recipient: Recipient, shop: str) -> Path | None:
    """The report of a shop, if it can be read, is of this shop and of no earlier one with its name, and if this
    recipient is told about the shop as it is now. Never raises: the text goes without it.
    """
    try:
        connection = next((one for one in load_running().connections if one.name == shop), None)
        if connection is None or not _is_told(recipient, connection):
            return None
        path = report_path(shop)
        if not path.is_file():
            return None
        with path.open("rb") as page:
            has_content = page.read(1)
        return path if has_content and _made_at(path) >= _first_read(connection) else None
    except Exception as error:
        log.warning("%s: a digest goes without its report: %s", shop, type(error).__name__)
        return None


def _is_told(recipient: Recipient, connection: Connection) -> bool:
    return recipient.variable == OPERATOR or f"env:{recipient.variable}" in connection.alerts


def _made_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _first_read(connection: Connection) -> datetime:
    with open_warehouse(connection).transaction() as con:
        recent = {"recent_day": connection.start_date}
        (first, _) = con.execute(sql("first_and_last_read"), recent).fetchone() or (None, None)
    return first or datetime.now(UTC)
