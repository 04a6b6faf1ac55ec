"""What a Ukrainian reads at the terminal: nothing is untranslated, nothing is changed but the words."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none

from sitniks_finmap.cli.terminal import confirmed
from sitniks_finmap.clients.finmap import Outcome
from sitniks_finmap.language import Language
from sitniks_finmap.language.catalogue import ids
from sitniks_finmap.language.recognition import Phrasebook
from sitniks_finmap.people.findings import OF_ORDERS, ON_ITS_WAY, RECORDS
from sitniks_finmap.pipeline.checks import CHECKS
from sitniks_finmap.pipeline.ledger import State
from sitniks_finmap.pipeline.plan import Action, Standing
from sitniks_finmap.sandbox import Fault, Sandbox, Shop
from sitniks_finmap.settings.connections import Connection
from sitniks_finmap_tests import sentences
from sitniks_finmap_tests.english_left import english_in
from sitniks_finmap_tests.order_books import LISTS, furnish
from sitniks_finmap_tests.records import transaction

UKRAINIAN = Language("uk")


def untranslated(said: list[tuple[str, str]]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for where, sentence in said:
        words = UKRAINIAN.say(sentence)
        if english_in(words) or words == sentence:
            wrong[sentence] = f"{where}: {words}"
    return wrong


def test_every_error_and_finding_has_ukrainian_words() -> None:
    found = list(sentences.sentences())
    assert len(found) > 250
    assert untranslated(found) == {}


def test_every_kind_of_problem_has_ukrainian_words() -> None:
    texts = [*RECORDS.values(), *OF_ORDERS.values(), *ON_ITS_WAY.values()]
    said = [re.sub(r"\{\w+\}", "7", text.replace("{unmapped}", how)) for text in texts for how in UNMAPPED]
    said = [one.replace("(7)", "(2025-01-01 to 2025-01-02)") if "re-read: " in one else one for one in said]
    assert untranslated([("findings.py", one) for one in said]) == {}


UNMAPPED = ("go to `finmap_account`", "are rejected")


def test_every_check_has_ukrainian_words() -> None:
    said = [one for check in CHECKS for one in (check.description, f"{check.problem} {check.remedy}")]
    assert untranslated([("checks.py", re.sub(r"\{\w+\}", "7", one)) for one in said]) == {}


def test_every_reason_of_the_sql_has_ukrainian_words() -> None:
    found = list(sentences.reasons())
    assert len({said for _, said in found}) > 80
    assert untranslated(found) == {}


def test_every_text_that_is_said_has_ukrainian_words() -> None:
    found = list(sentences.texts())
    assert len(found) > 150
    missing = {where: text for where, text in found if not UKRAINIAN.knows(text if isinstance(text, str) else text[0])}
    assert {where: text for where, text in missing.items() if text not in SAME_IN_BOTH} == {}


SAME_IN_BOTH = ("Dagster UI", "{shop}: {what}")


# -- What the commands print --

Command = Callable[..., tuple[Any, str]]
TODAY = date.today()  # noqa: DTZ011
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def uk(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command for a Ukrainian, who finds no English in what it prints."""
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    monkeypatch.setattr("sitniks_finmap.clients.http.wait_exponential_jitter", lambda max: wait_none())

    def run(*arguments: str) -> tuple[Any, str]:
        code, said = command(*arguments)
        left = {line: english_in(line) for line in said.splitlines() if english_in(line)}
        assert left == {}, arguments
        return code, said

    return run


COMMANDS = [
    ["doctor"], ["preview"], ["sync"], ["status"], ["explain", "tx_1"], ["explain", "tx_2"], ["explain", "tx_9"],
    ["approve", "--yes"], ["dismiss", "--yes"], ["approve", "--transaction", "tx_9"], ["rebuild-ledger"],
    ["catch-up", "--until", str(YESTERDAY)], ["catch-up", "--undo"], ["rollback", "--run", "no_such", "--yes"],
    ["accept-key", "--yes"], ["sql", "select day from operations where false"], ["report"],
]  # fmt: skip


