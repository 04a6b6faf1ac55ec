"""Looks at everything, decides what to tell whom, and puts it into the outbox: the daemon's sensor and `watch` alike.

Both may do so at the same moment: what was decided is committed in one transaction, and the second finds it done.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sitniks_finmap.alerts.conditions import (
    BLOCKERS,
    CAUSES,
    DEPLOYMENT,
    FOLLOWS,
    NOW,
    Event,
    Fact,
    State,
    kind_of,
    outage_of,
    outages,
    shops_of,
    step,
)
from sitniks_finmap.alerts.deployment import Heard, daemon_facts, daemon_lives, disk_facts
from sitniks_finmap.alerts.hosts import Hosts, unknown_hosts, with_hosts
from sitniks_finmap.alerts.messages import due_digests, queue, queue_digests
from sitniks_finmap.alerts.observations import See, keep_look, known_looks, look_at, without_keys
from sitniks_finmap.alerts.observe import ABOUT_RECORDS, EVERYTHING, Look, observe
from sitniks_finmap.alerts.recipients import operators, owners
from sitniks_finmap.alerts.sending import is_due
from sitniks_finmap.alerts.state import Memory, memory
from sitniks_finmap.days import Clock
from sitniks_finmap.settings.last_good import Running, load_running
from sitniks_finmap.settings.private_files import data_folder
from sitniks_finmap.settings.text_files import Unreadable, load_env

PATIENT = 300.0  # seconds
GAP = timedelta(minutes=15)  # nobody looked for so long: the machine was off or asleep, or its clock was changed
A_DAY = timedelta(days=1)
SETTLING = timedelta(minutes=5)  # after that, the daemon comes back and a sync starts: what is old is no news yet
CALM_DOWN = timedelta(hours=1)  # after the end of what explained that no sync is complete
# Conditions that say how old something is.
TELLING_AGE = frozenset({"stale", "daemon", "location", "unreachable", "crashed", "failing", "unread", "unread_orders"})
SOMEBODY = "knew somebody"  # a note: when a teller last knew whom to tell
OPERATOR = "knew the operator"
SILENT_AFTER = timedelta(days=1)
States = dict[tuple[str, str], State]  # by scope and condition


@dataclass(frozen=True)
class Told:
    """What one look came to."""

    open: States  # what is wrong and was told
    waiting: dict[tuple[str, str], tuple[State, datetime]]  # what is wrong, and when it is told if nothing changes
    can_tell: bool  # otherwise nothing was decided
    events: list[Event]
    to_send: bool  # whether the outbox has anything that is due
    unsent: int


def look_around(
    heard: Heard, clock: Clock, seconds: float = PATIENT, see: See = observe, hosts: Hosts | None = None
) -> Told:
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
    no_judge = lives or (heard != "itself" and (env_problem is not None or without_keys(running.connections)))
    connections = [one for one in running.connections if not (no_judge and one.problem())]
    observed = look_at(connections, known, clock(), seconds, see)
    digests = due_digests(running, clock())
    with memory() as kept:
        now = clock()  # in the order of the transactions
        looks = [*_newest(kept, running, observed, now), *_of_invalid(running, now)]
        events: list[Event] = []
        if can_tell := _can_tell(kept, running, heard, now):
            old = TELLING_AGE if _is_settling(kept, now) else frozenset[str]()
            _forget_others(kept, running)
            deployment = _deployment(kept, running, env_problem, heard, hosts, asked, now)
            if not _is_set_back(kept, now):
                events = _decide(kept, _joined(looks), deployment, now, old)
                queue(kept, running, events, now)
                queue_digests(kept, digests, now)
        states = kept.states()
        told = {key: state for key, state in states.items() if state.is_open}
        return Told(told, _waiting(states, looks, now), can_tell, events, is_due(kept, now), kept.count_unsent())


def _waiting(states: States, looks: list[Look], now: datetime) -> dict[tuple[str, str], tuple[State, datetime]]:
    """What was seen, and is told only if it lasts; after a gap, also what is not looked at closely yet."""
    waiting = {}
    seen = {**{(one.scope, name): State(now, fact) for one in looks for name, fact in one.facts.items()}, **states}
    for look in looks:
        for condition, fact in look.facts.items():
            explained = condition in FOLLOWS and _is_explained(seen, look.scope, condition, now)
            if (look.scope, condition) not in states and not explained:
                until = max((fact.since or now + SETTLING) + (fact.patience or NOW), now + SETTLING)
                waiting[look.scope, condition] = (State(fact.since or now, fact), until)
    for (scope, condition), state in states.items():
        if state.begin_told is None and not (condition in FOLLOWS and _is_explained(seen, scope, condition, now)):
            patience = kind_of(condition).patience if state.fact.patience is None else state.fact.patience
            waiting[scope, condition] = (state, state.since + patience)
    return waiting


def _can_tell(kept: Memory, running: Running, heard: Heard, now: datetime) -> bool:
    """Whether we know whom to tell, because what is decided counts as told.

    Without .env, or the environment of the daemon's service, nobody is known, or owners only. If a teller knew more
    within a day, it is the one to decide; otherwise nobody wants messages any more. The daemon knows which
    recipients were removed.
    """
    operator, owner = bool(operators()), any(owners(one) for one in running.connections)
    if operator:
        kept.set_note(OPERATOR, now.isoformat())
    elif owner and heard == "itself":
        kept.forget_note(OPERATOR)
    if operator or owner:
        kept.set_note(SOMEBODY, now.isoformat())
    known = kept.moment(OPERATOR if owner else SOMEBODY)
    return operator or known is None or abs(now - known) >= SILENT_AFTER


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
            values = {} if one.name in running.goes_on else {"case": "none"}
            fact = Fact(why=one.why.removeprefix(f"{one.name}: "), values=values)
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
    kept: Memory,
    running: Running,
    env_problem: str | None,
    heard: Heard,
    hosts: Hosts | None,
    asked: datetime,
    now: datetime,
) -> Look:
    facts, unknown = daemon_facts(kept, heard, min(asked, now))
    if env_problem:
        facts["env"] = Fact(why=env_problem)
    if running.problem:
        facts["file"] = Fact(why=running.problem, values={} if running.connections else {"case": "none"})
    disk = kept.states().get((DEPLOYMENT, "disk"))
    home = os.environ.get("DAGSTER_HOME")
    folders = [
        data_folder(),
        *([Path(os.path.expanduser(home))] if home else []),
    ]  # `~user` of an unknown user stays as it is
    facts |= disk_facts(folders, is_open=disk is not None and disk.is_open)
    return Look(DEPLOYMENT, now, with_hosts(facts, hosts, kept, now), unknown | unknown_hosts(hosts, kept))


def _is_settling(kept: Memory, now: datetime) -> bool:
    """Whether the tellers have only just begun to look again after a gap."""
    looked, awake = kept.moment("looked"), kept.moment("awake")
    gap = looked is None or not timedelta() <= now - looked <= GAP
    if awake is None or awake > now or (gap and awake != looked):
        awake = now
    if looked is not None and looked - now > A_DAY:
        kept.set_note("set back", now.isoformat())
    kept.set_note("looked", now.isoformat())
    kept.set_note("awake", awake.isoformat())
    return now - awake < SETTLING


def _is_set_back(kept: Memory, now: datetime) -> bool:
    """Whether the clock has only just gone back by more than a day: perhaps it is about to be corrected."""
    since = kept.moment("set back")
    return since is not None and timedelta() <= now - since < SETTLING


def _decide(kept: Memory, looks: list[Look], deployment: Look, now: datetime, without: frozenset[str]) -> list[Event]:
    """The next state of every condition, and what is to be told."""
    states = kept.states()
    events: list[Event] = []
    for look in looks:
        events += _steps(kept, states, look, now, without)
    facts = {**deployment.facts, **outages(states)}
    return events + _steps(kept, states, Look(DEPLOYMENT, now, facts, deployment.unknown), now, without)


def _steps(kept: Memory, states: States, look: Look, now: datetime, without: frozenset[str]) -> list[Event]:
    conditions = {condition for scope, condition in states if scope == look.scope} | {*look.facts}
    events = []
    for condition in sorted(conditions, key=lambda one: _turn_of(one, look, states)):
        if not look.knows(condition) or (condition in without and condition in look.facts):
            continue
        before = states.get((look.scope, condition))
        told = before is not None and before.is_open
        if condition in FOLLOWS and not told and _is_explained(states, look.scope, condition, now):
            continue
        if (
            before
            and told
            and condition in ("key", "stale")
            and condition not in look.facts
            and not _was_synced(look, condition, before)
        ):
            continue  # a key that is set need not be one that works, and more patience is no sync
        after, event = step(look.scope, condition, before, look.facts.get(condition), now)
        blockers = _blockers(states, look.scope, condition, event)
        unsettled = any(one in look.facts and (look.scope, one) not in states for one in {*BLOCKERS} - {condition})
        if event and event.what == "end" and (blockers or unsettled):
            if condition not in (*CAUSES, *FOLLOWS):
                event = replace(event, all_well=False)
            elif any(one.is_open for one in blockers):
                event = None  # another message says now why nothing is synced
            else:
                continue  # it soon will, or nothing blocks: then this is over
        elif event and event.what == "end" and look.facts.keys() & ABOUT_RECORDS:
            event = replace(event, all_well=False)  # something else still needs a person
        elif condition == "stale" and before and told and any(one.is_open for one in blockers):
            after = replace(before, end_told=now)  # the message about the cause has replaced it
        if after != before:
            kept.keep(look.scope, condition, after)
        if after is None:
            states.pop((look.scope, condition), None)
        else:
            states[look.scope, condition] = after
        events += [event] if event else []
    return events


def _turn_of(condition: str, look: Look, states: States) -> tuple[int, bool, bool, str]:
    """Causes come before what follows from them, beginnings before ends, and what nobody was told before what was."""
    follows = [*FOLLOWS].index(condition) + 1 if condition in FOLLOWS else 0
    state = states.get((look.scope, condition))
    return follows, condition not in look.facts, state is not None and state.is_open, condition


def _blockers(states: States, scope: str, condition: str, event: Event | None) -> list[State]:
    """What else stops the syncs of this connection, or of those that an outage affected, whether it was told or not."""
    shops = [scope] if scope != DEPLOYMENT else shops_of(event.fact) if event else []
    others = (states.get((shop, cause)) for shop in shops for cause in BLOCKERS if cause != condition)
    return [one for one in others if one and one.end_told is None]


def _was_synced(look: Look, condition: str, state: State) -> bool:
    """Whether a sync was complete since a condition began: "stale" begins with the last one."""
    last = look.last_sync
    if last is None:
        return True
    return last.since is not None and (last.since > state.since if condition == "stale" else last.since >= state.since)


def _is_explained(states: States, scope: str, condition: str, now: datetime) -> bool:
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
    here = {outage_of(state.fact) for (scope, _), state in cut.items() if scope not in gone}
    for outage in {outage_of(state.fact) for (scope, _), state in cut.items() if scope in gone} - here:
        kept.keep(DEPLOYMENT, outage, None)
    for (scope, condition), state in kept.states().items():  # the others' names only go on
        if scope == DEPLOYMENT and condition.startswith("outage") and (left := shops_of(state.fact) - names):
            shops = ", ".join(sorted(shops_of(state.fact) - left))
            fact = replace(state.fact, values={**state.fact.values, "shops": shops})
            kept.keep(scope, condition, replace(state, fact=fact))
