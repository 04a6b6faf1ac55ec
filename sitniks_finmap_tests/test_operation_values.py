"""What an operation says: its amount, key, moment and comment, exact in whatever form they were written."""

import itertools
import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.pipeline.reading import store
from sitniks_finmap_tests.records import BATCHES, DAY, KYIV, SOUND, instants, read_rows, texts, written_as
from sitniks_finmap_tests.staging import Stage, connection_with

# -- Amounts and the sign --

cents = st.integers(1, 10**15 - 1)  # up to 13 digits before the point


def grouped(amount: Decimal, thousands: str, point: str) -> str:
    return '"' + f"{amount:,.2f}".replace(",", "_").replace(".", point).replace("_", thousands) + '"'


FORMS: list[Callable[[Decimal], str]] = [
    lambda amount: f"{amount:.2f}",  # a JSON number
    lambda amount: f"{amount:.2f}".rstrip("0").rstrip("."),
    lambda amount: f"{amount:.2f}000",
    lambda amount: f"{amount.scaleb(2):.0f}E-2",
    lambda amount: f'"{amount:.2f}"',
    lambda amount: f'" {amount:+.2f} "',
    lambda amount: f'"{amount:.2f}"'.replace(".", ","),
    lambda amount: f'"{amount:.2f}"'.replace("-", "−"),
    lambda amount: grouped(amount, " ", ","),
    lambda amount: grouped(amount, "\u00a0", ","),
    lambda amount: grouped(amount, "\u202f", "."),
    lambda amount: grouped(amount, ".", ","),
    lambda amount: grouped(amount, ",", "."),
]


def test_every_two_decimal_amount_is_exact_in_every_form(stage: Stage) -> None:
    @settings(BATCHES, max_examples=5)
    @given(st.lists(st.tuples(cents, st.booleans()), min_size=5, max_size=12))
    def check(batch: list[tuple[int, bool]]) -> None:
        stage.clear()
        amounts = [(Decimal(-number if negative else number) / 100) for number, negative in batch]
        forms = list(itertools.product(amounts, FORMS))
        stage.put(*(
            f'{{"id": {n}, "date": "2025-01-15", "amount": {form(amount)}}}' for n, (amount, form) in enumerate(forms)
        ))  # fmt: skip
        assert stage.reasons() == {}
        operations = stage.operations()
        for n, (amount, form) in enumerate(forms):
            found = operations[str(n)]
            assert (found["amount"], found["type"]) == (abs(amount), "expense" if amount < 0 else "income"), form(
                amount
            )

    check()


def test_the_tail_of_a_float_is_no_third_decimal(stage: Stage) -> None:
    @settings(BATCHES, max_examples=3)
    @given(st.lists(st.tuples(st.integers(1, 10**9), st.booleans(), st.booleans()), min_size=30, max_size=60))
    def check(batch: list[tuple[int, bool, bool]]) -> None:
        stage.clear()
        written = []
        for number, up, as_text in batch:
            tail = repr(math.nextafter(number / 100, math.inf if up else -math.inf))
            written.append(f'"{tail}"' if as_text else tail)
        stage.put(*(f'{{"id": {n}, "date": "2025-01-15", "amount": {one}}}' for n, one in enumerate(written)))
        assert {int(id): one["amount"] for id, one in stage.operations().items()} == {
            n: Decimal(number) / 100 for n, (number, _, _) in enumerate(batch)
        }

    check()


def test_amounts_as_people_and_machines_write_them(stage: Stage) -> None:
    forms = {
        "0.1": "0.10",
        "0.30000000000000004": "0.30",
        "1.15e2": "115.00",
        "100.12000000999": "100.12",
        "100.11999999001": "100.12",
        '"1 500,00"': "1500.00",
        '"1 500,5"': "1500.50",
        '"1500,"': None,
        '"1,500"': None,
        '"1.500"': None,
        "1.500": "1.50",
        '"1500.000"': "1500.00",
        '"1.500,00"': "1500.00",
        '"1,500.00"': "1500.00",
        '"1,50,000.00"': None,
        '"--5"': None,
        '"5 грн"': None,
        '"0x10"': None,
        '"NaN"': None,
        "NaN": None,
        "Infinity": None,
    }
    stage.put(*(f'{{"id": {n}, "date": "2025-01-15", "amount": {written}}}' for n, written in enumerate(forms)))
    operations = stage.operations()
    found = {written: operations.get(str(n), {}).get("amount") for n, written in enumerate(forms)}
    assert found == {written: amount and Decimal(amount) for written, amount in forms.items()}
    assert len(stage.reasons()) == list(forms.values()).count(None)


# -- The key --


