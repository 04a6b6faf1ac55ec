"""Who is told: the operator of the deployment, and the owner of each shop. Secrets stay in the environment."""

import os
import re
from dataclasses import dataclass
from typing import cast

from sitniks_finmap.alerts.addresses import Address, addresses_in
from sitniks_finmap.alerts.outbox import Outbox
from sitniks_finmap.language import Code, Language
from sitniks_finmap.settings.connections import Connection

OPERATOR = "ALERT_URLS"
LANGUAGE = "SITNIKS_FINMAP_LANGUAGE"


@dataclass(frozen=True)
class Recipient:
    """One target of one URL, in this environment variable."""

    variable: str
    position: int
    address: Address

    @property
    def label(self) -> str:
        """How people know it: "ALERT_URLS 0"."""
        return f"{self.variable} {self.position}"

    @property
    def name(self) -> str:
        """How the outbox knows it: "ALERT_URLS 0 5f3a…". The hash finds it, wherever it has moved."""
        return f"{self.label} {self.address.key}"

    @property
    def url(self) -> str:
        """The same for each spelling of it."""
        return self.address.canonical


def recipient_of(label: str, key: str | None) -> Recipient | None:
    """Who is meant by a message, as the environment is now."""
    return next((one for one in recipients_in(label.partition(" ")[0]) if one.address.key == key), None)


def operators() -> list[Recipient]:
    return recipients_in(OPERATOR)


def owners(connection: Connection) -> list[Recipient]:
    """Each once, even if several variables name it."""
    found = [one for entry in connection.alerts for one in recipients_in(entry.removeprefix("env:"))]
    return list({one.url: one for one in reversed(found)}.values())[::-1]


def operator_language() -> Language:
    """The language of messages about the deployment."""
    written = os.environ.get(LANGUAGE, "").strip().lower()
    return Language(cast(Code, written)) if written in ("uk", "en") else Language()


def recipients_in(variable: str) -> list[Recipient]:
    """apprise's notation: tgram://…, slack://…, mailto://…; separated by spaces, commas or lines."""
    addresses = addresses_in(os.environ.get(variable, ""))
    return [Recipient(variable, position, address) for position, address in enumerate(addresses)]


def readdress(outbox: Outbox) -> None:
    """Finds out who is meant by messages whose recipient has moved or changed, or that an earlier version queued."""
    for label, key in outbox.recipients():
        variable, _, position = label.partition(" ")
        here = recipients_in(variable)
        known = next((one for one in here if one.address.key == key), None)
        if key is None:
            outbox.address(label, [one.name for one in _formerly(variable, int(position), here)])
        elif known:
            outbox.rename(label, key, known.name)
        elif int(position) < len(here):  # corrected, unless it is somebody who had the message too
            outbox.take_over(label, key, here[int(position)].name)


def _formerly(variable: str, position: int, here: list[Recipient]) -> list[Recipient]:
    """What an earlier version called so: it counted URLs, not targets, and cut them at each comma."""
    pieces = [piece for piece in re.split(r"[\s,]+", os.environ.get(variable, "")) if piece]
    if position >= len(pieces):
        return []
    return [one for one in here if one.address.written.startswith(pieces[position])]
