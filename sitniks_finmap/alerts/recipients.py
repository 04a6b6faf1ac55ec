"""Who is told: the operator of the deployment, and the owner of each shop. Secrets stay in the environment."""

import os
import re
from dataclasses import dataclass
from typing import cast

from sitniks_finmap.connections import Connection
from sitniks_finmap.language import Code, Language

OPERATOR = "ALERT_URLS"
LANGUAGE = "SITNIKS_FINMAP_LANGUAGE"


@dataclass(frozen=True)
class Recipient:
    """One URL, named by its environment variable and its position there: "ALERT_URLS 0"."""

    variable: str
    position: int

    @property
    def name(self) -> str:
        return f"{self.variable} {self.position}"

    @property
    def url(self) -> str | None:
        """The URL as it is in the environment now, so that a corrected one gets what is still to be sent."""
        urls = _urls(self.variable)
        return urls[self.position] if self.position < len(urls) else None


def recipient_of(name: str) -> Recipient:
    variable, _, position = name.partition(" ")
    return Recipient(variable, int(position))


def operators() -> list[Recipient]:
    return _in_variable(OPERATOR)


def owners(connection: Connection) -> list[Recipient]:
    return [one for entry in connection.alerts for one in _in_variable(entry.removeprefix("env:"))]


def unset_variables(connection: Connection) -> list[str]:
    """The variables that `alerts` and `heartbeat_url` name and that are not set."""
    named = [*connection.alerts, *([connection.heartbeat_url] if connection.heartbeat_url else [])]
    variables = [one.removeprefix("env:") for one in named]
    return [one for one in variables if not _urls(one)]


def operator_language() -> Language:
    """The language of messages about the deployment."""
    written = os.environ.get(LANGUAGE, "").strip().lower()
    return Language(cast(Code, written)) if written in ("uk", "en") else Language()


def _in_variable(variable: str) -> list[Recipient]:
    return [Recipient(variable, position) for position in range(len(_urls(variable)))]


def _urls(variable: str) -> list[str]:
    """apprise's notation: tgram://…, slack://…, mailto://…; separated by spaces, commas or lines."""
    return [url for url in re.split(r"[\s,]+", os.environ.get(variable, "")) if url]
