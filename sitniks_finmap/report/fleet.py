"""The index over all shops, for integrators: sorted by trouble, each with a link to its report."""

from dataclasses import dataclass, field
from datetime import date, datetime

from sitniks_finmap.alerts.wording import DEFAULT_ZONE
from sitniks_finmap.language import Language
from sitniks_finmap.report import texts
from sitniks_finmap.report.answer import invalid
from sitniks_finmap.report.figures import Money
from sitniks_finmap.report.page import render
from sitniks_finmap.report.shop import ShopReport
from sitniks_finmap.report.troubles import Tone
from sitniks_finmap.settings.connections_file import WrongConnection

ORDER = ("error", "warning", "ok")


@dataclass(frozen=True)
class Line:
    """One shop in the index. `file` is the name of its report, beside the index; empty if it has none."""

    name: str
    file: str
    tone: Tone
    headline: str
    troubles: list[str] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)
    operations: int = 0
    reconciled_at: datetime | None = None


def index_of(lines: list[Line], month: date, now: datetime, language: Language) -> str:
    """The page about a month. Shops that need attention come first."""
    ordered = sorted(lines, key=lambda line: (ORDER.index(line.tone), -len(line.troubles), line.name))
    needy = [line for line in lines if line.tone != "ok"]
    headline = (
        language.counted(*texts.NEEDY, len(needy)) if needy else language.counted(*texts.ALL_MATCH, len(lines))
    )  # fmt: skip
    tone = ordered[0].tone if ordered else "ok"
    return render(
        "index.html.j2", language, DEFAULT_ZONE, now, shops=ordered, tone=tone, headline=headline, of_month=month
    )  # fmt: skip


def line_of(report: ShopReport, file: str, language: Language) -> Line:
    figures, (answer, troubles) = report.figures, report.told(language)
    return Line(
        report.connection.name,
        file,
        answer.tone,
        answer.headline,
        [one.title for one in troubles],
        figures.money if figures else [],
        sum(one.this.operations for one in figures.money) if figures else 0,
        figures.scope["reconciled_at"] if figures else None,
    )


def line_of_wrong(wrong: WrongConnection, language: Language) -> Line:
    """A table of connections.toml that is invalid."""
    answer = invalid(wrong.why.removeprefix(f"{wrong.name}: "), language)
    return Line(wrong.name, "", answer.tone, answer.headline, answer.lines)