@pytest.mark.runs
@pytest.mark.timeout(300)
def test_a_shop_that_sells_is_told_in_ukrainian(uk: Command, connect: Callable[..., Connection], shop: Shop) -> None:
    connect(start_date=YESTERDAY, on_change="ask", accounts={"Готівка, каса": "Каса"})
    rows = [transaction(n, YESTERDAY, 100 + n) for n in range(1, 4)]
    shop.put_transactions([*rows, transaction(4, YESTERDAY, "сто"), transaction(5, YESTERDAY, -5)])
    said = {" ".join(arguments): uk(*arguments) for arguments in COMMANDS}
    assert [said[name][0] for name in ("doctor", "preview", "sync", "status")] == [0, 0, 1, 1]
    assert "поле «сума»: у 5 з 5 транзакцій" in said["doctor"][1]
    assert "відхилено 1: нечитабельна сума" in said["preview"][1]
    assert "передано 4 з 4 операцій" in said["sync"][1]
    assert "Зараз у Finmap" in said["explain tx_1"][1]
    shop.put_transactions([transaction(1, YESTERDAY, 150)])
    assert uk("sync")[0] == 1
    assert "запис змінився в Sitniks" in uk("preview")[1]
    assert "погоджено: 1" in uk("approve", "--yes")[1]
    assert uk("sync")[0] == 1
    assert uk("explain", "tx_1")[0] == 0


@pytest.mark.runs
@pytest.mark.timeout(300)
def test_an_empty_shop_is_told_in_ukrainian(uk: Command, connect: Callable[..., Connection]) -> None:
    connect(start_date=YESTERDAY)
    assert "жодного разу не синхронізовано" in uk("status")[1]
    for arguments in COMMANDS:
        uk(*arguments)
    assert uk("status")[0] == 0


@pytest.mark.runs
@pytest.mark.timeout(300)
def test_a_shop_of_orders_is_told_in_ukrainian(uk: Command, connect: Callable[..., Connection], shop: Shop) -> None:
    furnish(shop)
    connect(start_date=YESTERDAY, source="orders", orders=LISTS, first_import="post")
    for number, status in enumerate(("Новий", "Виконано", "Передплата", "Повернено", "Відмінено"), 1):
        order = {
            "id": number, "orderNumber": 1000 + number, "createdAt": f"{YESTERDAY}T10:00:00.000Z", "totalPrice": 100,
            "status": {"id": number, "title": status}, "updatedAt": f"{YESTERDAY}T10:00:00.000Z",
        }  # fmt: skip
        shop.put_order(order)
    uk("doctor")
    uk("preview")
    uk("sync")
    uk("status")
    for name in ("1001", "1002", "1003", "order-4", "77"):
        uk("explain", name)
    uk("dismiss", "--unbooked", "--yes")
    uk("dismiss", "--unbooked", "--order", "77", "--yes")
    uk("approve", "--order", "1001")
    uk("rollback", "--from", str(YESTERDAY), "--to", str(TODAY), "--yes")
    uk("status")


FAULTS = {
    "down": {"kind": "status", "status": 503},
    "refusing": {"kind": "status", "status": 401},
    "forbidding": {"kind": "status", "status": 403},
    "answering something else": {"kind": "status", "status": 200, "body": "<html><title>Технічні роботи</title>"},
}


@pytest.mark.runs
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_shop_whose_sides_fail_is_told_in_ukrainian(
    fault: str, uk: Command, connect: Callable[..., Connection], shop: Shop, sandbox: Sandbox
) -> None:
    connect(start_date=YESTERDAY)
    shop.put_transactions([transaction(1, YESTERDAY)])
    uk("sync")
    for api in ("sitniks", "finmap"):
        sandbox.fault(Fault(api=api, times=None, **FAULTS[fault]))  # type: ignore[arg-type]
    for arguments in (["doctor"], ["preview"], ["sync"], ["status"], ["explain", "tx_1"], ["rebuild-ledger"]):
        uk(*arguments)


