"""A thousand random courses with an accountant at work: never two live, no edit lost, never an all-clear too early."""

import os

import pytest

from sitniks_finmap_tests.random_courses import QUIET, Courses

SEED = int(os.environ.get("COURSES_SEED", "1"))
COURSES = int(os.environ.get("COURSES", "1000"))


@pytest.mark.runs
@pytest.mark.timeout(1200)
def test_no_course_doubles_money_or_loses_an_edit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight syncs in which every request may go wrong, then quiet ones; at last a person approves what waits.

    Nor does `status` call everything ok too early.
    """
    monkeypatch.setattr("sitniks_finmap.pipeline.readback.LOOK_UPS", 1_000_000)
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.CHUNK", 1_000_000)
    courses = Courses(COURSES, SEED)
    for _ in range(8):
        courses.sync(harm=0.12)
        assert broken(courses) == []
        courses.something_happens()
    for _ in range(5):
        courses.now += QUIET
        courses.sync(harm=0)
    assert broken(courses, at_rest=True) == []
    verdicts = zip(courses.courses, courses.verdicts(), strict=True)
    early = [(why, one.world.story) for one, verdict in verdicts if (why := one.all_clear_too_early(verdict))]
    assert early[:3] == []

    for _ in range(5):
        courses.now += QUIET
        courses.sync(harm=0, approve=True)
    assert [one.world.story for one in courses.courses if len(one.world.holds) > 1] == []
    assert [one for one in courses.verdicts() if "pending" in one.standings or "go" in one.standings] == []


def broken(courses: Courses, *, at_rest: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """What was done that must not be, and how it came to that; the shortest ones."""
    found = [(why, one.world.story) for one in courses.courses if (why := one.harmed(at_rest=at_rest))]
    return sorted(found, key=lambda one: len(one[1]))[:3]
