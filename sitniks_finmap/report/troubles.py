"""What needs a person: the same facts as in messages, in the same words, and the records that they are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sitniks_finmap.alerts.conditions import FOLLOWS, KINDS, Fact
from sitniks_finmap.alerts.wording import DETAILED, advice_of
from sitniks_finmap.language import Language
from sitniks_finmap.report import texts
from sitniks_finmap.report.figures import Row

Tone = Literal["ok", "warning", "error"]
# Conditions in which all money that can be posted is posted, or will be; the others are errors.
MILD = ("rejected", "pending", "safety_catch", "unread_orders", "damaged", "other_operations", "unbooked")
RECORDS_OF = {  # condition → its records in sql/report/records.sql, where the names differ
    "safety_catch": "pending",
}


@dataclass(frozen=True)
class Trouble:
    """One thing that needs a person: what it is, what it means for the money, what to do, and the records if any."""

    name: str
    tone: Tone
    title: str
    money: str
    todo: str
    detail: str
    records: list[Row]
    count: int


def troubles_of(
    shop: str, facts: Mapping[str, Fact], records: Mapping[str, list[Row]], language: Language
) -> list[Trouble]:
    """The worst first. What follows from another trouble is left out."""
    kept = [one for one in KINDS if one in facts and not any(cause in facts for cause in FOLLOWS.get(one, ()))]
    found = [_trouble(name, shop, facts[name], records.get(RECORDS_OF.get(name, name), []), language) for name in kept]
    if unbooked := records.get("unbooked"):
        found.append(_unbooked(shop, unbooked, language))
    return sorted(found, key=lambda one: one.tone == "warning")


def _trouble(name: str, shop: str, fact: Fact, records: list[Row], language: Language) -> Trouble:
    advice = advice_of(name, shop, fact, language)
    return Trouble(
        name,
        "warning" if name in MILD else "error",
        advice.title[:1].upper() + advice.title[1:],
        advice.money,
        advice.todo,
        fact.why if name in DETAILED else "",
        _told(records, language),
        fact.count,
    )


def _unbooked(shop: str, records: list[Row], language: Language) -> Trouble:
    count = records[0]["records"]
    title = language.counted(*texts.UNBOOKED, count)
    money, todo = language.text(texts.UNBOOKED_MONEY), language.text(texts.UNBOOKED_TODO, shop=shop)
    return Trouble("unbooked", "warning", title, money, todo, "", _told(records, language), count)


def _told(records: list[Row], language: Language) -> list[Row]:
    """The records with their reasons in words."""
    kinds = {kind: language.text(words) for kind, words in texts.KINDS.items()}
    return [{**one, "why": kinds.get(one["reason"]) or language.say(one["reason"])} for one in records]
