"""Puts a digest into words. Its first line is the answer."""

from sitniks_finmap.alerts import digest_texts as texts
from sitniks_finmap.alerts.digest import Digest, Side
from sitniks_finmap.alerts.texts import REASONS
from sitniks_finmap.alerts.wording import Words
from sitniks_finmap.language import Language


def words_of_digest(digest: Digest, language: Language) -> Words:
    """Of days that are reconciled."""
    said = _texts_of(digest)
    sitniks = _totals([(one.sitniks, one.currency) for one in digest.sums], language)
    rejected = [language.counted(*said.rejected, digest.rejected)] if digest.rejected else []
    if not digest.is_equal:
        finmap = _totals([(one.finmap, one.currency) for one in digest.sums], language)
        lines = [
            language.counted(*said.different, digest.differences),
            language.text(texts.SIDE, side="Sitniks", totals=sitniks),
            language.text(texts.SIDE, side="Finmap", totals=finmap),
            *rejected,
        ]
    else:
        empty = not any(one.sitniks.income_count or one.sitniks.expense_count for one in digest.sums)
        equal = language.text(texts.EMPTY if empty else texts.EQUAL, totals=sitniks)
        lines = [" ".join([*([] if empty and rejected else [equal]), *rejected])]
        if digest.differences:
            lines.append(language.counted(*said.otherwise, digest.differences))
    days = {"day": digest.days.first.isoformat(), "last": digest.days.last.isoformat()}
    if digest.differences:
        lines.append(language.text(said.list, shop=digest.shop, **days))
    elif rejected:
        lines.append(language.text(said.list_rejected, shop=digest.shop, **days))
    return Words(title_of_digest(digest, language), "\n".join(lines))


def words_of_missing(digest: Digest, why: str, language: Language) -> Words:
    """Of days that are not reconciled: that there are no totals yet, and why."""
    said = _texts_of(digest)
    if not why:
        unreconciled = said.unreconciled if digest.is_read else said.unread
        why = language.text(unreconciled if digest.is_readable else texts.UNREADABLE)
    missing = texts.MISSING_OF_WEEK if digest.days.is_week else texts.MISSING
    lines = [language.text(missing), language.text(REASONS, reasons=why)]
    return Words(title_of_digest(digest, language), "\n".join(lines))


def title_of_digest(digest: Digest, language: Language) -> str:
    days = digest.days
    said = language.span(days.first, days.last) if _are_many(digest) else language.short_date(days.last)
    title = texts.TITLE_OF_WEEK if days.is_week else texts.TITLE
    return language.text(title, shop=digest.shop, days=said)


def _texts_of(digest: Digest) -> texts.OfDays:
    return texts.OF_SEVERAL_DAYS if _are_many(digest) else texts.OF_A_DAY


def _are_many(digest: Digest) -> bool:
    return digest.days.first != digest.days.last


def _totals(sides: list[tuple[Side, str]], language: Language) -> str:
    """Such as "41 надходження 38 450,00 ₴, 7 витрат 2 310,50 ₴", one after the other for each currency."""
    return "; ".join(_totals_of(side, currency, language) for side, currency in sides)


def _totals_of(side: Side, currency: str, language: Language) -> str:
    income = language.counted(*texts.INCOMES, side.income_count, money=language.money(side.income_sum, currency))
    expense = language.counted(*texts.EXPENSES, side.expense_count, money=language.money(side.expense_sum, currency))
    return f"{income}, {expense}"
