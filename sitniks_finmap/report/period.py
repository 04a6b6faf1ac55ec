"""The days that a report is about: a month, and what it is compared with."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

DAYS, MONTHS = 30, 12


@dataclass(frozen=True)
class Period:
    """A month of one shop, up to `today` if it is not over. Both are local days of the shop."""

    month: date  # its first day
    today: date

    @property
    def is_over(self) -> bool:
        return self.month_end < self.today

    @property
    def month_end(self) -> date:
        return last_of(self.month)

    @property
    def last(self) -> date:
        """The last day that counts."""
        return min(self.month_end, self.today)

    @property
    def before(self) -> date:
        """The first day of the month before."""
        return (self.month - timedelta(days=1)).replace(day=1)

    @property
    def before_last(self) -> date:
        """The day of the month before up to which a comparison is fair: the same number of days, or the whole month."""
        end = last_of(self.before)
        return end if self.last == self.month_end else min(end, self.before + (self.last - self.month))

    @property
    def first_shown(self) -> date:
        """The first day of the chart by day: of a month that is over its first, otherwise 30 days are shown."""
        return self.month if self.is_over else self.last - timedelta(days=DAYS - 1)

    def days(self) -> list[date]:
        return [self.first_shown + timedelta(days=n) for n in range((self.last - self.first_shown).days + 1)]

    def months(self) -> list[date]:
        """The first days of twelve months, this one last."""
        return [*_months_before(self.month, MONTHS)][::-1]


def last_of(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


def _months_before(month: date, count: int) -> Iterator[date]:
    for _ in range(count):
        yield month
        month = (month - timedelta(days=1)).replace(day=1)
