"""`init` connects a shop: what people are asked and told, what is written, and what is refused, over real HTTP."""

import os
import pty
import select
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner
from dotenv import dotenv_values
from tenacity import wait_none

from sitniks_finmap.cli.commands import cli
from sitniks_finmap.cli.entry import main
from sitniks_finmap.cli.init_categories import classifications
from sitniks_finmap.pipeline.reading import save_settings
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap.warehouse.store import open_warehouse
from sitniks_finmap_tests.order_books import furnish
from sitniks_finmap_tests.records import transaction

TODAY = datetime.now(ZoneInfo("Europe/Kyiv")).date()
START = TODAY - timedelta(days=2)
Ends = Callable[..., tuple[int, str]]
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    """No time passes between attempts; only the slow tests run doctor and the preview."""
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())
    if not request.node.get_closest_marker("runs"):
        monkeypatch.setattr("sitniks_finmap.cli.init_commands.finish", lambda *what: 0)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("KEY_S", shop.sitniks_key)
    monkeypatch.setenv("KEY_F", shop.finmap_key)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ends:
    """Exit code and output of a command, as a shell sees it."""

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["sitniks-finmap", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return ended.value.code, printed.out + printed.err  # type: ignore[return-value]

    return command


@pytest.fixture
def urls(sandbox: Sandbox) -> list[str]:
    return ["--sitniks-url", sandbox.sitniks_url, "--finmap-url", sandbox.finmap_url]


@pytest.fixture
def ends(command: Ends, urls: list[str], shop: Shop) -> Ends:
    """Exit code and output of `init` with these options, and no terminal; no key is ever shown."""

    def ends(*options: str, **more: str) -> tuple[int, str]:
        code, said = command("init", *options, *urls)
        assert not [key for key in (shop.sitniks_key, shop.finmap_key) if key in said]
        return code, said

    return ends


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, urls: list[str], shop: Shop) -> Ends:
    """The same at a terminal, with these answers, one a line."""
    monkeypatch.setattr("sitniks_finmap.cli.init_commands.has_terminal", lambda: True)

    def talk(*answers: str, options: tuple[str, ...] = (), at: list[str] | None = None) -> tuple[int, str]:
        lines = "".join(f"{one}\n" for one in answers)
        result = CliRunner().invoke(cli, ["init", *options, *(urls if at is None else at)], input=lines)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        assert not [key for key in (shop.sitniks_key, shop.finmap_key) if key in result.output]
        return result.exit_code, result.output

    return talk


@pytest.fixture
def others(shop: Shop, sandbox: Sandbox) -> None:
    """A bank feed posted two operations to the account of the money."""
    [account] = [one["id"] for one in shop.accounts if one["label"] == "Каса"]
    at = int((datetime.now(ZoneInfo("Europe/Kyiv")) - timedelta(days=1)).timestamp() * 1000)
    for amount in (100, 200):
        body = {"amount": amount, "date": at, "accountToId": account, "comment": "банк"}
        headers = {"apiKey": shop.finmap_key, "User-Agent": "bank"}
        assert requests.post(f"{sandbox.finmap_url}/operations/income", json=body, headers=headers, timeout=5).ok


def options(**changed: Any) -> list[str]:
    """The options that connect the shop of transactions; None takes one away."""
    given = {
        "connection": "shop_1", "sitniks_key": "env:KEY_S", "finmap_key": "env:KEY_F", "source": "transactions",
        "account": "Каса", "since": str(START), **changed,
    }  # fmt: skip
    said = [
        part for name, value in given.items() if value is not None for part in (f"--{name.replace('_', '-')}", value)
    ]
    return [*said, "--yes"]


def tables() -> dict[str, Any]:
    return tomllib.loads(Path("connections.toml").read_text("utf-8"))


def keys() -> dict[str, str | None]:
    return dict(dotenv_values(".env"))


def files() -> set[str]:
    return {path.name for path in Path.cwd().iterdir() if path.is_file()}


