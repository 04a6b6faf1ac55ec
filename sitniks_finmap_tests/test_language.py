"""The catalogue: every text has its Ukrainian words with the same values; and how each message reads: golden files."""

import ast
import string
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.cases import CASES
from sitniks_finmap.alerts.conditions import DEPLOYMENT, KINDS, Event, Fact
from sitniks_finmap.alerts.digest import Days, Digest, Side, Sums
from sitniks_finmap.alerts.digest_words import words_of_digest, words_of_missing
from sitniks_finmap.alerts.texts import TEXTS, all_texts
from sitniks_finmap.alerts.wording import to_be_forwarded, words_of, words_of_many
from sitniks_finmap.cli import init_texts
from sitniks_finmap.language import Code, Language
from sitniks_finmap.language.catalogue import read_catalogue

GOLDEN = Path(__file__).parent / "golden" / "messages"
KYIV = ZoneInfo("Europe/Kyiv")
SUNDAY = date(2026, 11, 22)
BEGUN = datetime(2026, 11, 26, 8, 5, tzinfo=UTC)
OF_DEPLOYMENT = ("file", "env", "daemon", "location", "notifying", "disk", "host", "outage")
VALUES = {
    "disk": {"folder": "/srv/sitniks_finmap/data", "free": "812", "share": "1"},
    "damaged": {"file": "u1.damaged-20261126-100500-000000.duckdb"},
    "host": {"host": "host_2", "shops": "u1, u2"},
    "outage": {"shops": "u1, u2, u3", "side": "Sitniks"},
    "unreachable": {"side": "Sitniks"},
}
WHY = {
    "key": "Finmap refused the key (401); put the correct Finmap key, or a new one, into U1_FINMAP_API_KEY in .env",
    "invalid": "finmap_acount is not a setting (see docs/configuration.md)",
    "unreachable": "Sitniks did not answer (crm.sitniks.com: no connection in time)",
    "outage": "Sitniks did not answer (crm.sitniks.com: no connection in time)",
    "file": "connections.toml, line 3: the value of this setting cannot be read",
    "env": ".env, line 2: not valid UTF-8; save the file as UTF-8",
    "stopped": "this looks like the Finmap key of another company: it has none of the accounts that operations "
    "went to. Put the right key into U1_FINMAP_API_KEY in .env; if it is the right one, run `sitniks-finmap accept-key "
    "--connection u1`. Nothing was written",
    "crashed": "stopped by an unexpected KeyError; see the run in the Dagster UI",
    "blind": "KeyError",
}


REASONS = {
    "unreadable amount": 4, "amount is zero": 3, "currency USD, but the Finmap account is in UAH": 2, "no date": 1,
    "its id is too long": 1, "a duplicate field": 1, "no id": 1,
}  # fmt: skip


def event(condition: str, what: str, case: str = "") -> Event:
    cause = "crm.sitniks.com" if condition in ("unreachable", "outage") else ""
    run_id = "6b1d" if condition in ("key", "crashed") else None
    fact = Fact(BEGUN, 3, WHY.get(condition, ""), cause, run_id, values=VALUES.get(condition, {}))
    if case:
        side = {} if case.endswith("both") else {"side": "Finmap"}
        fact = replace(fact, why="", values={**fact.values, **side, "case": case})
    if condition == "rejected":
        fact = replace(fact, reasons=REASONS)
    scope = DEPLOYMENT if condition in OF_DEPLOYMENT else "u1"
    lasted = timedelta(hours=2, minutes=5) if what == "end" else None
    return Event(what, scope, condition, fact, BEGUN, lasted)  # type: ignore[arg-type]


def shown(code: Code) -> dict[str, str]:
    """Each message in this language, as it is sent."""
    language = Language(code)
    messages = {}
    for condition, kind in KINDS.items():
        for what in ("begin", "end") if kind.end_is_told else ("begin",):
            words = words_of(event(condition, what), language, KYIV)
            messages[f"{condition} {what}"] = f"{words.title}\n\n{words.body}\n"
    for name in CASES:
        condition, _, case = name.partition(" ")
        for what in ("begin", "end"):
            words = words_of(event(condition, what, case), language, KYIV)
            messages[f"{name} {what}"] = f"{words.title}\n\n{words.body}\n"
    for name in (*[one for one in KINDS if one not in OF_DEPLOYMENT], *CASES):
        condition, _, case = name.partition(" ")
        many = [replace(event(condition, "begin", case), scope=f"u{n}") for n in (1, 2, 3)]
        words = words_of_many(many, language, KYIV)
        messages[f"{name} many"] = f"{words.title}\n\n{words.body}\n"
    words = to_be_forwarded(words_of(event("pending", "begin"), language, KYIV), language)
    return {**messages, "pending to an owner": f"{words.title}\n\n{words.body}\n", **shown_digests(language)}


def shown_digests(language: Language) -> dict[str, str]:
    """Of a day and of a week: equal, different, empty, and not reconciled."""
    totals = Side(41, Decimal("38450.00"), 7, Decimal("2310.50"))
    sums = (Sums("UAH", totals, totals),)
    other = (Sums("UAH", totals, replace(totals, income_count=40, income_sum=Decimal("38440.00"))),)
    messages = {}
    for name, days in (("day", Days(SUNDAY, SUNDAY)), ("week", Days(SUNDAY - timedelta(days=6), SUNDAY, True))):
        equal = Digest("u1", days, sums, True, 0, 0, True, True)
        words = {
            "equal": words_of_digest(equal, language),
            "equal but": words_of_digest(replace(equal, differences=2, rejected=5), language),
            "different": words_of_digest(replace(equal, sums=other, is_equal=False, differences=3), language),
            "empty": words_of_digest(replace(equal, sums=()), language),
            "unread": words_of_missing(Digest("u1", days), "", language),
            "unreconciled": words_of_missing(Digest("u1", days, is_read=True), "", language),
            "unreadable": words_of_missing(Digest("u1", days, is_readable=False), "", language),
        }
        messages |= {f"digest of a {name}, {case}": f"{one.title}\n\n{one.body}\n" for case, one in words.items()}
    return messages


