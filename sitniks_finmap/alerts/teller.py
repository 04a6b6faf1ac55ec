"""Looks at everything, decides what to tell whom, and puts it into the outbox: the daemon's sensor and `watch` alike.

Both may do so at the same moment: what was decided is committed in one transaction, and the second finds it done.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sitniks_finmap.alerts.conditions import DEPLOYMENT, FOLLOWS, Event, Fact, State, outages, step
from sitniks_finmap.alerts.deployment import Heard, daemon_facts, daemon_lives, disk_facts
from sitniks_finmap.alerts.digest import Digest, digest_of, due_day, mark_sent, may_wait, words_of_digest
from sitniks_finmap.alerts.observations import See, keep_look, known_looks, look_at
from sitniks_finmap.alerts.observe import EVERYTHING, Look, observe
from sitniks_finmap.alerts.recipients import Recipient, operator_language, operators, owners
from sitniks_finmap.alerts.sending import is_due
from sitniks_finmap.alerts.state import Memory, memory
from sitniks_finmap.alerts.wording import DEFAULT_ZONE, Words, words_of, words_of_many
from sitniks_finmap.days import Clock
from sitniks_finmap.language import Language
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.settings.last_good import Running, load_running
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.settings.text_files import Unreadable, load_env
from sitniks_finmap.warehouse.store import open_warehouse

log = logging.getLogger(__name__)

PATIENT = 300.0  # seconds
MANY = 2  # connections with the same news at once make one message for the operator
GAP = timedelta(minutes=15)  # nobody looked for so long: the machine was off or asleep, or its clock was changed
SETTLING = timedelta(minutes=5)  # after that, the daemon comes back and a sync starts: what is old is no news yet
CALM_DOWN = timedelta(hours=1)  # after the end of what explained that no sync is complete
# What the operator knows when one of these is open: then the shops' silence is no news.
EXPLAINS_SILENCE = ("daemon", "location")
# Conditions that say how old something is.
TELLING_AGE = frozenset({"stale", "daemon", "location", "unreachable", "crashed", "failing", "unread", "unread_orders"})
SOMEBODY = "knew somebody"  # a note: when a teller last knew whom to tell
SILENT_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Told:
    """What one look came to."""

    open: dict[tuple[str, str], State]  # what is wrong and was told, by scope and condition
    can_tell: bool  # otherwise nothing was decided
    events: list[Event]
    to_send: bool  # whether the outbox has anything that is due
    unsent: int


def look_around(heard: Heard, clock: Clock, seconds: float = PATIENT, see: See = observe) -> Told:
    """Observes every connection and the deployment, and queues what is to be told; after so many seconds of opening
    files, the other connections are left for the next time. Raises StateUnusable.
    """
    asked = clock()  # `heard` is as old as that
    env_problem = _load_env()
    running = load_running()
    with memory() as kept:
        known = known_looks(kept)
        lives = heard != "itself" and daemon_lives(kept, clock())
    # The daemon syncs, so its environment counts: the watcher may lack keys.
    connections = [one for one in running.connections if not (lives and one.problem())]
    observed = look_at(connections, known, clock(), seconds, see)
    digests = _digests(running, clock())
    with memory() as kept:
        now = clock()  # in the order of the transactions
        looks = [*_newest(kept, running, observed, now), *_of_invalid(running, now)]
        events: list[Event] = []
        if can_tell := _can_tell(kept, running, now):
            old = TELLING_AGE if _is_settling(kept, now) else frozenset[str]()
            _forget_others(kept, running)
            deployment = _deployment(kept, running, env_problem, heard, asked, now)
            events = _decide(kept, _joined(looks), deployment, now, old)
            _queue(kept, running, events, now)
            _queue_digests(kept, digests, now)
        states = {key: state for key, state in kept.states().items() if state.is_open}
        return Told(states, can_tell, events, is_due(kept, now), kept.count_unsent())


def _can_tell(kept: Memory, running: Running, now: datetime) -> bool:
    """Whether we know whom to tell, because what is decided counts as told.

    Without .env, or the environment of the daemon's service, nobody is known. If a teller knew somebody within a day,
    it is the one to decide; otherwise nobody wants to be told.
    """
    if operators() or any(owners(one) for one in running.connections):
        kept.set_note(SOMEBODY, now.isoformat())
        return True
    known = kept.moment(SOMEBODY)
    return known is None or abs(now - known) >= SILENT_AFTER


def _newest(kept: Memory, running: Running, observed: dict[str, tuple[str, Look]], now: datetime) -> Iterable[Look]:
    """Our looks, without those that another teller's is newer than. Keeps them."""
    known = known_looks(kept)
    for scope, (stamp, look) in observed.items():
        other = known.get(scope)
        if other and look.at < other[1].at <= now:
            continue
        keep_look(kept, stamp, look)
        shown = look.now(now)
        # While the file cannot be read, nobody knows whether a table of it is valid.
        yield replace(shown, unknown=shown.unknown | {"invalid"}) if running.problem else shown


