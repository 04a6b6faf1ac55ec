"""Renders pages: one HTML file, with style, script and charts in it, that loads nothing from the network."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sitniks_finmap.language import Code, Language
from sitniks_finmap.report import texts
from sitniks_finmap.report.charts import Chart


def render(template: str, language: Language, zone: tzinfo, now: datetime, **values: Any) -> str:
    """A whole page in this language. Whatever a value says is escaped."""
    style, script = (_asset(name) for name in ("style.css", "script.js"))
    return _environment(language.code).get_template(template).render(
        **values, language=language, now=now, style=Markup(style), script=Markup(script),  # noqa: S704 - files of ours
        style_hash=_hash(style), script_hash=_hash(script),
        moment=lambda at: language.moment(at, zone), short_moment=lambda at: language.short_moment(at, zone),
    )  # fmt: skip


def render_chart(chart: Chart) -> str:
    """A chart as an SVG of its own, for the UI."""
    return _environment("en").get_template("chart.svg.j2").render(chart=chart, alone=True)


@cache
def _environment(code: Code) -> Environment:
    """The templates, with the words and formats of one language."""
    language = Language(code)
    environment = Environment(
        loader=PackageLoader("sitniks_finmap.report"), autoescape=True, undefined=StrictUndefined, auto_reload=False,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["upfirst"] = lambda text: text[:1].upper() + text[1:]
    environment.globals |= {
        "t": language.text, "n": language.counted, "number": language.number, "amount": language.amount,
        "cash": _cash(language), "sign": language.sign, "day": language.day, "month": language.month,
        "short_day": language.short_day, "percent": lambda part, whole: language.percent(Decimal(part) / whole),
        "percent_change": _percent_change(language), "ratio": _ratio, "length": _length,
        "classification": lambda name: _classification(name, language), "zero": Decimal(0),
    }  # fmt: skip
    return environment


def _classification(name: str, language: Language) -> str:
    """As people call it; one of a shop's own rules has no words."""
    return language.text(texts.CLASSIFICATIONS[name]) if name in texts.CLASSIFICATIONS else name


def _cash(language: Language) -> Callable[[Decimal, str], str]:
    """An amount with its currency and a true minus."""
    return lambda amount, currency: language.money(amount, currency).replace("-", "\N{MINUS SIGN}")


def _percent_change(language: Language) -> Callable[[Decimal, Decimal], str]:
    def said(now: Decimal, before: Decimal) -> str:
        change = Decimal(now) / before - 1
        return ("+" if change > 0 else "") + language.percent(change)

    return said


def _ratio(part: Decimal, whole: Decimal, digits: int) -> int:
    """How many times one is in the other, times a power of ten: a whole number, to sort by."""
    return int(Decimal(part) * 10**digits / whole)


def _length(value: Decimal, most: Decimal) -> int:
    """Of a bar, in percent of the longest; at least 1."""
    return max(int(value * 100 / most), 1) if most else 0


@cache
def _asset(name: str) -> str:
    return files("sitniks_finmap.report").joinpath("templates", name).read_text("utf-8").strip()


def _hash(text: str) -> str:
    """As the content security policy of the page names what may be applied and run."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