def test_an_external_id_is_percent_encoded_and_unique(stage: Stage) -> None:
    ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text(
        "%2Fa~:/ ._-", min_size=1
    )

    @settings(BATCHES, max_examples=5)
    @given(st.lists(ids.filter(str.strip), min_size=20, max_size=40, unique=True))
    def check(batch: list[str]) -> None:
        stage.clear()
        stage.put(*({"id": one, **SOUND} for one in batch))
        found = {id: one["external_id"] for id, one in stage.operations().items()}
        assert found.keys() == set(batch)
        assert len(set(found.values())) == len(batch)
        for id, external_id in found.items():
            assert re.fullmatch(r"u1:([A-Za-z0-9_.-]|%[0-9A-F]{2})+", external_id)
            assert unquote(external_id.removeprefix("u1:")) == id

    check()


def test_the_external_id_of_an_ordinary_id_is_readable(stage: Stage) -> None:
    stage.put(*({"id": id, **SOUND} for id in ("tx_12345", 12348, "a b~/№")))
    assert {one["external_id"] for one in stage.operations().values()} == {
        "u1:tx_12345", "u1:12348", "u1:a%20b%7E%2F%E2%84%96",
    }  # fmt: skip


def test_nothing_that_may_change_is_in_the_external_id(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND})
    before, content = stage.operations()["tx_1"], stage.content("tx_1")
    stage.put({"id": "tx_1", "date": "2025-01-14 09:00:00", "amount": -2, "description": "Інше", "source": "Rozetka"})
    after = stage.operations()["tx_1"]
    assert after["external_id"] == before["external_id"]
    assert stage.content("tx_1") != content


# -- The moment --


def test_moments_keep_milliseconds_and_naive_ones_are_local(stage: Stage) -> None:
    @settings(BATCHES, max_examples=6)
    @given(st.lists(st.tuples(instants, st.sampled_from(["utc", "offset", "compact offset", "naive"])),
                    min_size=20, max_size=40))  # fmt: skip
    def check(batch: list[tuple[datetime, str]]) -> None:
        stage.clear()
        stage.put(*({"id": n, "date": written_as(at, style), "amount": 1} for n, (at, style) in enumerate(batch)))
        operations = stage.operations()
        for n, (at, style) in enumerate(batch):
            found = operations[str(n)]["occurred_at"]
            exact = at.replace(microsecond=at.microsecond // 1000 * 1000)
            if style == "naive":  # in the hour that comes twice in October either reading is right
                assert found.astimezone(KYIV).replace(tzinfo=None) == at.astimezone(KYIV).replace(
                    tzinfo=None, microsecond=0
                )
            else:
                assert found == exact

    check()


def test_the_moment_comes_from_date_and_the_day_from_created_at(stage: Stage) -> None:
    read = stage.one({"date": "2025-01-14T10:00:00Z", "createdAt": "2025-01-15T09:00:00Z"})
    assert (read["occurred_at"], read["day"]) == (datetime(2025, 1, 14, 10, tzinfo=UTC), DAY)
    for nothing in (None, "", " \n"):
        read = stage.one({"date": nothing, "createdAt": "2025-01-15T09:00:00Z"})
        assert read["occurred_at"] == datetime(2025, 1, 15, 9, tzinfo=UTC)


def test_a_date_that_has_only_one_reading_is_understood(stage: Stage) -> None:
    half_past_ten = datetime(2025, 1, 15, 8, 30, tzinfo=UTC)
    midnight = datetime(2025, 1, 14, 22, tzinfo=UTC)
    forms = {
        1736929800000: half_past_ten, 1736929800123: half_past_ten + timedelta(milliseconds=123),
        "1736929800000": half_past_ten, "1736929800000.0": half_past_ten,
        "15.01.2025": midnight, "15.01.2025 10:30": half_past_ten, "15.01.2025, 10:30:00": half_past_ten,
        " 15.01.2025\u00a010:30:00": half_past_ten, "15.1.2025": midnight,
        "5.2.2025": datetime(2025, 2, 4, 22, tzinfo=UTC),  # the day comes first, whatever America thinks
    }  # fmt: skip
    read = stage.each({"date": form} for form in forms)
    assert [one["occurred_at"] for one in read] == list(forms.values())
    assert stage.one({"date": 1736929800000.0})["occurred_at"] == half_past_ten


def test_the_day_is_read_from_every_form_of_a_stamp(stage: Stage) -> None:
    stamps = [1736929800000, "15.01.2025 10:30", "2025-01-15T08:30:00Z"]
    store(stage.con, stage.run, "transactions", read_rows(
        {"id": n, "amount": 1, "createdAt": one} for n, one in enumerate(stamps)
    ), date(2025, 1, 1), date(2025, 1, 31))  # fmt: skip
    assert stage.rows("select distinct day from latest_transactions") == [{"day": DAY}]


# -- The comment --

FIELDS = {
    "description": ("description", ""),
    "counterparty": ("counterparty", "Контрагент: "),
    "source": ("source", "Джерело: "),
    "order_number": ("orderNumber", "Замовлення: №"),
    "payment_method": ("paymentMethod", "Оплата: "),
    "delivery": ("delivery", "Доставка: "),
    "order_status": ("orderStatus", "Статус: "),
}


def one_line(text: str) -> str:
    text = re.sub("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)
    return " ".join("".join(" " if unicodedata.category(c)[0] == "Z" or unicodedata.category(c) == "Cc" else c
                            for c in text).split(" ")).strip()  # fmt: skip


def squeezed(text: str) -> str:
    return re.sub(" +", " ", one_line(text))


def cut(text: str, most: int) -> str:
    """At a word, but for one that is longer than forty characters."""
    blank = text.rfind(" ", 0, most)
    return text[: blank if blank >= most - 41 else most][: most - 1] + "…"


def test_a_comment_is_one_line_of_fields_in_1000_characters(stage: Stage) -> None:
    orders_of_fields = st.lists(st.sampled_from(list(FIELDS)), unique=True, max_size=7)

    @settings(BATCHES, max_examples=8)
    @given(orders_of_fields, st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)), min_size=15, max_size=30))
    def check(comment_fields: list[Any], batch: list[dict[str, str]]) -> None:
        stage.clear()
        stage.configure(connection_with(stage, comment_fields=comment_fields))
        stage.put(*(
            {"id": n, **SOUND, **{FIELDS[name][0]: text for name, text in one.items()}} for n, one in enumerate(batch)
        ))  # fmt: skip
        operations = stage.operations()
        for n, one in enumerate(batch):
            comment = operations[str(n)]["comment"]
            told = [(FIELDS[name][1], squeezed(one[name])) for name in comment_fields]
            whole = " | ".join(label + text for label, text in told if text)
            assert not [c for c in comment if unicodedata.category(c) in ("Cc", "Zl", "Zp")]
            if len(whole) <= 1000:
                assert comment == whole
                continue
            assert len(comment) <= 1000
            parts = [label + text for label, text in told if text]
            room = 1000 - 3 * (len(parts) - 1)
            most = max(n for n in range(1001) if sum(min(len(part), n) for part in parts) <= room)
            assert comment == " | ".join(part if len(part) <= most else cut(part, most) for part in parts)

    check()


