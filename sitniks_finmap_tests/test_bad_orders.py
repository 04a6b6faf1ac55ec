"""Bad orders: any JSON in any field that is read of an order, seen twice with a day between, all the way to Finmap.

What an order must become is worked out here a second time: with `decimal` alone, and with the model of orders where
nothing about its money is unusual.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, TypeGuard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.orders import read_orders_as_source
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap_tests.bad_json import (
    AMOUNTS,
    CURRENCIES,
    DATES,
    DAY_OF,
    PLAIN_MONEY,
    Digits,
    Reading,
    anything,
    batches,
    check_finmap,
    check_instant,
    identity,
    numbers,
    plain,
    possible_amounts,
    quoted,
    read,
    rows,
    serve,
)
from sitniks_finmap_tests.order_books import KeepOrders
from sitniks_finmap_tests.order_model import Version, expected

DAY = date(2025, 1, 15)
SEEN = datetime(2030, 1, 1, tzinfo=UTC)
SEEN_AGAIN = SEEN + timedelta(days=1)
FAR = datetime(2040, 1, 1, tzinfo=UTC)  # when nothing is planned any more
BATCH = 200
ORDERS = int(os.environ.get("FUZZ_RECORDS", "10000")) // 4
SOUND = {
    "orderNumber": "7", "createdAt": '"2025-01-15T08:30:00.000Z"', "totalPriceDiscount": "1500.50",
    "payment": '{"amount": 200}', "products": '[{"costPrice": 30.25, "quantity": 2}]',
    "salesChannel": '{"id": 1, "title": "Instagram"}',
}  # fmt: skip
STATUSES = {
    '{"id": 4, "title": "Виконано"}': "paid", '"виконано "': "paid", '{"id": 10, "title": "Передплата"}': "prepaid",
    '{"id": 6, "title": "Повернено"}': "refunded", '{"id": 11, "title": "Частково повернено"}': "partly_refunded",
    '{"id": 5, "title": "Відмінено"}': "cancelled", '{"id": 1, "title": "Новий"}': "none", '{"id": 12}': "none",
}  # fmt: skip
SIGNS = {"income": 1, "expense": -1}
HARMLESS = ["orderNumber", "client", "salesChannel", "paymentMethod", "settlementAccount", "delivery", "updatedAt", "x"]
FIELDS = [
    "id", "createdAt", "status", "orderStatus", "statusId", *["totalPriceDiscount"] * 4, "totalPrice", "payment",
    "products", "currency", *HARMLESS, "", "__proto__", "$.status",
]  # fmt: skip
TABLES = (
    "raw_sitniks_orders", "order_stages", "order_tries", "unbooked_orders", "operations", "rejected_transactions",
    "finmap_upload",
)  # fmt: skip

# -- Orders as texts --

money = st.one_of(st.sampled_from(AMOUNTS), numbers, numbers.map(quoted), anything)
sum_of_money = st.decimals("-10", "99999", places=2).map(str)
line = st.tuples(money | sum_of_money, money | st.sampled_from(["1", "2", '"3"', "0.5"])).map(
    lambda one: f'{{"costPrice": {one[0]}, "quantity": {one[1]}, "productVariation": {{"price": 5}}}}'
)
values = {
    "createdAt": st.one_of(st.sampled_from(DATES), anything),
    "status": st.one_of(st.sampled_from([*STATUSES]), anything),
    "orderStatus": st.one_of(st.sampled_from([*STATUSES]), anything),
    "totalPriceDiscount": sum_of_money | money,
    "totalPrice": sum_of_money | money,
    "payment": (sum_of_money | money).map(lambda one: f'{{"amount": {one}}}') | anything,
    "products": st.lists(line | anything, max_size=2).map(lambda lines: f"[{', '.join(lines)}]") | anything,
    "currency": st.one_of(st.sampled_from([*CURRENCIES]), anything),
    "client": st.one_of(anything, anything.map(lambda one: f'{{"fullname": {one}, "email": {one}, "id": {one}}}')),
    "salesChannel": st.one_of(anything, anything.map(lambda one: f'{{"id": {one}, "title": {one}}}')),
}
bad_field = st.one_of([st.tuples(st.just(name), values.get(name, anything)) for name in FIELDS])
versions = st.tuples(st.sampled_from([*STATUSES]), st.lists(bad_field, max_size=2))
oddities = st.sampled_from([""] * 16 + ["createdAt", "status", "totalPriceDiscount", "products", "id"] + ["different"])
Course = Callable[[int], list[list[str]]]


def bad_order(course: list[tuple[str, list[tuple[str, str]]]], oddity: str) -> Course:
    """The texts of an order at each of two reads, given a number that no other has; `oddity` is a field that it lacks,
    or "different" records with one ID."""
    ids = [value for _, fields in course for name, value in fields if name == "id"]

    def texts(number: int) -> list[list[str]]:
        found = []
        for status, fields in course:
            pairs = {"id": f'"o{number}"', "status": status, **SOUND, **dict(fields)}
            if ids:
                pairs["id"] = identity(ids[0], number)
            pairs.pop(oddity, None)
            text = "{" + ", ".join(f"{quoted(name)}: {value}" for name, value in pairs.items()) + "}"
            found.append([text, text[:-1] + ', "status": 1}'] if oddity == "different" else [text])
        return [found[0], found[-1]]

    return texts


bad_orders = st.builds(bad_order, st.lists(versions, min_size=1, max_size=2), oddities)

# -- What they must become --


@dataclass
class Seen:
    """An order as two reads show it."""

    readings: list[Reading]

    def all_of(self, path: str) -> list[Any]:
        """What each reading has there: `payment.amount`."""
        found = [one.fields for one in self.readings]
        for name in path.split("."):
            found = [one.get(name) if isinstance(one, dict) else None for one in found]
        return found

    @property
    def totals(self) -> set[Decimal]:
        return {
            one for path in ("totalPriceDiscount", "totalPrice") for told in self.all_of(path)
            for one in possible_amounts(told)
        }  # fmt: skip

    @property
    def prepayments(self) -> set[Decimal]:
        return {one for told in self.all_of("payment.amount") for one in possible_amounts(told)}

    @property
    def costs(self) -> set[Decimal]:
        found: set[Decimal] = set()
        for told in self.all_of("products"):
            lines = told if isinstance(told, list) else []
            each = [possible_products(one) if isinstance(one, dict) else set() for one in lines]
            found |= {sum(chosen, Decimal(0)) for chosen in product(*each)}
        return found

    def plain_versions(self) -> list[Version] | None:
        """What the model reads, if nothing about money, status and date is unusual; else None."""
        known = {name: plain(text) for name, text in SOUND.items()}
        found = []
        for reading in self.readings:
            fields = reading.fields
            stage = next((stage for text, stage in STATUSES.items() if plain(text) == fields.get("status")), None)
            total, payment = fields.get("totalPriceDiscount"), fields.get("payment")
            prepayment = payment.get("amount") if isinstance(payment, dict) else None
            if (
                stage and is_plain_money(total) and is_plain_money(prepayment)
                and all(fields.get(name) == known[name] for name in ("createdAt", "products"))
                and not fields.keys() & {"currency", "orderStatus", "statusId", "totalPrice"} and not reading.doubled
            ):  # fmt: skip
                found.append(Version(stage, Decimal(total), Decimal(prepayment), Decimal("60.50")))
            else:
                return None
        return found


def is_plain_money(written: Any) -> TypeGuard[Digits]:
    return isinstance(written, Digits) and PLAIN_MONEY.fullmatch(written) is not None and Decimal(written) >= 0


def possible_products(line: dict[str, Any]) -> set[Decimal]:
    pairs = product(possible_amounts(line.get("costPrice")), possible_amounts(line.get("quantity")))
    return {cost * quantity for cost, quantity in pairs if abs(cost.adjusted()) < 40 and abs(quantity.adjusted()) < 40}


def near(amount: Decimal, candidates: set[Decimal], by: str = "1e-8") -> bool:
    return any(abs(one - amount) <= Decimal(by) for one in candidates)


def check_parts(operations: dict[str, dict[str, Any]], seen: Seen) -> None:
    """Each amount is one that the order names; what comes and what goes fit together."""
    parts = {part: row["amount"] for part, row in operations.items()}
    assert all(amount > 0 for amount in parts.values())
    for part, row in operations.items():
        assert row["type"] == ("income" if part in ("prepayment", "sale", "restock") else "expense")
        assert len(row["comment"]) <= 1000
        assert not [one for one in row["comment"] if unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs")]
        assert row["comment"].startswith("Refund") or part not in ("partial", "refund")
        if row["occurred_at"] != SEEN_AGAIN:
            check_instant(seen.all_of("createdAt")[0], row["occurred_at"])
    received = parts.get("prepayment", Decimal(0)) + parts.get("sale", Decimal(0))
    if "prepayment" in parts:
        assert near(parts["prepayment"], seen.prepayments, "0.005"), (parts, seen.prepayments)
    if "sale" in parts:
        without = {Decimal(0), *(one for one in seen.prepayments if one > 0)}
        paid = without if "prepayment" not in parts else {parts["prepayment"]}
        assert any(near(parts["sale"] + one, seen.totals, "0.005") for one in paid), (parts, seen.totals)
    if "partial" in parts:
        assert parts["partial"] <= received
        assert near(parts["partial"], {a - b for a in seen.totals for b in seen.totals}), (parts, seen.totals)
    if "refund" in parts:
        assert parts["refund"] == received - parts.get("partial", Decimal(0))
    if "cogs" in parts:
        assert near(parts["cogs"], seen.costs, "0.005"), (parts, seen.costs)
    if "restock" in parts:
        assert parts["restock"] == parts["cogs"]


OUR_WORDS = re.compile(
    f"not a readable record|no id|its id is too long|no readable date|its day is in the future|"
    f"date {DAY_OF}( \\(BC\\))? is outside what Finmap accepts \\(2015 to 2036\\)|"
    "no total|ambiguous total|unreadable total|total is below zero|total with more than two decimals|"
    "total is too large|the prepayment is larger than the total|its sale is rejected|amount is too large|"
    "currency [A-Z]{3}, but the Finmap account is in UAH|unknown currency, and the Finmap account is in UAH"
)
NO_JSON = re.compile(r"\\ud[89a-f]|NaN|Infinity|[\x00-\x1f]")  # what Python reads, and no other reader must
UNBOOKED = {
    "it was cancelled", "it went back to a status that is in no list", "prepaid, but its prepayment has no amount",
    "its total is zero", "its money came before start_date", "refunded before it was ever seen paid",
    "refunded, but its money came before start_date",
    "partly refunded before it was ever seen paid", "cancelled before it was paid", "its status is in no list",
    "partly refunded, but its total does not tell how much", "the cost of its goods is incomplete",
    "its goods cost nothing",
}  # fmt: skip

# -- The way --


class Way:
    """One connection whose Sitniks answers with pages of raw orders."""

    def __init__(self, run: ConnectionRun, sandbox: Sandbox) -> None:
        self.run = run
        self.sandbox = sandbox
        self.numbers = 0
        self.seen: Counter[str] = Counter()
        self.expected: dict[str, tuple[Any, ...]] = {}
        self.read(SEEN)  # reads the statuses, before the list is something else

    def read(self, now: datetime) -> None:
        self.run.now = lambda: now
        read_orders_as_source(self.run, DAY, DAY)
        derive_operations(self.run, DAY, DAY)

    def go(self, bad: list[Course]) -> None:
        """Two reads of one page after another, then Finmap."""
        texts = {self.numbers + n: one(self.numbers + n) for n, one in enumerate(bad, 1)}
        self.numbers += len(bad)
        for at, now in enumerate((SEEN, SEEN_AGAIN)):
            self.sandbox.clear_faults()
            # Records with one id stand on one page, as a list that does not shift shows them: pairs first.
            pages = sorted((one[at] for one in texts.values()), key=len, reverse=True)
            for _ in range(2):  # a row without an id that stands on two pages wants a second look
                serve(self.sandbox, "/orders", [text for pair in pages for text in pair])
            self.read(now)
        courier = Courier(self.run.warehouse, self.run.finmap, retry_every=timedelta(0), now=lambda: FAR)
        # A refund waits until its sale is there.
        deliveries = [courier.deliver(date(2010, 1, 1), date(2040, 1, 1)) for _ in range(2)]
        with self.run.warehouse.transaction() as con:
            operations = rows(con, "from operations")
            rejected = rows(con, "from rejected_transactions")
            unbooked = rows(con, "from unbooked_orders")
            orders = [row["order_id"] for row in rows(con, "from latest_orders where gone_at is null")]
            assert [row for row in rows(con, "from finmap_upload") if row["state"] != "sent"] == []
            assert sum(sum(one.states.values()) for one in deliveries) == len(operations)
            for promise in (one for one in CHECKS if one.table in ("operations", "unbooked_orders")):
                assert rows(con, promise.wrong)[0]["wrong"] == 0, promise.name
            for table in TABLES:
                con.execute(f"delete from {table}")
        for row in operations:
            self.expected[row["external_id"]] = (row["type"], row["amount"], row["occurred_at"], row["comment"])
        self.check(texts, orders, operations, rejected, unbooked)

    def check(
        self, texts: dict[int, list[list[str]]], orders: list[str], operations: list[dict[str, Any]],
        rejected: list[dict[str, Any]], unbooked: list[dict[str, Any]],
    ) -> None:  # fmt: skip
        places = [
            *((row["order_key"], part_of(row), "booked") for row in operations),
            *((row["order_key"], part_of(row), "rejected") for row in rejected),
            *((row["order_id"], row["part"] or "", "unbooked") for row in unbooked),
        ]
        assert {order for order, _, _ in places} == set(orders)
        assert len({(order, part) for order, part, _ in places}) == len(places)
        whole = {order for order, part, _ in places if not part}
        assert [one for one in places if one[0] in whole and one[1]] == []
        assert [row["reason"] for row in rejected if not OUR_WORDS.fullmatch(row["reason"])] == []
        assert {row["reason"] for row in unbooked} <= UNBOOKED
        self.seen.update(["orders"] * len(texts))
        self.seen.update(place for _, _, place in places)
        self.seen.update(part for _, part, place in places if place == "booked")
        booked: dict[str, dict[str, dict[str, Any]]] = {}
        for row in operations:
            booked.setdefault(row["order_key"], {})[part_of(row)] = row
        reasons = {row["order_key"]: row["reason"] for row in rejected}
        for number, (first, last) in texts.items():
            parts = booked.get(f"o{number}", {})
            seen = Seen([read(text[0]) for text in (first, last)])
            if len(first) > 1:
                assert not parts, "which of two is right, nobody knows"
                continue
            check_parts(parts, seen)
            versions = seen.plain_versions()
            if versions and seen.all_of("id")[0] == f"o{number}" and not NO_JSON.search(first[0] + last[0]):
                wanted = expected(versions)
                if wanted.get("sale", 0) < 0:
                    assert f"o{number}" in reasons
                    continue
                signed = {
                    part: -row["amount"] if row["type"] == "expense" else row["amount"] for part, row in parts.items()
                }
                assert signed == wanted, f"{versions}\n{first}\n{last}\n{reasons.get(f'o{number}')}"
                self.seen["plain"] += 1


def part_of(row: dict[str, Any]) -> str:
    return row["transaction_id"].removeprefix(f"order-{row['order_key']}").removeprefix(".")


@pytest.fixture
def way(keep_orders: KeepOrders, sandbox: Sandbox) -> Way:
    return Way(keep_orders(start_date=date(2015, 1, 1)).run, sandbox)


def fuzz(way: Way, shop: Shop, count: int, size: int = BATCH) -> None:
    @batches(count)
    @given(st.lists(bad_orders, min_size=size, max_size=size))
    def batch(bad: list[Course]) -> None:
        way.go(bad)

    batch()
    check_finmap(way.run, shop, way.expected)
    print(dict(way.seen))  # noqa: T201


def test_every_bad_order_is_booked_rejected_or_unbooked(way: Way, shop: Shop) -> None:
    """Whatever an order says, each part of it is in one of three places, and an amount is one that it names."""
    fuzz(way, shop, 2, size=60)


@pytest.mark.fuzz
@pytest.mark.timeout(600)
def test_thousands_of_bad_orders(way: Way, shop: Shop) -> None:
    fuzz(way, shop, ORDERS // BATCH + 1)