def _of_invalid(running: Running, now: datetime) -> Iterable[Look]:
    """That a table is invalid; nothing else is known of a connection that does not run."""
    for one in running.wrong:
        if one.name != DEPLOYMENT:
            fact = Fact(why=one.why.removeprefix(f"{one.name}: "))
            yield Look(one.name, now, {"invalid": fact}, EVERYTHING)


def _joined(looks: list[Look]) -> list[Look]:
    """One look for each scope."""
    joined: dict[str, Look] = {}
    for look in looks:
        before = joined.get(look.scope)
        facts = {**before.facts, **look.facts} if before else look.facts
        joined[look.scope] = replace(before or look, facts=facts)
    return [*joined.values()]


def _load_env() -> str | None:
    """Reads .env again, since somebody may have changed it; why it cannot be read, if so."""
    try:
        load_env()
    except Unreadable as error:
        return str(error)
    return None


def _deployment(
    kept: Memory, running: Running, env_problem: str | None, heard: Heard, asked: datetime, now: datetime
) -> Look:
    facts, unknown = daemon_facts(kept, heard, min(asked, now))
    if env_problem:
        facts["env"] = Fact(why=env_problem)
    if running.problem:
        facts["file"] = Fact(why=running.problem)
    disk = kept.states().get((DEPLOYMENT, "disk"))
    home = os.environ.get("DAGSTER_HOME")
    folders = [
        data_folder(),
        *([Path(os.path.expanduser(home))] if home else []),
    ]  # of a user who is not there: as it is
    facts |= disk_facts(folders, is_open=disk is not None and disk.is_open)
    return Look(DEPLOYMENT, now, facts, unknown)


def _is_settling(kept: Memory, now: datetime) -> bool:
    """Whether the tellers have only just begun to look again after a gap."""
    looked, awake = kept.moment("looked"), kept.moment("awake")
    gap = looked is None or not timedelta() <= now - looked <= GAP
    if awake is None or awake > now or (gap and awake != looked):
        awake = now
    kept.set_note("looked", now.isoformat())
    kept.set_note("awake", awake.isoformat())
    return now - awake < SETTLING


def _decide(kept: Memory, looks: list[Look], deployment: Look, now: datetime, without: frozenset[str]) -> list[Event]:
    """The next state of every condition, and what is to be told."""
    states = kept.states()
    events: list[Event] = []
    for look in looks:
        events += _steps(kept, states, look, now, without)
    affected = outages((scope, condition, state) for (scope, condition), state in states.items())
    facts = {**deployment.facts, **affected}
    events += _steps(kept, states, Look(DEPLOYMENT, now, facts, deployment.unknown), now, without)
    return events


def _steps(
    kept: Memory, states: dict[tuple[str, str], State], look: Look, now: datetime, without: frozenset[str]
) -> list[Event]:
    conditions = {condition for scope, condition in states if scope == look.scope} | {*look.facts}
    events = []
    for condition in sorted(conditions, key=lambda one: ([*FOLLOWS].index(one) + 1 if one in FOLLOWS else 0, one)):
        if not look.knows(condition) or (condition in without and condition in look.facts):
            continue
        before = states.get((look.scope, condition))
        told = before is not None and before.is_open
        if condition in FOLLOWS and not told and _is_explained(states, look.scope, condition, now):
            continue
        if before and told and condition == "key" and condition not in look.facts and not _was_synced(look, before):
            continue  # a key that is set need not be one that works
        after, event = step(look.scope, condition, before, look.facts.get(condition), now)
        if after != before:
            kept.keep(look.scope, condition, after)
        if after is None:
            states.pop((look.scope, condition), None)
        else:
            states[look.scope, condition] = after
        events += [event] if event else []
    return events


