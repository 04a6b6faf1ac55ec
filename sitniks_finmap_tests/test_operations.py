"""operations: what a transaction becomes, whatever shape it came in; pure SQL over the latest versions."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitniks_finmap.clients.finmap import Account
from sitniks_finmap.defs.assets.extract import extract_assets
from sitniks_finmap.defs.assets.transform import transform_assets
from sitniks_finmap.defs.jobs import range_tags
from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.directory import find_accounts
from sitniks_finmap.pipeline.reading import store
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Shop, seed_shop
from sitniks_finmap.settings.connections import ConfigurationError, Connection
from sitniks_finmap_tests.dagster_runs import QUIET
from sitniks_finmap_tests.records import BATCHES, DAY, KYIV, SOUND, read_rows
from sitniks_finmap_tests.staging import Stage, connection_with

# -- The examples of the vendor --

EXAMPLES = [
    {"id": "tx_12345", "date": "2025-01-15 10:30:00", "amount": 1500, "currency": "UAH",
     "description": "Оплата за замовлення #123 від клієнта Іваненко", "counterparty": "Іваненко",
     "source": "Instagram", "orderNumber": 123, "paymentMethod": "LiqPay", "delivery": "Нова Пошта",
     "orderStatus": "Виконано"},
    {"id": "tx_12346", "date": "2025-01-15 11:05:00", "amount": -100, "currency": "UAH",
     "description": "Комісія за замовлення #123", "counterparty": None, "source": "Rozetka", "orderNumber": 123},
    {"id": "tx_12347", "date": "2025-01-15 18:40:12", "amount": -95.5, "description": "Доставка замовлення #123",
     "source": "Нова Пошта", "orderNumber": 123},
    {"id": 12348, "createdAt": "2025-01-15T21:59:59.999Z", "amount": "-1500.00",
     "comment": "Повернення за замовлення #123",
     "order": {"id": 991, "orderNumber": 123, "status": {"id": 9, "title": "Повернено"},
               "client": {"id": 77, "fullname": "Іваненко", "phone": None, "email": None},
               "salesChannel": {"title": "Instagram"}},
     "settlementAccount": {"id": 7, "title": "ФОП", "type": "payment_system"}},
]  # fmt: skip


def test_the_vendors_examples_become_what_an_accountant_expects(stage: Stage) -> None:
    stage.put(*EXAMPLES)
    shown = ("external_id", "day", "type", "amount", "currency", "classification", "account", "comment")
    assert [tuple(one[name] for name in shown) for one in stage.operations().values()] == [
        ("u1:12348", DAY, "expense", Decimal("1500.00"), "UAH", "refund", "acc1",
         "Повернення за замовлення #123 | Контрагент: Іваненко | Джерело: Instagram | Замовлення: №123 | Оплата: ФОП"
         " | Статус: Повернено"),
        ("u1:tx_12345", DAY, "income", Decimal("1500.00"), "UAH", "social_sale", "acc1",
         "Оплата за замовлення #123 від клієнта Іваненко | Контрагент: Іваненко | Джерело: Instagram | "
         "Замовлення: №123 | Оплата: LiqPay | Доставка: Нова Пошта | Статус: Виконано"),
        ("u1:tx_12346", DAY, "expense", Decimal("100.00"), "UAH", "marketplace_commission", "acc1",
         "Комісія за замовлення #123 | Джерело: Rozetka | Замовлення: №123"),
        ("u1:tx_12347", DAY, "expense", Decimal("95.50"), "UAH", "delivery", "acc1",
         "Доставка замовлення #123 | Джерело: Нова Пошта | Замовлення: №123"),
    ]  # fmt: skip
    assert [one["occurred_at"].astimezone(UTC) for one in stage.operations().values()] == [
        datetime(2025, 1, 15, 21, 59, 59, 999_000, tzinfo=UTC),
        datetime(2025, 1, 15, 8, 30, tzinfo=UTC),
        datetime(2025, 1, 15, 9, 5, tzinfo=UTC),
        datetime(2025, 1, 15, 16, 40, 12, tzinfo=UTC),
    ]
    assert stage.reasons() == {}


# -- Where a field is read --


@pytest.mark.parametrize(
    ("field", "places"),
    [
        ("description", [{"description": "A"}, {"comment": "B"}]),
        ("counterparty", [
            {"counterparty": "Клієнт 1042"}, {"client": {"fullname": "Клієнт 1043"}},
            {"order": {"client": {"fullname": "Клієнт 1044"}}}, {"client": {"name": "Клієнт 1045"}},
            {"client": {"email": "buyer1046@example.com"}}, {"client": {"instagram": "@buyer_1047"}},
            {"client": {"id": 1048}},
        ]),
        ("source", [
            {"source": "Instagram"}, {"salesChannel": {"title": "Rozetka"}},
            {"order": {"salesChannel": {"title": "Prom.ua"}}}, {"order": {"source": "Сайт"}},
        ]),
        ("order_number", [{"orderNumber": "A-1"}, {"order": {"orderNumber": 2}}]),
        ("payment_method", [{"paymentMethod": "LiqPay"}, {"settlementAccount": {"title": "ФОП"}}]),
        ("delivery", [{"delivery": "Нова Пошта"}, {"order": {"delivery": {"title": "Укрпошта"}}}]),
        ("order_status", [{"order": {"status": {"title": "Виконано"}}}, {"orderStatus": "Новий"}]),
        ("currency", [{"currency": "uah"}, {"currencyId": "UAH"}, {}]),
    ],
)  # fmt: skip
def test_each_field_is_read_in_the_documented_order(field: str, places: list[dict[str, Any]], stage: Stage) -> None:
    payloads: list[dict[str, Any]] = []
    for first in range(len(places)):
        payloads.append({})
        for place in places[first:]:
            merge(payloads[-1], place)
    expected = [str(leaf(place)).replace("uah", "UAH") if place else "UAH" for place in places]
    assert [read[field] for read in stage.each(payloads)] == expected


def leaf(value: Any) -> Any:
    return leaf(next(iter(value.values()))) if isinstance(value, dict) else value


def merge(into: dict[str, Any], place: dict[str, Any]) -> None:
    for name, value in place.items():
        if isinstance(value, dict):
            merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


def test_a_value_is_a_text_or_an_object_with_a_title_or_a_name(stage: Stage) -> None:
    values: list[tuple[Any, str | None]] = [
        ("Нова Пошта", "Нова Пошта"),
        ({"title": "Нова Пошта"}, "Нова Пошта"),
        ({"name": "Нова Пошта"}, "Нова Пошта"),
        ({"id": 1, "title": None, "name": "Нова Пошта"}, "Нова Пошта"),
        ({"id": 1, "title": " ", "name": "Нова Пошта"}, "Нова Пошта"),
        ({"id": 1}, None),
        (7, "7"),
        (7.5, "7.5"),
        (" \n", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
        (["Нова Пошта"], None),
    ]
    read = stage.each({"delivery": value, "source": value, "order": {"status": value}} for value, _ in values)
    for name in ("delivery", "source", "order_status"):
        assert [one[name] for one in read] == [text for _, text in values]


def test_missing_or_malformed_objects_leave_the_rest_readable(stage: Stage) -> None:
    for read in stage.each(
        {"order": nothing, "client": nothing, "settlementAccount": nothing, "salesChannel": None, "comment": "Так"}
        for nothing in (None, 5, "x", [], {}, [{}], True)
    ):
        assert (read["description"], read["counterparty"], read["order_number"]) == ("Так", None, None)


# -- Classification --


def test_source_description_and_sign_classify_a_transaction(stage: Stage) -> None:
    examples = [
        (1500, None, "Оплата за замовлення #123", "client_payment"),
        (1500, "Сайт", None, "client_payment"),
        (1500, "Instagram", "Оплата", "social_sale"),
        (1500, "INSTAGRAM direct", None, "social_sale"),
        (1500, "Фейсбук", None, "social_sale"),
        (1500, "Rozetka", "Оплата", "marketplace_sale"),
        (1500, "Prom.ua", None, "marketplace_sale"),
        (1500, "ROZETKA", "Доставка включена", "marketplace_sale"),
        (-100, "Rozetka", "Комісія за замовлення #123", "marketplace_commission"),
        (-100, "Prom.ua", None, "marketplace_commission"),
        (-100, None, "КОМІСІЯ", "marketplace_commission"),
        (-95.5, "Нова Пошта", "Доставка замовлення #123", "delivery"),
        (-95.5, "нова пошта", None, "delivery"),
        (-95.5, None, "Оплата ТТН 20450000000000", "delivery"),
        (-1500, "Instagram", "Повернення за замовлення #123", "refund"),
        (-1500, "Rozetka", "Возврат", "refund"),
        (-10, "Instagram", "Реклама", "other"),
        (-10, None, None, "other"),
    ]
    read = stage.each({"amount": a, "source": s, "description": d} for a, s, d, _ in examples)
    found = [(*example[:3], one["classification"]) for example, one in zip(examples, read, strict=True)]
    assert found == examples


def test_rules_of_the_connection_come_first_and_first_match_wins(stage: Stage) -> None:
    stage.configure(
        connection_with(
            stage,
            rules=[
                {"classification": "rent", "sign": "expense", "description": ["ОРЕНДА"]},
                {"classification": "wholesale", "source": ["instagram"], "description": ["гурт", "опт"]},
                {"classification": "never", "description": ["оренда"], "sign": "expense"},
            ],
        )
    )
    examples: list[tuple[dict[str, Any], str]] = [
        ({"amount": -5, "description": "Оренда, повернення застави"}, "rent"),
        ({"amount": 5, "description": "Оренда"}, "client_payment"),
        ({"amount": 5, "source": "Instagram", "description": "Продаж гуртом"}, "wholesale"),
        ({"amount": -5, "source": "Instagram", "description": "опт"}, "wholesale"),
        ({"amount": 5, "source": "Instagram", "description": "Продаж"}, "social_sale"),
        ({"amount": 5, "source": "Сайт", "description": "Продаж гуртом"}, "client_payment"),
    ]
    read = stage.each(transaction for transaction, _ in examples)
    assert [one["classification"] for one in read] == [classification for _, classification in examples]


def test_words_are_taken_as_they_are_written(stage: Stage) -> None:
    stage.configure(connection_with(stage, rules=[{"classification": "promo", "description": ["50%_ (.*)"]}]))
    read = stage.each([{"description": f"Знижка {word}"} for word in ("50%_ (.*)", "50%_ (abc)", "500 x (.*)")])
    assert [one["classification"] for one in read] == ["promo", "client_payment", "client_payment"]


# -- Account, category, tag --


def test_the_settlement_account_decides_the_account(stage: Stage) -> None:
    """Unmapped, it is the account of the connection."""
    stage.configure(connection_with(stage, accounts={"7": "ФОП", "LiqPay": "acc2"}))
    examples: list[tuple[dict[str, Any], str]] = [
        ({}, "acc1"),
        ({"settlementAccountId": 7}, "acc2"),
        ({"settlementAccountId": "7"}, "acc2"),
        ({"settlementAccount": {"id": 7, "title": "Інший"}}, "acc2"),
        ({"settlementAccount": {"id": 9, "title": "LiqPay"}}, "acc2"),
        ({"settlementAccount": {"id": 8, "title": "Каса"}}, "acc1"),
    ]
    read = stage.each(transaction for transaction, _ in examples)
    assert [one["account"] for one in read] == [account for _, account in examples]


ACCOUNT_NAMES = [
    "ФОП Мар'яни", " фоп  мар'яни ", "ФОП\u00a0МАР’ЯНИ", "ФОП Марʼяни", "ФОП\u200b Мар\u00ad'яни", "Фоп\tМар'яни\n",
]  # fmt: skip


def test_a_settlement_account_matches_however_it_is_written(stage: Stage) -> None:
    pairs = [(there, written) for there in ACCOUNT_NAMES for written in ACCOUNT_NAMES]
    pairs += [("Мой", "Мо\u0438\u0306"), ("Мо\u0438\u0306", "Мой"), ("7", 7), ("№ 7", "№\u20097"), ("AB12", "ab12")]
    for written in dict.fromkeys(written for written, _ in pairs):
        stage.configure(connection_with(stage, accounts={written: "ФОП"}))
        titles = [title for one, title in pairs if one == written]
        shapes = [("settlementAccountId", title) for title in titles]
        shapes += [("settlementAccount", said) for title in titles for said in (title, {"id": 9, "title": title})]
        found = stage.each({shape: said} for shape, said in shapes)
        assert {(one["account"], one["mapped_by"]) for one in found} == {("acc2", written)}


def test_two_mappings_of_one_name_must_agree(stage: Stage) -> None:
    stage.configure(connection_with(stage, accounts={"ФОП Mono": "ФОП", "фоп mono": "acc2"}))
    assert stage.one({"settlementAccount": "ФОП MONO"})["account"] == "acc2"
    with pytest.raises(ConfigurationError, match=r'^u1: accounts has "ФОП Mono" and "фоп mono", which are spellings'):
        stage.configure(connection_with(stage, accounts={"ФОП Mono": "ФОП", "фоп mono": "Каса"}))


def test_names_of_finmap_are_found_however_they_are_written(stage: Stage) -> None:
    for name in ("каса", " Каса\u00a0", "КАСА", "К\u200bаса"):
        stage.configure(connection_with(stage, finmap_account=name, categories={"client_payment": "про\u00adдажі "}))
        found = stage.one({})
        assert (found["account"], found["category"]) == ("acc1", "cat1")


def test_an_exact_account_name_wins_over_another_case() -> None:
    accounts = [Account("a", "Каса", "UAH"), Account("b", "КАСА", "UAH")]
    exact = Connection.model_validate({"name": "u1", "start_date": DAY, "finmap_account": "КАСА"})
    assert find_accounts(exact, accounts)["КАСА"].id == "b"
    with pytest.raises(ConfigurationError, match="is the name of several accounts"):
        find_accounts(exact.model_copy(update={"finmap_account": "каса"}), accounts)


def unmapped(stage: Stage) -> list[tuple[Any, ...]]:
    return [tuple(one.values()) for one in stage.rows("from unmapped_settlement_accounts order by all")]


def unused(stage: Stage) -> list[str]:
    return [one["settlement_account"] for one in stage.rows("from unused_account_mappings order by all")]


UNMAPPED = [
    {"id": 1, "settlementAccount": {"id": 7, "title": "Mono ФОП"}},
    {"id": 2, "settlementAccount": {"id": 7, "title": "Mono ФОП"}},
    {"id": 3, "settlementAccountId": 8},
    {"id": 4, "settlementAccount": []},
    {"id": 5, "settlementAccount": {"id": 9, "title": "LiqPay"}},
    {"id": 6},
]


def test_a_settlement_account_that_no_mapping_names_is_shown(stage: Stage) -> None:
    stage.configure(connection_with(stage, accounts={"ФОП Mono": "ФОП", "LiqPay": "ФОП"}))
    assert unused(stage) == []  # nothing was derived yet
    stage.put(*({**SOUND, **one} for one in UNMAPPED))
    assert stage.reasons() == {}
    assert unmapped(stage) == [
        ("7", "Mono ФОП", 2, 0, DAY), ("8", "8", 1, 0, DAY), (None, "(unreadable)", 1, 0, DAY)
    ]  # fmt: skip
    assert unused(stage) == ["ФОП Mono"]
    stage.configure(connection_with(stage, accounts={"mono фоп": "ФОП", "8": "ФОП", "LiqPay": "ФОП"}))
    stage.derive()
    assert (unmapped(stage), unused(stage)) == ([(None, "(unreadable)", 1, 0, DAY)], [])


def test_without_mappings_no_settlement_account_is_missing_one(stage: Stage) -> None:
    for choice in ("default", "reject"):
        stage.configure(connection_with(stage, unmapped_accounts=choice))
        stage.put(*({**SOUND, **one} for one in UNMAPPED))
        assert (len(stage.operations()), unmapped(stage), unused(stage)) == (6, [], [])


def test_an_unmapped_settlement_account_can_be_rejected(stage: Stage) -> None:
    """Until it is mapped."""
    stage.configure(connection_with(stage, accounts={"LiqPay": "ФОП"}, unmapped_accounts="reject"))
    stage.put(*({**SOUND, **one} for one in UNMAPPED))
    assert sorted(stage.operations()) == ["5", "6"]  # a transaction that names none goes to the default account
    rejected = stage.rows("select distinct reason, written from rejected_transactions order by written")
    assert rejected == [
        {"reason": "its settlement account is not mapped to a Finmap account", "written": written}
        for written in ("(unreadable)", "8", "Mono ФОП")
    ]
    assert unmapped(stage)[0] == ("7", "Mono ФОП", 2, 2, DAY)
    stage.configure(connection_with(stage, accounts={"7": "ФОП", "LiqPay": "ФОП"}))
    stage.derive()
    assert {stage.operations()[one]["account"] for one in ("1", "2")} == {"acc2"}


def test_a_category_belongs_to_a_classification_and_a_type(stage: Stage) -> None:
    stage.configure(connection_with(stage, categories={"client_payment": "Продажі", "refund": "cat2"}))
    refund = {"description": "Повернення"}
    read = stage.each([{}, {"amount": -5, **refund}, {"amount": 5, **refund}, {"amount": -5}])
    assert [one["category"] for one in read] == ["cat1", "cat2", None, None]


def test_an_unknown_category_is_told_what_exists(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match=r'^u1: .*"Сейф" for refund.*income: Продажі; expense: Повернення'):
        stage.configure(connection_with(stage, categories={"refund": "Сейф"}))


def test_the_source_is_a_tag_only_where_the_connection_wants_it(stage: Stage) -> None:
    assert stage.one({"source": "Instagram"})["tag"] is None
    stage.configure(connection_with(stage, source_as_tag=True))
    assert [one["tag"] for one in stage.each([{"source": "Instagram"}, {}])] == ["Instagram", None]


# -- Orders --

ORDER = {"id": 991, "orderNumber": 123, "createdAt": "2024-12-01T10:00:00.000Z", "status": {"title": "В роботі"},
         "client": {"id": 77, "fullname": "Іваненко"}, "salesChannel": {"title": "Instagram"}}  # fmt: skip


def test_the_order_tells_what_the_transaction_does_not(stage: Stage) -> None:
    named: list[dict[str, Any]] = [
        {"orderId": 991}, {"orderId": "991"}, {"order": {"id": 991}}, {"orderNumber": 123},
    ]  # fmt: skip
    for read in stage.each(named, orders=[ORDER]):
        told = [read[name] for name in ("order_status", "order_number", "counterparty", "source")]
        assert told == ["В роботі", "123", "Іваненко", "Instagram"]
        assert read["classification"] == "social_sale"


def test_what_the_transaction_tells_itself_comes_first(stage: Stage) -> None:
    own = {"orderId": 991, "orderStatus": "Новий", "orderNumber": 5, "counterparty": "Клієнт 1042", "source": "Сайт"}
    read = stage.one(own, orders=[ORDER])
    told = [read[name] for name in ("order_status", "order_number", "counterparty", "source")]
    assert told == ["Новий", "5", "Клієнт 1042", "Сайт"]


def test_a_number_that_two_orders_have_says_nothing(stage: Stage) -> None:
    assert stage.one({"orderNumber": 123}, orders=[ORDER, {**ORDER, "id": 992}])["order_status"] is None


def test_a_deleted_order_leaves_the_status_as_last_known(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND, "orderId": 991}, orders=[ORDER])
    stage.con.execute("update raw_sitniks_orders set gone_at = now()")
    stage.derive()
    assert stage.operations()["tx_1"]["order_status"] == "В роботі"


# -- Deriving again --


def test_deriving_again_changes_nothing(stage: Stage) -> None:
    stage.put(*EXAMPLES, orders=[ORDER])
    before = stage.operations()
    for day in (DAY, date(2025, 3, 1)):
        stage.derive(day)
        assert stage.operations() == before


def test_changes_are_derived_even_outside_the_chosen_days(stage: Stage) -> None:
    old, far = {"id": "tx_1", **SOUND, "orderId": 991}, date(2025, 3, 1)
    stage.put(old, orders=[ORDER])
    before = stage.content("tx_1")
    store(stage.con, stage.run, "orders", read_rows([{**ORDER, "status": {"title": "Виконано"}}]), far, far)
    stage.derive(far)
    assert stage.operations()["tx_1"]["order_status"] == "Виконано"
    assert stage.operations()["tx_1"]["comment"].endswith("Статус: Виконано")
    assert stage.content("tx_1") != before
    store(stage.con, stage.run, "transactions", read_rows([{**old, "amount": 1400}]), far, far)
    stage.derive(far)
    assert stage.operations()["tx_1"]["amount"] == Decimal(1400)
    assert stage.operations()["tx_1"]["raw_version"] == 2


def test_what_was_stored_and_never_derived_is_made_up_for(stage: Stage) -> None:
    store(stage.con, stage.run, "transactions", read_rows([{"id": "tx_1", **SOUND}]), DAY, DAY)
    stage.derive(date(2025, 3, 1))
    assert "tx_1" in stage.operations()


def test_a_transaction_that_is_gone_has_no_operation(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND}, {"id": "tx_2", **SOUND})
    stage.con.execute("update raw_sitniks_transactions set gone_at = now() where transaction_id = 'tx_1'")
    for day in (date(2025, 3, 1), DAY):
        stage.derive(day)
        assert list(stage.operations()) == ["tx_2"]


def test_new_settings_hold_for_the_days_that_are_derived_again(stage: Stage) -> None:
    stage.put({"id": "tx_1", **SOUND, "description": "Оплата", "source": "Instagram"})
    stage.configure(connection_with(stage, comment_fields=["description"], finmap_account="ФОП"))
    stage.derive()
    assert (stage.operations()["tx_1"]["comment"], stage.operations()["tx_1"]["account"]) == ("Оплата", "acc2")


def test_the_content_tells_whether_finmap_must_be_told(stage: Stage) -> None:
    stage.configure(connection_with(stage, accounts={"7": "ФОП"}))
    changes: list[dict[str, Any]] = [
        {"amount": 1501}, {"amount": -1500}, {"date": "2025-01-15 10:30:01"}, {"description": "Інше"},
        {"settlementAccountId": 7}, {"source": "Rozetka"},
    ]  # fmt: skip
    same: list[dict[str, Any]] = [{}, {"internal": 1}, {"amount": "1500.00"}, {"date": "2025-01-15T08:30:00.000Z"}]
    read = stage.each({"description": "Оплата", "source": "Сайт", **change} for change in (*same, *changes))
    contents = [
        tuple(one[name] for name in ("type", "amount", "occurred_at", "account", "category", "tag", "comment"))
        for one in read
    ]
    assert len(set(contents[: len(same)])) == 1
    assert len(set(contents)) == 1 + len(changes)


# -- Everything at once --

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=12),
    st.sampled_from(["2025-01-15 10:30:00", "2025-01-15T10:00:00Z", "1 500,00", "UAH", "Instagram", 1, "0", 1e300]),
)  # fmt: skip
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "title", "name", "fullname", "status", "client"]), inner, max_size=3)
    ),
    max_leaves=5,
)
names = st.sampled_from(
    ["id", "date", "createdAt", "amount", "description", "comment", "counterparty", "client", "source", "salesChannel",
     "order", "orderNumber", "orderId", "paymentMethod", "settlementAccount", "settlementAccountId", "delivery",
     "orderStatus", "currency", "currencyId", "x"]
)  # fmt: skip
payloads = st.one_of(
    json_values,
    st.dictionaries(names, json_values, max_size=6),
    st.builds(lambda id, more: {"id": id, **SOUND, **more}, st.integers(1, 9), st.dictionaries(names, json_values)),
)


def test_no_field_value_stops_the_rest_or_loses_a_transaction(stage: Stage) -> None:
    @settings(BATCHES, max_examples=10)
    @given(st.lists(payloads, min_size=10, max_size=30), st.lists(payloads, max_size=5))
    def check(transactions: list[Any], orders: list[Any]) -> None:
        stage.clear()
        texts = [json.dumps(one) for one in transactions]
        stage.put({"id": "sound", **SOUND}, *texts, orders=[json.dumps(one) for one in orders])
        live = {one["transaction_id"] for one in stage.rows("from latest_transactions")}
        assert len(live) >= len({text for text in texts if text[0] != "{"}) + 1
        operations, reasons = stage.operations().keys(), stage.reasons().keys()
        assert operations | reasons == live
        assert not operations & reasons
        assert "sound" in operations
        for promise in (one for one in CHECKS if one.table == "operations"):
            assert stage.rows(promise.wrong)[0]["wrong"] == 0, promise.name

    check()


def test_a_whole_shop_becomes_operations_to_the_kopiyka(connection: Connection, run: ConnectionRun, shop: Shop) -> None:
    today = date(2025, 1, 17)
    seeded = seed_shop(shop, days=7, today=today)
    result = dg.materialize(
        [*extract_assets(connection), *transform_assets(connection)],
        resources={connection.name: run},
        tags=range_tags(date(2025, 1, 10), today),
        run_config=QUIET,
    )
    assert result.success
    with run.warehouse.transaction() as con:
        found = con.execute(
            "select type, count(*), sum(amount), count(*) filter (order_status is null) from operations "
            "group by all order by type"
        ).fetchall()
        rejected = con.execute("select count(*), count(distinct reason) from rejected_transactions").fetchall()
    assert [one[:3] for one in found] == [
        ("expense", seeded.expense_count, seeded.expense),
        ("income", seeded.income_count, seeded.income),
    ]
    assert [one[3] for one in found] == [0, 0], "an operation has no order status"
    assert rejected == [(seeded.malformed, seeded.malformed)]


def test_a_day_of_the_clock_change_is_derived_like_any_other(stage: Stage) -> None:
    for day in (date(2025, 3, 30), date(2025, 10, 26)):
        stage.clear()
        begin = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Kyiv")).astimezone(UTC)
        moments = [begin + timedelta(minutes=10 * n) for n in range(-6, 160)]
        stage.put(*({"id": n, "createdAt": at.isoformat(), "amount": 1} for n, at in enumerate(moments)))
        assert {int(id): one["day"] for id, one in stage.operations().items()} == {
            n: at.astimezone(KYIV).date() for n, at in enumerate(moments)
        }
