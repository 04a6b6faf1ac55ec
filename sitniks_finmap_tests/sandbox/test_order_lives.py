"""The lives of orders: pure, exact, and in the shape that Sitniks answers with."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sitniks_finmap.sandbox import Life, Truth, life_of, order_at
from sitniks_finmap.sandbox.catalogue import VARIATIONS, cost_on, price_on
from sitniks_finmap.sandbox.order_courses import KINDS, STATUSES
from sitniks_finmap.sandbox.order_lives import order_text
from sitniks_finmap.sandbox.sitniks_rows import parse_stamp

BEGIN = datetime(2026, 1, 10, 9, tzinfo=UTC)
LATER = BEGIN + timedelta(days=400)
TICK = timedelta(milliseconds=1)
MONEY_STAGES = {"Передплата", "Виконано"}


def lives_of(seed: int) -> list[Life]:
    """Sixty days with 25 orders each."""
    return [
        life_of(seed, 25 * day + place, BEGIN + timedelta(days=day, minutes=20 * place))
        for day in range(60)
        for place in range(25)
    ]


LIVES = lives_of(1)


def of_kind(kind: str) -> Iterator[Life]:
    return (life for life in LIVES if life.kind == kind)


def titles(life: Life) -> list[str | None]:
    """The statuses in order, each once."""
    found: list[str | None] = []
    for truth in life.truth:
        if not found or found[-1] != truth.status:
            found.append(truth.status)
    return found


def shown(row: dict[str, Any]) -> tuple[str, Decimal, Decimal, Decimal | None]:
    """Status, total, prepayment and cost as a reader of the payload finds them."""
    total = row["totalPrice"] if row["totalPriceDiscount"] is None else row["totalPriceDiscount"]
    costs = [(line["costPrice"], Decimal(line["quantity"])) for line in row["products"]]
    known = [price * quantity for price, quantity in costs if price is not None]
    cost = sum(known, Decimal(0)) if len(known) == len(costs) else None
    return row["status"]["title"], Decimal(total), Decimal(row["payment"]["amount"]), cost


def without_catalogue(row: dict[str, Any] | None) -> dict[str, Any]:
    assert row
    return row | {"products": [line | {"productVariation": None} for line in row["products"]]}


def test_a_life_follows_from_seed_number_and_creation() -> None:
    assert lives_of(1) == LIVES != lives_of(2)
    assert [life.truth for life in lives_of(1)] == [life.truth for life in LIVES]


def test_every_kind_of_life_occurs_in_sixty_days() -> None:
    found = Counter(life.kind for life in LIVES)
    assert set(found) == set(KINDS)
    assert found["sale"] > 0.35 * len(LIVES)
    assert found["prepaid"] > 0.08 * len(LIVES)


def test_every_channel_and_status_occurs() -> None:
    assert {life.channel for life in LIVES} == {"Instagram", "Rozetka", "Prom.ua", "Сайт"}
    assert {truth.status for life in LIVES for truth in life.truth} == {*STATUSES, None}


def test_events_are_in_order_and_each_changes_something() -> None:
    for life in LIVES:
        moments = [event.at for event in life.events]
        assert moments == sorted(set(moments))
        assert life.created == moments[0]
        assert all(event.changed for event in life.events)
        assert max(moments) - life.created < timedelta(days=120)


def test_an_order_exists_from_creation_to_deletion() -> None:
    for life in LIVES:
        assert order_at(life, life.created - TICK) is None
        assert order_at(life, life.created) is not None
    for life in [*of_kind("deleted paid"), *of_kind("deleted unpaid")]:
        deleted = life.truth[-1]
        assert deleted.status is None
        assert order_at(life, deleted.at - TICK) is not None
        assert order_at(life, deleted.at) is None
        assert order_at(life, LATER) is None


def test_the_payload_tells_the_truth_at_every_moment() -> None:
    for life in LIVES:
        for truth in life.truth:
            row = order_at(life, truth.at)
            assert life.truth_at(truth.at) == life.truth_at(truth.at + TICK) == truth != life.truth_at(truth.at - TICK)
            if truth.status is None:
                continue
            assert row
            status, total, prepayment, cost = shown(row)
            assert (status, total, prepayment) == (truth.status, truth.total, truth.prepayment)
            assert (cost is None) == (truth.cost is None)
            assert cost is None or abs(cost - (truth.cost or 0)) <= Decimal("0.005")
            assert parse_stamp(row["updatedAt"]) == truth.at
            assert parse_stamp(row["createdAt"]) == life.created


def check_number(value: Any, places: int = 2) -> None:
    assert type(value) in (int, Decimal, str)
    assert Decimal(value) >= 0
    exponent = Decimal(value).as_tuple().exponent
    assert isinstance(exponent, int)
    assert -exponent <= places


def check_line(line: dict[str, Any]) -> None:
    assert set(line) == {"title", "quantity", "price", "offerPriceDiscount", "costPrice", "productVariation"}
    check_number(line["quantity"], places=1)
    check_number(line["price"])
    assert line["costPrice"] is None or type(line["costPrice"]) in (int, Decimal)
    variation = line["productVariation"]
    assert variation is None or {"id", "sku", "price", "productId"} <= set(variation)
    assert variation is None or set(variation) <= {"id", "sku", "price", "productId", "stock"}


@pytest.mark.parametrize("days", [0, 1, 10, 60, 400])
def test_a_payload_has_the_documented_shape(days: int) -> None:
    for life in LIVES[:300]:
        row = order_at(life, life.created + timedelta(days=days))
        if row is None:
            continue
        assert set(row) == {
            *("id", "orderNumber", "externalId", "createdAt", "updatedAt", "status", "client", "salesChannel"),
            *("responsible", "delivery", "managerComment", "totalPrice", "totalPriceDiscount", "payment"),
            *("cashOnDelivery", "products"),
        }
        assert (row["id"], row["orderNumber"]) == (life.id, life.number)
        assert row["status"]["title"] == STATUSES[row["status"]["id"] - 1]
        assert set(row["salesChannel"]) == {"id", "title"}
        assert row["client"] is None or set(row["client"]) == {"id", "fullname", "phone", "email"}
        assert row["totalPrice"] is not None
        for amount in (row["totalPrice"], row["totalPriceDiscount"] or 0, row["payment"]["amount"]):
            check_number(amount)
        for line in row["products"]:
            check_line(line)


def test_totals_are_null_numbers_or_texts() -> None:
    rows = [row for life in LIVES if (row := order_at(life, life.created))]
    kinds = Counter(type(row["totalPriceDiscount"]).__name__ for row in rows)
    assert min(kinds[name] for name in ("NoneType", "int", "Decimal", "str")) > 20
    assert all(len(row["totalPrice"].split(".")[1]) == 2 for row in rows if isinstance(row["totalPrice"], str))
    quantities = {str(line["quantity"]) for row in rows for line in row["products"]}
    assert {"0.5", "1.5", "1", "2"} <= quantities


def test_money_is_exact_to_two_decimals() -> None:
    for truth in (truth for life in LIVES for truth in life.truth):
        for amount in (truth.total, truth.prepayment, truth.cost):
            assert amount is None or (isinstance(amount, Decimal) and amount.as_tuple().exponent == -2)
        assert Decimal(0) <= truth.prepayment <= truth.total


def test_only_a_gift_costs_nothing() -> None:
    assert {life.kind for life in LIVES if any(truth.total == 0 for truth in life.truth)} == {"gift"}


def test_the_prepayment_and_the_rest_are_the_total() -> None:
    found = 0
    for life in LIVES:
        for truth in life.truth:
            if truth.status == "Передплата" and (row := order_at(life, truth.at)):
                found += 1
                assert truth.prepayment > 0
                assert row["payment"]["amount"] + Decimal(row["cashOnDelivery"]) == truth.total
    assert found > 100


def test_a_prepaid_order_is_never_shipped() -> None:
    assert not any({"Передплата", "Відправлено"} <= set(titles(life)) for life in LIVES)
    assert all(titles(life)[-2:] == ["Передплата", "Виконано"] for life in of_kind("prepaid"))


def test_some_unpaid_orders_declare_a_prepayment() -> None:
    assert any(life.truth[0].prepayment and not MONEY_STAGES & set(titles(life)) for life in LIVES)


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("cancelled", "Відмінено"),
        ("cancelled after prepayment", "Відмінено"),
        ("refunded", "Повернено"),
        ("partly refunded", "Частково повернено"),
        ("partly, then fully refunded", "Повернено"),
        ("paid by mistake", "Виконано"),
        ("refunded, never paid", "Повернено"),
        ("total edited", "Виконано"),
    ],
)
def test_a_kind_of_life_ends_in_its_status(kind: str, last: str) -> None:
    assert {titles(life)[-1] for life in of_kind(kind)} == {last}


def test_unpaid_kinds_never_see_money() -> None:
    for kind in ("cancelled", "waiting", "refunded, never paid", "deleted unpaid"):
        assert not any(MONEY_STAGES & set(titles(life)) for life in of_kind(kind))


def paid(life: Life) -> Truth:
    return next(truth for truth in life.truth if truth.status == "Виконано")


def test_a_refund_comes_three_to_forty_days_after_the_sale() -> None:
    for life in of_kind("refunded"):
        wait = life.truth[-1].at - paid(life).at
        assert timedelta(days=3) <= wait <= timedelta(days=40)
        assert life.truth[-1].total == paid(life).total


def test_a_partial_refund_lowers_the_total() -> None:
    for life in of_kind("partly refunded"):
        assert paid(life).prepayment < life.truth[-1].total < paid(life).total


def test_a_mistaken_payment_is_set_back_and_paid_again() -> None:
    for life in of_kind("paid by mistake"):
        assert titles(life)[-3:] == ["Виконано", "В роботі", "Виконано"]


def test_a_total_is_edited_while_the_order_is_paid() -> None:
    changes = [life.truth[-1].total - paid(life).total for life in of_kind("total edited")]
    assert min(changes) < 0 < max(changes)
    assert 0 not in changes


def test_a_missing_cost_is_filled_in_after_the_sale() -> None:
    assert all(paid(life).cost is None and life.truth[-1].cost for life in of_kind("cost filled in later"))
    assert all(life.truth[-1].cost is None for life in of_kind("cost never filled in"))
    assert all(None not in (paid(life).cost, life.truth[-1].cost) for life in of_kind("cost edited"))
    assert all(paid(life).cost != life.truth[-1].cost for life in of_kind("cost edited"))


def test_the_catalogue_moves_an_old_order_that_did_not_change() -> None:
    moved = 0
    for life in LIVES[:200]:
        if life.truth[-1].status is None:
            continue
        old, new = order_at(life, LATER), order_at(life, LATER + timedelta(days=7))
        assert without_catalogue(old) == without_catalogue(new)
        moved += old != new
    assert moved > 150


def test_the_catalogue_changes_once_a_week_and_every_week() -> None:
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(70)]
    for variation in VARIATIONS:
        prices = [price_on(variation, day) for day in days]
        changes = [place for place in range(1, 70) if prices[place] != prices[place - 1]]
        assert len(changes) == 10 - (changes[0] == 7)
        assert {place % 7 for place in changes} == {changes[0] % 7}
        assert all(0 < cost_on(variation, day) < price_on(variation, day) for day in days)


def test_the_text_of_an_order_is_that_of_the_catalogues_day() -> None:
    life = next(life for life in LIVES if life.kind == "sale" and life.lines[0].variation)
    texts = {order_text(life, LATER, date(2026, 6, 1) + timedelta(days=day)) for day in range(14)}
    assert len(texts) >= 3
    assert order_text(life, life.created - TICK, date(2026, 6, 1)) is None
