"""All courses of delivering one transaction: never two operations, never none, at last equal to the source."""

from datetime import timedelta

import pytest

from sitniks_finmap_tests.delivery_model import SOLD, START, Model, World, changes, distinct

QUIET = timedelta(minutes=11)  # what Finmap only stored is looked up after ten


@pytest.mark.parametrize("minutes", [2, 11])
def test_whatever_happens_there_is_at_most_one_operation_and_in_the_end_just_what_the_source_says(
    minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two syncs in which everything may go wrong, each followed by a change in Sitniks, then quiet ones.

    What Finmap stored is shown after five minutes: the next sync comes before or after. That there are never two is
    asserted after each attempt.
    """
    monkeypatch.setattr("sitniks_finmap.readback.LOOK_UPS", 1_000_000)
    model, now = Model(), START
    worlds = [World(SOLD)]
    for _ in range(2):
        worlds = model.sync(worlds, now, harm=True)
        worlds = distinct([after for world in worlds for after in changes(world)])
        now += timedelta(minutes=minutes)
    assert len(worlds) > 400
    for _ in range(4):
        worlds = model.sync(worlds, now, harm=False)
        now += QUIET

    held = {world.story: [deed.content for deed in world.holds.values()] for world in worlds}
    wanted = {world.story: [world.source] if world.source else [] for world in worlds}
    assert {story: held[story] for story in held if held[story] != wanted[story]} == {}
    assert model.left_to_do(worlds, now) == []