@pytest.mark.parametrize("code", ["uk", "en"])
def test_what_concerns_many_shops_can_be_copied(code: Code) -> None:
    for name, message in shown(code).items():
        if name.endswith(" many"):
            assert ("\N{INVISIBLE SEPARATOR}" in message, "…" in message) == (False, False), name


def test_no_message_says_that_all_else_is_posted() -> None:
    """During a first import, or when syncs have stopped, nobody knows that."""
    assert [name for name, said in shown("en").items() if "All other" in said or "all the same" in said] == []


def test_details_are_ukrainian() -> None:
    details = [line for said in shown("uk").values() for line in said.splitlines() if line.startswith("Подробиці")]
    assert len(details) > 5
    assert [line for line in details if "refused" in line or "did not answer" in line or "is not among" in line] == []


@pytest.mark.parametrize("code", ["uk", "en"])
def test_each_message_reads_as_it_did(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """To accept a change, delete the file and run this again; then read it aloud."""
    monkeypatch.setenv("SITNIKS_FINMAP_UI_URL", "https://dagster.example.com")
    path = GOLDEN / f"{code}.txt"
    text = "\n".join(f"== {name}\n{message}" for name, message in shown(code).items())
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("code", ["uk", "en"])
def test_each_says_since_when_and_what_to_do_now(code: Code) -> None:
    for name, message in shown(code).items():
        todo, since = ("Що робити: ", "26 листопада 2026 р. о 10:05") if code == "uk" else (
            "What to do: ", "26 November 2026, 10:05"
        )  # fmt: skip
        if not name.endswith(" end") and not name.startswith("digest"):
            assert (todo in message, since in message) == (True, True), name
        assert "{" not in message, name


def test_each_condition_has_its_text() -> None:
    assert set(TEXTS) == set(KINDS)
    assert [name for name, kind in KINDS.items() if kind.end_is_told and not TEXTS[name].over] == []


def test_no_text_is_left_out_of_the_list() -> None:
    """Each constant of the module is in all_texts(), which the catalogue is compared with."""
    tree = ast.parse(Path(texts.__file__).read_text("utf-8"))
    parts = ("NOTHING_IS_LOST", "RUN_DOCTOR", "SYNC")
    names = [
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name) and name.id not in (*parts, "PLURALS")
    ]
    said = [getattr(texts, name) for name in names]
    assert len(said) > 20
    known = {*all_texts(), *all_texts().values()}
    assert [one for one in said if (one if isinstance(one, str) else one[0]) not in known] == []


# -- The catalogue -----------------------------------------------------------------------------------------------


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogue_has_every_text_with_the_same_values() -> None:
    translated: dict[str, tuple[str, ...]] = {}
    for message in read_catalogue():
        if message.id:
            one = message.id if isinstance(message.id, str) else message.id[0]
            forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
            translated[one] = tuple(str(form) for form in forms)
            assert len(forms) == (1 if isinstance(message.id, str) else 3), one
            assert all(forms), one
            values = fields(one if isinstance(message.id, str) else message.id[1])
            assert [form for form in translated[one] if fields(form) != values] == [], one
    assert [text for text in all_texts() if text not in translated] == []


def test_the_catalogue_has_every_text_of_init() -> None:
    said = [value for name, value in vars(init_texts).items() if name.isupper()]
    assert len(said) > 80
    texts_of_init = [one if isinstance(one, str) else one[0] for one in said]
    known = {one.id if isinstance(one.id, str) else one.id[0] for one in read_catalogue()}
    assert [text for text in texts_of_init if text not in known] == []


def test_ukrainian_counts_as_ukrainians_do() -> None:
    language = Language()
    forms = {n: language.counted(*texts.PLURALS[0], n, what="ключ") for n in (1, 2, 5, 11, 12, 21, 22, 25, 111, 1001)}
    assert {n: text.split()[-1] for n, text in forms.items()} == {
        1: "магазин", 2: "магазини", 5: "магазинів", 11: "магазинів", 12: "магазинів", 21: "магазин",
        22: "магазини", 25: "магазинів", 111: "магазинів", 1001: "магазин",
    }  # fmt: skip


def test_money_days_and_durations() -> None:
    uk, en = Language(), Language("en")
    assert uk.money(Decimal("38450"), "UAH").replace("\xa0", " ") == "38 450,00 ₴"
    assert en.money(Decimal("38450"), "UAH").replace("\xa0", " ") == "38,450.00 UAH"
    assert uk.money(Decimal("5.5"), "") == "5,50"
    assert (uk.day(date(2026, 5, 1)), en.day(date(2026, 5, 1))) == ("1 травня 2026 р.", "1 May 2026")
    assert uk.moment(BEGUN, KYIV) == "26 листопада 2026 р. о 10:05"
    spans = [timedelta(seconds=5), timedelta(minutes=65), timedelta(hours=49, minutes=5), timedelta(days=3)]
    assert [uk.duration(one) for one in spans] == ["1 хвилина", "1 година 5 хвилин", "2 дні 1 година", "3 дні"]


def test_what_has_no_words_stays_english() -> None:
    assert not Language().knows("no such text")
    assert Language().text("no such text") == "no such text"
    assert Language("en").knows("anything")
