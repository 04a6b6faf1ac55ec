"""rejected_transactions: what cannot become an operation is set aside with a reason, and stops nothing else."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.defs.assets.extract import extract_assets
from sitniks_finmap.defs.assets.transform import transform_assets
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.extract import read_transactions
from sitniks_finmap.pipeline.reading import store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.pipeline.transform import derive_operations
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sandbox.transaction_shapes import malformed
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests.dagster_runs import QUIET
from sitniks_finmap_tests.records import BATCHES, DAY, SOUND, read_rows
from sitniks_finmap_tests.staging import Stage, connection_with

FIRST, LAST = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n) for n in (1420070400000, 2091365243872))


def reasons(stage: Stage, *payloads: Any) -> list[tuple[str, str | None]]:
    """Why each of these transactions is rejected, and what of it the reason speaks of; each stands beside a sound one
    that becomes an operation.
    """
    stage.clear()
    stage.put({"id": "sound", **SOUND}, *payloads)
    assert list(stage.operations()) == ["sound"]
    found = stage.rows("select reason, written from rejected_transactions order by payload ->> '$.n'")
    assert len(found) == len(payloads)
    return [(one["reason"], one["written"]) for one in found]


def reasons_of(stage: Stage, *fields: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Why sound transactions with these fields are rejected."""
    return reasons(stage, *({"n": 100 + n, "id": n, **SOUND, **one} for n, one in enumerate(fields)))


def test_each_reason_is_said_so_that_a_person_understands_it(stage: Stage) -> None:
    payloads = [
        {"n": 10, **SOUND},
        {"n": 11, "id": None, **SOUND},
        {"n": 12, "id": "  ", **SOUND},
        {"n": 13, "id": [1], **SOUND},
        {"n": 14, "id": 14, "amount": 100},
        {"n": 15, "id": 15, "amount": 100, "date": "вчора"},
        {"n": 16, "id": 16, "amount": 100, "date": "2025-02-30 10:00:00"},
        {"n": 17, "id": 17, "amount": 100, "date": 1736935200},
        {"n": 18, "id": 18, "date": SOUND["date"]},
        {"n": 19, "id": 19, "date": SOUND["date"], "amount": None},
        {"n": 20, "id": 20, "date": SOUND["date"], "amount": "сто гривень"},
        {"n": 21, "id": 21, "date": SOUND["date"], "amount": {"value": 1}},
        {"n": 22, "id": 22, "date": SOUND["date"], "amount": "1,500"},
        {"n": 23, "id": 23, "date": SOUND["date"], "amount": 100.125},
        {"n": 24, "id": 24, "date": SOUND["date"], "amount": "-1000.001"},
        {"n": 25, "id": 25, "date": SOUND["date"], "amount": 0},
        {"n": 26, "id": 26, "date": SOUND["date"], "amount": "-0.00"},
        {"n": 27, "id": 27, "date": SOUND["date"], "amount": "10000000000000"},
        {"n": 28, "id": 28, **SOUND, "currency": "USD"},
        {"n": 29, "id": 29, **SOUND, "currencyId": {"title": "EUR"}},
        {"n": 30, "id": 30, "amount": 100, "date": "2014-06-01T10:00:00.000Z", "createdAt": "2025-01-15T10:00:00Z"},
        {"n": 31, "id": 31, "amount": 100, "date": "2036-06-01 10:00:00", "createdAt": "2025-01-15T10:00:00Z"},
        {"n": 32, "id": "і" * 60, **SOUND},
        '{"n": 33, "id": 33, "date": "2025-01-15 10:30:00", "amount": 5, "amount": 7}',
        {"n": 34, "id": 34, **SOUND, "currency": "за домовленістю\nз клієнтом"},
        {"n": 35, "id": 35, **SOUND, "amount": "сто\x1b[31m\r\nгривень"},
    ]
    assert reasons(stage, *payloads) == [
        ("no id", None),
        ("no id", None),
        ("no id", None),
        ("no id", None),
        ("no date", None),
        ("unreadable date", "вчора"),
        ("unreadable date", "2025-02-30 10:00:00"),
        ("unreadable date", "1736935200"),
        ("unreadable amount", None),
        ("unreadable amount", None),
        ("unreadable amount", "сто гривень"),
        ("unreadable amount", None),
        ("ambiguous amount", "1,500"),
        ("amount with more than two decimals", "100.125"),
        ("amount with more than two decimals", "-1000.001"),
        ("amount is zero", "0"),
        ("amount is zero", "-0.00"),
        ("amount is too large", "10000000000000"),
        ("currency USD, but the Finmap account is in UAH", "USD"),
        ("currency EUR, but the Finmap account is in UAH", "EUR"),
        ("date 2014-06-01 is outside what Finmap accepts (2015 to 2036)", None),
        ("date 2036-06-01 is outside what Finmap accepts (2015 to 2036)", None),
        ("its id is too long", None),
        ("a duplicate field", None),
        ("unknown currency, and the Finmap account is in UAH", "за домовленістю з клієнтом"),
        ("unreadable amount", "сто [31m гривень"),
    ]


