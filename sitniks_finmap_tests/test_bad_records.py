"""Bad records: any JSON in any field of a transaction and of an order, all the way from Sitniks to Finmap.

They come as raw text over real HTTP, for JSON has things that no Python value has: NaN, numbers of a thousand digits,
half a surrogate pair, one field twice. What they must become is worked out here a second time, with `decimal` alone.
"""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.courier import Courier
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.orders import read_orders
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
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
    clean,
    identity,
    is_there,
    numbers,
    plain,
    possible_amounts,
    quoted,
    read,
    rows,
    serve,
)

DAY = date(2025, 1, 15)
KYIV = ZoneInfo("Europe/Kyiv")
FAR = datetime(2040, 1, 1, tzinfo=UTC)  # when nothing is planned any more
BATCH = 240  # bad records in one list, beside two sound ones and one of a megabyte
RECORDS = int(os.environ.get("FUZZ_RECORDS", "10000"))
SOUND = {
    "date": '"2025-01-15T08:30:00.000Z"', "amount": "1500.50", "description": '"Оплата"',
    "source": '"Instagram"',
}  # fmt: skip
TABLES = ("raw_sitniks_transactions", "raw_sitniks_orders", "operations", "rejected_transactions", "finmap_upload")

# -- JSON texts --

FIELDS = [
    "id", "date", "createdAt", "amount", "description", "comment", "counterparty", "client", "source",
    "salesChannel", "order",
    "orderNumber", "orderId", "paymentMethod", "settlementAccount", "settlementAccountId", "delivery",
    "orderStatus",
    "currency", "currencyId", "currencyCode", "type", "direction", "isExpense", "category",
    "x", "", "__proto__", "$.amount", "amount'",
]  # fmt: skip
DIRECTIONS = {
    '"expense"': "expense", '"OUTCOME"': "expense", '"витрата"': "expense", '"debit"': "expense", '"-"': "expense",
    '{"id": 2, "title": "Витрата"}': "expense", '"Income"': "income", '"дохід"': "income", '"credit"': "income",
    '{"code": "income"}': "income", '"payment"': None, "1": None, "null": None, '"Повернення витрат"': None,
}  # fmt: skip


values = {
    "amount": st.one_of(st.sampled_from(AMOUNTS), numbers, numbers.map(quoted), anything),
    "date": st.one_of(st.sampled_from(DATES), anything),
    "createdAt": st.one_of(st.sampled_from(DATES), anything),
    "currency": st.one_of(st.sampled_from(list(CURRENCIES)), anything),
    "currencyId": st.one_of(st.sampled_from(list(CURRENCIES)), anything),
    "currencyCode": st.one_of(st.sampled_from(list(CURRENCIES)), anything),
    "type": st.one_of(st.sampled_from(list(DIRECTIONS)), anything),
    "direction": st.one_of(st.sampled_from(list(DIRECTIONS)), anything),
    "isExpense": st.one_of(st.sampled_from(["true", "false"]), anything),
    "category": st.one_of(st.sampled_from(list(DIRECTIONS)).map(lambda one: f'{{"type": {one}}}'), anything),
    "client": st.one_of(anything, anything.map(lambda one: f'{{"fullname": {one}, "phone": "+380"}}')),
    "order": st.one_of(
        anything, anything.map(lambda one: f'{{"id": {one}, "status": {one}, "client": {{"id": {one}}}}}')
    ),
}  # fmt: skip
bad_field = st.one_of([st.tuples(st.just(name), values.get(name, anything)) for name in FIELDS])
oddities = st.sampled_from(
    [""] * 16 + ["without date", "without amount", "without id", "without description", "equal", "different", "field"]
)


def bad_record(fields: list[tuple[str, str]], oddity: str) -> Callable[[int], list[str]]:
    """The texts of one bad record, or of one that comes twice, given a number that no other has."""

    def texts(number: int) -> list[str]:
        pairs = {"id": f'"r{number}"', **SOUND}
        pairs.pop(oddity.removeprefix("without "), None)
        for name, value in fields:
            pairs[name] = identity(value, number) if name == "id" else value
        written = [f"{quoted(name)}: {value}" for name, value in pairs.items()]
        if oddity == "field":
            written.append('"amount": 7')
        text = "{" + ", ".join(written) + "}"
        again = {"equal": [text], "different": ["{" + ", ".join([*written, '"y": 1']) + "}"]}
        return [text, *again.get(oddity, [])]

    return texts


records = st.builds(bad_record, st.lists(bad_field, min_size=1, max_size=3), oddities)


orders = st.lists(
    st.tuples(st.sampled_from(["id", "orderNumber", "status", "client", "salesChannel", "createdAt", "x"]), anything),
    min_size=1, max_size=3,
).map(lambda fields: "{" + ", ".join(f"{quoted(name)}: {value}" for name, value in fields) + "}")  # fmt: skip


# -- What they must become, by `decimal` alone --


