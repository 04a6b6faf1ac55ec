"""Connections: one or a hundred, validated when they are loaded, no key in the file and none in a message."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none

from sitniks_finmap.clients.finmap import Account
from sitniks_finmap.defs.launch import run_job
from sitniks_finmap.pipeline.directory import find_accounts
from sitniks_finmap.pipeline.run import ConnectionRun
from sitniks_finmap.sandbox import Fault
from sitniks_finmap.settings.connections import ConfigurationError, Connection, MissingKey, Orders
from sitniks_finmap.settings.connections_file import WrongConnection, choose, load_connections, read_connection

A_KEY = "sk_live_4f9c2e7ab1"  # looks like a key; must never be seen in a message
LEAST = 'start_date = 2025-01-15\nfinmap_account = "Каса"\n'


@pytest.fixture
def load(project: Path) -> Callable[[str], tuple[list[Connection], list[WrongConnection]]]:
    def load(text: str) -> tuple[list[Connection], list[WrongConnection]]:
        (project / "connections.toml").write_text(text, "utf-8")
        return load_connections()

    return load


toml_values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=4,
)
settings_names = st.sampled_from([*(set(Connection.model_fields) - {"name"}), "sitniks_key", "anything"])
settings_of_models = st.sampled_from(
    [*((one,) for one in Connection.model_fields if one != "name"), *(("orders", one) for one in Orders.model_fields)]
)


def why(settings: dict[str, Any], **more: Any) -> str:
    """What is wrong with a table that has these settings beside the two that are needed."""
    read = read_connection("u1", {"start_date": date(2025, 1, 15), "finmap_account": "Каса", **settings, **more})
    assert isinstance(read, WrongConnection), f"it was taken: {read}"
    return read.why


def test_two_settings_suffice_and_the_rest_has_defaults(load: Any) -> None:
    [connection], wrong = load(f"[sitniks_user_1]\n{LEAST}")
    assert not wrong
    assert connection.name == "sitniks_user_1"
    assert (connection.start_date, connection.finmap_account) == (date(2025, 1, 15), "Каса")
    assert connection.sitniks_key_env == "SITNIKS_USER_1_SITNIKS_API_KEY"
    assert connection.finmap_key_env == "SITNIKS_USER_1_FINMAP_API_KEY"
    assert connection.timezone == "Europe/Kyiv"
    assert (connection.sync_every, connection.retry_every) == (timedelta(hours=1), timedelta(minutes=15))
    assert connection.lookback_days == 7
    assert connection.sitniks_url == "https://crm.sitniks.com/open-api"
    assert connection.finmap_url == "https://api.finmap.online/v2.2"
    assert (connection.sitniks_requests_per_second, connection.finmap_requests_per_second) == (1.0, 2.0)
    assert connection.comment_fields == [
        "description", "counterparty", "source", "order_number", "payment_method", "delivery", "order_status",
    ]  # fmt: skip
    assert not connection.source_as_tag


def test_a_hundred_connections_are_as_good_as_one(load: Any) -> None:
    right, wrong = load("\n".join(f"[shop_{n}]\n{LEAST}" for n in range(100)))
    assert [one.name for one in right] == [f"shop_{n}" for n in range(100)]
    assert not wrong


def test_every_setting_of_the_file_arrives(load: Any) -> None:
    [connection], wrong = load(f"""
        [u1]
        {LEAST}
        timezone = "Europe/Warsaw"
        sync_every = "1d"
        retry_every = "30s"
        comment_fields = ["order_number", "description"]
        sitniks_url = "https://example.com/open-api/"
        [u1.accounts]
        7 = "ФОП"
        [u1.categories]
        refund = "Повернення клієнтам"
        [[u1.rules]]
        classification = "rent"
        sign = "expense"
        description = ["оренда"]
    """)
    assert not wrong
    assert (connection.sync_every, connection.retry_every) == (timedelta(days=1), timedelta(seconds=30))
    assert connection.comment_fields == ["order_number", "description"]
    assert connection.sitniks_url == "https://example.com/open-api"
    assert connection.accounts == {"7": "ФОП"}
    assert connection.categories == {"refund": "Повернення клієнтам"}
    assert [(rule.classification, rule.sign, rule.description) for rule in connection.rules] == [
        ("rent", "expense", ["оренда"])
    ]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"start_date": "вчора"}, "start_date"),
        ({"start_date": date(2014, 12, 31)}, "start_date"),
        ({"finmap_account": ""}, "finmap_account"),
        ({"timezone": "Europe/Kyyiv"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"sync_every": "1 hour"}, "sync_every"),
        ({"sync_every": "0h"}, "sync_every"),
        ({"sync_every": 0}, "sync_every"),
        ({"sync_every": -3600}, "sync_every"),
        ({"sync_every": 3600}, "sync_every"),
        ({"retry_every": True}, "retry_every"),
        ({"retry_every": "99999999999d"}, "retry_every"),
        ({"lookback_days": -1}, "lookback_days"),
        ({"lookback_days": "сім"}, "lookback_days"),
        ({"sitniks_url": "http://crm.sitniks.com"}, "sitniks_url"),
        ({"sitniks_url": "https://"}, "sitniks_url"),
        ({"sitniks_url": "https://[::1"}, "sitniks_url"),
        ({"sitniks_url": "https://crm.sitniks.com:99999999"}, "sitniks_url"),
        ({"finmap_url": "ftp://127.0.0.1"}, "finmap_url"),
        ({"sitniks_requests_per_second": -1}, "sitniks_requests_per_second"),
        ({"sitniks_requests_per_second": float("nan")}, "sitniks_requests_per_second"),
        ({"finmap_requests_per_second": float("inf")}, "finmap_requests_per_second"),
        ({"comment_fields": ["descripton"]}, "comment_fields.0"),
        ({"source_as_tag": "maybe"}, "source_as_tag"),
        ({"accounts": ["Каса"]}, "accounts"),
        ({"accounts": {"7": ""}}, "accounts.7"),
        ({"categories": {"Оренда": "x"}}, "categories"),
        ({"rules": [{"description": ["оренда"]}]}, "rules.0.classification"),
        ({"rules": [{"classification": "rent", "sign": "loss"}]}, "rules.0.sign"),
        ({"rules": [{"classification": "rent", "source": [""]}]}, "rules.0.source.0"),
        ({"lookback": 7}, "lookback"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_connection_and_the_field(settings: dict[str, Any], field: str) -> None:
    assert why(settings).startswith(f"u1: {field}")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"orders": {"paid": "Виконано"}}, 'orders.paid: write a list in square brackets: paid = ["…", "…"]'),
        ({"orders": {"paid": [1, {}]}}, 'orders.paid.0: write each entry in quotes: paid = ["…", "…"]'),
        ({"orders": {"paid": []}}, 'orders.paid: name at least one: paid = ["…"]'),
        ({"orders": {}}, 'orders.paid is missing in the table [u1.orders]: write paid = ["…"]'),
        (
            {"orders": "Виконано"},
            'orders: write a table [u1.orders] and in it paid = ["…"], the statuses of paid orders',
        ),
        (
            {"channels": ["Instagram"]},
            'channels: write a table [u1.channels] and in it a line "sales channel" = "Finmap account" for each',
        ),
        ({"channels": {"Сайт": 5}}, 'channels.Сайт: write it in quotes: "Сайт" = "…"'),
        ({"source_as_tag": "так"}, "source_as_tag: write true or false without quotes: source_as_tag = true"),
        ({"lookback_days": [7]}, "lookback_days: write a whole number without quotes: lookback_days = 7"),
        ({"lookback_days": 400}, "lookback_days: write a number that is at most 366"),
        ({"on_change": 1}, 'on_change: write "update", "ask" or "keep"'),
        ({"heartbeat_url": 1}, 'heartbeat_url: write it in quotes: heartbeat_url = "env:NAME"'),
        ({"rules": ["x"]}, "rules.0: write each rule as a table [[u1.rules]] with a classification"),
    ],
)
def test_a_wrong_setting_says_how_to_write_it(settings: dict[str, Any], said: str) -> None:
    assert why({"source": "orders", "orders": {"paid": ["Виконано"]}} | settings) == f"u1: {said}"


@given(settings_of_models, toml_values)
def test_no_setting_is_told_in_the_words_of_a_library(place: tuple[str, ...], value: Any) -> None:
    settings: dict[str, Any] = {"source": "orders", "orders": {"paid": ["Виконано"]}}
    settings = settings | {place[0]: {"paid": ["a"], place[1]: value} if place[1:] else value}
    read = read_connection("u1", {"start_date": date(2025, 1, 15), "finmap_account": "Каса", **settings})
    if isinstance(read, WrongConnection):
        assert not re.search(r"Input|should (be|have|match)|valid (string|list|dict)|instance|validation", read.why)
        assert "not written as it should be" not in read.why


def test_a_field_that_is_missing_is_named() -> None:
    read = read_connection("u1", {"start_date": date(2025, 1, 15)})
    assert read == WrongConnection("u1", "u1: finmap_account is missing")


@pytest.mark.parametrize("name", ["Shop", "shop-1", "магазин", "shop 1", "shop.1", "", "shop\n"])
def test_a_name_that_cannot_be_a_key_for_ever_is_refused(name: str) -> None:
    read = read_connection(name, {"start_date": date(2025, 1, 15), "finmap_account": "Каса"})
    assert isinstance(read, WrongConnection)
    assert "name must match [a-z0-9_]+" in read.why


def test_one_wrong_connection_never_stops_the_others(load: Any) -> None:
    right, wrong = load(f"""
        stray = 1
        [first]
        {LEAST}
        [no_account]
        start_date = 2025-01-15
        [endless]
        {LEAST}
        sync_every = "99999999999d"
        [Bad-Name]
        {LEAST}
        [last]
        {LEAST}
    """)
    assert [one.name for one in right] == ["first", "last"]
    assert [one.name for one in wrong] == ["stray", "no_account", "endless", "Bad-Name"]
    assert all(one.problem().startswith(f"{one.name}: ") for one in wrong)


@given(st.dictionaries(settings_names, toml_values, max_size=4))
def test_no_value_whatever_stops_the_reading_of_connections(settings: dict[str, Any]) -> None:
    table = {"start_date": date(2025, 1, 15), "finmap_account": "Каса", **settings}
    read = read_connection("u1", table)
    assert isinstance(read, Connection) or read.why.startswith("u1: ")


@pytest.mark.parametrize("field", ["sitniks_key", "finmap_key", "key", "Sitniks_API_Key", "api_key"])
def test_a_key_in_the_file_is_refused_without_being_shown(field: str) -> None:
    said = why({field: A_KEY})
    assert field in said
    assert "environment" in said
    assert A_KEY not in said


@given(
    st.sampled_from([*(set(Connection.model_fields) - {"name", "finmap_account"}), "anything"]),
    st.sampled_from([A_KEY, [A_KEY], {"a": A_KEY}, [{"classification": A_KEY}], [{"source": A_KEY}]]),
)
def test_a_key_in_a_wrong_place_is_not_shown(field: str, value: Any) -> None:
    read = read_connection("u1", {"start_date": date(2025, 1, 15), "finmap_account": "Каса", field: value})
    if isinstance(read, WrongConnection):
        assert A_KEY not in read.why
    else:
        assert A_KEY not in (read.problem() or "")


def test_a_key_instead_of_its_variable_is_refused_and_not_shown() -> None:
    for key in (A_KEY, "4f9c2e7a-b1d0-4c11", "eyJhbGciOiJIUzI1NiJ9.e30.abc"):
        said = why({"sitniks_key_env": key})
        assert said.startswith("u1: sitniks_key_env")
        assert key not in said


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{A_KEY}@example.com",
        f"https://example.com?key={A_KEY}",
        f"https://example.com/#{A_KEY}",
        f"https://example.com:{A_KEY}",
        f"https://{A_KEY}\u2100",
        A_KEY,
    ],
)
def test_a_key_in_an_address_is_refused_without_being_shown(url: str) -> None:
    said = why({"sitniks_url": url})
    assert "sitniks_url" in said
    assert A_KEY not in said


def test_keys_come_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"start_date": date(2025, 1, 15), "finmap_account": "Каса", "finmap_key_env": "OF_THE_COMPANY"}
    connection = Connection.model_validate({"name": "u1", **settings})
    monkeypatch.setenv("U1_SITNIKS_API_KEY", f" {A_KEY}\n")
    monkeypatch.setenv("OF_THE_COMPANY", "another")
    assert (connection.key("sitniks"), connection.key("finmap")) == (A_KEY, "another")
    assert connection.problem() is None
    assert A_KEY not in repr(connection) + connection.model_dump_json()


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_said_with_the_name_of_the_variable(
    value: str | None, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect()
    if value is None:
        monkeypatch.delenv("U1_FINMAP_API_KEY")
    else:
        monkeypatch.setenv("U1_FINMAP_API_KEY", value)
    with pytest.raises(MissingKey, match=r"^u1: .*U1_FINMAP_API_KEY is not set"):
        connection.key("finmap")
    assert str(connection.problem()).startswith("u1: the environment variable U1_FINMAP_API_KEY")


@pytest.mark.parametrize("key", ["sk_lіve_4f9c", "sk_live\nsk_live", "sk live"])  # a Cyrillic і, two lines, two words
def test_a_key_that_cannot_be_sent_is_a_problem_of_its_variable(
    key: str, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect()
    monkeypatch.setenv("U1_SITNIKS_API_KEY", key)
    with pytest.raises(ConfigurationError, match=r"^u1: .*U1_SITNIKS_API_KEY") as said:
        connection.key("sitniks")
    assert key not in str(said.value)
    assert "U1_SITNIKS_API_KEY" in str(connection.problem())


def test_a_missing_or_unreadable_file_gives_one_clear_message(load: Any, project: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_connections()
    with pytest.raises(ConfigurationError, match=r"connections\.toml, line 1: .*write name = "):
        load("[u1")
    (project / "connections.toml").unlink()
    (project / "connections.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_connections()


def test_the_file_may_lie_elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "shops.toml").write_text(f"[u7]\n{LEAST}", "utf-8")
    monkeypatch.setenv("SITNIKS_FINMAP_CONNECTIONS", "shops.toml")
    assert [one.name for one in load_connections()[0]] == ["u7"]


def test_a_connection_is_chosen_by_name(load: Any) -> None:
    """An unknown name is answered with those that exist, an invalid connection with what is wrong with it."""
    load(f"[u1]\n{LEAST}[u2]\n{LEAST}[u3]\n")
    assert [one.name for one in choose(None)] == ["u1", "u2"]
    assert [one.name for one in choose("u2")] == ["u2"]
    with pytest.raises(ConfigurationError, match=r"no connection u9; .*u1, u2"):
        choose("u9")
    with pytest.raises(ConfigurationError, match=r"^u3: start_date is missing"):
        choose("u3")


SPELLINGS = ["{} ", "\t{}\n", '"{}"', "'{}'", "Bearer {}", "bearer  {}", "\ufeff{}", "{}\u200b", "\xa0{}", '" {} "']


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_two_keys_are_noticed_however_they_are_spelled(
    spelling: str, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch, shop: Any
) -> None:
    connect("u1")
    second = connect("u2")
    monkeypatch.setenv("U2_SITNIKS_API_KEY", spelling.format(shop.sitniks_key))
    monkeypatch.setenv("U2_FINMAP_API_KEY", spelling.format(shop.finmap_key))
    assert (second.key("sitniks"), second.key("finmap")) == (shop.sitniks_key, shop.finmap_key)
    right, wrong = load_connections()
    assert [one.name for one in right] == ["u1"]
    assert [one.why for one in wrong] == [
        "u2: has the same two keys as u1: everything would be posted twice. Delete one of the two tables, or give it "
        "keys of its own"
    ]


def test_two_sources_do_not_share_a_finmap_account(
    connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    connect("u1", finmap_account="Каса")
    sandbox.add_shop("other")
    orders = {"source": "orders", "orders": {"paid": ["Виконано"]}}
    connect("u2", "other", finmap_account=" каса", **orders)
    assert [one.name for one in load_connections()[0]] == ["u1", "u2"]
    monkeypatch.setenv("U2_FINMAP_API_KEY", sandbox.shop().finmap_key)
    right, wrong = load_connections()
    assert [one.name for one in right] == ["u1"]
    assert [one.why for one in wrong] == [
        'u2: posts orders to " каса", the Finmap account to which u1 posts transactions: the same money might be there '
        "twice. Give one of them an account of its own"
    ]
    connect("u2", "other", finmap_account="ФОП", **orders)
    monkeypatch.setenv("U2_FINMAP_API_KEY", sandbox.shop().finmap_key)
    assert [one.name for one in load_connections()[0]] == ["u1", "u2"]


def test_keys_that_differ_in_letter_case_only_are_one_pair(
    connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch, shop: Any
) -> None:
    connect("u1")
    connect("u2")
    monkeypatch.setenv("U2_SITNIKS_API_KEY", shop.sitniks_key.upper())
    assert [one.name for one in load_connections()[1]] == ["u2"]


def test_a_category_for_an_unknown_classification_is_refused(project: Path) -> None:
    rules = [{"classification": "rent", "description": ["оренда"]}]
    table = {"start_date": "2025-01-10", "finmap_account": "Каса"}
    fine = read_connection("u1", table | {"categories": {"rent": "Оренда", "refund": "Повернення"}, "rules": rules})
    assert isinstance(fine, Connection)
    slip = read_connection("u1", table | {"categories": {"rent": "Оренда", "comission": "Комісії"}})
    assert isinstance(slip, WrongConnection)
    assert slip.why.startswith("u1: categories: no rule calls a transaction rent or comission; there are refund, mark")


# -- The Finmap account --


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"finmap_account": "Сейф"}, 'Finmap account "Сейф" is not among'),
        ({"accounts": {"7": "Сейф"}}, 'Finmap account "Сейф" is not among'),
        ({"categories": {"refund": "Ніщо"}}, 'there is no Finmap category "Ніщо"'),
    ],
)
@pytest.mark.parametrize("name", ["sync", "preview"])
def test_unknown_accounts_and_categories_stop_before_reading(
    name: str, settings: dict[str, Any], said: str, connect: Callable[..., Connection], sandbox: Any,
    command: Callable[..., tuple[Any, str]],
) -> None:  # fmt: skip
    """What Finmap does not have is reported before Sitniks is asked for anything."""
    connect(**settings)
    code, printed = command(name, "--from", "2025-01-10", "--to", "2025-01-11")
    assert code == 2
    assert said in printed
    assert sandbox.requests("sitniks") == []


def test_a_refused_finmap_key_is_said_before_anything_is_read(
    connection: Connection, shop: Any, sandbox: Any, dagster: Any
) -> None:
    shop.revoke("finmap")
    assert "Finmap refused the key (401)" in run_job(dagster, connection, "sync", *2 * [date(2025, 1, 10)]).why
    assert sandbox.requests("sitniks") == []


def test_sitniks_is_read_while_finmap_is_down(
    connection: Connection, sandbox: Any, dagster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())
    sandbox.fault(Fault("status", "finmap", status=503, times=None))
    assert not run_job(dagster, connection, "sync", *2 * [date(2025, 1, 10)]).success
    assert sandbox.requests("sitniks", path="/orders") != []


def account_of(run: ConnectionRun, wanted: str) -> Account:
    return find_accounts(run.connection.model_copy(update={"finmap_account": wanted}), run.finmap.accounts())[wanted]


def test_the_account_is_found_by_its_name_or_its_id(run: ConnectionRun, shop: Any) -> None:
    cash = next(account for account in shop.accounts if account["label"] == "Каса")
    assert account_of(run, "Каса").id == cash["id"]
    assert account_of(run, " Каса ").id == cash["id"]
    assert account_of(run, cash["id"]).label == "Каса"


def test_an_unknown_account_is_told_what_exists(run: ConnectionRun, shop: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'^u1: Finmap account "Сейф" is not among') as said:
        account_of(run, "Сейф")
    for account in shop.accounts:
        assert f"{account['label']} ({account['id']}, {account['currencyId']})" in str(said.value)


def test_an_ambiguous_account_is_never_guessed(run: ConnectionRun, shop: Any) -> None:
    twin = shop.add_account("Каса ")
    with pytest.raises(ConfigurationError, match="several accounts; write the ID") as said:
        account_of(run, "Каса")
    assert twin["id"] in str(said.value)
    assert account_of(run, twin["id"]).id == twin["id"]


def test_an_id_wins_over_a_name_that_reads_the_same(run: ConnectionRun, shop: Any) -> None:
    cash = next(account for account in shop.accounts if account["label"] == "Каса")
    shop.add_account(cash["id"])
    assert account_of(run, cash["id"]).label == "Каса"