def test_what_is_no_object_or_no_json_is_set_aside(stage: Stage) -> None:
    broken = ["null", "5", '"x"', "[1]", "[]", r'{"id": "half", "description": "\ud800"}', r'{"id": "\ud800"}']
    assert reasons(stage, *broken) == [("not a readable record", None)] * len(broken)


def test_huge_records_are_rejected_without_exhausting_memory(run: ConnectionRun, sandbox: Sandbox) -> None:
    """DuckDB may take 256 MB for a connection."""
    texts = [json.dumps({"id": f"h{n}", **SOUND, "x": "x" * 1_500_000}) for n in range(3)]
    texts += [json.dumps({"id": f"l{n}", **SOUND, "x": "x" * 90_000}) for n in range(40)]
    body = f'{{"data": [{", ".join(texts)}], "count": {len(texts)}}}'
    for _ in range(2):  # and again, when they are known already
        sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body))
        read_transactions(run, DAY, DAY)
        derive_operations(run, DAY, DAY)
    run.warehouse.publish()
    with run.warehouse.transaction() as con:
        assert con.execute("select count(*) from operations").fetchall() == [(40,)]
        assert con.execute("select distinct reason from rejected_transactions").fetchall() == [
            ("not a readable record",)
        ]


def test_equal_rows_without_an_id_are_each_rejected(run: ConnectionRun, sandbox: Sandbox) -> None:
    """They hold up nothing else."""
    rows = [{"id": "sound", **SOUND}, *[SOUND] * 3, {"id": 5, **SOUND}, {"id": "5", **SOUND, "amount": 7}]
    body = json.dumps({"data": rows, "count": len(rows)})
    for _ in range(2):  # and again, when they are known already
        sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body))
        read_transactions(run, DAY, DAY)
        derive_operations(run, DAY, DAY)
        with run.warehouse.transaction() as con:
            assert con.execute("select transaction_id from operations").fetchall() == [("sound",)]
            reasons = con.execute("select reason, count(*) from rejected_transactions group by all order by 2")
            assert reasons.fetchall() == [("several different records have this id", 1), ("no id", 3)]
            promises = [con.execute(one.wrong).fetchall()[0][0] for one in CHECKS if one.table == "operations"]
            assert not any(promises)


def test_the_hryvnia_has_several_names(stage: Stage) -> None:
    names = ["UAH", "uah", " Uah ", "₴", "грн", "ГРН.", "", None]
    assert {one["currency"] for one in stage.each({"currency": name} for name in names)} == {"UAH"}


def test_the_currency_is_that_of_the_account_the_money_goes_to(stage: Stage) -> None:
    stage.configure(connection_with(stage, accounts={"9": "Долари"}))
    dollars = {"id": 1, **SOUND, "currency": "USD"}
    stage.put({**dollars, "settlementAccountId": 9}, {**dollars, "id": 2}, {"id": 3, **SOUND, "settlementAccountId": 9})
    assert stage.operations()["1"]["account"] == "acc3"
    assert stage.reasons() == {
        "2": "currency USD, but the Finmap account is in UAH",
        "3": "currency UAH, but the Finmap account is in USD",
    }


# -- Currency --


def test_a_currency_is_read_by_code_sign_or_name(stage: Stage) -> None:
    hryvnia: list[Any] = [
        {"id": 1, "code": "UAH", "symbol": "₴"}, {"isoCode": "uah"}, {"id": 1, "symbol": "₴"}, {"title": "Гривня"},
        {"id": 1, "code": 7, "symbol": "грн."}, "гривня", {"code": " UAH "}, {"code": None, "name": "UAH"},
    ]  # fmt: skip
    places = ("currency", "currencyCode", "currencyId")
    stage.each([{place: one} for place in places for one in hryvnia])
    stage.each([{"settlementAccount": {"id": 7, "currency": one}} for one in hryvnia])
    foreign = {
        "USD": [{"id": 2, "code": "USD", "symbol": "$"}, {"symbol": "$"}, "$", "usd", {"iso": "USD", "title": "Долар"}],
        "EUR": ["€", {"symbol": "€"}, {"id": 3, "name": "EUR"}],
        "PLN": ["zł", {"iso": "PLN"}],
        "GBP": ["£"],
    }  # fmt: skip
    for code, forms in foreign.items():
        found = reasons_of(stage, *({place: one} for place in places for one in forms))
        assert {reason for reason, _ in found} == {f"currency {code}, but the Finmap account is in UAH"}
    stage.configure(connection_with(stage, finmap_account="Долари"))
    stage.each([{place: one} for place in places for one in foreign["USD"]])