def _was_synced(look: Look, state: State) -> bool:
    """Whether a sync was complete since a condition began."""
    last = look.last_sync
    return last is None or (last.since is not None and last.since >= state.since)


def _is_explained(states: dict[tuple[str, str], State], scope: str, condition: str, now: datetime) -> bool:
    """Whether it follows from something else that people were told, or soon will be, or that has only just ended."""
    causes = [state for cause in FOLLOWS[condition] if (state := states.get((scope, cause)))]
    return any(cause.end_told is None or abs(now - cause.end_told) < CALM_DOWN for cause in causes)


def _forget_others(kept: Memory, running: Running) -> None:
    """Connections that somebody deleted from connections.toml. While it cannot be read, nothing is deleted."""
    if running.problem:
        return
    names = {DEPLOYMENT, *(one.name for one in running.connections), *(one.name for one in running.wrong)}
    states = kept.states()
    gone = {scope for scope, _ in states} - names
    for scope in gone:
        kept.forget_scope(scope)
    # Of an outage that only they had, nobody knows whether it is over.
    cut = {key: state for key, state in states.items() if key[1] == "unreachable" and state.end_told is None}
    here = {state.fact.cause for (scope, _), state in cut.items() if scope not in gone}
    for cause in {state.fact.cause for (scope, _), state in cut.items() if scope in gone} - here:
        kept.keep(DEPLOYMENT, f"outage {cause}", None)


def _queue(kept: Memory, running: Running, events: list[Event], now: datetime) -> None:
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
        for words in _grouped(theirs, by_name, language):
            _address(kept, [recipient], words, now)
    for words in _for_operator(kept, by_name, events):
        log.warning("%s: %s", words.title, words.body.replace("\n", " | "))
        _address(kept, operators(), words, now)


def _digests(running: Running, now: datetime) -> list[tuple[Connection, Digest]]:
    """The digests that are due, read before the transaction that queues them."""
    with memory() as kept:
        due = [(one, day) for one in running.connections if (day := due_day(kept, one, now))]
    found = [(one, digest_of(one, open_warehouse(one), day)) for one, day in due]
    return [(one, digest) for one, digest in found if digest and (digest.is_read or not may_wait(one, now))]


def _queue_digests(kept: Memory, digests: list[tuple[Connection, Digest]], now: datetime) -> None:
    """To the owner, or to the operator if the shop has none of its own."""
    for connection, digest in digests:
        if due_day(kept, connection, now) != digest.day:
            continue  # another teller was faster
        mark_sent(kept, connection, digest.day)
        recipients = owners(connection)
        language = Language(connection.language) if recipients else operator_language()
        _address(kept, recipients or operators(), words_of_digest(digest, language), now)


def _address(kept: Memory, recipients: Iterable[Recipient], words: Words, now: datetime) -> None:
    for recipient in recipients:
        kept.queue(recipient.name, words.title, words.body, now)


def _for_operator(kept: Memory, by_name: dict[str, Connection], events: list[Event]) -> Iterable[Words]:
    """What the operator is told: an outage once, however many shops it concerns, and the same news of many in one."""
    language = operator_language()
    silent = any(
        state.is_open for (scope, name), state in kept.states().items()
        if scope == DEPLOYMENT and name in EXPLAINS_SILENCE
    )  # fmt: skip
    told = [
        event for event in events
        # "outage" tells the one, and why nothing is synced the other.
        if not (event.condition == "unreachable" and event.fact.cause)
        and not (event.condition == "stale" and event.what == "begin" and silent)
    ]  # fmt: skip
    return _grouped(told, by_name, language)


def _grouped(events: list[Event], by_name: dict[str, Connection], language: Language) -> Iterable[Words]:
    """Each event in words; the same news of several shops together."""
    groups: dict[tuple[str, str, str], list[Event]] = {}
    for event in events:
        groups.setdefault((event.what, event.condition, event.fact.cause), []).append(event)
    for group in groups.values():
        zones = {one.scope: by_name[one.scope].zone for one in group if one.scope in by_name}
        if len(group) >= MANY:
            yield words_of_many(group, language, DEFAULT_ZONE)
        else:
            yield words_of(group[0], language, zones.get(group[0].scope, DEFAULT_ZONE))
