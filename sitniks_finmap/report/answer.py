"""The answer that a report begins with: do both sides match to the kopiyka, and if not, what is it?"""

from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal

from sitniks_finmap.language import Language
from sitniks_finmap.report import texts
from sitniks_finmap.report.figures import Figures, Row
from sitniks_finmap.report.troubles import Tone, Trouble

WRONG = {"missing", "unexpected", "different"}  # kinds of differences that nobody can explain
# Troubles that say that the comparison may be old.
STOPPED = {"key", "invalid", "stopped", "unreachable", "crashed", "blind", "stale"}


@dataclass(frozen=True)
class Answer:
    """One sentence, and what it is based on or, for a shop without numbers, what to do."""

    tone: Tone
    headline: str
    lines: list[str]


def answer_of(figures: Figures, troubles: list[Trouble], language: Language, zone: tzinfo) -> Answer:
    """The answer about a shop that was read at least once."""
    tone, headline = _headline(figures, troubles, language)
    return Answer(tone, headline, _lines(figures, language, zone))


def never_synced(shop: str, troubles: list[Trouble], language: Language) -> Answer:
    lines = [] if troubles else [language.text(texts.SYNC_FIRST, shop=shop)]
    return Answer("error" if troubles else "warning", language.text(texts.NEVER), lines)


def unreadable(why: str, language: Language) -> Answer:
    return Answer("error", language.text(texts.UNREADABLE), [language.text(texts.WHY_UNREADABLE, detail=why)])


def invalid(why: str, language: Language) -> Answer:
    return Answer("error", language.text(texts.INVALID), [language.text(texts.WHY_UNREADABLE, detail=why)])


def _headline(figures: Figures, troubles: list[Trouble], language: Language) -> tuple[Tone, str]:
    names = {one.name for one in troubles}
    worst: Tone = "error" if any(one.tone == "error" for one in troubles) else "warning" if troubles else "ok"
    if not figures.is_equal:
        return _difference(figures, troubles, worst, language)
    if not troubles:
        return "ok", language.text(texts.MATCH if figures.scope["operations"] else texts.EMPTY)
    return worst, language.text(texts.MATCHED if names & STOPPED else texts.MATCH_BUT)


def _difference(figures: Figures, troubles: list[Trouble], worst: Tone, language: Language) -> tuple[Tone, str]:
    names, kinds = {one.name: one for one in troubles}, figures.kinds.keys()
    if kinds & WRONG or "refused" in kinds or not kinds:
        return "error", language.text(texts.DIFFER)
    if waiting := names.get("pending") or names.get("safety_catch"):
        return worst, language.counted(*texts.WAITS, waiting.count)
    if "scheduled" in kinds or "pending" in kinds:
        return "error" if worst == "error" else "warning", language.text(texts.BEHIND)
    return worst, language.text(texts.DECIDED)


def _lines(figures: Figures, language: Language, zone: tzinfo) -> list[str]:
    lines = [line for gap in figures.gaps for line in _gap(gap, language)]
    if not figures.is_equal and figures.kinds:
        kinds = [
            language.text(texts.KIND, kind=language.text(texts.KINDS[kind]), count=language.number(count))
            for kind, count in figures.kinds.items()
        ]
        lines.append(language.text(texts.RECORDS_DIFFER, kinds=language.listed(kinds)))
    scope = figures.scope
    if scope["first_day"]:
        first, last = language.day(scope["first_day"]), language.day(scope["last_day"])
        lines.append(language.counted(*texts.COVERS, scope["operations"], first=first, last=last))
    if scope["reconciled_at"]:
        lines.append(language.text(texts.RECONCILED, moment=language.moment(scope["reconciled_at"], zone)))
    return lines


def _gap(gap: Row, language: Language) -> list[str]:
    """How much more or less one side has, in words; amounts are above zero."""
    said = [
        language.text(less if amount < 0 else more, money=language.money(abs(amount), gap["currency"]))
        for amount, less, more in (
            (gap["income"], texts.LESS_INCOME, texts.MORE_INCOME),
            (gap["expense"], texts.LESS_EXPENSE, texts.MORE_EXPENSE),
        )
        if amount != Decimal(0)
    ] or [language.text(texts.CANCELS_OUT, currency=gap["currency"])]
    return [language.text(texts.OF_STOCK, what=one) if gap["is_stock"] else one for one in said]