def test_an_unreadable_currency_never_becomes_the_hryvnia(stage: Stage) -> None:
    unreadable: list[Any] = [
        {"id": 2},
        {},
        [],
        ["USD"],
        [{"code": "UAH"}],
        True,
        False,
        {"code": {"x": 1}},
        {"code": []},
    ]
    unknown: list[Any] = [2, 980, "Іваненко", "IVA", {"title": "Іваненко"}, {"name": "дол."}, "UAH/USD"]
    for place in ("currency", "currencyCode", "currencyId"):
        found = reasons_of(stage, *({place: one} for one in unreadable))
        assert found == [("unreadable currency", None)] * len(unreadable)
        found = reasons_of(stage, *({place: one} for one in unknown))
        assert {reason for reason, _ in found} == {"unknown currency, and the Finmap account is in UAH"}
    # The first field that is there counts.
    assert reasons_of(stage, {"currency": ["USD"], "currencyId": "UAH"}) == [("unreadable currency", None)]
    stage.each([{"currency": "UAH", "currencyId": 2}, {"currency": None, "currencyCode": " ", "currencyId": "UAH"}])


def test_a_currency_heals_when_it_is_corrected(stage: Stage) -> None:
    stage.put({"id": 1, **SOUND, "currency": {"id": 2}})
    assert stage.operations() == {}
    stage.put({"id": 1, **SOUND, "currency": {"id": 1, "code": "UAH"}})
    assert (list(stage.operations()), stage.reasons()) == (["1"], {})


# -- Date --


def test_an_unreadable_date_is_not_replaced_by_another_field(stage: Stage) -> None:
    dates: list[Any] = [
        "2026-02-30", "31.02.2026", "02.15.2026", "15/02/2026", "02/03/2026", "вчора", "0000-00-00 00:00:00",
        1736929800, 17369298000000, -1, 0, 1.5, True, [], {}, ["2025-01-15"], {"date": "2025-01-15"}, "15.02.26",
    ]  # fmt: skip
    found = reasons_of(stage, *({"date": one, "createdAt": "2025-01-15T10:00:00Z"} for one in dates))
    assert {reason for reason, _ in found} == {"unreadable date"}
    assert [written for _, written in found] == [
        None if isinstance(one, bool | list | dict) else str(one) for one in dates
    ]  # fmt: skip
    assert reasons_of(stage, {"date": None, "createdAt": "вчора"}) == [("unreadable date", "вчора")]


# -- Direction --

DIRECTION_FIELDS = (
    "type", "direction", "operationType", "transactionType", "kind", "flow", "operation", "sign",
)  # fmt: skip
EXPENSE = [
    "expense", "EXPENSE", " Expenses ", "outcome", "outgoing", "out", "debit", "withdrawal", "expense_operation",
    "Витрата", "витрати", "ВИТРАТА", "видаток", "Видаткова операція", "списання", "расход", "-", "−", "-1", -1,
    {"id": 2, "title": "Витрата"}, {"id": 2, "code": "expense"}, {"name": "outcome"}, "Минус",
]  # fmt: skip
INCOME = [
    "income", "INCOME", "Incoming", "in", "credit", "deposit", "income-transaction", "Дохід", "доходи", "надходження",
    "Прибуткова операція", "зарахування", "доход", "поступление", "+", {"id": 1, "title": "Дохід"}, {"key": "INCOME"},
]  # fmt: skip
NO_DIRECTION: list[Any] = [
    None, "", 0, 1, 2, "1", True, [], {}, ["expense"], {"id": 2}, "payment", "refund", "transfer", "Оплата",
    "Повернення", "Повернення витрат клієнту", "expense or income", "payment_system", "order", "готівка", "LiqPay",
    "інше", "input",
]  # fmt: skip


