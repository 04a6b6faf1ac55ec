"""The questions of `init` about name, keys, account and first day. Each answer is checked at once."""

import os
import re
import sys
from datetime import date, timedelta
from typing import Literal

from sitniks_finmap.cli import init_texts as texts
from sitniks_finmap.cli.init_answers import Answers
from sitniks_finmap.cli.terminal import likely_day
from sitniks_finmap.clients.answers import ApiError, KeyRefused
from sitniks_finmap.clients.finmap import Account
from sitniks_finmap.days import day_of
from sitniks_finmap.names import nearest, normal_name
from sitniks_finmap.people.probe import OTHER, Side, ask_finmap, ask_sitniks, is_of_the_other_side
from sitniks_finmap.pipeline.directory import named
from sitniks_finmap.pipeline.other_operations import OtherOperations
from sitniks_finmap.settings.text_files import bare_key
from sitniks_finmap.warehouse.store import open_warehouse

NAME = re.compile(r"[a-z0-9_]+")
SUBSCRIPTION = 402
LATIN = str.maketrans(
    dict(zip("абвгґдезиіїйклмнопрстуф", "abvhgdezyiiyklmnoprstuf", strict=True))
    | {"є": "ie", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ь": "", "ю": "iu", "я": "ia"}
    | {"'": "", "’": ""}
)


# -- 1. Name --


def ask_name(answers: Answers) -> None:
    asker, tables = answers.asker, answers.tables
    asker.step(1, texts.NAME)
    if tables and asker.interactive and not answers.options.connection:
        asker.say("   " + asker.text(texts.NAMES_THERE, names=", ".join(tables)))
    free = next(name for number in range(1, 10_000) if (name := f"shop_{number}") not in tables)
    asker.until_right(
        answers.options.connection,
        lambda: asker.ask(asker.text(texts.NAME_PROMPT), free),
        lambda name: _take_name(answers, name.strip()),
    )


def _take_name(answers: Answers, name: str) -> None:
    asker, tables, clone = answers.asker, answers.tables, answers.options.clone
    if not NAME.fullmatch(name):
        example = re.sub(r"[^a-z0-9]+", "_", name.lower().translate(LATIN)).strip("_")
        raise asker.wrong(texts.NAME_FORM, example=example or "shop_1")
    for other, table in tables.items():
        if other != name and name not in tables and isinstance(table, dict) and table.get("key_prefix") == name:
            raise asker.wrong(texts.NAME_TAKEN, other=other, name=name)
    if clone and clone not in tables:
        raise asker.wrong(texts.NO_TABLE, name=clone, meant=nearest(clone, tables))
    if clone and name in tables:
        raise asker.wrong(texts.NOT_A_CLONE, name=name)
    answers.begin(name, clone)
    answers.asking()
    if name in tables:
        asker.note(asker.text(texts.NAME_IS_EDITED, name=name))
    elif clone:
        asker.note(asker.text(texts.NAME_IS_CLONED, name=name, other=clone, without=asker.text(texts.OWN)))
    else:
        asker.note(asker.text(texts.NAME_IS_NEW, name=name))


# -- 2 and 3. Keys --


def ask_key(answers: Answers, side: Side) -> None:
    asker = answers.asker
    asker.step(2 if side == "sitniks" else 3, texts.SITNIKS_KEY if side == "sitniks" else texts.FINMAP_KEY)
    variable = getattr(answers.asking(), f"{side}_key_env")
    present = bare_key(os.environ.get(variable, ""))
    tried = [present] if present else []

    def ask() -> str:
        again = texts.KEY_PROMPT_KEEP if tried == [present] else texts.KEY_PROMPT_AGAIN
        key = bare_key(asker.ask_hidden(asker.text(again if tried else texts.KEY_PROMPT)))
        return key or (tried[-1] if tried else "")

    def check(key: str) -> None:
        _refuse_odd(answers, key, side)
        answers.set_key(variable, key)
        tried.append(key)
        _ask_side(answers, side)
        if key != present or given:
            answers.keys[variable] = key

    given = _given_key(answers, side)
    asker.until_right(present if given is None and not asker.interactive else given, ask, check)
    if side == "sitniks":
        asker.note(asker.text(texts.SITNIKS_ACCEPTS))
        return
    accounts = len(answers.finmap.accounts)
    asker.note(asker.language.counted(*texts.FINMAP_ACCEPTS, accounts))


def _given_key(answers: Answers, side: Side) -> str | None:
    """The key that an option gives: from standard input, or from an environment variable."""
    asker = answers.asker
    given = answers.options.sitniks_key if side == "sitniks" else answers.options.finmap_key
    if given is None:
        return None
    if given == "-":
        if asker.interactive:
            return None
        return bare_key(sys.stdin.readline())
    if not given.startswith("env:"):
        raise asker.wrong(texts.KEY_ON_COMMAND_LINE)
    variable = given.removeprefix("env:")
    if not (key := bare_key(os.environ.get(variable, ""))):
        raise asker.wrong(texts.KEY_VARIABLE_UNSET, variable=variable)
    return key


def _refuse_odd(answers: Answers, key: str, side: Side) -> None:
    if not key:
        raise answers.asker.wrong(texts.KEY_EMPTY, side=side.title())
    if not key.isascii() or not key.isprintable() or " " in key:
        raise answers.asker.wrong(texts.KEY_ODD, side=side.title())


def _ask_side(answers: Answers, side: Side) -> None:
    """Whether this side accepts its key. Raises WrongAnswer, ConfigurationError, ApiError."""
    asker, connection, other = answers.asker, answers.asking(), OTHER[side]
    names = {"side": side.title(), "other": other.title()}
    if side == "finmap" and connection.key("finmap") == connection.key("sitniks"):
        raise asker.wrong(texts.KEY_TWICE, **names)
    try:
        if side == "sitniks":
            answers.here = ask_sitniks(connection, answers.now)
        else:
            answers.there = ask_finmap(connection)
    except KeyRefused as refused:
        if refused.status != SUBSCRIPTION and is_of_the_other_side(connection, side, answers.now):
            raise asker.wrong(texts.KEY_OF_OTHER, **names) from None
        raise asker.wrong(texts.KEY_REFUSED, why=asker.language.say(str(refused)), **names) from None
    if side == "finmap":
        answers.refuse_clashes(answers.asked_with())


# -- 5. Account --


def ask_account(answers: Answers) -> None:
    asker, accounts = answers.asker, answers.finmap.accounts
    if not accounts:
        raise asker.wrong(texts.NO_ACCOUNTS)
    asker.step(5, texts.ACCOUNT)
    others = _others(answers)
    present = answers.table.get("finmap_account")
    kept = named(present, accounts) if present else []
    if asker.interactive and answers.options.account is None:
        for number, account in enumerate(accounts, 1):
            feed = others.get(account.id)
            warned = "  ! " + asker.language.counted(*texts.FEED, feed.total) if feed else ""
            asker.say(f"   {number}) {account.label} — {account.currency}{warned}")
    default = kept[0].label if len(kept) == 1 else accounts[0].label if len(accounts) == 1 else ""
    given = answers.options.account
    chosen = asker.until_right(
        present if given is None and not asker.interactive else given,
        lambda: asker.ask(asker.text(texts.ACCOUNT_PROMPT), default),
        lambda wanted: _account(answers, wanted),
    )
    if kept != [chosen]:
        same = [one for one in accounts if normal_name(one.label) == normal_name(chosen.label)]
        answers.table["finmap_account"] = chosen.label.strip() if len(same) == 1 else chosen.id
        if not answers.is_new and _has_posted(answers):
            answers.warnings.append(asker.text(texts.ACCOUNT_MOVES))
    if chosen.id in others and answers.table.get("bank_feed") != "accepted":
        warning = asker.text(texts.FEED_CHOSEN, account=chosen.label)
        asker.note(f"{asker.language.counted(*texts.FEED, others[chosen.id].total)} {warning}", "warning")
        answers.warnings.append(warning)


def _others(answers: Answers) -> dict[str, OtherOperations]:
    """Account ID → how many operations are not ours."""
    try:
        return answers.finmap.others(answers.now)
    except ApiError as error:
        answers.asker.note(
            answers.asker.text(texts.FEED_UNKNOWN, why=answers.asker.language.say(str(error))), "warning"
        )
        return {}


def _account(answers: Answers, wanted: str) -> Account:
    accounts, asker = answers.finmap.accounts, answers.asker
    found = named(wanted, accounts) if wanted else []
    if not found and wanted.isdecimal() and 0 < int(wanted) <= len(accounts):
        return accounts[int(wanted) - 1]
    if len(found) > 1:
        raise asker.wrong(texts.ACCOUNT_SEVERAL, account=wanted)
    if not found:
        names = [one.label for one in accounts]
        known = ", ".join(f"{one.label} ({one.currency})" for one in accounts)
        raise asker.wrong(texts.ACCOUNT_UNKNOWN, account=wanted, meant=nearest(wanted, names), all=known)
    return found[0]


def _has_posted(answers: Answers) -> bool:
    warehouse = open_warehouse(answers.asking())
    if not warehouse.exists():
        return False
    with warehouse.transaction() as con:
        return con.execute("select exists (from finmap_upload)").fetchone() == (True,)


# -- 6. First day --

Kind = Literal["today", "day", "history"]
TODAY = ("today", "сьогодні")
KINDS: tuple[Kind, ...] = ("today", "day", "history")


def ask_start(answers: Answers) -> None:
    asker, options = answers.asker, answers.options
    today = answers.asking().today(answers.now)
    present = answers.table.get("start_date")
    asker.step(6, texts.START)
    if options.since is not None or options.skip_until is not None or not asker.interactive:
        first = _day(answers, options.since, today) if options.since is not None else day_of(present)
        until = _day(answers, options.skip_until, today) if options.skip_until is not None else None
        _take_days(answers, first, until, today)
        return
    said = (asker.text(texts.START_TODAY, day=today), asker.text(texts.START_DAY), asker.text(texts.START_HISTORY))
    for number, line in enumerate(said, 1):
        asker.say(f"   {number}) {line}")
    prompt = asker.text(texts.START_PROMPT, day=today.replace(day=1))
    kind, day = asker.until_right(
        None, lambda: asker.ask(prompt, str(present or 1)), lambda answer: _kind(answers, answer, today)
    )
    until = None
    if kind == "history":
        until = _ask_day(answers, texts.HISTORY_PROMPT, today - timedelta(days=1), today)
    if kind != "today" and day is None:
        default = present or (until or today).replace(month=1, day=1)
        day = _ask_day(answers, texts.FIRST_DAY_PROMPT, default, today)
    asker.until_right("", lambda: "", lambda _: _take_days(answers, day or today, until, today))


def _kind(answers: Answers, answer: str, today: date) -> tuple[Kind, date | None]:
    if answer in ("1", "2", "3"):
        return KINDS[int(answer) - 1], None
    if not re.search(r"\d{2}", answer) and answer.casefold() not in TODAY:
        raise answers.asker.wrong(texts.START_FORM, day=today)
    return "day", _day(answers, answer, today)


def _ask_day(answers: Answers, prompt: str, default: date, today: date) -> date:
    asker = answers.asker
    return asker.until_right(
        None, lambda: asker.ask(asker.text(prompt), str(default)), lambda day: _day(answers, day, today)
    )


def _day(answers: Answers, written: str, today: date) -> date:
    """Raises WrongAnswer."""
    if written.casefold() in TODAY:
        return today
    try:
        return day_of(written)
    except ValueError as error:
        raise answers.asker.wrong(
            texts.DAY_WRONG, day=written, why=answers.asker.language.say(f"{error}{likely_day(written)}")
        ) from None


def _take_days(answers: Answers, first: date, until: date | None, today: date) -> None:
    if until and not first <= until <= today:
        raise answers.asker.wrong(texts.SKIP_OUTSIDE, until=until, first=first, today=today)
    answers.table["start_date"] = first
    answers.skip_until = until
