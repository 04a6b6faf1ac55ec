"""The Sitniks client: pages and bounds, each row verbatim and once, single orders."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.answers import Refused, Reply
from sitniks_finmap.clients.sitniks import IncompleteRead, Row, Sitniks, read_page
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.fake_lists import END, START, answers, fill, ids, page

KYIV = ZoneInfo("Europe/Kyiv")


FAR = datetime(2200, 1, 1, tzinfo=UTC)  # no bound is cut at now


# -- Pages and bounds --


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sampled_from([0, 1, 2, 48, 49, 50, 51, 52, 98, 99, 100, 101, 102, 149, 150, 151, 200]))
def test_a_list_of_any_length_is_read_whole_in_pages_of_fifty(
    rows: int, client: Sitniks, shop: Shop, sandbox: Sandbox
) -> None:
    day = date(2000, 1, 1) + timedelta(days=rows)  # a day of its own for each length
    expected = fill(shop, rows, day)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    sandbox.forget_requests()
    assert ids(client.transactions(start, start + timedelta(hours=23))) == expected
    asked = [request.parameters for request in sandbox.requests()]
    pages = max(rows - 1, 0) // 49 + 1  # each begins with the last row of the one before
    assert [one["limit"] for one in asked] == ["50"] * pages
    assert [one["skip"] for one in asked] == [str(49 * page) for page in range(pages)]


@pytest.mark.parametrize("resource", ["transactions", "orders"])
def test_only_what_is_inside_the_bounds_is_read(resource: str, client: Sitniks, shop: Shop) -> None:
    expected = fill(shop, 60, resource=resource)
    fill(shop, 60, date(2025, 1, 14), resource)
    fill(shop, 60, date(2025, 1, 17), resource)
    assert ids(getattr(client, resource)(START, END)) == expected


def test_bounds_are_sent_as_utc(client: Sitniks, sandbox: Sandbox) -> None:
    """The API ignores an offset."""
    client.transactions(datetime(2025, 7, 1, tzinfo=KYIV), datetime(2025, 7, 1, 0, 0, 0, 1500, tzinfo=KYIV))
    [request] = sandbox.requests()
    assert request.parameters["createdAtFrom"] == "2025-06-30T21:00:00.000Z"
    assert request.parameters["createdAtTo"] == "2025-06-30T21:00:00.001Z"


@given(
    st.one_of(
        st.dates(date(2015, 1, 1), date(2036, 12, 31)),
        st.builds(
            lambda year, month, off: (
                max(date(year, month, n) for n in range(25, 32) if date(year, month, n).weekday() == 6)
                + timedelta(days=off)
            ),
            st.integers(2015, 2036),
            st.sampled_from([3, 10]),
            st.integers(-1, 1),
        ),
    ),
    st.integers(0, 40),
)
def test_bounds_of_local_days_hold_exactly_their_moments(first: date, days: int) -> None:
    settings = {"name": "u1", "start_date": date(2015, 1, 1), "finmap_account": "Каса"}
    connection = Connection.model_validate(settings)
    last = first + timedelta(days=days)
    start, end = ConnectionRun(connection, cast(Any, None), now=lambda: FAR).bounds(first, last)
    inside = start.astimezone(UTC) + timedelta(milliseconds=1)
    assert inside.astimezone(KYIV).date() == first
    assert start.astimezone(UTC).astimezone(KYIV).date() == first - timedelta(days=1)
    assert end.astimezone(UTC).astimezone(KYIV).date() == last + timedelta(days=1)
    assert (end.astimezone(UTC) - timedelta(milliseconds=1)).astimezone(KYIV).date() == last


def test_days_of_a_clock_change_have_23_or_25_hours(run: ConnectionRun) -> None:
    for day, hours in ((date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 1, 15), 24)):
        start, end = run.bounds(day, day)
        assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=hours, milliseconds=1)


# -- Rows, verbatim --

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


def written(value: Any, spaced: bool, ascii: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii, indent="\t" if spaced else None)


@given(
    st.lists(st.builds(written, json_values, st.booleans(), st.booleans()), max_size=5),
    st.sampled_from(["data", "transactions", "orders", "items"]),
    st.dictionaries(st.sampled_from(["a", "meta", "page"]), json_values, max_size=3),
    st.booleans(),
)
def test_rows_are_kept_byte_for_byte(texts: list[str], name: str, others: dict[str, Any], before: bool) -> None:
    fields = [json.dumps(key) + " :\n" + written(value, True, False) for key, value in others.items()]
    array = f'"{name}" : [ ' + " ,\r\n".join(texts) + " ]"
    text = " { " + " , ".join([*fields, array] if before else [array, *fields]) + " } "
    found = read_page(Reply(200, json.loads(text), text))
    assert [row.text for row in found.rows] == texts
    bare = "[" + ",".join(texts) + "]"
    assert [row.text for row in read_page(Reply(200, json.loads(bare), bare)).rows] == texts


def rows_of(*texts: str) -> list[Row]:
    text = '{"data": [' + ",".join(texts) + "]}"
    return read_page(Reply(200, json.loads(text), text)).rows


@pytest.mark.parametrize(
    "digits", ["1500", "1500.00", "-0.10", "1E+3", "123456789012345678901234567890.12", "0.1000000000000000055"]
)
def test_an_amount_is_known_as_it_was_written(digits: str) -> None:
    [row] = rows_of(f'{{"id": 1, "amount": {digits}}}')
    assert row.amount == digits
    [row] = rows_of(f'{{"id": 1, "amount": "{digits}"}}')
    assert row.amount == digits
    for other in ("null", "true", "[1]", '{"sum": 1}'):
        [row] = rows_of(f'{{"id": 1, "amount": {other}}}')
        assert row.amount is None


def test_an_id_is_one_whether_it_is_a_number_or_a_text(client: Sitniks, shop: Shop, sandbox: Sandbox) -> None:
    number, text = rows_of('{"id": 12348}', '{"id": "12348"}')
    assert number.id == text.id == "12348"
    shop.put_transactions(
        [{"id": n, "createdAt": f"2025-01-15T10:{n // 60:02}:{n % 60:02}Z", "amount": 1} for n in range(90)]
    )
    sandbox.fault(Fault("ids_as_strings", "sitniks", after=1, times=None))
    assert ids(client.transactions(START, END)) == {str(n) for n in range(90)}


def test_rows_without_an_id_are_told_apart_and_none_is_lost(client: Sitniks, sandbox: Sandbox) -> None:
    rows = [{"amount": 1}, {"amount": 1}, {"amount": 2}, {"id": None, "amount": 1}, {"id": " "}, {"id": [1]}, 5, None]
    answers(sandbox, {"data": rows, "count": len(rows)})
    found = client.transactions(START, END)
    assert len(ids(found)) == len(rows)
    assert all(row.id.startswith("?") for row in found)


def test_equal_rows_without_an_id_on_two_pages_all_count(client: Sitniks, sandbox: Sandbox) -> None:
    """A shifted list would show such a row twice as well: a second read must show the same."""
    pages: list[Any] = [{"data": [{"amount": 1}] * 50, "count": 53}, {"data": [{"amount": 1}] * 4, "count": 53}]
    answers(sandbox, *pages, *pages)
    assert len(ids(client.transactions(START, END))) == 53
    assert len(sandbox.requests()) == 4


@pytest.mark.parametrize("count", [100, None])
def test_a_repeated_page_without_ids_hides_no_other_page(count: int | None, client: Sitniks, sandbox: Sandbox) -> None:
    first, second = [{"amount": n} for n in range(50)], page(*range(50))
    passes = [[first, first], [first, second, []], [first, second, []]]
    if count is None:  # a list without a count that ends at a full page is read again in two halves
        passes += [[first[:30], []]] * 2 + [[first[30:] + second, []]] * 2
    answers(sandbox, *({"data": one, "count": count} for pages in passes for one in pages))
    found = ids(client.transactions(START, END))
    assert {str(n) for n in range(50)} < found
    assert len(found) == 100


def test_a_list_that_repeats_a_page_forever_is_never_accepted(client: Sitniks, sandbox: Sandbox) -> None:
    body = json.dumps({"data": [{"amount": n} for n in range(50)], "count": 120})
    sandbox.fault(Fault("status", "sitniks", status=200, body=body, times=None))
    with pytest.raises(IncompleteRead):
        client.transactions(START, END)


@pytest.mark.parametrize("at", range(45, 51))
def test_records_with_one_id_at_the_edge_of_a_page_are_one_row(at: int, client: Sitniks, sandbox: Sandbox) -> None:
    """Three of them in a row, wherever one page ends and the next begins."""
    rows = (
        [{"id": n} for n in range(at)]
        + [{"id": "x", "amount": n} for n in range(3)]
        + [{"id": n} for n in range(at, 60)]
    )
    answers(sandbox, *({"data": rows[start : start + 50], "count": 63} for start in (0, 49)))
    found = {row.id: row.text for row in client.transactions(START, END)}
    assert len(found) == 61
    assert json.loads(found["x"]) == [{"id": "x", "amount": n} for n in range(3)]
    assert len(sandbox.requests()) == 2


def test_records_with_one_id_on_a_page_are_one_row(client: Sitniks, sandbox: Sandbox) -> None:
    """Where they differ, the row holds them all."""
    same = [{"id": 1, "amount": 5}, {"id": 1, "amount": 5}]
    differ = [{"id": "2", "amount": 5}, {"id": 2, "amount": 6}]
    answers(sandbox, {"data": [*same, *differ, {"id": 3, "amount": 7}], "count": 5})
    found = {row.id: (row.text, row.amount) for row in client.transactions(START, END)}
    assert found == {
        "1": ('{"id": 1, "amount": 5}', "5"),
        "2": ('[{"id": "2", "amount": 5}, {"id": 2, "amount": 6}]', None),
        "3": ('{"id": 3, "amount": 7}', "7"),
    }


@pytest.mark.parametrize("at", [47, 48, 49])
def test_two_records_with_one_id_at_a_page_edge_hold_up_nothing(at: int, client: Sitniks, sandbox: Sandbox) -> None:
    listed = [{"id": n, "amount": n} for n in range(60)]
    listed[at + 1] = {"id": at, "amount": 1000}
    answers(sandbox, {"data": listed[:50], "count": 60}, {"data": listed[49:], "count": 60})
    found = {row.id: row.amount for row in client.transactions(START, END)}
    assert len(found) == 59
    assert found[str(at)] is None
    assert len(sandbox.requests()) == 2


def test_two_records_with_one_id_on_pages_apart_hold_up_nothing(client: Sitniks, shop: Shop, sandbox: Sandbox) -> None:
    listed = [{"id": n, "amount": n} for n in range(120)]
    listed[110] = {"id": 5, "amount": 1000}
    pages = [{"data": listed[start : start + 50], "count": 120} for start in (0, 49, 98)]
    answers(sandbox, *pages, *pages)
    found = {row.id: row.amount for row in client.transactions(START, END)}
    assert len(found) == 119
    assert found["5"] is None
    assert len(sandbox.requests()) == 6


def test_an_id_that_no_database_can_hold_is_known_by_its_text() -> None:
    first, second = rows_of(r'{"id": "\ud800", "amount": "\udfff"}', r'{"id": "\ud801"}')
    assert first.id != second.id
    for row in (first, second):
        assert row.id.startswith("?")
        (row.id + (row.amount or "") + row.text).encode()


def test_a_huge_record_is_shortened_and_its_changes_are_seen() -> None:
    fields = f'"amount": 5, "x": "{"я" * 2_000_000}'
    first, changed, nameless = rows_of(f'{{"id": 7, {fields}"}}', f'{{"id": 7, {fields}!"}}', f'{{{fields}"}}')
    assert (first.id, first.amount, changed.id) == ("7", None, "7")
    assert first.text != changed.text
    assert nameless.id.startswith("?")
    kept = json.loads(first.text)
    assert kept.startswith('{"id": 7, "amount": 5')
    assert f"({len(fields) + 12} characters, ?" in kept
    assert len(kept) < 1100


def test_the_order_of_a_transaction_is_known_by_either_field() -> None:
    found = rows_of('{"id":1,"orderId":7}', '{"id":2,"order":{"id":"8"}}', '{"id":3,"order":5}', '{"id":4}')
    assert [row.order_id for row in found] == ["7", "8", None, None]


# -- One order --


def test_one_order_is_read_verbatim_and_a_deleted_one_is_none(client: Sitniks, shop: Shop) -> None:
    text = '{"id": 991,  "createdAt": "2025-01-15T10:00:00.000Z", "totalPrice": 10.50}'
    shop.put_order(text)
    assert client.order("991") == Row("991", None, None, text)
    shop.delete_order(991)
    assert client.order("991") is None


@given(order_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip(".")))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_id_stays_one_part_of_the_path(order_id: str, client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.forget_requests()
    assert client.order(order_id) is None
    [request] = sandbox.requests()
    assert (request.path.count("/"), unquote(request.path.removeprefix("/orders/"))) == (2, order_id)


def test_an_order_answered_strangely_is_not_taken_for_deleted(client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "sitniks", status=405, body='{"message": "bad"}'))
    sandbox.fault(Fault("status", "sitniks", status=200, body="[]"))
    for _ in range(2):
        with pytest.raises(Refused):
            client.order("991")


def test_an_order_id_that_sitniks_refuses_is_a_missing_order(client: Sitniks, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "sitniks", status=400, body='{"message": "id must be a number"}'))
    assert client.order("manual") is None