def test_a_direction_that_contradicts_the_sign_is_rejected(stage: Stage) -> None:
    for words, wrong, right in ((EXPENSE, 250, -250), (INCOME, -250, 250)):
        shapes = [{field: word} for field in DIRECTION_FIELDS for word in words]
        shapes += [{"category": {"title": "Реклама", "type": word}} for word in words]
        found = reasons_of(stage, *({"amount": wrong, **one} for one in shapes))
        assert {reason for reason, _ in found} == {"the sign of the amount contradicts its direction"}
        stage.each({"amount": right, **one} for one in shapes)
    said = {"amount": "250,00", "type": "payment", "direction": " Витрата"}
    assert [written for _, written in reasons_of(stage, said)] == ["250,00 and Витрата"]
    flags = [
        (250, {"isExpense": True}),
        (250, {"isIncome": False}),
        (-250, {"isExpense": False}),
        (-250, {"isIncome": True}),
    ]
    assert len(reasons_of(stage, *({"amount": amount, **flag} for amount, flag in flags))) == 4
    stage.each({"amount": -amount, **flag} for amount, flag in flags)


def test_what_is_not_understood_as_a_direction_rejects_nothing(stage: Stage) -> None:
    stage.each(
        {"amount": amount, field: value}
        for amount in (250, -250)
        for field in (*DIRECTION_FIELDS, "isIncome", "isExpense")
        for value in NO_DIRECTION
        if not (field.startswith("is") and value is True)
    )


def test_a_direction_heals_when_either_is_corrected(stage: Stage) -> None:
    for corrected in ({"amount": -250}, {"type": "income"}):
        stage.put({"id": 1, **SOUND, "amount": 250, "type": "expense"})
        assert stage.operations() == {}
        stage.put({"id": 1, **SOUND, "amount": 250, "type": "expense", **corrected})
        assert stage.reasons() == {}


# -- The beginning of the import --


def test_a_date_before_start_date_is_rejected(stage: Stage) -> None:
    """Whichever day the transaction was listed on."""
    stage.configure(connection_with(stage, start_date=date(2025, 1, 10)))
    before: list[dict[str, Any]] = [
        {"date": "2024-06-01T10:00:00Z"},
        {"date": "2024-06-01T10:00:00Z", "createdAt": "2025-01-15T10:00:00Z"},
        {"createdAt": "2024-06-01T10:00:00Z"},
        {"date": "2025-01-09T21:59:59.999Z"},
        {"date": "2025-01-09 23:59:59"},
        {"date": "09.01.2025"},
    ]
    for day in (DAY, date(2025, 1, 10)):
        stage.clear()
        store(stage.con, stage.run, "transactions", read_rows(
            {"id": n, "amount": 1, **one} for n, one in enumerate(before)
        ), day, day)  # fmt: skip
        stage.derive(day)
        assert stage.operations() == {}
        assert {stage.reasons()[str(n)] for n in range(3)} == {"its date, 2024-06-01, is before start_date"}
        assert {stage.reasons()[str(n)] for n in range(3, 6)} == {"its date, 2025-01-09, is before start_date"}
    first = {"id": 7, "amount": 1, "date": "2025-01-09T22:00:00.000Z"}
    stage.clear()
    stage.put(first, {**first, "id": 8, "createdAt": "2025-01-09T21:59:59.999Z"})
    assert {one["day"] >= date(2025, 1, 10) for one in stage.operations().values()} == {True}
    assert len(stage.operations()) == 2


def test_what_an_older_version_filed_too_early_is_accounted_for(stage: Stage) -> None:
    stage.configure(connection_with(stage, start_date=date(2025, 1, 10)))
    store(stage.con, stage.run, "transactions", read_rows(
        [{"id": 1, "amount": 1, "date": "2025-01-09 23:59:59"}, {"id": 2, "amount": 1, "date": "2025-01-15 10:00:00"}]
    ), DAY, DAY)  # fmt: skip
    stage.con.execute("update raw_sitniks_transactions set day = '2025-01-09'")
    stage.derive()
    assert stage.reasons() == {"1": "its date, 2025-01-09, is before start_date"}
    assert stage.operations()["2"]["day"] == date(2025, 1, 10)


def test_moving_start_date_loses_no_operation(stage: Stage) -> None:
    """An earlier one accepts what was rejected, a later one keeps the operations that there are."""
    stage.configure(connection_with(stage, start_date=date(2025, 1, 16)))
    stage.put({"id": 1, **SOUND})
    assert stage.reasons() == {"1": "its date, 2025-01-15, is before start_date"}
    stage.configure(connection_with(stage, start_date=date(2025, 1, 15)))
    stage.derive()
    assert (list(stage.operations()), stage.reasons()) == (["1"], {})
    stage.configure(connection_with(stage, start_date=date(2025, 2, 1)))
    stage.derive(date(2025, 2, 1))
    assert (list(stage.operations()), stage.reasons()) == (["1"], {})


# -- The range of Finmap --


