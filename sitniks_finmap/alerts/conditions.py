"""Conditions: when one begins, grows and ends, from what was observed and a clock. Nothing here reads or sends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

DEPLOYMENT = "*"  # the scope of what concerns no connection; no connection can have this name
RELAPSE = timedelta(hours=1)  # what begins again so soon after its end is flapping
FIRST_CALM, LONGEST_CALM = timedelta(minutes=10), timedelta(hours=6)
KEPT = timedelta(days=1)  # how long an ended condition is remembered, to recognise a relapse
DAILY = timedelta(days=1)

NOW = timedelta()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Kind:
    """How patient a condition is, whether it is told again when it grows, and whether its end is told."""

    patience: timedelta = NOW
    grows_after: timedelta | None = None  # how long after the last message more records are worth another one
    end_is_told: bool = True
    changes_after: timedelta | None = None  # how long after the last message another case of it is worth another one


KINDS: dict[str, Kind] = {
    # Of a connection.
    "key": Kind(changes_after=HOUR),  # refused, expired or missing, or the subscription has ended
    "invalid": Kind(MINUTE),  # its table in connections.toml; a person may be typing
    "stopped": Kind(changes_after=HOUR),  # a run stopped for a reason that only a person can remove
    "unreachable": Kind(timedelta(minutes=30), changes_after=HOUR),  # Sitniks or Finmap; `alert_after`
    "crashed": Kind(timedelta(minutes=30)),  # killed, or failed for an unexpected reason; `alert_after`
    "stale": Kind(timedelta(hours=3)),  # no successful sync; `stale_after`
    "failing": Kind(HOUR),  # operations that Finmap does not take, or that nobody delivers
    "unread": Kind(timedelta(hours=3)),  # days
    "unread_orders": Kind(DAILY),
    "rejected": Kind(NOW, DAILY),  # by us
    "refused": Kind(NOW, DAILY),  # by Finmap
    "pending": Kind(NOW, DAILY),  # for a person
    "safety_catch": Kind(NOW, DAILY),  # too many changes at once
    "difference": Kind(NOW, DAILY),  # unexplained
    "other_operations": Kind(NOW),  # post to the same account
    "defect": Kind(),  # a check of ours fails
    "blind": Kind(timedelta(minutes=5)),  # our own code cannot say how it is
    "damaged": Kind(NOW, NOW, end_is_told=False),  # a file was set aside
    # Of the deployment.
    "file": Kind(MINUTE),  # connections.toml does not load
    "env": Kind(MINUTE),  # .env does not load
    "daemon": Kind(),  # its heartbeat is old enough in itself
    "location": Kind(),  # the daemon lives, but does not carry out our sensors
    "notifying": Kind(),  # only the sensor that notifies is off
    "disk": Kind(),
    "host": Kind(timedelta(minutes=5)),  # another host of this deployment is silent
    "outage": Kind(),  # a host that some connections cannot reach; the operator is told once
}
# What stops the syncs of a connection.
CAUSES = ("key", "invalid", "stopped", "unreachable", "crashed")
BLOCKERS = ("key", "stopped", "unreachable", "crashed")  # with an invalid table, the last valid one goes on
# What follows from another condition is not told as well.
FOLLOWS = {
    "stale": CAUSES,
    "unread": (*CAUSES, "stale"),
    **dict.fromkeys(("failing", "defect", "difference"), CAUSES),  # of a run that stopped halfway
}


@dataclass(frozen=True)
class Fact:
    """What is wrong now. `patience` overrides that of its kind."""

    since: datetime | None = None  # if something says so; otherwise since it was first seen
    count: int = 0  # of records, connections, files
    why: str = ""  # a technical detail, in English, that quotes no record
    cause: str = ""  # what several connections may have in common: a host
    run_id: str | None = None
    patience: timedelta | None = None
    values: Mapping[str, str] = field(default_factory=dict)  # more for the text, and what `case_of` names
    reasons: Mapping[str, int] = field(default_factory=dict)  # how many records each concerns


@dataclass(frozen=True)
class State:
    """One row of `alert_states`: a condition that holds, or held until a while ago."""

    since: datetime
    fact: Fact
    begin_told: datetime | None = None
    end_told: datetime | None = None
    told_count: int = 0
    told_at: datetime | None = None
    clear_since: datetime | None = None
    relapses: int = 0
    case_since: datetime | None = None  # if another case followed the first before anybody was told

    @property
    def is_open(self) -> bool:
        """Whether its beginning was told and its end was not."""
        return self.begin_told is not None and self.end_told is None


@dataclass(frozen=True)
class Event:
    """What people are to be told now."""

    what: Literal["begin", "grow", "end"]
    scope: str
    condition: str
    fact: Fact
    since: datetime
    lasted: timedelta | None = None  # of an end, if the clock allows to say so
    all_well: bool = True  # of an end: nothing else stops these shops


def kind_of(condition: str) -> Kind:
    """The kind of a condition; its name may be followed by what it is about: "outage api.finmap.online"."""
    return KINDS[condition.partition(" ")[0]]


def step(
    scope: str, condition: str, state: State | None, fact: Fact | None, now: datetime
) -> tuple[State | None, Event | None]:
    """The next state of a condition, given what is observed now, and what to tell. `fact` is None if all is well.

    A clock that was set back makes nothing begin, end or last longer: each remembered moment that lies in the future
    counts as now.
    """
    if fact is None:
        return _without(scope, condition, state, now)
    if state is None or state.end_told is not None:
        state = _begun(state, fact, now)
    kind = kind_of(condition)
    changed = state.is_open and kind.changes_after is not None and is_other_case(state.fact, fact)
    changed = changed and now - min(state.told_at or now, now) >= (kind.changes_after or NOW)
    if state.is_open and not changed:  # its end names what its beginning named
        fact = replace(fact, cause=state.fact.cause, values={**fact.values, **case_of(state.fact)})
    other = is_other_case(state.fact, fact)
    since = max(state.since, fact.since or now) if changed else state.since  # another case began later
    case_since = (fact.since or now) if other and not state.is_open else state.case_since
    state = replace(state, since=min(since, now), case_since=case_since, fact=fact, clear_since=None)
    if state.begin_told is None:
        patience = kind.patience if fact.patience is None else fact.patience
        if now - state.since < patience:
            return state, None
        began = max(state.since, min(state.case_since or state.since, now))  # the patience began with the first case
        told = replace(state, since=began, begin_told=now, told_at=now, told_count=fact.count)
        return told, Event("begin", scope, condition, fact, began)
    told_at = min(state.told_at or now, now)
    grown = kind.grows_after is not None and fact.count > state.told_count and now - told_at >= kind.grows_after
    if grown or changed:
        told = replace(state, told_at=now, told_count=fact.count)
        return told, Event("grow", scope, condition, fact, state.since)
    return replace(state, told_at=told_at, told_count=min(state.told_count, fact.count)), None


def is_other_case(one: Fact, other: Fact) -> bool:
    """Whether two facts of one condition need different remedies: another side's key, or expired instead of missing."""
    return case_of(one) != case_of(other)


