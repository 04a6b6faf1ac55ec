"""A test message to everybody who is notified, and whether URLs of heartbeats would be called."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.addresses import service_of
from sitniks_finmap.alerts.delivery import Outcome, deliver
from sitniks_finmap.alerts.pings import DEPLOYMENT, why_not_called
from sitniks_finmap.alerts.recipients import Recipient, operator_language, operators, owners, recipients_in
from sitniks_finmap.language import Language
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.connections_file import choose, load_connections

NOT_SENT = {
    Outcome.REFUSED: "the service refused the message; check the URL",
    Outcome.UNREACHED: "the service cannot be reached; nothing was sent",
    Outcome.UNKNOWN: "the service took the message and did not answer; it may have arrived",
}
NO_URL = "apprise does not understand this URL"
UNSET = "not set: put it into .env"
NOT_TESTED = "would be called; not called now"
SKIPPED = "skipped, because its table is invalid: {why}"


@dataclass(frozen=True)
class Tested:
    """Who or what was tested, and what came of it."""

    who: str
    accepted: bool
    said: str = "accepted"
    is_recipient: bool = True


def try_operator() -> Iterator[Tested]:
    """A message to each URL of the operator, and whether HEARTBEAT_URL would be called."""
    words = operator_language()
    for recipient in operators():
        yield _tested(recipient, "operator", words.text(texts.TEST_TITLE), words.text(texts.TEST_OPERATOR))
    if os.environ.get(DEPLOYMENT, "").strip():
        yield _heartbeat(DEPLOYMENT, DEPLOYMENT)


def try_owners(name: str | None = None) -> Iterator[Tested]:
    """A message to the owners of each shop, or of one. Raises ConfigurationError if connections.toml cannot be read."""
    for connection in choose(name):
        yield from _of(connection)
    for wrong in load_connections()[1] if name is None else []:
        why = wrong.why.removeprefix(f"{wrong.name}: ")
        yield Tested(wrong.name, False, SKIPPED.format(why=why))


def _of(connection: Connection) -> Iterator[Tested]:
    words, name = Language(connection.language), connection.name
    for recipient in owners(connection):
        title, body = words.text(texts.TEST_TITLE), words.text(texts.TEST_OWNER, shop=name)
        yield _tested(recipient, name, title, body)
    for variable in (one.removeprefix("env:") for one in connection.alerts):
        if not recipients_in(variable):
            yield Tested(f"{name}, {variable}", False, UNSET)
    if connection.heartbeat_url:
        variable = connection.heartbeat_url.removeprefix("env:")
        yield _heartbeat(f"{name}, {variable}", variable)


def _tested(recipient: Recipient, whose: str, title: str, body: str) -> Tested:
    who = f"{whose}, {place_of(recipient)}"
    if service_of(recipient.address) is None:
        return Tested(who, False, NO_URL)
    outcome = deliver(recipient, title, body)
    return Tested(who, True) if outcome == Outcome.ACCEPTED else Tested(who, False, NOT_SENT[outcome])


def place_of(recipient: Recipient) -> str:
    """Which one is meant: "the first URL of ALERT_URLS"; the variable alone if it has one."""
    if len(recipients_in(recipient.variable)) == 1:
        return recipient.variable
    return f"recipient {recipient.position + 1} of {recipient.variable}"


def _heartbeat(who: str, variable: str) -> Tested:
    """It is not called: a service that misses us must not take a test for a sync."""
    if not os.environ.get(variable, "").strip():
        return Tested(who, False, UNSET, is_recipient=False)
    why = why_not_called(variable)
    said = f"will not be called: {why}" if why else NOT_TESTED
    return Tested(who, why is None, said, is_recipient=False)
