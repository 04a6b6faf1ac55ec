"""rejected_transactions: what cannot become an operation is set aside with a reason, and stops nothing else."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.assets.checks import CHECKS
from sitniks_finmap.assets.extract import extract_assets, read_transactions
from sitniks_finmap.assets.transform import derive_operations, transform_assets
from sitniks_finmap.automation import range_tags
from sitniks_finmap.connections import Connection
from sitniks_finmap.run import ConnectionRun
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.sandbox.transaction_shapes import malformed
from sitniks_finmap_tests.test_operations import DAY, SOUND, Stage, connection_with, stage, staging
from sitniks_finmap_tests.test_raw_sitniks_transactions import BATCHES, QUIET

__all__ = ["stage", "staging"]  # fixtures

FIRST, LAST = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=n) for n in (1420070400000, 2091365243872))


def reasons(stage: Stage, *payloads: Any) -> list[str]:
    """Why each of these transactions is rejected; each stands beside a sound one that becomes an operation."""
    stage.clear()
    stage.put({"id": "sound", **SOUND}, *payloads)
    assert list(stage.operations()) == ["sound"]
    found = stage.rows("select reason from rejected_transactions order by payload ->> '$.n'")
    assert len(found) == len(payloads)
    return [one["reason"] for one in found]


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
        "no id",
        "no id",
        "no id",
        "no id",
        "no usable date",
        "no usable date",
        "no usable date",
        "no usable date",
        "unreadable amount: none",
        "unreadable amount: none",
        "unreadable amount: сто гривень",
        "unreadable amount: none",
        "amount that can be read in two ways: 1,500",
        "amount with more than two decimals: 100.125",
        "amount with more than two decimals: -1000.001",
        "amount is zero",
        "amount is zero",
        "amount is too large: 10000000000000",
        "currency USD, but the Finmap account is in UAH",
        "currency EUR, but the Finmap account is in UAH",
        "date 2014-06-01 is outside what Finmap takes (2015 to 2036)",
        "date 2036-06-01 is outside what Finmap takes (2015 to 2036)",
        "its id is too long",
        "a field stands twice in it",
        "unknown currency, and the Finmap account is in UAH: ЗА ДОМОВЛЕНІСТЮ З КЛІЄНТОМ",
        "unreadable amount: сто [31m гривень",
    ]


def test_what_is_no_object_or_no_json_is_set_aside(stage: Stage) -> None:
    broken = ["null", "5", '"x"', "[1]", "[]", r'{"id": "half", "description": "\ud800"}', r'{"id": "\ud800"}']
    assert reasons(stage, *broken) == ["not a readable record"] * len(broken)


def test_huge_records_are_set_aside_and_neither_they_nor_large_ones_exhaust_the_memory(
    run: ConnectionRun, sandbox: Sandbox
) -> None:
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


def test_each_of_several_equal_rows_without_an_id_is_set_aside_and_holds_nothing_up(
    run: ConnectionRun, sandbox: Sandbox
) -> None:
    rows = [{"id": "sound", **SOUND}, *[SOUND] * 3, {"id": 5, **SOUND}, {"id": "5", **SOUND, "amount": 7}]
    body = json.dumps({"data": rows, "count": len(rows)})
    for _ in range(2):  # and again, when they are known already
        sandbox.fault(Fault("status", "sitniks", path="/transactions", status=200, body=body))
        read_transactions(run, DAY, DAY)
        derive_operations(run, DAY, DAY)
        with run.warehouse.transaction() as con:
            assert con.execute("select transaction_id from operations").fetchall() == [("sound",)]
            reasons = con.execute("select reason, count(*) from rejected_transactions group by all order by 2")
            assert reasons.fetchall() == [("several records that differ have this id", 1), ("no id", 3)]
            promises = [con.execute(one.wrong).fetchall()[0][0] for one in CHECKS if one.table == "operations"]
            assert promises == [0, 0, 0]


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


def test_finmaps_range_of_dates_is_exact_to_the_millisecond(stage: Stage) -> None:
    step = timedelta(milliseconds=1)
    moments = [FIRST - step, FIRST, LAST, LAST + step]
    stage.put(*({"id": n, "amount": 1, "date": at.isoformat()} for n, at in enumerate(moments)))
    assert sorted(stage.operations()) == ["1", "2"]
    assert sorted(stage.reasons()) == ["0", "3"]


def test_every_amount_with_a_real_third_decimal_is_rejected_in_every_form(stage: Stage) -> None:
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
        assert {one.partition(":")[0] for one in found.values()} <= {
            "amount with more than two decimals",
            "amount that can be read in two ways",  # "1.500" as a text may be one and a half, or fifteen hundred
        }

    check()


def test_a_record_heals_when_it_is_corrected_and_falls_ill_when_it_is_spoilt(stage: Stage) -> None:
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
