"""What is patched, what conflicts and what stays, for whatever people and Sitniks did since our last write."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitniks_finmap.content import FIELDS, PEOPLES_FIELDS, Content, merge, spelled_alike
from sitniks_finmap_tests.warehouses import macro_text

VALUES: dict[str, list[Any]] = {  # few, so that people and Sitniks often meet
    "amount": [Decimal(1), Decimal(2), Decimal(3)],
    "occurred_at": [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)],
    "account": ["till", "bank", "card"],
    "category": [None, "sales", "gifts"],
    "tag": [None, "mine", "yours"],
    "comment": ["a", "b", "c"],
    "project": [None, "retail"],
    "counterparty": [None, "olena"],
}
contents = st.builds(
    Content, type=st.just("income"), **{name: st.sampled_from(values) for name, values in VALUES.items()}
)


def same(label: str | None) -> str | None:
    return label


@pytest.fixture(scope="module")
def macros() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with these macros only."""
    with duckdb.connect() as con:
        for macro in ("differing_fields", "but_for_labels"):
            con.execute(macro_text(macro))
        yield con


def test_the_fields_are_all_of_an_operation() -> None:
    assert {"type", *VALUES} == set(FIELDS)


@given(written=contents, shown=contents, theirs=contents, wanted=contents)
def test_each_field_is_ours_theirs_or_in_conflict(
    written: Content, shown: Content, theirs: Content, wanted: Content
) -> None:
    """However Finmap spelled what we wrote: `shown` need not equal `written`."""
    found = merge(written, shown, theirs, wanted, same)
    for name in VALUES:
        has, wants = getattr(theirs, name), getattr(wanted, name)
        ours, edited = wants != getattr(written, name), has != getattr(shown, name)
        said = (name in found.changes, name in found.conflicts, name in found.kept)
        if has == wants or not (ours or edited):
            assert said == (False, False, False)
        elif ours and not edited:
            assert said == (True, False, False)
        elif edited and (not ours or name in PEOPLES_FIELDS):
            assert said == (False, False, True)
        else:
            assert said == (False, True, False)


@given(written=contents, shown=contents, wanted=contents)
def test_what_nobody_touched_is_a_change_of_ours_or_nothing(written: Content, shown: Content, wanted: Content) -> None:
    found = merge(written, shown, shown, wanted, same)
    assert (found.conflicts, found.kept) == ([], [])
    assert set(found.changes) <= {name for name in FIELDS if getattr(wanted, name) != getattr(written, name)}


@given(theirs=contents, wanted=contents)
def test_without_a_known_write_a_difference_is_asked_or_stays(
    macros: duckdb.DuckDBPyConnection, theirs: Content, wanted: Content
) -> None:
    found = merge(None, theirs, theirs, wanted, same)
    query = "select but_for_labels(differing_fields($1, $2), $1)"
    (asked,) = macros.execute(query, [vars(wanted), vars(theirs)]).fetchone() or ([],)
    assert (found.changes, found.conflicts) == ([], asked), "the plan asks about the same fields"
    assert {*found.conflicts, *found.kept} == {n for n in FIELDS if getattr(theirs, n) != getattr(wanted, n)}
    assert {*found.kept} <= {*PEOPLES_FIELDS}


def test_a_type_that_a_person_turned_conflicts_with_every_change() -> None:
    written = Content("income", Decimal(1), datetime(2026, 3, 1, tzinfo=UTC), "till", None, None, "a")
    theirs = replace(written, type="transfer")
    assert merge(written, written, theirs, written, same).conflicts == []
    assert merge(written, written, theirs, replace(written, comment="b"), same).conflicts == ["type"]


def test_careless_servers_are_recognised_and_people_are_not() -> None:
    at = datetime(2026, 3, 1, 10, 30, 15, 789000, tzinfo=UTC)
    alike = [
        ("amount", Decimal("100.40"), Decimal(100)),
        ("amount", Decimal("100.50"), Decimal(101)),
        ("occurred_at", at, at.replace(microsecond=0)),
        ("occurred_at", at, at.replace(hour=0, minute=0, second=0, microsecond=0)),
        ("comment", "ТОВ «А» & Co 🌼 ", "тов «А» &amp; Co"),
        ("comment", "Оплата за замовлення номер сто двадцять три", "Оплата за замовлення номер сто"),
    ]
    unlike = [
        ("amount", Decimal("100.40"), Decimal(105)),
        ("occurred_at", at, at.replace(day=2)),
        ("comment", "Оплата за замовлення", "перевірено"),
        ("account", "till", "bank"),
    ]
    assert [one for one in alike if not spelled_alike(*one)] == []
    assert [one for one in unlike if spelled_alike(*one)] == []


@given(a=contents, b=contents)
def test_sql_and_python_name_the_same_differing_fields(
    macros: duckdb.DuckDBPyConnection, a: Content, b: Content
) -> None:
    (fields,) = macros.execute("select differing_fields($1, $2)", [vars(a), vars(b)]).fetchone() or ([],)
    assert fields == [name for name in FIELDS if getattr(a, name) != getattr(b, name)]
