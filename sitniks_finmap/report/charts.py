"""Where the bars of a chart are: incomes upwards, expenses downwards, on one scale. Exact, with no floats."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from itertools import count

from sitniks_finmap.language import Language
from sitniks_finmap.report import texts
from sitniks_finmap.report.figures import Money, Totals

WIDTH, LEFT, RIGHT, TOP, PLOT, FOOT = 720, 84, 4, 10, 200, 30  # user units of the SVG
WIDEST, LOWEST = Decimal(40), Decimal("0.5")  # bars
FEWEST = 6  # months
STEPS = 4  # about as many lines of the scale as fit
NARROW = Decimal(1) / 10


@dataclass(frozen=True)
class Bar:
    kind: str  # income, expense
    x: Decimal
    y: Decimal
    width: Decimal
    height: Decimal


@dataclass(frozen=True)
class Column:
    """One day or month: its bars, what they say in words, and its label; `minor` labels give way on a phone."""

    bars: list[Bar]
    x: Decimal  # where it begins
    width: Decimal
    middle: Decimal
    says: str
    label: str
    minor: bool


@dataclass(frozen=True)
class Chart:
    """A chart of incomes and expenses. `lines` are those of the scale: position, label."""

    name: str  # unique on the page
    title: str
    says: str  # what one should know who cannot see it
    left: int
    top: int
    width: int
    height: int
    plot: int
    zero: Decimal
    lines: list[tuple[Decimal, str]]
    columns: list[Column]


@dataclass(frozen=True)
class Scale:
    """The vertical scale: `above` lines for incomes, and as far down as the largest expense."""

    step: int  # money from one line to the next
    above: int
    least: Decimal  # the largest expense

    @property
    def unit(self) -> Decimal:
        """The height of one unit of money."""
        return Decimal(PLOT) / (self.above * self.step + self.least)

    @property
    def zero(self) -> Decimal:
        return TOP + self.above * self.step * self.unit

    def lines(self, language: Language) -> list[tuple[Decimal, str]]:
        """Position and label of each line."""
        numbers = range(-int(self.least // self.step), self.above + 1)
        return [(_near(self.zero - n * self.step * self.unit), language.compact(abs(n) * self.step)) for n in numbers]


def chart_of_days(money: Money, language: Language) -> Chart:
    days = money.days
    last = len(days) - 1
    labels = {
        day: (language.short_day(day), (last - n) % 5 == 0, (last - n) % 10 != 0) for n, day in enumerate(days)
    }  # fmt: skip
    return _chart("days", texts.BY_DAY, days, labels, money.currency, language)


def chart_of_months(money: Money, language: Language) -> Chart:
    """From the first month with operations on, but six months at least."""
    first = next((n for n, one in enumerate(money.months.values()) if one.operations), 0)
    months = dict([*money.months.items()][min(first, len(money.months) - FEWEST) :])
    labels = {
        month: (language.short_month(month), True, (len(months) - 1 - n) % 2 != 0) for n, month in enumerate(months)
    }  # fmt: skip
    return _chart("months", texts.BY_MONTH, months, labels, money.currency, language)


def _chart(
    name: str, title: str, totals: Mapping[date, Totals], labels: Mapping[date, tuple[str, bool, bool]], currency: str,
    language: Language,
) -> Chart:  # fmt: skip
    """`labels`: of each day or month its label, whether it is shown, and whether it gives way on a phone."""
    scale = _scale(totals)
    slot = Decimal(WIDTH - LEFT - RIGHT) / len(totals)
    columns = [
        Column(
            _bars(one, scale, LEFT + n * slot, slot),
            _near(LEFT + n * slot),
            _near(slot),
            _near(LEFT + n * slot + slot / 2),
            language.text(texts.COLUMN, when=labels[at][0], **_money(one, currency, language)),
            labels[at][0] if labels[at][1] else "",
            labels[at][2],
        )
        for n, (at, one) in enumerate(totals.items())
    ]
    days = [label for label, *_ in labels.values()]
    says = language.text(texts.CHART, first=days[0], last=days[-1], **_money(_sum(totals), currency, language))
    return Chart(
        f"{name}-{currency}", language.text(title), says, LEFT, TOP, WIDTH, TOP + PLOT + FOOT, PLOT, _near(scale.zero),
        scale.lines(language), columns,
    )  # fmt: skip


def _scale(totals: Mapping[date, Totals]) -> Scale:
    most, least = max(one.income for one in totals.values()), max(one.expense for one in totals.values())
    step = _step(max(most, least, Decimal(1)))
    return Scale(step, max(int((most / step).to_integral_value(ROUND_CEILING)), 1), least)


def _bars(one: Totals, scale: Scale, x: Decimal, slot: Decimal) -> list[Bar]:
    width = min(slot * 2 / 3, WIDEST)
    bars = []
    for kind, amount in (("income", one.income), ("expense", one.expense)):
        height = max(_near(amount * scale.unit), LOWEST)
        y = scale.zero - height if kind == "income" else scale.zero
        bars += [Bar(kind, _near(x + (slot - width) / 2), _near(y), _near(width), height)] if amount else []
    return bars


def _sum(totals: Mapping[date, Totals]) -> Totals:
    incomes, expenses = ([getattr(one, side) for one in totals.values()] for side in ("income", "expense"))
    return Totals(income=sum(incomes, Decimal(0)), expense=sum(expenses, Decimal(0)))


def _money(one: Totals, currency: str, language: Language) -> dict[str, str]:
    return {"income": language.money(one.income, currency), "expense": language.money(one.expense, currency)}


def _step(most: Decimal) -> int:
    """The distance of two lines of the scale: 1, 2 or 5 times a power of ten."""
    for power in count():
        for times in (1, 2, 5):
            step = times * 10**power
            if most <= step * STEPS:
                return step
    raise AssertionError


def _near(number: Decimal) -> Decimal:
    """To a tenth of a unit of the SVG."""
    return number.quantize(NARROW).normalize() + 0
