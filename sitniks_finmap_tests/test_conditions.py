"""Conditions, as pure functions of facts and a clock: one message when one begins, one when it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from sitniks_finmap.alerts.conditions import KINDS, Event, Fact, State, calm, outages, step

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Course:
    """A condition that is looked at on a clock."""

    def __init__(self, condition: str = "key") -> None:
        self.condition = condition
        self.now = NOON
        self.state: State | None = None
        self.events: list[Event] = []

    def look(self, fact: Fact | None, after: timedelta = MINUTE) -> str | None:
        self.now += after
        self.state, event = step("u1", self.condition, self.state, fact, self.now)
        if event:
            self.events.append(event)
        return event.what if event else None


WRONG = Fact()


def test_it_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    course = Course()
    assert course.look(None) is None
    assert course.look(WRONG) == "begin"
    assert [course.look(WRONG) for _ in range(600)] == [None] * 600
    assert course.look(None) == "end"
    assert [course.look(None) for _ in range(60)] == [None] * 60
    assert course.events[-1].lasted == 601 * MINUTE


@pytest.mark.parametrize("condition", KINDS)
def test_a_condition_waits_as_long_as_its_patience(condition: str) -> None:
    course = Course(condition)
    patience = KINDS[condition].patience
    course.look(WRONG)
    told = [course.look(WRONG) for _ in range(int(patience / MINUTE))]
    assert [one.what for one in course.events] == ["begin"]
    assert (course.events[0].since, course.now - NOON - MINUTE) == (NOON + MINUTE, patience)
    assert told[:-1] == [None] * len(told[:-1])


def test_what_is_over_before_anybody_was_told_is_not_told() -> None:
    course = Course("unreachable")
    for _ in range(10):
        assert course.look(WRONG, after=29 * MINUTE) is None
        assert course.look(None) is None


def test_it_began_when_the_fact_says_not_when_it_was_seen() -> None:
    course = Course("unreachable")
    assert course.look(Fact(since=NOON - HOUR)) == "begin"
    assert course.events[0].since == NOON - HOUR
    assert course.look(Fact(since=NOON)) is None  # a later failure of the same kind
    assert course.look(None) == "end"
    assert course.events[-1].lasted == HOUR + 3 * MINUTE


def test_more_records_are_told_again_but_once_a_day() -> None:
    course = Course("rejected")
    assert course.look(Fact(count=1)) == "begin"
    assert course.look(Fact(count=5)) is None
    assert course.look(Fact(count=5), after=DAY) == "grow"
    assert course.look(Fact(count=5), after=DAY) is None
    assert course.look(Fact(count=2), after=DAY) is None
    assert course.look(Fact(count=3), after=MINUTE) == "grow"
    assert course.look(None) == "end"


def test_flapping_makes_three_messages_not_a_hundred() -> None:
    """Once a minute it breaks and is mended: told, over, told again; then it has to stay well for longer."""
    course = Course("file")
    for _ in range(100):
        course.look(WRONG, after=2 * MINUTE)
        course.look(WRONG)
        course.look(None)
    assert [one.what for one in course.events] == ["begin", "end", "begin"]
    assert course.look(None, after=calm(1)) == "end"
    assert calm(0) == timedelta()
    assert [calm(n) / MINUTE for n in (1, 2, 3, 9)] == [10, 20, 40, 360]


def test_what_comes_back_days_later_is_no_flapping() -> None:
    course = Course()
    for _ in range(5):
        assert course.look(WRONG, after=DAY) == "begin"
        assert course.look(None, after=DAY) == "end"


@pytest.mark.parametrize("back", [HOUR, 365 * DAY])
@pytest.mark.parametrize("condition", ["key", "stale", "rejected", "disk"])
def test_a_clock_that_was_set_back_tells_no_nonsense(condition: str, back: timedelta) -> None:
    course = Course(condition)
    fact = Fact(count=1, since=NOON)
    assert course.look(fact, after=4 * HOUR) == "begin"
    course.now -= back
    assert [course.look(fact) for _ in range(60)] == [None] * 60
    assert course.look(None) == "end"
    assert course.events[-1].lasted is None or timedelta() < course.events[-1].lasted <= 4 * HOUR + 62 * MINUTE


def test_a_clock_set_back_within_the_patience_begins_it_anew() -> None:
    course = Course("unreachable")
    course.look(WRONG)
    course.look(WRONG, after=20 * MINUTE)
    course.now -= DAY
    assert course.look(WRONG) is None
    assert course.look(WRONG, after=29 * MINUTE) is None
    assert course.look(WRONG) == "begin"


def test_a_set_aside_file_is_told_once_each_and_its_end_is_not() -> None:
    course = Course("damaged")
    assert course.look(Fact(count=1)) == "begin"
    assert course.look(Fact(count=2)) == "grow"
    assert course.look(None) is None
    assert course.look(Fact(count=1), after=2 * DAY) == "begin"


def test_an_outage_names_all_whom_it_concerns_by_then() -> None:
    told = State(NOON, Fact(cause="api.finmap.online"), begin_told=NOON)
    soon = State(NOON - HOUR, Fact(cause="api.finmap.online"))
    over = State(NOON, Fact(cause="api.finmap.online"), begin_told=NOON, end_told=NOON)
    other = State(NOON, Fact(cause="crm.sitniks.com"))
    states = {("u1", "unreachable"): told, ("u2", "unreachable"): soon, ("u3", "unreachable"): over,
              ("u4", "unreachable"): other, ("u5", "key"): told}  # fmt: skip
    (found,) = outages(states).items()
    assert found[0] == "outage api.finmap.online"
    assert (found[1].count, found[1].since, dict(found[1].values)) == (2, NOON - HOUR, {"shops": "u1, u2"})
    assert outages({key: state for key, state in states.items() if key != ("u1", "unreachable")}) == {}


def test_an_outage_ends_with_the_side_and_shops_it_began_with() -> None:
    """Both sides may be served by one host."""
    finmap, sitniks = (
        Fact(cause="host", why="Sitniks or Finmap", values={"side": one}) for one in ("Finmap", "Sitniks")
    )
    told = State(NOON, finmap, begin_told=NOON)
    states = {("a", "unreachable"): told, ("b", "unreachable"): told, ("c", "unreachable"): State(NOON, sitniks)}
    found = outages(states)
    assert {name: dict(fact.values) for name, fact in found.items()} == {
        "outage Finmap host": {"side": "Finmap", "shops": "a, b"}
    }
    del states["a", "unreachable"]
    states["*", "outage Finmap host"] = State(NOON, found["outage Finmap host"], begin_told=NOON)
    assert dict(outages(states)["outage Finmap host"].values) == {"side": "Finmap", "shops": "a, b"}


def test_the_end_names_the_side_of_the_beginning() -> None:
    course = Course("unreachable")
    finmap, sitniks = Fact(cause="f", values={"side": "Finmap"}), Fact(cause="s", values={"side": "Sitniks"})
    course.look(finmap)
    assert course.look(finmap, after=HOUR) == "begin"
    assert course.look(sitniks) is None
    assert course.look(None) == "end"
    assert course.events[-1].fact.values["side"] == "Finmap"


def test_an_outage_that_moves_to_the_other_side_is_told() -> None:
    course = Course("unreachable")
    finmap, sitniks = Fact(cause="f", values={"side": "Finmap"}), Fact(cause="s", values={"side": "Sitniks"})
    course.look(sitniks)
    assert course.look(sitniks, after=HOUR) == "begin"
    assert course.look(finmap, after=HOUR) == "grow"
    assert course.events[-1].fact.values["side"] == "Finmap"
    assert course.look(None) == "end"
    assert course.events[-1].fact.values["side"] == "Finmap"


def test_another_reason_to_stop_is_told() -> None:
    course = Course("stopped")
    assert course.look(Fact(why="no account", values={"about": "1"})) == "begin"
    assert course.look(Fact(why="no account", values={"about": "1"}), after=2 * HOUR) is None
    assert course.look(Fact(why="another company", values={"about": "2"})) == "grow"
    assert course.events[-1].fact.why == "another company"


def test_another_refused_key_is_told_but_not_every_minute() -> None:
    course = Course("key")
    finmap, sitniks = ({"case": "refused", "side": side} for side in ("Finmap", "Sitniks"))
    assert course.look(Fact(values=finmap)) == "begin"
    assert course.look(Fact(values=sitniks)) is None
    assert course.look(Fact(values=sitniks), after=HOUR) == "grow"
    assert [course.look(Fact(values=one)) for one in (finmap, sitniks) * 10] == [None] * 20


def test_another_case_has_a_beginning_and_a_length_of_its_own() -> None:
    course = Course("key")
    finmap, sitniks = ({"case": "refused", "side": side} for side in ("Finmap", "Sitniks"))
    course.look(Fact(values=sitniks))
    began = course.now + 6 * HOUR
    assert course.look(Fact(began, values=finmap), after=7 * HOUR) == "grow"
    assert course.events[-1].since == began
    assert course.look(None) == "end"
    assert course.events[-1].lasted == course.now - began
