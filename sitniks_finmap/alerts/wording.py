"""Puts events into words: title and body of a message, in the language of the one who gets it."""

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.conditions import DEPLOYMENT, Event, Fact
from sitniks_finmap.alerts.links import ui_url
from sitniks_finmap.alerts.texts import TEXTS, Text
from sitniks_finmap.language import Language

DEFAULT_ZONE = ZoneInfo("Europe/Kyiv")
# Conditions with a technical detail.
DETAILED = ("key", "invalid", "stopped", "unreachable", "crashed", "file", "env", "outage")
MOST_NAMES = 30


@dataclass(frozen=True)
class Words:
    """A message: its title is the answer, its body one fact a line."""

    title: str
    body: str


def words_of(event: Event, language: Language, zone: tzinfo) -> Words:
    """One event for one reader."""
    what = _what(event, language)
    title = _upper(what) if event.scope == DEPLOYMENT else language.text(texts.TITLE, shop=event.scope, what=what)
    shops = event.fact.values.get("shops", "")
    lines = [_shops(shops.split(", "), language)] if shops else []
    if event.what == "end":
        return Words(title, "\n".join([*lines, *_ended(event, language, zone)]))
    return Words(title, "\n".join([*lines, *_advice(event, language, zone), *_technical(event, language)]))


def words_of_many(events: list[Event], language: Language, zone: tzinfo) -> Words:
    """The same thing happening to several connections at once."""
    first = min(events, key=lambda event: event.since)
    count = sum(event.fact.count for event in events)
    fact = Fact(count=count, values={**_values_of_many(events), **side_of(first.fact), "shop": "…"})
    whole = Event(first.what, DEPLOYMENT, first.condition, fact, first.since, first.lasted)
    title = language.counted(*texts.PLURALS[0], len(events), what=_what(whole, language))
    lines = _ended(whole, language, zone) if first.what == "end" else _advice(whole, language, zone)
    return Words(_upper(title), "\n".join([_shops(sorted(event.scope for event in events), language), *lines]))


def _values_of_many(events: list[Event]) -> dict[str, str]:
    """What the texts of these events name, such as their files: each once."""
    values: dict[str, list[str]] = {}
    for event in events:
        for name, value in event.fact.values.items():
            values.setdefault(name, []).append(value)
    return {name: _some(list(dict.fromkeys(found))) for name, found in values.items()}


def _ended(event: Event, language: Language, zone: tzinfo) -> list[str]:
    if event.lasted is None:
        return [language.text(texts.NO_ACTION)]
    since, until = (language.moment(at, zone) for at in (event.since, event.since + event.lasted))
    lasted = language.text(texts.LASTED, duration=language.duration(event.lasted), since=since, until=until)
    return [lasted, language.text(texts.NO_ACTION)]


def _advice(event: Event, language: Language, zone: tzinfo) -> list[str]:
    """Since when, what it means for the money, and what to do now."""
    text = _text(event)
    values = {"shop": event.scope, **event.fact.values}
    lines = [language.text(texts.SINCE, moment=language.moment(event.since, zone)), language.text(text.money, **values)]
    if event.condition == "rejected":
        known = [language.text(one) for one in event.fact.why.split("; ") if one and language.knows(one)]
        lines += [language.text(texts.REASONS, reasons="; ".join(known))] if known else []
    todo = language.text(text.todo, **values)
    return [*lines, language.text(texts.TODO, todo=todo[:1].lower() + todo[1:])]


def _technical(event: Event, language: Language) -> list[str]:
    lines = []
    if event.condition.partition(" ")[0] in DETAILED and event.fact.why:
        lines.append(language.text(texts.DETAIL, detail=event.fact.why))
    base = ui_url()
    if base and event.fact.run_id:
        lines.append(language.text(texts.RUN, url=f"{base}/runs/{event.fact.run_id}"))
    return lines


def _text(event: Event) -> Text:
    return TEXTS[event.condition.partition(" ")[0]]


def _what(event: Event, language: Language) -> str:
    text = _text(event)
    values = {"shop": event.scope, **side_of(event.fact), **event.fact.values}
    if event.what == "end":
        return language.text(text.over, **values)
    if text.many:
        return language.counted(text.title, text.many, event.fact.count, **values)
    return language.text(text.title, **values)


def side_of(fact: Fact) -> dict[str, str]:
    """The side that cannot be reached: its name and host, as the error says."""
    why = fact.why
    found = [name for name in ("Sitniks", "Finmap") if name in why]
    side = min(found, key=why.index) if found else ""
    host = fact.cause
    return {"side": f"{side} ({host})" if side and host else side or host or "Sitniks / Finmap"}


def _shops(names: list[str], language: Language) -> str:
    return language.text(texts.SHOPS, count=language.number(len(names)), shops=_some(names))


def _some(names: list[str]) -> str:
    return ", ".join([*names[:MOST_NAMES], *(["…"] if len(names) > MOST_NAMES else [])])


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
