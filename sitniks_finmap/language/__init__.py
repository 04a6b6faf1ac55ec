"""Ukrainian and English for people: texts of one catalogue, plurals, money, dates, durations.

The English text is the key in the catalogue (catalogue.py). Lines of ours are said by `text` and `counted`. Errors,
findings and reasons are data, English where they are stored; `say` recognises them (recognition.py).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from typing import Literal

from babel.dates import format_date, format_datetime, format_interval
from babel.lists import format_list
from babel.numbers import format_compact_decimal, format_currency, format_decimal, get_currency_symbol
from babel.units import format_unit

from sitniks_finmap.language.catalogue import ids, translations
from sitniks_finmap.language.recognition import Phrasebook, Reader

Code = Literal["uk", "en"]
LOCALES = {"uk": "uk_UA", "en": "en_GB"}
DAY = {"uk": "d MMMM y 'р.'", "en": "d MMMM y"}
MOMENT = {"uk": "d MMMM y 'р.' 'о' HH:mm", "en": "d MMMM y, HH:mm"}
MONTH = {"uk": "LLLL y 'р.'", "en": "LLLL y"}
MONEY = "#,##0.00\N{NO-BREAK SPACE}¤"
UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class Language:
    """What is said in one language."""

    code: Code = "uk"

    def text(self, text: str, **values: object) -> str:
        """The text in this language, with its values filled in."""
        return _catalogue(self.code).gettext(text).format(**values)

    def counted(self, one: str, many: str, count: int, **values: object) -> str:
        """The text in the plural form of `count`, which is also its value {count}."""
        said = _catalogue(self.code).ngettext(one, many, count)
        return said.format(count=self.number(count), **values)

    def known(self, text: str) -> str | None:
        """The words that a text has in this language, if any: as they are, without values."""
        said = _catalogue(self.code).gettext(text)
        return said if said != text else None

    def knows(self, text: str) -> bool:
        """Whether a text has words in this language."""
        return self.code == "en" or self.known(text) is not None

    def say(self, sentence: str) -> str:
        """An English sentence of ours, such as an error or a reason, in this language; unknown words stay as they are.

        Parts of it are said if the whole is not known: "u1: first; second (12)".
        """
        return sentence if self.code == "en" else Reader(_phrasebook(), self).read(sentence).said

    def number(self, number: float) -> str:
        return format_decimal(number, locale=LOCALES[self.code])

    def money(self, amount: Decimal, currency: str) -> str:
        """Such as "38 450,00 ₴". What is no currency is left as it is written."""
        if not re.fullmatch("[A-Z]{3}", currency):
            return f"{format_decimal(amount, '#,##0.00', locale=LOCALES[self.code])} {currency}".rstrip()
        # Not the digits that are usual in this currency: yen have none, but an amount stays as it is.
        return format_currency(amount, currency, MONEY, locale=LOCALES[self.code], currency_digits=False)

    def amount(self, amount: Decimal) -> str:
        """Such as "38 450,00", with a true minus: for columns whose heading names the currency."""
        return format_decimal(amount, "#,##0.00", locale=LOCALES[self.code]).replace("-", "\N{MINUS SIGN}")

    def compact(self, number: int) -> str:
        """Such as "38 тис.", for the axis of a chart."""
        return format_compact_decimal(number, locale=LOCALES[self.code], fraction_digits=1)

    def percent(self, share: Decimal) -> str:
        """Such as "12,5 %", of a share of one, with a true minus."""
        said = format_decimal(share * 100, "0.0", locale=LOCALES[self.code]).replace("-", "\N{MINUS SIGN}")
        return f"{said}\N{NO-BREAK SPACE}%"

    def sign(self, currency: str) -> str:
        """Such as "₴"; what is no currency is left as it is written."""
        known = re.fullmatch("[A-Z]{3}", currency)
        return get_currency_symbol(currency, locale=LOCALES[self.code]) if known else currency

    def month(self, day: date) -> str:
        """Such as "листопад 2026 р."."""
        return format_date(day, MONTH[self.code], locale=LOCALES[self.code])

    def short_month(self, day: date) -> str:
        """Such as "лист."."""
        return format_date(day, "LLL", locale=LOCALES[self.code])

    def short_day(self, day: date) -> str:
        """Such as "27 лист."."""
        return format_date(day, "d MMM", locale=LOCALES[self.code])

    def day(self, day: date) -> str:
        return format_date(day, DAY[self.code], locale=LOCALES[self.code])

    def short_date(self, day: date) -> str:
        """Such as "27 листопада"."""
        return format_date(day, "d MMMM", locale=LOCALES[self.code])

    def span(self, first: date, last: date) -> str:
        """Such as "2–8 березня" or "23 лютого — 1 березня"."""
        return format_interval(first, last, "MMMMd", locale=LOCALES[self.code])

    def clock_time(self, moment: datetime, zone: tzinfo) -> str:
        """Such as "06:15"."""
        return format_datetime(moment, "HH:mm", tzinfo=zone, locale=LOCALES[self.code])

    def moment(self, moment: datetime, zone: tzinfo) -> str:
        return format_datetime(moment, MOMENT[self.code], tzinfo=zone, locale=LOCALES[self.code])

    def short_moment(self, moment: datetime, zone: tzinfo) -> str:
        """Such as "27 лист., 06:15"."""
        return format_datetime(moment, "d MMM, HH:mm", tzinfo=zone, locale=LOCALES[self.code])

    def duration(self, duration: timedelta) -> str:
        """In its two largest units: "2 години 5 хвилин"."""
        left = max(int(duration.total_seconds()), 60)
        said: list[str] = []
        for unit, seconds in UNITS:
            count, left = divmod(left, seconds)
            if count and len(said) < 2:
                said.append(format_unit(count, f"duration-{unit}", locale=LOCALES[self.code]))
        return " ".join(said)

    def listed(self, words: list[str]) -> str:
        """Such as "u1, u2 і u3"."""
        return format_list(words, locale=LOCALES[self.code])


def terminal_language(environment: Mapping[str, str] | None = None) -> Language:
    """The language of the person at the terminal: SITNIKS_FINMAP_LANGUAGE, else that of the locale."""
    known = os.environ if environment is None else environment
    chosen = known.get("SITNIKS_FINMAP_LANGUAGE", "").strip().lower()
    if chosen in LOCALES:
        return Language("uk" if chosen == "uk" else "en")
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := known.get(name))), "")
    return Language("uk" if locale.lower().startswith("uk") else "en")


def _catalogue(code: Code) -> NullTranslations:
    return NullTranslations() if code == "en" else translations()


@cache
def _phrasebook() -> Phrasebook:
    return Phrasebook(ids())
