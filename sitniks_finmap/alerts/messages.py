"""Puts what is to be told into the outbox: to the owner of a shop, and to the operator."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.conditions import BLOCKERS, DEPLOYMENT, Event, State, case_of
from sitniks_finmap.alerts.digest import Days, Digest, digest_of, due, mark_missing, mark_sent, may_wait
from sitniks_finmap.alerts.digest_words import words_of_digest, words_of_missing
from sitniks_finmap.alerts.recipients import Recipient, operator_language, operators, owners
from sitniks_finmap.alerts.state import Memory, memory
from sitniks_finmap.alerts.wording import (
    DEFAULT_ZONE,
    Words,
    neutral_words,
    title_of,
    to_be_forwarded,
    words_of,
    words_of_many,
)
from sitniks_finmap.language import Language
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import Running
from sitniks_finmap.warehouse.store import open_warehouse

log = logging.getLogger(__name__)

States = Mapping[tuple[str, str], State]  # by scope and condition
MANY = 2  # connections with the same news at once make one message for the operator
# What explains that no shop is synced.
EXPLAINS_SILENCE = ("daemon", "location")


def queue(kept: Memory, running: Running, events: list[Event], now: datetime) -> None:
    """Writes each event to the owner of its shop and to the operator; who is both gets the operator's only. The same
    news of several shops is one message to each.
    """
    by_name = {one.name: one for one in running.connections}
    urls = {one.url for one in operators()}
    of_owner: dict[str | None, tuple[Recipient, list[Event]]] = {}
    for event in events:
        connection = by_name.get(event.scope)
        if connection and event.condition != "invalid":
            for one in owners(connection):
                if one.url not in urls:
                    of_owner.setdefault(one.url, (one, []))[1].append(event)
    for recipient, theirs in of_owner.values():
        language = Language(by_name[theirs[0].scope].language)
        for words in _grouped(theirs, by_name, language, to_owner=True):
            _address(kept, [recipient], words, now)
    for words in _for_operator(by_name, events):
        log.warning("%s: %s", words.title, words.body.replace("\n", " | "))
        _address(kept, operators(), words, now)


def due_digests(running: Running, now: datetime) -> list[tuple[Connection, Digest]]:
    """The digests that are due, read before the transaction that queues them."""
    with memory() as kept:
        asked = [(one, days) for one in running.connections for days in due(kept, one, now)]
    found = [(one, _digest_of(one, days)) for one, days in asked]
    return [(one, it) for one, it in found if it.is_reconciled or not may_wait(one, it.days, now)]


def _digest_of(connection: Connection, days: Days) -> Digest:
    """Never raises: a bug that one shop brings out silences no other."""
    try:
        return digest_of(connection, open_warehouse(connection), days)
    except Exception:
        log.exception("%s: its digest could not be made", connection.name)
        return Digest(connection.name, days, is_readable=False)


def queue_digests(kept: Memory, digests: list[tuple[Connection, Digest]], now: datetime) -> None:
    """To the owner, or to the operator if the shop has none of its own; that of a week with the report. Of days that
    are not reconciled, once, that they are not and why; their totals follow if they are reconciled while it is due.
    """
    for connection, digest in digests:
        if digest.days not in due(kept, connection, now):
            continue  # another teller was faster
        recipients = owners(connection)
        language = Language(connection.language) if connection.alerts else operator_language()
        report_of = None
        if digest.is_reconciled:
            mark_sent(kept, connection, digest.days)
            words = _words_of_digest(digest, None, language)
            report_of = connection.name if digest.days.is_week else None
        elif mark_missing(kept, connection, digest.days):
            words = _words_of_digest(digest, kept.states(), language)
        else:
            continue
        _address(kept, recipients if connection.alerts else operators(), words, now, report_of)


def _words_of_digest(digest: Digest, states: States | None, language: Language) -> Words:
    """The totals; with the states, why there are none. If the text fails, neutral words."""
    try:
        if states is None:
            return words_of_digest(digest, language)
        return words_of_missing(digest, _why_missing(states, digest.shop, language), language)
    except Exception as error:
        days = digest.days
        log.error("the text of a digest of %s failed: %s", digest.shop, type(error).__name__)
        return neutral_words([digest.shop], texts.UNWORDED_DIGEST, f"{days.first} – {days.last}", language)


def _why_missing(states: States, shop: str, language: Language) -> str:
    """The first condition of this shop, or else of the deployment, that explains why a day is not reconciled."""
    scopes = [(shop, one) for one in (*BLOCKERS, "stale")] + [(DEPLOYMENT, one) for one in EXPLAINS_SILENCE]
    for scope, condition in scopes:
        state = states.get((scope, condition))
        if state and state.end_told is None:
            return title_of(condition, state.fact, language)
    return ""


def _address(
    kept: Memory, recipients: Iterable[Recipient], words: Words, now: datetime, report_of: str | None = None
) -> None:
    for recipient in recipients:
        kept.queue(recipient.name, words.title, words.body, now, words.tone, report_of)


def _for_operator(by_name: dict[str, Connection], events: list[Event]) -> Iterable[Words]:
    """What the operator is told: an outage once, however many shops it concerns, and the same news of many in one."""
    language = operator_language()
    told = [event for event in events if not (event.condition == "unreachable" and event.fact.cause)]  # "outage"
    return _grouped(told, by_name, language)


def _grouped(
    events: list[Event], by_name: dict[str, Connection], language: Language, *, to_owner: bool = False
) -> Iterable[Words]:
    """Each event in words; the same news of several shops together."""
    groups: dict[tuple[str, ...], list[Event]] = {}
    for event in events:
        case = sorted(f"{name} {value}" for name, value in case_of(event.fact).items())
        groups.setdefault((event.what, event.condition, event.fact.cause, *case), []).append(event)
    for group in groups.values():
        zone = by_name[group[0].scope].zone if group[0].scope in by_name else DEFAULT_ZONE
        words = _words(group, language, zone)
        yield to_be_forwarded(words, language) if to_owner and group[0].what != "end" else words


def _words(group: list[Event], language: Language, zone: tzinfo) -> Words:
    """The same news of one shop or several; if its text fails, neutral words: no text may silence the others."""
    try:
        return (
            words_of_many(group, language, DEFAULT_ZONE) if len(group) >= MANY else words_of(group[0], language, zone)
        )
    except Exception as error:
        shops = [one.scope for one in group if one.scope != DEPLOYMENT]
        what = group[0].condition
        log.error("the text about %s of %s failed: %s", what, ", ".join(shops) or "the server", type(error).__name__)
        body = texts.UNWORDED_END if group[0].what == "end" else texts.UNWORDED_BEGIN
        return neutral_words(shops, body, what, language)