def test_finmaps_range_of_dates_is_exact_to_the_millisecond(stage: Stage) -> None:
    step = timedelta(milliseconds=1)
    moments = [FIRST - step, FIRST, LAST, LAST + step]
    stage.put(*({"id": n, "amount": 1, "date": at.isoformat()} for n, at in enumerate(moments)))
    assert sorted(stage.operations()) == ["1", "2"]
    assert sorted(stage.reasons()) == ["0", "3"]


def test_every_amount_with_a_third_decimal_is_rejected(stage: Stage) -> None:
    thirds = st.decimals("-99999999", "99999999", places=3) | st.decimals("-9999", "9999", places=6)
    forms = [lambda amount: f"{amount:f}", lambda amount: f'"{amount:f}"', lambda amount: f'"{amount:,f}"']

    @settings(BATCHES, max_examples=4)
    @given(st.lists(thirds.filter(lambda one: one != round(one, 2)), min_size=20, max_size=40))
    def check(batch: list[Decimal]) -> None:
        stage.clear()
        texts = [form(amount) for amount in batch for form in forms]
        stage.put(*(f'{{"id": {n}, "date": "2025-01-15", "amount": {text}}}' for n, text in enumerate(texts)))
        assert stage.operations() == {}
        found = stage.reasons()
        assert len(found) == len(texts)
        assert set(found.values()) <= {
            "amount with more than two decimals",
            "ambiguous amount",  # "1.500" as a text may be one and a half, or fifteen hundred
        }

    check()


def test_a_corrected_record_is_accepted_a_spoilt_one_rejected(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND, "amount": "сто гривень"})
    assert list(stage.reasons()) == ["tx_1"]
    stage.put({"id": "tx_1", **SOUND})
    assert (list(stage.operations()), stage.reasons()) == (["tx_1"], {})
    stage.put({"id": "tx_1", **SOUND, "currency": "USD"})
    assert (stage.operations(), list(stage.reasons())) == ({}, ["tx_1"])


def test_a_record_heals_when_the_configuration_does(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND, "currency": "USD"})
    assert list(stage.reasons()) == ["tx_1"]
    stage.configure(connection_with(stage, finmap_account="Долари"))
    stage.derive()
    assert (list(stage.operations()), stage.reasons()) == (["tx_1"], {})


def test_one_that_is_gone_is_not_rejected_any_more(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND, "amount": 0})
    stage.con.execute("update raw_sitniks_transactions set gone_at = now()")
    stage.derive(date(2025, 3, 1))
    assert stage.reasons() == {}


def test_what_is_rejected_keeps_its_payload_and_its_day(stage: Stage) -> None:
    text = '{"id":  "tx_1", "date": "2025-01-15 10:30:00", "amount":0}'
    stage.put(text)
    assert stage.rows(
        "select transaction_id, day, payload::varchar as payload, raw_version from rejected_transactions"
    ) == [{"transaction_id": "tx_1", "day": DAY, "payload": text, "raw_version": 1}]


def test_a_reason_is_short_whatever_was_written(stage: Stage) -> None:
    long = "9" * 5000
    amounts = [long, "1" + ",000" * 2000, "0." + "1" * 5000, "сто " * 2000, "1." + "0" * 5000 + "1"]
    payloads = [{"n": n, "id": n, **SOUND, "amount": amount} for n, amount in enumerate(amounts)]
    payloads.append({"n": 9, "id": 9, **SOUND, "currency": long})
    stage.put(*payloads)
    assert all(len(reason) < 100 for reason in stage.reasons().values())
    assert all(len(one["written"]) <= 40 for one in stage.rows("select written from rejected_transactions"))
    assert len(stage.reasons()) >= len(payloads) - 1  # the last amount may be read as 1


def test_what_cannot_be_understood_stops_no_run(connection: Connection, run: ConnectionRun, shop: Shop) -> None:
    broken = malformed(datetime(2025, 1, 15, 12, tzinfo=UTC), random.Random(1))
    for payload, at in broken:
        shop.put_transaction(payload, at)
    shop.put_transaction({"id": "sound", "createdAt": "2025-01-15T10:00:00.000Z", "amount": 5})
    result = dg.materialize(
        [*extract_assets(connection), *transform_assets(connection)],
        resources={connection.name: run},
        tags=range_tags(DAY, DAY),
        run_config=QUIET,
    )
    assert result.success
    with run.warehouse.transaction() as con:
        assert con.execute("select transaction_id from operations").fetchall() == [("sound",)]
        assert con.execute("select count(distinct reason) from rejected_transactions").fetchone() == (len(broken),)
