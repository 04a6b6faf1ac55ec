"""All courses of delivering one transaction: never two operations, never none, at last equal to the source."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from sitniks_finmap_tests.delivery_model import NEW, SOLD, START, Model, World, changes, distinct, edges, table

PAGE = Path(__file__).parents[1] / "docs" / "delivery-states.md"

QUIET = timedelta(minutes=50)  # what Finmap stored and is to be deleted is waited for for two hours


@pytest.mark.parametrize(
    ("syncs", "minutes", "courses", "quiet"),
    [
        (1, 2, 40, 6),
        pytest.param(2, 2, 400, 10, marks=pytest.mark.runs),
        pytest.param(2, 11, 400, 10, marks=pytest.mark.runs),
    ],
)
def test_any_course_of_events_ends_as_the_source_says(
    syncs: int, minutes: int, courses: int, quiet: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One or two syncs in which everything may go wrong, each followed by a change in Sitniks, then quiet ones.

    What Finmap stored is shown after 5 minutes or 25: the next sync comes before, in between, and after. That there are
    never two is asserted after each attempt.
    """
    monkeypatch.setattr("sitniks_finmap.pipeline.readback.LOOK_UPS", 1_000_000)
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.CHUNK", 1_000_000)
    model, now = Model(), START
    worlds = [World(SOLD)]
    for _ in range(syncs):
        worlds = model.sync(worlds, now, harm=True)
        worlds = distinct([after for world in worlds for after in changes(world)])
        now += timedelta(minutes=minutes)
    assert len(worlds) > courses
    for _ in range(quiet):
        worlds = model.sync(worlds, now, harm=False)
        now += QUIET

    held = {world.story: [deed.content for deed in world.holds.values()] for world in worlds}
    wanted = {world.story: [world.source] if world.source else [] for world in worlds}
    assert {story: held[story] for story in held if held[story] != wanted[story]} == {}
    assert model.left_to_do(worlds, now) == []


@pytest.mark.runs
def test_the_states_page_shows_every_transition_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it does not: put what `table(edges())` gives into the page, and see what has changed."""
    monkeypatch.setattr("sitniks_finmap.pipeline.readback.LOOK_UPS", 1_000_000)
    monkeypatch.setattr("sitniks_finmap.pipeline.courier.CHUNK", 1_000_000)
    arrows = edges()
    page = PAGE.read_text("utf-8")
    assert table(arrows) in page

    # The picture leaves out what would make it unreadable, and shows what `catch-up` marks.
    drawn = re.findall(r"^    (\[\*\]|\w+) --> (\w+) :", page, re.MULTILINE)
    known = {("[*]" if one.before == NEW else one.before, one.after) for one in arrows} | {("[*]", "dismissed")}
    assert set(drawn) <= known
    assert len(drawn) > 10
