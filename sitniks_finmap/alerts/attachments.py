"""The report of a shop, which goes along with its weekly digest if there is one when that is sent."""

import logging
from pathlib import Path

from sitniks_finmap.alerts.recipients import OPERATOR, Recipient
from sitniks_finmap.settings.last_good import load_running
from sitniks_finmap.settings.private_files import report_path

log = logging.getLogger(__name__)


def report_for(recipient: Recipient, shop: str) -> Path | None:
    """The report of a shop, if it can be read, and if this recipient is told about that shop as it is now."""
    variables = [one.alerts for one in load_running().connections if one.name == shop]
    if not variables or (recipient.variable != OPERATOR and f"env:{recipient.variable}" not in variables[0]):
        return None
    path = report_path(shop)
    try:
        with path.open("rb") as page:
            return path if page.read(1) else None
    except OSError as error:
        log.warning("%s: a digest goes without its report, which cannot be read: %s", shop, error.strerror)
        return None