# -- A shop that sells --


def test_a_shop_is_connected_by_options_alone(ends: Ends, shop: Shop, sandbox: Sandbox) -> None:
    code, said = ends(*options())
    assert code == 0, said
    assert tables() == {
        "shop_1": {
            "sitniks_url": sandbox.sitniks_url, "sitniks_requests_per_second": 200,
            "finmap_url": sandbox.finmap_url, "finmap_requests_per_second": 200,
            "finmap_account": "Каса", "start_date": START,
        }
    }  # fmt: skip
    assert keys() == {"SHOP_1_SITNIKS_API_KEY": shop.sitniks_key, "SHOP_1_FINMAP_API_KEY": shop.finmap_key}
    assert Path(".env").stat().st_mode & 0o777 == 0o600
    assert "✓ Sitniks accepts the key" in said
    assert "✓ Finmap accepts the key; it can write to 3 accounts" in said
    assert "✓ Written: connections.toml, .env" in said


def test_keys_come_from_standard_input(ends: Ends, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{shop.sitniks_key}\n Bearer {shop.finmap_key} \n"))
    code, said = ends(*options(sitniks_key="-", finmap_key="-"))
    assert code == 0, said
    assert [*keys().values()] == [shop.sitniks_key, shop.finmap_key]


def test_keys_of_the_environment_are_not_written_down(ends: Ends, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_1_SITNIKS_API_KEY", shop.sitniks_key)
    monkeypatch.setenv("SHOP_1_FINMAP_API_KEY", shop.finmap_key)
    assert ends(*options(sitniks_key=None, finmap_key=None))[0] == 0
    assert files() == {"connections.toml"}


def test_six_questions_connect_a_shop_at_a_terminal(talk: Ends, shop: Shop) -> None:
    shop.put_transaction(transaction(1, START))
    code, said = talk("shop_1", shop.sitniks_key, shop.finmap_key, "1", "2", str(START), "", "")
    assert code == 0, said
    assert tables()["shop_1"]["finmap_account"] == "ФОП"
    assert tables()["shop_1"]["start_date"] == START
    assert [f"{number} of 6." in said for number in range(1, 8)] == [True] * 6 + [False]
    for choice in ("1) transactions: every payment, refund and fee, on its own day (in the last 30 days: 1)",
                   "2) orders: sales and refunds", "1) Каса — UAH", "3) Долари — USD"):  # fmt: skip
        assert choice in said


def test_enter_alone_takes_what_is_proposed(talk: Ends, shop: Shop) -> None:
    shop.put_transaction(transaction(1, START))
    code, said = talk("", shop.sitniks_key, shop.finmap_key, "", "Каса", "", "", "")
    assert code == 0, said
    assert (list(tables()), tables()["shop_1"]["start_date"]) == (["shop_1"], TODAY)


def test_a_wrong_answer_is_said_and_asked_again(talk: Ends, shop: Shop) -> None:
    code, said = talk(
        "Мій магазин", "shop_1", "", shop.sitniks_key, shop.finmap_key, "3", "1", "Кася", "Каса", "2026-11-31", "yes",
        "4", str(START), "maybe", "n", "y",
    )  # fmt: skip
    assert code == 0, said
    for wrong in (
        "only small Latin letters, digits and _, such as miy_mahazyn", "the key is empty; paste it from Sitniks",
        "write 1 for transactions or 2 for orders", 'no account "Кася"; did you mean Каса?',
        "2026-11-31: no such day in the calendar; the last one of that month is 2026-11-30", "write 1, 2, 3 or a day",
        "write yes or no",
    ):  # fmt: skip
        assert wrong in said
    assert tables()["shop_1"]["start_date"] == START


def test_history_is_read_and_never_posted(talk: Ends, shop: Shop) -> None:
    code, said = talk("shop_1", shop.sitniks_key, shop.finmap_key, "", "1", "3", str(START), "2026-01-10", "", "")
    assert code == 0, said
    assert tables()["shop_1"]["start_date"] == date(2026, 1, 10)
    assert f"up to {START}, nothing goes to Finmap (undo: sitniks-finmap catch-up --connection shop_1 --undo)" in said
    with open_warehouse(Connection.model_validate({"name": "shop_1", **tables()["shop_1"]})).transaction() as con:
        assert con.execute("from caught_up").fetchall() == [(START,)]


def test_a_bank_feed_is_warned_of(talk: Ends, shop: Shop, others: None) -> None:
    code, said = talk("shop_1", shop.sitniks_key, shop.finmap_key, "", "1", "", "", "")
    assert code == 0, said
    assert "1) Каса — UAH  ! 2 operations not from here in 30 days: a bank feed?" in said
    assert "2) ФОП — UAH\n" in said
    assert said.count("Somebody else posts to “Каса”") == 2  # at the question and in the summary


def test_categories_and_tags_are_chosen_on_request(talk: Ends, shop: Shop) -> None:
    shop.add_category("income", "Продажі")
    shop.add_category("expense", "Комісії")
    chosen = {"client_payment": ("Продажи", "Продажі"), "marketplace_commission": ("2",)}
    given = [answer for one in classifications({}) for answer in chosen.get(one, [""])]
    code, said = talk("shop_1", shop.sitniks_key, shop.finmap_key, "1", "1", "", "y", *given, "y", "")
    assert code == 0, said
    assert 'Finmap has no category "Продажи"; did you mean Продажі?' in said
    assert tables()["shop_1"]["categories"] == {"client_payment": "Продажі", "marketplace_commission": "Комісії"}
    assert tables()["shop_1"]["source_as_tag"] is True


def test_categories_and_tags_have_options(ends: Ends, shop: Shop) -> None:
    shop.add_category("income", "Продажі")
    code, said = ends(*options(category="client_paiment=Продажі"))
    assert (code, "did you mean client_payment?" in said) == (2, True)
    assert ends(*options(category="client_payment=Продажі"), "--source-as-tag")[0] == 0
    assert tables()["shop_1"]["categories"] == {"client_payment": "Продажі"}


# -- A shop of orders --


@pytest.fixture
def orders_shop(shop: Shop) -> Shop:
    furnish(shop)
    shop.hide("sitniks", "/transactions")
    for number, status in enumerate(["Виконано", "Виконано", "Передплата"], 1):
        shop.put_order({
            "id": number, "createdAt": f"{START}T10:00:00.000Z", "status": {"title": status},
            "totalPriceDiscount": "100.00",
        })  # fmt: skip
    return shop


def test_without_transactions_orders_are_proposed(talk: Ends, orders_shop: Shop) -> None:
    code, said = talk("shop_1", orders_shop.sitniks_key, orders_shop.finmap_key, "", "", "1", "", "", "")
    assert code == 0, said
    assert "(this key may not read them)" in said
    assert tables()["shop_1"]["source"] == "orders"
    assert tables()["shop_1"]["orders"] == {
        "paid": ["Виконано"], "prepaid": ["Передплата"], "refunded": ["Повернено"],
        "partly_refunded": ["Частково повернено"], "cancelled": ["Відмінено"],
    }  # fmt: skip
    assert "The first import waits until you approve it" in said


def test_the_meaning_of_statuses_can_be_corrected(talk: Ends, orders_shop: Shop) -> None:
    code, said = talk(
        "shop_1", orders_shop.sitniks_key, orders_shop.finmap_key, "2", "4=nothing", "", "4=whatever",
        "99=paid in full", "Відправлено = paid in full; 5=-", "", "1", "", "", "",
    )  # fmt: skip
    assert code == 0, said
    assert "at least one status must mean: paid in full" in said
    assert "cannot read 4=whatever: write NUMBER=MEANING" in said
    assert 'Sitniks has no status "99"' in said
    assert tables()["shop_1"]["orders"]["paid"] == ["Відправлено"]
    assert "cancelled" not in tables()["shop_1"]["orders"]


def test_orders_are_connected_by_options(ends: Ends, orders_shop: Shop) -> None:
    code, said = ends(*options(source="orders"))
    assert (code, "add --paid" in said) == (2, True)
    code, said = ends(*options(source="orders", paid="Виконана"))
    assert (code, 'no status "Виконана"; did you mean Виконано?' in said) == (2, True)
    assert ends(*options(source="transactions"))[0] == 2
    assert files() == set()
    code, said = ends(*options(source="orders", paid="4", cancelled="Відмінено"))
    assert code == 0, said
    assert tables()["shop_1"]["orders"] == {"paid": ["Виконано"], "cancelled": ["Відмінено"]}


# -- Keys --


def test_swapped_keys_are_recognised(ends: Ends, talk: Ends, shop: Shop) -> None:
    code, said = ends(*options(sitniks_key="env:KEY_F", finmap_key="env:KEY_S"))
    assert code == 2
    assert "this looks like the Finmap key: Finmap accepts it, Sitniks does not. Here the Sitniks key is needed" in said
    assert files() == set()
    code, said = talk(
        "shop_1", shop.finmap_key, shop.sitniks_key, shop.sitniks_key, shop.finmap_key, "", "1", "", "", ""
    )
    assert code == 0, said
    assert "this looks like the Finmap key" in said
    assert "this is the Sitniks key again; here the Finmap key is needed" in said
    assert [*keys().values()] == [shop.sitniks_key, shop.finmap_key]


@pytest.mark.parametrize("side", ["sitniks", "finmap"])
def test_a_wrong_key_is_refused_and_nothing_written(side: str, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "no-such-key-12345")
    code, said = ends(*options(**{f"{side}_key": "env:WRONG"}))
    assert code == 2
    assert f"{side.title()} does not accept this key. {side.title()} refused the key (401)" in said
    assert "no-such-key-12345" not in said
    assert files() == set()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("a-key-in-the-shell-history", "never write a key into a command"),
        ("env:NOWHERE", "the environment variable NOWHERE is not set"),
        ("env:ODD", "it has characters that no key has"),
    ],
)
def test_a_key_in_a_wrong_place_is_refused_unsaid(
    given: str, why: str, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD", "ключ із сайту")
    code, said = ends(*options(sitniks_key=given))
    assert (code, why in said) == (2, True)
    assert "a-key-in-the-shell-history" not in said
    assert "ключ із сайту" not in said
    assert files() == set()


def test_the_same_two_keys_twice_are_refused(ends: Ends) -> None:
    assert ends(*options())[0] == 0
    before = (tables(), keys())
    code, said = ends(*options(connection="shop_2"))
    assert (code, "shop_2: has the same two keys as shop_1" in said) == (2, True)
    assert (tables(), keys()) == before


@pytest.mark.parametrize("side", ["sitniks", "finmap"])
def test_a_side_that_does_not_answer_is_said(side: Any, ends: Ends, talk: Ends, sandbox: Sandbox, shop: Shop) -> None:
    path = "/transactions" if side == "sitniks" else "/accounts"
    sandbox.fault(Fault("drop_before", side, path=path, times=None))
    code, said = ends(*options())
    assert code == 1
    assert f"{side.title()} did not answer" in said
    assert files() == set()
    sandbox.clear_faults()
    sandbox.fault(Fault("drop_before", side, path=path, times=2))  # a person tries again
    given = [shop.sitniks_key, shop.finmap_key]
    given.insert(1 if side == "sitniks" else 2, "")
    code, said = talk("shop_1", *given, "", "1", "", "", "")
    assert code == 0, said
    assert "Try again in a moment" in said


def test_a_key_without_accounts_stops_at_once(ends: Ends, sandbox: Sandbox) -> None:
    sandbox.fault(Fault("status", "finmap", path="/accounts", status=200, body="[]", times=None))
    code, said = ends(*options())
    assert (code, "Finmap shows no account to this key. Create one in Finmap" in said) == (2, True)
    assert files() == set()


# -- No terminal, no harm --


def test_without_a_terminal_all_that_is_missing_is_named(ends: Ends, sandbox: Sandbox) -> None:
    code, said = ends()
    assert code == 2
    assert "there is no terminal to ask on; add --connection NAME, --sitniks-key, --finmap-key, --source" in said
    code, said = ends("--connection", "shop_1", "--source", "orders")
    assert "add --sitniks-key, --finmap-key, --paid, --account, --since, --yes" in said
    assert sandbox.requests() == []


def test_without_agreement_nothing_is_written(talk: Ends, shop: Shop) -> None:
    code, said = talk("shop_1", shop.sitniks_key, shop.finmap_key, "", "1", "", "", "n")
    assert (code, "Nothing was written" in said) == (0, True)
    assert files() == set()


@pytest.mark.parametrize("answered", range(8))
def test_an_end_in_the_middle_writes_nothing(answered: int, talk: Ends, shop: Shop) -> None:
    given = ["shop_1", shop.sitniks_key, shop.finmap_key, "", "1", "", ""][:answered]
    code, said = talk(*given)
    assert (code, "Stopped. Nothing was written" in said) == (130, True)
    assert files() == set()
    assert not {one for one in os.environ if one.startswith("SHOP_1_")}


def test_a_file_changed_meanwhile_is_left_alone(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(*what: Any) -> bool:
        Path("connections.toml").write_text("# mine\n")
        return True

    monkeypatch.setattr("sitniks_finmap.cli.init_commands.agreed", meanwhile)
    code, said = ends(*options(skip_until=str(START)))
    assert (code, "connections.toml was changed by somebody else meanwhile; nothing was written" in said) == (2, True)
    assert Path("connections.toml").read_text() == "# mine\n"
    assert files() == {"connections.toml"}
    assert not list(Path().rglob("shop_1.duckdb"))


def test_a_file_that_cannot_be_replaced_leaves_nothing(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        if Path(target).name == "connections.toml":
            raise OSError(28, "No space left on device", str(source))
        real(source, target)

    real = os.replace
    monkeypatch.setattr(os, "replace", full)
    code, said = ends(*options())
    assert (code, "connections.toml cannot be written: No space left on device" in said) == (2, True)
    assert files() == set()


# -- Editing --

TEXT = """\
# My shops.

[shop_1]   # the main one
start_date = 2026-01-15
finmap_account = "Каса"   # not ФОП
sitniks_key_env = "S_KEY"
finmap_key_env = "F_KEY"
sitniks_url = "{0}"
finmap_url = "{1}"
sitniks_requests_per_second = 0
finmap_requests_per_second = 0

[shop_1.accounts]
"ФОП" = "ФОП"   # to its own

# [shop_2] comes later
"""


@pytest.fixture
def kept(sandbox: Sandbox, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """A shop that somebody connected by hand, with comments."""
    text = TEXT.format(sandbox.sitniks_url, sandbox.finmap_url)
    Path("connections.toml").write_text(text, "utf-8")
    Path(".env").write_text(f"# keys\nS_KEY={shop.sitniks_key}\nF_KEY='{shop.finmap_key}'  # mine\nOTHER=1\n")
    monkeypatch.setenv("S_KEY", "")  # to be restored: .env is loaded into the environment
    monkeypatch.setenv("F_KEY", "")
    monkeypatch.setenv("OTHER", "")
    return text


def edits(command: Ends, *options: str) -> tuple[int, str]:
    return command("init", "--connection", "shop_1", *options, "--yes")


def test_an_edit_changes_one_line_and_keeps_comments(kept: str, command: Ends) -> None:
    env = Path(".env").read_text()
    code, said = edits(command, "--since", str(START))
    assert code == 0, said
    assert Path("connections.toml").read_text("utf-8") == kept.replace("2026-01-15", str(START))
    assert Path(".env").read_text() == env
    assert "- start_date = 2026-01-15" in said
    assert f"+ start_date = {START}" in said


def test_enter_keeps_what_a_shop_has(kept: str, command: Ends, monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
    monkeypatch.setattr("sitniks_finmap.cli.init_commands.has_terminal", lambda: True)
    monkeypatch.setenv("S_KEY", shop.sitniks_key)
    monkeypatch.setenv("F_KEY", shop.finmap_key)
    result = CliRunner().invoke(cli, ["init"], input="shop_1\n\n\n\n\n\n\n")
    assert result.exit_code == 0, result.output
    assert "Nothing is to be changed: connections.toml and .env stay as they are" in result.output
    assert "Enter keeps the present one" in result.output
    assert Path("connections.toml").read_text("utf-8") == kept


def test_a_new_key_replaces_the_old_one_in_its_line(kept: str, command: Ends, sandbox: Sandbox, shop: Shop) -> None:
    Path(".env").write_text(Path(".env").read_text().replace(shop.finmap_key, "old-finmap-key"))
    code, said = edits(command, "--finmap-key", "env:KEY_F")
    assert code == 0, said
    assert Path(".env").read_text() == f"# keys\nS_KEY={shop.sitniks_key}\nF_KEY={shop.finmap_key}\nOTHER=1\n"
    assert Path(".env").stat().st_mode & 0o777 == 0o600
    assert Path("connections.toml").read_text("utf-8") == kept


def test_another_source_after_posting_is_refused(kept: str, command: Ends, shop: Shop) -> None:
    posted = Connection.model_validate({"name": "shop_1", **tables()["shop_1"]})
    with open_warehouse(posted).transaction() as con:
        save_settings(con, posted)
        con.execute(
            "insert into finmap_upload by name select 'shop_1:1' as external_id, '1' as transaction_id, "
            "1 as generation, 'verified' as state, current_date as day"
        )
    code, said = edits(command, "--source", "orders", "--paid", "Виконано")
    assert code == 2
    assert "its operations come from transactions" in said
    assert Path("connections.toml").read_text("utf-8") == kept


def test_a_clone_takes_settings_but_no_keys(
    kept: str, command: Ends, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = sandbox.add_shop("second")
    monkeypatch.setenv("KEY_S2", second.sitniks_key)
    monkeypatch.setenv("KEY_F2", second.finmap_key)
    second.directories.remove("accounts", "ФОП")
    code, said = command(
        "init", "--from", "shop_1", "--connection", "shop_2", "--sitniks-key", "env:KEY_S2", "--finmap-key",
        "env:KEY_F2", "--since", "today", "--yes",
    )  # fmt: skip
    assert code == 0, said
    assert Path("connections.toml").read_text("utf-8").startswith(kept)
    assert tables()["shop_2"] == {
        name: TODAY if name == "start_date" else value
        for name, value in tables()["shop_1"].items()
        if not name.endswith("_env") and name != "accounts"
    }  # fmt: skip
    assert "Left out, because this Finmap has no such account or category: accounts.ФОП" in said
    assert (
        Path(".env")
        .read_text()
        .endswith(f"OTHER=1\nSHOP_2_SITNIKS_API_KEY={second.sitniks_key}\nSHOP_2_FINMAP_API_KEY={second.finmap_key}\n")
    )
    monkeypatch.delenv("SHOP_2_SITNIKS_API_KEY")
    monkeypatch.delenv("SHOP_2_FINMAP_API_KEY")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            ["--from", "shop_l", "--connection", "shop_2"],
            "no shop_l, whose settings are to be copied; did you mean shop_1?",
        ),
        (["--from", "shop_1", "--connection", "shop_1"], "--from is for a new shop"),
        (["--connection", "Shop 2"], "such as shop_2"),
    ],
)
def test_a_name_that_cannot_be_is_refused(given: list[str], why: str, kept: str, command: Ends) -> None:
    more = ["--sitniks-key", "env:KEY_S", "--finmap-key", "env:KEY_F", "--source", "transactions", "--account", "Каса"]
    code, said = command("init", *given, *more, "--since", "today", "--yes")
    assert (code, why in said) == (2, True), said
    assert Path("connections.toml").read_text("utf-8") == kept


def test_a_name_of_another_installation_is_refused(ends: Ends, shop: Shop) -> None:
    shop.add_tag("sitniks_finmap shop_1 1 0123456789ab")
    code, said = ends(*options())
    assert code == 2
    assert 'another installation of sitniks_finmap writes to this Finmap under "shop_1". Choose another name' in said
    assert files() == set()


def test_a_name_that_another_shop_posts_under_is_refused(kept: str, ends: Ends) -> None:
    path = Path("connections.toml")
    path.write_text(kept.replace("[shop_1]", "[renamed]").replace("[shop_1.acc", "[renamed.acc") + "", "utf-8")
    text = path.read_text("utf-8").replace("start_date = 2026-01-15", 'start_date = 2026-01-15\nkey_prefix = "shop_1"')
    path.write_text(text, "utf-8")
    code, said = ends(*options())
    assert (code, "renamed already writes to Finmap under the name shop_1; choose another" in said) == (2, True)
    assert path.read_text("utf-8") == text


def test_a_broken_file_is_named_by_its_line(ends: Ends) -> None:
    Path("connections.toml").write_text("[a]\nstart_date = 20.11.2026\n")
    code, said = ends(*options())
    assert (code, "connections.toml, line 2" in said) == (2, True)
    assert files() == {"connections.toml"}


# -- Language --


@pytest.mark.parametrize(
    ("variables", "ukrainian"),
    [
        ({"LC_ALL": "uk_UA.UTF-8"}, True),
        ({"LC_ALL": "", "LC_MESSAGES": "uk_UA.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "uk_UA.UTF-8"}, False),
        ({"LC_ALL": "", "LANG": "uk_UA.UTF-8"}, True),
        ({"LC_ALL": "uk_UA.UTF-8", "SITNIKS_FINMAP_LANGUAGE": "en"}, False),
        ({"SITNIKS_FINMAP_LANGUAGE": "uk"}, True),
        ({}, False),
    ],
)
def test_the_language_is_that_of_the_person(
    variables: dict[str, str], ukrainian: bool, talk: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _, said = talk()
    assert ("Крок 1 з 6" in said, "1 of 6" in said) == (ukrainian, not ukrainian)


def test_a_ukrainian_answers_in_ukrainian(talk: Ends, orders_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    code, said = talk(
        "shop_1", orders_shop.sitniks_key, orders_shop.finmap_key, "", "5 = нічого", "", "1", "сьогодні", "ні", "так"
    )
    assert code == 0, said
    assert "cancelled" not in tables()["shop_1"]["orders"]
    asked = said[: said.index("[shop_1]")]
    assert [word for word in ("Write", "Enter if", "Press", "Finmap account that") if word in asked] == []


# -- The end: doctor, preview, the next command --


@pytest.mark.runs
def test_it_ends_with_doctor_preview_and_what_comes_next(ends: Ends, shop: Shop, sandbox: Sandbox) -> None:
    shop.put_transaction(transaction(1, START))
    code, said = ends(*options())
    assert code == 0, said
    assert '✓ Finmap account "Каса" exists, in UAH, and is writable' in said
    assert f"shop_1, {START} to {TODAY}: 1 to write" in said
    assert "shop_1:tx_1" in said
    assert "sitniks-finmap sync --connection shop_1" in said
    assert "dagster dev                               from then on, automatically\n" in said
    assert shop.operations() == []


@pytest.mark.runs
def test_what_is_skipped_is_not_in_the_preview(ends: Ends, shop: Shop) -> None:
    shop.put_transactions([transaction(1, START), transaction(2, START + timedelta(days=1))])
    code, said = ends(*options(skip_until=str(START)))
    assert code == 0, said
    assert f"shop_1, {START} to {TODAY}: 1 to write" in said
    assert "shop_1:tx_2" in said


@pytest.mark.runs
def test_a_first_import_to_be_approved_says_so(ends: Ends, orders_shop: Shop) -> None:
    code, said = ends(*options(source="orders", paid="Виконано"))
    assert code == 0, said
    assert said.index("sitniks-finmap approve --connection shop_1") < said.index("sitniks-finmap sync --connection")


@pytest.mark.runs
def test_an_error_of_doctor_ends_with_what_to_run(ends: Ends, shop: Shop) -> None:
    shop.put_transaction(transaction(1, START, currency="USD"))
    code, said = ends(*options())
    assert code == 1
    assert "✗ of the latest 1 transaction, 1 would be rejected: currency USD" in said
    assert "Correct what is marked with ✗ above" in said
    assert "sitniks-finmap doctor --connection shop_1" in said


# -- A terminal of its own --

PROGRAM = [sys.executable, "-c", "from sitniks_finmap.cli.entry import main; main()"]


class Terminal:
    """The command at a pseudo-terminal, as a person sees it."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execve(PROGRAM[0], [*PROGRAM, *arguments], os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"})  # noqa: S606
        self.said = ""

    def until(self, text: str, seconds: float = 60) -> None:
        """Reads until the text comes after what was read before."""
        start = len(self.said)
        while text not in self.said[start:]:
            ready, _, _ = select.select([self.master], [], [], seconds)
            try:
                more = os.read(self.master, 65536) if ready else b""
            except OSError:  # Linux's end of a pseudo-terminal
                more = b""
            assert more, f"{text!r} did not come after {self.said!r}"
            self.said += more.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self, said: str) -> None:
        """Ctrl-C; and again if nothing happens, as a person does: Python misses one while a prompt is being set up."""
        for _ in range(20):
            self.type("\x03")
            with suppress(AssertionError):
                return self.until(said, 2)
        raise AssertionError(f"Ctrl-C did nothing: {self.said!r}")

    def end(self) -> int:
        with suppress(AssertionError):
            self.until("\0")  # never comes: all that is left
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.runs
def test_at_a_terminal_keys_stay_invisible(shop: Shop, urls: list[str], project: Path) -> None:
    shop.put_transaction(transaction(1, START))
    terminal = Terminal("init", *urls, folder=project)
    for prompt, answer in (
        ("Name [shop_1]: ", ""), ("invisible): ", shop.finmap_key), ("invisible; Enter tries the same one again): ",
        shop.sitniks_key), ("invisible): ", shop.finmap_key), ("Number [1]: ", ""), ("Number or name: ", "Каса"),
        (" [1]: ", str(START)), ("(yes/no) [no]: ", ""), ("(yes/no) [yes]: ", ""),
    ):  # fmt: skip
        terminal.until(prompt)
        terminal.type(f"{answer}\r")
    assert terminal.end() == 0, terminal.said
    assert "this looks like the Finmap key" in terminal.said
    assert "1 to write" in terminal.said
    assert [key for key in (shop.sitniks_key, shop.finmap_key) if key in terminal.said] == []
    assert Path(".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.runs
@pytest.mark.parametrize("at", ["Name [shop_1]: ", "invisible): "])
def test_ctrl_c_at_a_terminal_writes_nothing(at: str, urls: list[str], project: Path) -> None:
    terminal = Terminal("init", *urls, folder=project)
    terminal.until("Name [shop_1]: ")
    if at != "Name [shop_1]: ":
        terminal.type("\r")
        terminal.until(at)
    terminal.interrupt("Stopped. Nothing was written")
    assert terminal.end() == 130
    assert files() == set()


@pytest.mark.runs
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_says_so(shop: Shop, urls: list[str], project: Path) -> None:
    anybody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    project.chmod(0o555)
    try:
        done = subprocess.run(  # noqa: S603
            [*anybody, *PROGRAM, "init", *options(), *urls], capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        project.chmod(0o755)
    assert done.returncode == 2
    assert f"{project} cannot be written by this user; nothing was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert files() == set()
