"""Puts events into words: title and body of a message, in the language of the one who gets it."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from sitniks_finmap.alerts import texts
from sitniks_finmap.alerts.cases import CASES, MANY, Many, Text
from sitniks_finmap.alerts.conditions import DEPLOYMENT, Event, Fact, case_of
from sitniks_finmap.alerts.links import ui_url
from sitniks_finmap.alerts.texts import TEXTS
from sitniks_finmap.language import Language

Tone = Literal["info", "success", "warning", "failure"]
DEFAULT_ZONE = ZoneInfo("Europe/Kyiv")
# Conditions with a technical detail.
DETAILED = ("key", "invalid", "stopped", "unreachable", "crashed", "blind", "file", "env", "outage")
STOPS_SYNCS = ("key", "stopped", "daemon", "location", "disk")
MOST_NAMES = 30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_REASONS = 5
ALIKE = timedelta(minutes=15)  # what lasted so long, give or take, in several shops is said of all of them
# Reasons for which the record is right and a setting is not.
IN_SETTINGS = re.compile(r"currency .+, but the|unknown currency|not mapped|before start_date")
ALL_SHOPS = "\N{INVISIBLE SEPARATOR}"  # in place of a shop's name, until commands are made commands for all
FOR_THE_SERVER = re.compile(r"`|\.env|\.toml|Dagster")


@dataclass(frozen=True)
class Words:
    """A message: its title is the answer, its body one fact a line; its tone is how a service may show it."""

    title: str
    body: str
    tone: Tone = "info"


def words_of(event: Event, language: Language, zone: tzinfo) -> Words:
    """One event for one reader."""
    what = _what(event, language)
    # On one of several hosts, what concerns that host alone names it.
    about = event.fact.values.get("on") if event.scope == DEPLOYMENT else event.scope
    title = language.text(texts.TITLE, shop=about, what=what) if about else _upper(what)
    shops = event.fact.values.get("shops", "")
    lines = [_shops(shops.split(", "), language)] if shops else []
    if event.what == "end":
        return Words(title, "\n".join([*lines, *_ended(event, language, zone)]), "success")
    return Words(
        title, "\n".join([*lines, *_advice(event, language, zone), *_technical(event, language)]), _tone(event)
    )


def words_of_many(events: list[Event], language: Language, zone: tzinfo) -> Words:
    """The same thing happening to several connections at once."""
    first = min(events, key=lambda event: event.since)
    count = sum(event.fact.count for event in events)
    reasons = Counter[str]()
    for event in events:
        reasons.update(event.fact.reasons)
    values = {**_values_of_many(events), **case_of(first.fact)}
    # Of those that stopped, all have the same reason, and each is asked to read it.
    why = first.fact.why if first.condition == "stopped" else ""
    fact = Fact(count=count, why=why, cause=first.fact.cause, values=values, reasons=dict(reasons))
    well = all(event.all_well for event in events)
    lengths = [event.lasted for event in events if event.lasted is not None]
    alike = len(lengths) == len(events) and max(lengths) - min(lengths) <= ALIKE
    lasted = first.lasted if alike else None
    whole = Event(first.what, DEPLOYMENT, first.condition, fact, first.since, lasted, well)
    title = language.counted(*texts.PLURALS[0], len(events), what=_what(whole, language))
    lines = (
        _ended(whole, language, zone)
        if first.what == "end"
        else [*_advice(whole, language, zone, many=True), *_technical(whole, language)]
    )
    body = "\n".join([_shops(sorted(event.scope for event in events), language), *lines])
    return Words(_upper(title), body, "success" if first.what == "end" else _tone(whole))


def neutral_words(shops: list[str], body: str, what: str, language: Language) -> Words:
    """In place of a text that failed: that there is one, and what it was about."""
    names = _some(sorted(shops))
    title = language.text(texts.UNWORDED, shop=names) if names else language.text(texts.UNWORDED_SERVER)
    return Words(title, "\n".join([language.text(body, what=what), language.text(texts.UNWORDED_TODO)]), "warning")


def title_of(condition: str, fact: Fact, language: Language, shop: str = "") -> str:
    """What is wrong, in a few words without a name: "no connection to Finmap"."""
    return _what(Event("begin", shop, condition, fact, fact.since or EPOCH), language)


@dataclass(frozen=True)
class Advice:
    """What is wrong with one shop, what it means for the money, and what to do."""

    title: str
    money: str
    todo: str


def advice_of(condition: str, shop: str, fact: Fact, language: Language) -> Advice:
    """As the message about it says."""
    event = Event("begin", shop, condition, fact, fact.since or EPOCH)
    return Advice(_what(event, language), language.text(_text(event).money, **_values(event)), _todo(event, language))


def to_be_forwarded(words: Words, language: Language) -> Words:
    """For an owner, who need not be the one that runs commands."""
    if not FOR_THE_SERVER.search(words.body):
        return words
    return replace(words, body=f"{words.body}\n{language.text(texts.FORWARD)}")


def _tone(event: Event) -> Tone:
    return "failure" if event.condition in STOPS_SYNCS else "warning"


def _values_of_many(events: list[Event]) -> dict[str, str]:
    """What the texts of these events name, such as their files: each once."""
    values: dict[str, list[str]] = {}
    for event in events:
        for name, value in event.fact.values.items():
            values.setdefault(name, []).append(value)
    return {name: _some(list(dict.fromkeys(found))) for name, found in values.items()}


def _ended(event: Event, language: Language, zone: tzinfo) -> list[str]:
    lines = [language.text(texts.NO_ACTION)] if event.all_well else []
    if event.lasted is None:
        return lines
    since, until = event.since, event.since + event.lasted
    duration, day = language.duration(event.lasted), since.astimezone(zone).date()
    if day == until.astimezone(zone).date():
        times = {"since": language.clock_time(since, zone), "until": language.clock_time(until, zone)}
        return [language.text(texts.LASTED_THAT_DAY, duration=duration, day=language.day(day), **times), *lines]
    moments = {"since": language.moment(since, zone), "until": language.moment(until, zone)}
    return [language.text(texts.LASTED, duration=duration, **moments), *lines]


def _advice(event: Event, language: Language, zone: tzinfo, *, many: bool = False) -> list[str]:
    """Since when, what it means for the money, and what to do now."""
    text, instead = _text(event), _instead(event) if many else Many()
    values = {**_values(event), "shop": ALL_SHOPS if many else event.scope}
    lines = [
        language.text(texts.SINCE, moment=language.moment(event.since, zone)),
        language.text(instead.money or text.money, **values),
    ]
    if event.fact.reasons:
        lines.append(language.text(texts.REASONS, reasons=_reasons(event.fact.reasons, language)))
    todo = language.text(instead.todo or text.todo, **values) if many else _todo(event, language)
    todo = todo.replace(f" --connection {ALL_SHOPS}", "")
    return [*lines, language.text(texts.TODO, todo=todo[:1].lower() + todo[1:])]


def _todo(event: Event, language: Language) -> str:
    """What to do about one shop."""
    todo = language.text(_text(event).todo, **_values(event))
    return " ".join([todo, *_remedies(event, language)]) if event.condition == "rejected" else todo


def _instead(event: Event) -> Many:
    return MANY.get(_case_name(event)) or MANY.get(event.condition) or Many()


def _reasons(reasons: Mapping[str, int], language: Language) -> str:
    """The most frequent, each with its count; how many records the others concern."""
    ordered = Counter(reasons).most_common()
    said = [
        language.text(texts.REASON, reason=language.say(reason), count=language.number(count))
        for reason, count in ordered[:MOST_REASONS]
    ]
    if rest := sum(count for _, count in ordered[MOST_REASONS:]):
        said.append(language.counted(*texts.MORE_REASONS, rest))
    return "; ".join(said)


def _remedies(event: Event, language: Language) -> list[str]:
    """A record that is wrong is corrected in Sitniks, and one that is right needs another setting."""
    of_settings = [bool(IN_SETTINGS.search(reason)) for reason in event.fact.reasons]
    if not any(of_settings):
        return [language.text(texts.IN_SITNIKS)]
    said = [language.text(texts.IN_SETTINGS, shop=event.scope)]
    return said if all(of_settings) else [*said, language.text(texts.IN_BOTH)]


def _technical(event: Event, language: Language) -> list[str]:
    lines = []
    if event.condition.partition(" ")[0] in DETAILED and event.fact.why:
        lines.append(language.text(texts.DETAIL, detail=language.say(event.fact.why)))
    base = ui_url()
    if base and event.fact.run_id:
        lines.append(language.text(texts.RUN, url=f"{base}/runs/{event.fact.run_id}"))
    return lines


def _text(event: Event) -> Text:
    return CASES.get(_case_name(event)) or TEXTS[event.condition.partition(" ")[0]]


def _case_name(event: Event) -> str:
    return f"{event.condition} {event.fact.values.get('case', '')}"


def _what(event: Event, language: Language) -> str:
    text, values = _text(event), _values(event)
    if event.what == "end":
        return language.text(text.over, **values)
    if text.many:
        return language.counted(text.title, text.many, event.fact.count, **values)
    return language.text(text.title, **values)


def _values(event: Event) -> dict[str, str]:
    return values_of(event.scope, event.condition, event.fact)


def values_of(scope: str, condition: str, fact: Fact) -> dict[str, str]:
    """What the texts name. Of what cannot be reached, the side with its host."""
    values = {"shop": scope, **fact.values}
    side, host = values.get("side", ""), fact.cause
    if condition.partition(" ")[0] in ("unreachable", "outage"):
        values["side"] = f"{side} ({host})" if side and host else side or host or "Sitniks / Finmap"
    return values


def _shops(names: list[str], language: Language) -> str:
    return language.text(texts.SHOPS, count=language.number(len(names)), shops=_some(names))


def _some(names: list[str]) -> str:
    return ", ".join([*names[:MOST_NAMES], *(["…"] if len(names) > MOST_NAMES else [])])


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
