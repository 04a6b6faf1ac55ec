"""A test message to everybody who is notified."""

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.delivery import Outcome, deliver
from sitniks_finmap.alerts.recipients import operator_language, operators, owners, unset_variables
from sitniks_finmap.language import Language
from sitniks_finmap.settings.connections_file import choose


def send_test(name: str | None = None) -> list[tuple[str, bool]]:
    """Sends one to each URL, or to those of one connection: who, and whether it was accepted.

    Raises ConfigurationError if connections.toml cannot be read or has no such connection.
    """
    results: list[tuple[str, Outcome | None]] = []
    if name is None:
        language = operator_language()
        for recipient in operators():
            title, body = language.text(texts.TEST_TITLE), language.text(texts.TEST_OPERATOR)
            results.append((f"operator, {recipient.label}", deliver(recipient, title, body)))
    for connection in choose(name):
        language = Language(connection.language)
        for recipient in owners(connection):
            title, body = language.text(texts.TEST_TITLE), language.text(texts.TEST_OWNER, shop=connection.name)
            results.append((f"{connection.name}, {recipient.label}", deliver(recipient, title, body)))
        results += [(f"{connection.name}, {variable} is not set", None) for variable in unset_variables(connection)]
    return [(who, outcome == Outcome.ACCEPTED) for who, outcome in results]
