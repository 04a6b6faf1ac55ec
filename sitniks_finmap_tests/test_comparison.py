"""What is patched, what waits and what stays, for whatever people and Sitniks did since our last write."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sitniks_finmap.comparison import CONTENT, PERSONS_FIELDS, three_way

from sitniks_finmap.finmap import Content

VALUES: dict[str, list[Any]] = {  # few, so that people and Sitniks often meet
    "amount": [Decimal(1), Decimal(2), Decimal(3)],
    "occurred_at": [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)],
    "account": ["till", "bank", "card"],
    "category": [None, "sales", "gifts"],
    "tag": [None, "mine", "yours"],
    "comment": ["a", "b", "c"],
}
contents = st.builds(
    Content, type=st.just("income"), **{name: st.sampled_from(values) for name, values in VALUES.items()}
)


def test_the_fields_are_all_of_an_operation() -> None:
    assert {"type", *VALUES} == set(CONTENT)


@given(base=contents, theirs=contents, wanted=contents)
def test_each_field_is_patched_waits_or_stays_by_who_changed_it(
    base: Content, theirs: Content, wanted: Content
) -> None:
    changes, conflicts, stay = three_way(base, theirs, wanted, [])
    for name in VALUES:
        was, has, wants = (getattr(content, name) for content in (base, theirs, wanted))
        equal = has == wants or (name in PERSONS_FIELDS and wants is None)
        by_person, by_sitniks = has != was, wants != was
        said = (name in changes, name in conflicts, name in stay)
        if equal:
            assert said == (False, False, False)
        elif not by_person:
            assert said == (True, False, False)
            assert changes[name] == wants
        elif by_sitniks and name not in PERSONS_FIELDS:
            assert said == (True, True, False)  # patched when a person approves, and else nothing is
        else:
            assert said == (False, False, True)


@given(base=contents, wanted=contents)
def test_what_nobody_touched_becomes_what_sitniks_wants(base: Content, wanted: Content) -> None:
    changes, conflicts, stay = three_way(base, base, wanted, [])
    after = replace(base, **changes)
    assert (conflicts, stay, after.differences(wanted)) == ([], [], {})


@given(theirs=contents, wanted=contents, kept=st.sets(st.sampled_from(list(VALUES))))
def test_while_our_last_write_may_still_come_only_what_was_kept_before_stays(
    theirs: Content, wanted: Content, kept: set[str]
) -> None:
    changes, conflicts, stay = three_way(None, theirs, wanted, sorted(kept))
    differ = theirs.differences(wanted)
    assert conflicts == []
    assert set(changes) == differ.keys() - kept
    assert set(stay) == differ.keys() & kept