def case_of(fact: Fact) -> dict[str, str]:
    """What a condition is about, and which of its texts says so."""
    return {name: value for name, value in fact.values.items() if name in ("side", "case", "about")}


def _begun(before: State | None, fact: Fact, now: datetime) -> State:
    """A condition that is seen for the first time, or again after its end."""
    ended = before.end_told if before else None
    relapses = before.relapses + 1 if before and ended and timedelta() <= now - ended < RELAPSE else 0
    return State(min(fact.since or now, now), fact, relapses=relapses)


def _without(scope: str, condition: str, state: State | None, now: datetime) -> tuple[State | None, Event | None]:
    """What becomes of a condition that is not observed any more."""
    if state is None or state.begin_told is None:
        return None, None  # nobody was told: nobody needs to be told that it is over
    if state.end_told is not None:
        return (state if abs(now - state.end_told) < KEPT else None), None
    clear_since = min(state.clear_since or now, now)
    if now - clear_since < calm(state.relapses):
        return replace(state, clear_since=clear_since), None
    ended = replace(state, clear_since=clear_since, end_told=now)
    if not kind_of(condition).end_is_told:
        return ended, None
    lasted = clear_since - state.since
    return ended, Event(
        "end", scope, condition, state.fact, state.since, lasted if lasted > timedelta() else None
    )  # fmt: skip


def calm(relapses: int) -> timedelta:
    """How long a condition must be over before its end is told: longer each time it came back within the hour."""
    return min(FIRST_CALM * 2 ** (min(relapses, 16) - 1), LONGEST_CALM) if relapses else timedelta()


def outages(states: Mapping[tuple[str, str], State]) -> dict[str, Fact]:
    """The hosts that connections cannot reach, each with these connections: "outage <side> <host>" → fact.

    It begins with the first connection that was told, and names all that are affected by then. It ends with the last,
    and then names all that it has affected.
    """
    affected: dict[str, list[tuple[str, State]]] = {}
    for (scope, condition), state in states.items():
        if condition == "unreachable" and state.end_told is None and state.fact.cause:
            affected.setdefault(outage_of(state.fact), []).append((scope, state))
    found = {}
    for outage, shops in affected.items():
        if not any(state.is_open for _, state in shops):
            continue
        before = states.get((DEPLOYMENT, outage))
        names = {scope for scope, _ in shops} | (shops_of(before.fact) if before and before.is_open else set())
        first = shops[0][1].fact
        found[outage] = Fact(
            since=min(state.since for _, state in shops),
            count=len(shops),
            why=first.why,
            cause=first.cause,
            values={**case_of(first), "shops": ", ".join(sorted(names))},
        )
    return found


def outage_of(fact: Fact) -> str:
    """The condition of the deployment that this fact of a connection belongs to."""
    return " ".join(filter(None, ("outage", fact.values.get("side", ""), fact.cause)))


def shops_of(fact: Fact) -> set[str]:
    return set(filter(None, fact.values.get("shops", "").split(", ")))