@pytest.mark.parametrize(
    ("comment_fields", "comment"),
    [
        (["description"], "Оплата"),
        (["order_status", "description"], "Статус: Виконано | Оплата"),
        (["source", "order_number"], "Джерело: Instagram | Замовлення: №123"),
        (["counterparty"], ""),
        ([], ""),
    ],
)
def test_comment_fields_choose_what_is_told_and_in_which_order(
    comment_fields: list[str], comment: str, stage: Stage
) -> None:
    stage.configure(connection_with(stage, comment_fields=comment_fields))
    read = stage.one({"description": "Оплата", "source": "Instagram", "orderNumber": 123, "orderStatus": "Виконано"})
    assert read["comment"] == comment


def test_a_comment_that_is_too_long_ends_with_a_whole_word(stage: Stage) -> None:
    lengths = {1000: "слово слово", 1001: "слово…", 1002: "слово…", 5000: "слово…"}
    told = stage.each({"description": "а" * (length % 6 + 6) + " слово" * (length // 6 - 1)} for length in lengths)
    for read, (length, ending) in zip(told, lengths.items(), strict=True):
        assert len(read["description"]) == length
        assert 990 < len(read["comment"]) <= 1000
        assert read["comment"].endswith(ending)


def test_a_long_text_is_cut_and_what_stands_after_it_is_kept(stage: Stage) -> None:
    whole = (
        " | Контрагент: Клієнт 1042 | Джерело: Instagram | Замовлення: №123 | Доставка: Нова Пошта | Статус: Виконано"
    )
    more = {
        "counterparty": "Клієнт 1042", "source": "Instagram", "orderNumber": 123, "delivery": "Нова Пошта",
        "orderStatus": "Виконано",
    }  # fmt: skip
    for text in ("слово " * 300, "с" * 5000):
        comment = stage.one({"description": text, **more})["comment"]
        assert comment.endswith("…" + whole)
        assert 990 < len(comment) <= 1000


def test_several_long_texts_are_cut_to_one_length(stage: Stage) -> None:
    long = {"description": "а" * 5000, "delivery": "б" * 700, "orderStatus": "Виконано"}
    comment = stage.one(long)["comment"]
    told, delivery, status = comment.split(" | ")
    assert status == "Статус: Виконано"
    assert (len(told), len(delivery)) == (489, 489)
    assert delivery.startswith("Доставка: бб")