@pytest.mark.runs
def test_a_key_that_is_missing_is_told_in_ukrainian(
    uk: Command, connect: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect()
    monkeypatch.delenv("U1_FINMAP_API_KEY")
    for arguments in (["doctor"], ["preview"], ["sync"], ["status"], ["explain", "tx_1"]):
        uk(*arguments)


BROKEN = {
    "no table": "start_date = 2025-01-01\n",
    "no TOML": "[u1\n",
    "a value": '[u1]\nstart_date = 01.02.2025\nfinmap_account = "Каса"\n',
    "not a setting": '[u1]\nstart_date = 2025-01-01\nfinmap_account = "Каса"\nfinmap_acount = "Каса"\n',
    "a zone": '[u1]\nstart_date = 2025-01-01\nfinmap_account = "Каса"\ntimezone = "Kyiv"\nlookback_days = 900\n',
    "a choice": '[u1]\nstart_date = 2025-01-01\nfinmap_account = ""\non_change = "never"\ncomment_fields = ["x"]\n',
    "orders": '[u1]\nstart_date = 2025-01-01\nfinmap_account = "Каса"\nsource = "orders"\naccounts = 7\n',
    "nothing": "",
}


@pytest.mark.runs
@pytest.mark.parametrize("text", BROKEN)
def test_settings_that_are_wrong_are_told_in_ukrainian(text: str, uk: Command, project: Path) -> None:
    (project / "connections.toml").write_text(BROKEN[text], "utf-8")
    for name in ("doctor", "sync", "status", "preview"):
        code, said = uk(name)
        assert code in (1, 2), said


MISUSED = [
    ["sync", "--full", "--from", "2025-01-15"], ["sync", "--from", "2025-13-45"], ["explain"], ["statu"],
    ["approve", "--transaction", "1", "--order", "2"], ["catch-up"], ["sync", "--connection", "u7"],
    ["sync", "--from", "2019-01-01"], ["preview", "--from", "2025-02-01", "--to", "2025-01-15"],
    ["report", "--month", "2019-13"], ["watch", "--every", "often"], ["rename", "u1", "U-2"], ["rename", "u1", "u1"],
    ["status", "--no-such"], ["sql", ""], ["alert-test"], ["sandbox", "--port", "x"],
]  # fmt: skip


@pytest.mark.runs
@pytest.mark.parametrize("arguments", MISUSED, ids=" ".join)
def test_a_command_that_is_misused_says_so_in_ukrainian(
    arguments: list[str], command: Command, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    code, said = command(*arguments)
    assert code in (1, 2)
    line = said.strip().splitlines()[-1]
    assert english_in(line) == []
    assert re.search("[а-яі]{3}", line)


@pytest.mark.parametrize(("answer", "agreed"), [("так", True), ("т", True), ("y", True), ("", False), ("ні", False)])
def test_a_question_is_answered_in_ukrainian(answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITNIKS_FINMAP_LANGUAGE", "uk")
    with CliRunner().isolation(input=f"може\n{answer}\n") as (output, *_):
        assert confirmed("Delete these operations in Finmap?") is agreed
    said = output.getvalue().decode()
    assert "Видалити ці операції у Finmap? [т/Н]:" in said
    assert "напишіть «так» або «ні»" in said


def test_the_names_of_states_have_ukrainian_words() -> None:
    names = [*Action, *Standing, *State, *Outcome, *KINDS]
    assert [one for one in names if not UKRAINIAN.knows(one)] == []


KINDS = re.findall(r"then '([a-z ]+)'", (sentences.PACKAGE / "sql" / "differences.sql").read_text("utf-8"))


# -- Recognition -------------------------------------------------------------------------------------------------

# Without those of `init` whose value {meant} may be nothing: they are said, and never recognised.
PATTERNS = [pattern for pattern in Phrasebook(ids()).patterns if "meant" not in pattern.values]
NAMES = [
    "Каса", "Delivery", "Other", "amount, date", 'ТОВ "Ромашка"', "Картка; готівка", "ФОП Іванов І. І.", "Card (1,234)",
]  # fmt: skip
REASONS = ["amount is zero", "its day, 2026-11-20, is in the future", "Sitniks did not answer (a: no answer in time)"]
LETTERS = st.text("Абв Zyx-_'№1", min_size=1, max_size=12).map(str.strip).filter(bool)
ANY_NAME = st.one_of(st.sampled_from(NAMES), LETTERS)


def value(kind: str) -> st.SearchStrategy[str]:
    if kind.startswith("count"):
        return st.integers(0, 3_000_000).map(lambda number: f"{number:,}")
    if kind.startswith("money"):
        return st.decimals(-1_000_000, 1_000_000, places=2).map(lambda amount: f"{amount:,.2f}")
    return st.sampled_from(REASONS) if kind.startswith(("why", "what")) else ANY_NAME


def numbers_in(text: str) -> set[str]:
    """Each whole number, whichever way its thousands and its decimals are separated."""
    plain = re.sub(r"(?<=\d)[,\xa0](?=\d{3}(?!\d))", "", text)
    return set(re.findall(r"\d+", plain))


@given(st.data())
def test_a_sentence_is_recognised_whatever_its_values_are(data: st.DataObject) -> None:
    """No name is changed, no number is another, and its own words are Ukrainian."""
    pattern = data.draw(st.sampled_from(PATTERNS))
    values = {name: data.draw(value(name), name) for name in pattern.values}
    sentence = pattern.text.format(**values)
    said = UKRAINIAN.say(sentence)
    assert numbers_in(said) == numbers_in(sentence)
    assert said != sentence
    kept = [one for name, one in values.items() if not name.startswith(("count", "money", "why", "what", "names"))]
    assert [name for name in kept if name not in said] == []


@given(st.text("абвгґїєZyx123;,.:()«»\"' ", max_size=80))
def test_what_is_no_sentence_of_ours_stays_as_it_is(text: str) -> None:
    assert UKRAINIAN.say(text) == text
