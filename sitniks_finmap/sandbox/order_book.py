"""The orders of one shop over time: seeds them, and brings them to a later moment."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import heappop, heappush
from random import Random

from . import catalogue
from .order_courses import PARTLY_REFUNDED, PREPAID, STATUSES
from .order_lives import Life, life_of, order_text
from .seed import moment_on
from .sitniks_rows import KYIV
from .tenant import Shop

FIRST_DAY = date(2020, 1, 1)
NUMBERS_A_DAY = 100  # the number of an order tells its day, so it is the same wherever a book begins
CATALOGUE_DAYS = 60


@dataclass(frozen=True)
class OrderSummary:
    """What a shop's orders are after seeding. `statuses` counts the live ones by title; `book` brings them to a later
    moment and knows the truth about each.
    """

    orders: int
    deleted: int
    statuses: Mapping[str, int]
    book: "OrderBook" = field(repr=False, compare=False)


@dataclass(frozen=True)
class OrderChanges:
    """How many orders a step began, edited and deleted. One that it both began and deleted is in none."""

    begun: int
    edited: int
    deleted: int


class OrderBook:
    """The lives of a shop's orders, about 25 a day, from the Kyiv day `since` on.

    What the shop holds after `advance` follows from `since`, `seed` and the moment, whatever steps led there. A step
    writes only orders with an edit since the last one, and those whose lines show another price or stock. Orders show
    today's catalogue for 60 days; older ones keep that of their sixtieth day, or of a later edit.
    """

    def __init__(self, shop: Shop, *, since: date, seed: int = 1):
        if since < FIRST_DAY:
            raise ValueError(f"a shop's orders begin on {FIRST_DAY} at the earliest")
        self.moment: datetime | None = None
        self._shop = shop
        self._seed = seed
        self._next_day = since
        self._lives: list[Life] = []  # by creation, with those of the whole day that was begun last
        self._places: dict[int, int] = {}
        self._due: list[tuple[datetime, int]] = []  # edits still to come, with the place of their life

    @property
    def lives(self) -> list[Life]:
        """Every order created up to the book's moment, oldest first, deleted ones included."""
        moment = self.moment
        return [] if moment is None else [life for life in self._lives if life.created <= moment]

    def life(self, id: int) -> Life:
        """Raises KeyError if the book has no such order."""
        return self._lives[self._places[id]]

    def advance(self, moment: datetime) -> OrderChanges:
        """Brings the shop to a moment. Raises ValueError for one before the last."""
        if self.moment and moment < self.moment:
            raise ValueError(f"the orders are already at {self.moment.isoformat()}")
        before, self.moment = self.moment, moment
        self._begin_days(_day(moment))
        edited: set[int] = set()
        while self._due and self._due[0][0] <= moment:
            edited.add(heappop(self._due)[1])
        repriced = self._repriced(_day(before), _day(moment)) if before else set()
        self._write(moment, edited | repriced)
        kinds = Counter(
            (bool(before and life.created <= before), _is_deleted(life, moment))
            for life in (self._lives[place] for place in edited)
        )
        return OrderChanges(begun=kinds[False, False], edited=kinds[True, False], deleted=kinds[True, True])

    def _begin_days(self, last: date) -> None:
        while self._next_day <= last:
            for life in _lives_of_day(self._seed, self._next_day):
                place = self._places[life.id] = len(self._lives)
                self._lives.append(life)
                for event in life.events:
                    heappush(self._due, (event.at, place))
            self._next_day += timedelta(days=1)

    def _repriced(self, before: date, today: date) -> set[int]:
        """The places of the lives that show another catalogue than on the day before, edits apart."""
        if today == before:
            return set()
        first = bisect_left(self._lives, before - timedelta(days=CATALOGUE_DAYS), key=lambda life: life.day)
        end = bisect_right(self._lives, before, key=lambda life: life.day)
        return {place for place in range(first, end) if _shows_another(self._lives[place], before, today)}

    def _write(self, moment: datetime, places: set[int]) -> None:
        texts: list[str] = []
        with self._shop.writing():
            for place in sorted(places):
                life = self._lives[place]
                text = order_text(life, moment, _catalogue_day(life, moment))
                if text is None:
                    self._shop.delete_order(life.id)
                else:
                    texts.append(text)
            self._shop.put_orders(texts)


def seed_orders(shop: Shop, *, days: int = 60, seed: int = 1, now: datetime | None = None) -> OrderSummary:
    """Fills a shop with the orders begun on the `days` days up to `now`, as they look then: about 25 a day.

    `now` is by default the sandbox's clock. Adds the statuses «Передплата» and «Частково повернено», the account
    «Склад» in UAH, and categories for sales, refunds, cost of goods and returns to stock.
    """
    now = now or shop.clock()
    _furnish(shop)
    book = OrderBook(shop, since=_day(now) - timedelta(days=days - 1), seed=seed)
    changes = book.advance(now)
    lives = book.lives
    facts = [event.facts for life in lives if (event := life.latest(now))]
    return OrderSummary(
        orders=changes.begun,
        deleted=len(lives) - changes.begun,
        statuses=Counter(fact.status for fact in facts if not fact.deleted),
        book=book,
    )


def _furnish(shop: Shop) -> None:
    for title in (PREPAID, PARTLY_REFUNDED):
        shop.directories.add("orders/statuses", {"id": STATUSES.index(title) + 1, "title": title})
    shop.add_account("Склад", "UAH")
    for label in ("Продажі", "Повернення на склад"):
        shop.add_category("income", label)
    for label in ("Повернення клієнтам", "Собівартість"):
        shop.add_category("expense", label)


def _lives_of_day(seed: int, day: date) -> list[Life]:
    rng = Random(f"orders/{seed}/{day}")
    moments = sorted({moment_on(rng, day) for _ in range(rng.randint(20, 30))})
    first = (day - FIRST_DAY).days * NUMBERS_A_DAY
    return [life_of(seed, number, moment) for number, moment in enumerate(moments, first + 1)]


def _day(moment: datetime) -> date:
    return moment.astimezone(KYIV).date()


def _is_deleted(life: Life, moment: datetime) -> bool:
    event = life.latest(moment)
    return event is not None and event.facts.deleted


def _catalogue_day(life: Life, moment: datetime) -> date:
    """The day whose catalogue an order shows."""
    event = life.latest(moment) or life.events[0]
    return min(_day(moment), max(life.day + timedelta(days=CATALOGUE_DAYS), _day(event.at)))


def _shows_another(life: Life, before: date, today: date) -> bool:
    last = life.day + timedelta(days=CATALOGUE_DAYS)
    days = min(before, last), min(today, last)
    variations = [line.variation for line in life.lines if line.variation is not None]
    return any(catalogue.issue(one, days[0]) != catalogue.issue(one, days[1]) for one in variations)
