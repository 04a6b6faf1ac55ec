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
from sitniks_finmap.alerts.digest import Digest, digest_of, due_day, mark_sent, words_of_digest
from sitniks_finmap.alerts.observations import See, keep_look, known_looks, look_at
from sitniks_finmap.alerts.observe import EVERYTHING, Look, observe
from sitniks_finmap.alerts.recipients import Recipient, operator_language, operators, owners
from sitniks_finmap.alerts.sending import is_due
from sitniks_finmap.alerts.state import Memory, memory
from sitniks_finmap.alerts.wording import DEFAULT_ZONE, Words, words_of, words_of_many
from sitniks_finmap.connections import Connection
from sitniks_finmap.days import Clock
from sitniks_finmap.language import Language
from sitniks_finmap.last_good import Running, load_running
from sitniks_finmap.private_files import data_folder
from sitniks_finmap.settings_files import Unreadable, load_env
from sitniks_finmap.warehouse.store import open_warehouse

log = logging.getLogger(__name__)

PATIENT = 300.0  # seconds
MANY = 2  # connections with the same news at once make one message for the operator
GAP = timedelta(minutes=15)  # nobody looked for so long: the machine was off or asleep, or its clock was changed
SETTLING = timedelta(minutes=5)  # after that, the daemon comes back and a sync starts: what is old is no news yet
CALM_DOWN = timedelta(hours=1)  # after the end of what explained that no sync is complete
# What the operator knows when one of these is open: then the shops' silence is no news.
EXPLAINS_SILENCE = ("daemon", "location")
TELLING_AGE = frozenset({"stale", "daemon", "location"})  # conditions that say how old something is


@dataclass(frozen=True)
class Told:
    """What one look came to."""

    open: dict[tuple[str, str], State]  # what is wrong and was told, by scope and condition
    events: list[Event]
    to_send: bool  # whether the outbox has anything that is due
    unsent: int


def look_around(heard: Heard, clock: Clock, seconds: float = PATIENT, see: See = observe) -> Told:
    """Observes every connection and the deployment, and queues what is to be told; after so many seconds of opening
    files, the other connections are left for the next time. Raises StateUnusable.
    """
    env_problem = _load_env()
    running = load_running()
    with memory() as kept:
        known = known_looks(kept)
        lives = heard != "itself" and daemon_lives(kept, clock())
    # The daemon syncs, so its environment counts: the watcher may lack keys.
    connections = [one for one in running.connections if not (lives and one.problem())]
    observed = look_at(connections, known, clock(), seconds, see)
    now = clock()
    digests = _digests(running, now)
    with memory() as kept:
        old = TELLING_AGE if _is_settling(kept, now) else frozenset[str]()
        looks = [*_newest(kept, running, observed, now), *_of_invalid(running, now)]
        events = _decide(kept, _joined(looks), _deployment(kept, running, env_problem, heard, now), now, old)
        _forget_others(kept, running)
        _queue(kept, running, events, now)
        _queue_digests(kept, digests, now)
        states = {key: state for key, state in kept.states().items() if state.is_open}
        return Told(states, events, is_due(kept, now), kept.count_unsent())


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
        joined[look.scope] = Look(look.scope, look.at, facts, (before or look).unknown)
    return [*joined.values()]


def _load_env() -> str | None:
    """Reads .env again, since somebody may have changed it; why it cannot be read, if so."""
    try:
        load_env()
    except Unreadable as error:
        return str(error)
    return None


def _deployment(kept: Memory, running: Running, env_problem: str | None, heard: Heard, now: datetime) -> Look:
    facts, unknown = daemon_facts(kept, heard, now)
    if env_problem:
        facts["env"] = Fact(why=env_problem)
    if running.problem:
        facts["file"] = Fact(why=running.problem)
    disk = kept.states().get((DEPLOYMENT, "disk"))
    home = os.environ.get("DAGSTER_HOME")
    folders = [data_folder(), *([Path(home).expanduser()] if home else [])]
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
        after, event = step(look.scope, condition, before, look.facts.get(condition), now)
        if after != before:
            kept.keep(look.scope, condition, after)
        if after is None:
            states.pop((look.scope, condition), None)
        else:
            states[look.scope, condition] = after
        events += [event] if event else []
    return events


def _is_explained(states: dict[tuple[str, str], State], scope: str, condition: str, now: datetime) -> bool:
    """Whether it follows from something else that people were told, or soon will be, or that has only just ended."""
    causes = [state for cause in FOLLOWS[condition] if (state := states.get((scope, cause)))]
    return any(cause.end_told is None or abs(now - cause.end_told) < CALM_DOWN for cause in causes)


def _forget_others(kept: Memory, running: Running) -> None:
    """Connections that somebody deleted from connections.toml. While it cannot be read, nothing is deleted."""
    if running.problem:
        return
    names = {DEPLOYMENT, *(one.name for one in running.connections), *(one.name for one in running.wrong)}
    for scope in {scope for scope, _ in kept.states()} - names:
        kept.forget_scope(scope)


def _queue(kept: Memory, running: Running, events: list[Event], now: datetime) -> None:
    """Writes each event to the owner of its shop and to the operator; who is both gets the operator's only."""
    by_name = {one.name: one for one in running.connections}
    urls = {one.url for one in operators()}
    for event in events:
        connection = by_name.get(event.scope)
        addressed = [one for one in owners(connection) if one.url not in urls] if connection else []
        if connection and addressed and event.condition != "invalid":
            words = words_of(event, Language(connection.language), connection.zone)
            _address(kept, addressed, words, now)
    for words in _for_operator(kept, by_name, events):
        log.warning("%s: %s", words.title, words.body.replace("\n", " | "))
        _address(kept, operators(), words, now)


def _digests(running: Running, now: datetime) -> list[tuple[Connection, Digest]]:
    """The digests that are due, read before the transaction that queues them."""
    with memory() as kept:
        due = [(one, day) for one in running.connections if (day := due_day(kept, one, now))]
    found = [(one, digest_of(one, open_warehouse(one), day)) for one, day in due]
    return [(one, digest) for one, digest in found if digest]


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
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.condition == "unreachable" and event.fact.cause:
            continue  # "outage" tells it
        if event.condition == "stale" and event.what == "begin" and silent:
            continue
        groups.setdefault((event.what, event.condition), []).append(event)
    for group in groups.values():
        zones = {one.scope: by_name[one.scope].zone for one in group if one.scope in by_name}
        if len(group) >= MANY:
            yield words_of_many(group, language, DEFAULT_ZONE)
        else:
            yield words_of(group[0], language, zones.get(group[0].scope, DEFAULT_ZONE))