def check_operation(row: dict[str, Any], reading: Reading) -> None:
    written = reading.fields["amount"]
    signed = row["amount"] if row["type"] == "income" else -row["amount"]
    assert any(abs(one - signed) <= Decimal("1e-8") for one in possible_amounts(written)), (written, signed)
    assert row["amount"] > 0
    comment = row["comment"]
    assert len(comment) <= 1000
    assert not [one for one in comment if unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs")], comment
    check_moment(row, reading)
    check_currency(reading)
    check_direction(row, reading)
    said = [reading.fields.get(name) for name in ("description", "comment")]
    if all(type(one) is str or one is None for one in said):
        assert row["description"] == next((one for one in map(clean, filter(None, said)) if one), None)


def check_moment(row: dict[str, Any], reading: Reading) -> None:
    """That of `date` where there is one, to the day; never that of another field because it could not be read."""
    told = next((one for one in map(reading.fields.get, ("date", "createdAt")) if is_there(one)), None)
    check_instant(told, row["occurred_at"])


def check_currency(reading: Reading) -> None:
    """The first currency that is there is the hryvnia; or none is."""
    told = next(
        (one for one in map(reading.fields.get, ("currency", "currencyCode", "currencyId")) if is_there(one)), None
    )
    if told is not None:
        assert json.loads(json.dumps(told)) in [plain(one) for one, code in CURRENCIES.items() if code == "UAH"] or (
            isinstance(told, str) and re.search("uah|грн|₴", told.lower())
        ), told


def check_direction(row: dict[str, Any], reading: Reading) -> None:
    category = reading.fields.get("category")
    told = [reading.fields.get(name) for name in ("type", "direction")]
    told += [category.get("type")] if isinstance(category, dict) else []
    wrong = {"income": "expense", "expense": "income"}[row["type"]]
    assert [one for one in told if one in [plain(text) for text, way in DIRECTIONS.items() if way == wrong]] == []
    assert reading.fields.get("isExpense") is not (row["type"] == "income")


def must_be_accepted(number: int, reading: Reading) -> bool:
    """Whether nothing but the amount is unusual about it, and that is plain money."""
    rest = {"id": f"r{number}", **{name: json.loads(value) for name, value in SOUND.items() if name != "amount"}}
    amount = reading.fields.get("amount")
    return (
        not reading.doubled
        and {name: reading.fields.get(name) for name in rest} == rest
        and reading.fields.keys() == {"amount", *rest}
        and isinstance(amount, Digits)
        and PLAIN_MONEY.fullmatch(amount) is not None
        and Decimal(amount) != 0
    )


# -- The way --


OUR_WORDS = re.compile(
    f"several different records have this id|not a readable record|no id|its id is too long|no date|unreadable date|"
    f"a duplicate field|its day, {DAY_OF}, is in the future|its date, {DAY_OF}, is before start_date|"
    f"date [0-9-]+( \\(BC\\))? is outside what Finmap accepts \\(2015 to 2036\\)|unreadable amount|amount is zero|"
    "ambiguous amount|amount with more than two decimals|amount is too large|unreadable currency|"
    "currency [A-Z]{3}, but the Finmap account is in UAH|unknown currency, and the Finmap account is in UAH|"
    "the sign of the amount contradicts its direction"
)


class Way:
    """One connection whose Sitniks answers with pages of raw text."""

    def __init__(self, run: ConnectionRun, sandbox: Sandbox) -> None:
        self.run = run
        self.sandbox = sandbox
        self.numbers = 0
        self.seen = {"records": 0, "operations": 0, "rejected": 0}
        self.reasons: Counter[str] = Counter()
        self.expected: dict[str, tuple[Any, ...]] = {}
        run.now = lambda: datetime(2030, 1, 1, tzinfo=UTC)

    def go(self, bad: list[Callable[[int], list[str]]], bad_orders: list[str]) -> None:
        """One page after another from Sitniks to Finmap; an opening of the warehouse costs more than a record."""
        self.sandbox.clear_faults()
        self.sandbox.forget_requests()
        first = self.numbers + 1
        texts = {first + n: one(first + n) for n, one in enumerate(bad)}
        self.numbers += len(bad) + 1
        texts[self.numbers] = [record(self.numbers, {FIELDS[first % len(FIELDS)]: quoted("мегабайт " * 100_000)})]
        sound = {f"s{self.numbers}-{n}": {"id": f'"s{self.numbers}-{n}"', **SOUND} for n in range(2)}
        # Records with one id stand on one page, as a list that does not shift shows them: pairs first.
        page = [text for pair in sorted(texts.values(), key=len, reverse=True) for text in pair]
        page += [record(self.numbers, one) for one in sound.values()]
        for _ in range(2):  # a row without an id that stands on two pages wants a second look
            serve(self.sandbox, "/transactions", page)
        serve(self.sandbox, "/orders", bad_orders)
        read_transactions(self.run, DAY, DAY)
        read_orders(self.run, DAY, DAY)
        derive_operations(self.run, DAY, DAY)
        assert {one.fault for one in self.sandbox.requests("sitniks", path="/transactions")} == {"status"}
        courier = Courier(self.run.warehouse, self.run.finmap, retry_every=timedelta(0), now=lambda: FAR)
        delivery = courier.deliver(date(2010, 1, 1), date(2040, 1, 1))
        with self.run.warehouse.transaction() as con:
            self.check(con, texts, sound)
            refused = rows(
                con,
                "select state, written.amount, written.comment, last_error from finmap_upload where state <> 'sent'",
            )
            assert refused == []
            assert delivery.states == {"sent": delivery.planned}
            derived = rows(con, "from operations")
            assert delivery.planned == len(derived)
            for row in derived:
                self.expected[row["external_id"]] = (row["type"], row["amount"], row["occurred_at"], row["comment"])
            for table in TABLES:
                con.execute(f"delete from {table}")
        self.seen["operations"] += len(derived)

    def check(
        self, con: duckdb.DuckDBPyConnection, texts: dict[int, list[str]], sound: dict[str, dict[str, str]]
    ) -> None:
        operations = {row["transaction_id"]: row for row in rows(con, "from operations")}
        rejected = {row["transaction_id"]: row["reason"] for row in rows(con, "from rejected_transactions")}
        live = [row["transaction_id"] for row in rows(con, "from latest_transactions where gone_at is null")]
        assert len(live) == len(set(live))
        assert operations.keys() | rejected.keys() == set(live)
        assert not operations.keys() & rejected.keys()
        equal = sum(len(pair) == 2 and pair[0] == pair[1] for pair in texts.values())
        assert len(live) >= len(texts) + len(sound) - equal
        for reason in rejected.values():
            # In words of ours alone, whatever the record holds.
            assert OUR_WORDS.fullmatch(reason), reason
            self.reasons[re.split(r"\d|currency", reason)[0]] += 1
        for row in rows(con, "select written from rejected_transactions where written is not null"):
            assert 0 < len(row["written"]) <= 90
            assert not [one for one in row["written"] if unicodedata.category(one) in ("Cc", "Zl", "Zp")], row
        for one in sound:
            row = operations[one]
            assert (row["type"], row["amount"], row["comment"]) == (
                "income", Decimal("1500.50"), "Оплата | Джерело: Instagram",
            )  # fmt: skip
            assert row["occurred_at"] == datetime(2025, 1, 15, 8, 30, tzinfo=UTC)
        for number, pair in texts.items():
            reading = read(pair[0])
            row = operations.get(f"r{number}")
            if row:
                assert not reading.doubled
                assert len(set(pair)) == 1, "which of two is right, nobody knows"
                check_operation(row, reading)
            elif len(pair) == 1:
                assert not must_be_accepted(number, reading), (pair[0], rejected.get(f"r{number}"))
        for promise in (one for one in CHECKS if one.table == "operations"):
            assert rows(con, promise.wrong)[0]["wrong"] == 0, promise.name
        self.seen["records"] += sum(map(len, texts.values()))
        self.seen["rejected"] += len(rejected)


def record(number: int, fields: dict[str, str]) -> str:
    """The text of a sound record with these fields."""
    pairs = {"id": f'"r{number}"', **SOUND, **fields}
    if fields.get("id", "").startswith('"мега'):
        pairs["id"] = f'{fields["id"][:-1]}{number}"'
    return "{" + ", ".join(f"{quoted(name)}: {value}" for name, value in pairs.items()) + "}"


@pytest.fixture
def connection(connect: Callable[..., Connection]) -> Connection:
    return connect(start_date=date(2015, 1, 1))


@pytest.fixture
def way(run: ConnectionRun, sandbox: Sandbox) -> Way:
    return Way(run, sandbox)


def fuzz(way: Way, shop: Shop, count: int, size: int = BATCH) -> None:
    @batches(count)
    @given(st.lists(records, min_size=size, max_size=size), st.lists(orders, max_size=4))
    def batch(bad: list[Callable[[int], list[str]]], bad_orders: list[str]) -> None:
        way.go(bad, bad_orders)

    with way.run.warehouse._opened():  # while it is open here, to open it once more costs nothing
        batch()
    check_finmap(way.run, shop, way.expected)
    print(way.seen, dict(way.reasons))  # noqa: T201


def test_every_bad_record_is_delivered_or_rejected(way: Way, shop: Shop) -> None:
    """Whatever a record holds, it becomes an operation that Finmap accepts, or it is rejected."""
    fuzz(way, shop, 3, size=100)


@pytest.mark.fuzz
@pytest.mark.timeout(600)
def test_ten_thousand_bad_records(way: Way, shop: Shop) -> None:
    fuzz(way, shop, RECORDS // BATCH + 1)
