"""Orders that live: the whole life of an order, what Sitniks shows of it at any moment, and the truth behind it.

Nothing here depends on the clock or on a shop: a seed, a number and the moment of creation determine everything.
"""

import random
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, NamedTuple

from . import catalogue
from .exchange import exact_text, parse_json
from .order_courses import (
    COSTS_COME_LATE,
    DECLARED,
    FACTS,
    KINDS,
    KOPIYKA,
    NEW,
    PREPAID,
    STATUSES,
    Course,
    Event,
    Facts,
    draw_kind,
)
from .seed import SOURCES
from .sitniks_rows import KYIV, Row
from .transaction_shapes import DELIVERIES, client_row, stamp

FIRST_ID = 50_000
QUANTITIES: tuple[int | str | Decimal, ...] = (1, 1, 1, 1, 1, 2, 3, "1", "2", "0.5", Decimal("1.5"), Decimal("0.5"))


class Truth(NamedTuple):
    """What is true from a moment on. Money in hryvnias, 2 decimals.

    `status` is a title, None once the order is deleted. `prepayment` is what the order declares, whether or not it was
    paid. `cost` is the cost price of all lines, rounded once (half up), None while any line's is missing.
    """

    at: datetime
    status: str | None
    total: Decimal
    prepayment: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order. `variation` None = a product that is not in the catalogue; `price` is that of one then."""

    title: str
    variation: int | None
    quantity: int | str | Decimal
    price: Decimal

    @property
    def exact(self) -> Decimal:
        return Decimal(self.quantity)


@dataclass(frozen=True)
class Life:
    """One order from its creation on. `events` are in order, the first is its creation.

    `list_total` is what the lines cost before discounts. `total_as_text`: totals are written as texts. `discounted`:
    the total is in `totalPriceDiscount`, otherwise that is null and the total in `totalPrice`. `on_delivery`: what is
    not prepaid is collected on delivery. `constant` has the fields of the payload that never change. `texts` keeps the
    JSON after the event that was asked for last.
    """

    number: int
    kind: str
    channel: str
    lines: tuple[Line, ...]
    list_total: Decimal
    total_as_text: bool
    discounted: bool
    on_delivery: bool
    constant: Row
    events: tuple[Event, ...]
    texts: dict[datetime, tuple[str, list[str]]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> int:
        return FIRST_ID + self.number

    @property
    def created(self) -> datetime:
        return self.events[0].at

    @cached_property
    def day(self) -> date:
        """The day of its creation in Kyiv."""
        return self.created.astimezone(KYIV).date()

    @cached_property
    def truth(self) -> tuple[Truth, ...]:
        """One entry for each event."""
        return tuple(self._truth(event) for event in self.events)

    def truth_at(self, moment: datetime) -> Truth | None:
        """The last entry up to a moment, None before the creation."""
        return next((truth for truth in reversed(self.truth) if truth.at <= moment), None)

    def _truth(self, event: Event) -> Truth:
        facts = event.facts
        cost = None if None in facts.costs else _sum(self.lines, facts.costs)
        return Truth(event.at, None if facts.deleted else facts.status, facts.total, facts.prepayment, cost)

    def latest(self, moment: datetime) -> Event | None:
        """The last event up to a moment, None before the creation."""
        return next((event for event in reversed(self.events) if event.at <= moment), None)


def life_of(seed: int, number: int, created: datetime) -> Life:
    """The life of the order with this number. `created` is aware, in whole milliseconds."""
    rng = random.Random(f"order/{seed}/{number}")
    kind = draw_kind(rng)
    day = created.astimezone(KYIV).date()
    lines = tuple(_line(rng, day) for _ in range(rng.choice((1, 1, 2, 2, 3))))
    list_total = _sum(lines, [line.price for line in lines])
    discount = _discount(rng, list_total)
    total = Decimal("0.00") if kind == "gift" else list_total - discount
    events = _events(rng, kind, created, total, lines)
    prepaid = any(event.facts.status == PREPAID for event in events)
    channel = rng.choices(SOURCES, [source.weight for source in SOURCES])[0].title
    return Life(
        number=number,
        kind=kind,
        channel=channel,
        lines=lines,
        list_total=list_total,
        total_as_text=rng.random() < 0.12,
        discounted=total != list_total or rng.random() < 0.7,
        on_delivery=prepaid or rng.random() < 0.3,
        constant=_constant(number, channel, created, rng),
        events=events,
    )


def _events(
    rng: random.Random, kind: str, created: datetime, total: Decimal, lines: tuple[Line, ...]
) -> tuple[Event, ...]:
    day = created.astimezone(KYIV).date()
    costs = tuple(_cost(line, day) for line in lines)
    known: list[Decimal | None] = [*costs]
    late = kind in COSTS_COME_LATE
    if late or rng.random() < 0.25:
        known[0] = None
        known[1:] = [None if rng.random() < 0.5 else cost for cost in known[1:]]
    facts = Facts(NEW, total, _declared(rng, kind, total), tuple(known))
    course = Course(rng, [Event(created, facts, FACTS)], costs, late)
    KINDS[kind][1](course)
    return tuple(course.events)


def _declared(rng: random.Random, kind: str, total: Decimal) -> Decimal:
    """The prepayment that an order has from the beginning: declared only, and often never asked for."""
    declares = rng.random() < (0.5 if kind in DECLARED else 0.06)
    return (total / 5).quantize(KOPIYKA) if declares else Decimal("0.00")


def _line(rng: random.Random, day: date) -> Line:
    variation = rng.choice(catalogue.VARIATIONS)
    quantity = rng.choice(QUANTITIES)
    price = catalogue.price_on(variation, day)
    if rng.random() < 0.06:
        return Line("Пакування подарункове", None, quantity, Decimal(rng.randint(15, 60)).quantize(KOPIYKA))
    return Line(catalogue.title(variation), variation, quantity, price)


def _cost(line: Line, day: date) -> Decimal:
    if line.variation is None:
        return (line.price / 2).quantize(KOPIYKA)
    return catalogue.cost_on(line.variation, day)


def _discount(rng: random.Random, list_total: Decimal) -> Decimal:
    if rng.random() > 0.35:
        return Decimal(0)
    if list_total > 300 and rng.random() < 0.5:
        return Decimal(rng.choice((10, 50, 100)))
    return (list_total * rng.choice((5, 7, 10)) / 100).quantize(KOPIYKA)


def _sum(lines: tuple[Line, ...], each: Any) -> Decimal:
    """Σ amount × quantity, rounded once to kopiykas, half up."""
    total = sum((amount * line.exact for line, amount in zip(lines, each, strict=True)), Decimal(0))
    return total.quantize(KOPIYKA, ROUND_HALF_UP)


def _constant(number: int, channel: str, created: datetime, rng: random.Random) -> Row:
    titles = [source.title for source in SOURCES]
    return {
        "id": FIRST_ID + number,
        "orderNumber": number,
        "externalId": f"{number * 7 % 900_000 + 100_000}" if channel in ("Rozetka", "Prom.ua") else None,
        "createdAt": stamp(created),
        "client": client_row(rng.randint(1001, 1600), rng),
        "salesChannel": {"id": titles.index(channel) + 1, "title": channel},
        "responsible": {"user": {"fullname": f"Менеджер {rng.randint(1, 3)}"}},
        "delivery": {"title": rng.choice(DELIVERIES)},
        "managerComment": rng.choice((None, None, "Передзвонити", "Подарункова упаковка")),
    }


def order_at(life: Life, moment: datetime) -> Row | None:
    """The order as GET /orders/{id} shows it at a moment, None before its creation and once it is deleted.

    `productVariation` of its lines is the catalogue of that day, Kyiv time. Numbers are int or Decimal.
    """
    text = order_text(life, moment, moment.astimezone(KYIV).date())
    return None if text is None else parse_json(text)


def order_text(life: Life, moment: datetime, day: date) -> str | None:
    """The JSON of `order_at`, with the catalogue of a day of the caller's choice."""
    event = life.latest(moment)
    if event is None or event.facts.deleted:
        return None
    if event.at not in life.texts:
        life.texts.clear()
        life.texts[event.at] = _edited_texts(life, event)
    order, lines = life.texts[event.at]
    shown = [catalogue.variation_text(line.variation, day) for line in life.lines]
    products = ", ".join(f'{text[:-1]}, "productVariation": {now}}}' for text, now in zip(lines, shown, strict=True))
    return f'{order[:-1]}, "products": [{products}]}}'


def _edited_texts(life: Life, event: Event) -> tuple[str, list[str]]:
    """The JSON of an order without its lines, and of each line without its variation."""
    facts = event.facts
    rest = max(facts.total - facts.prepayment, Decimal(0)) if life.on_delivery else Decimal(0)
    price = max(life.list_total, facts.total) if life.discounted else facts.total
    order = life.constant | {
        "updatedAt": stamp(event.at),
        "status": {"id": STATUSES.index(facts.status) + 1, "title": facts.status},
        "totalPrice": _written(price, life.total_as_text),
        "totalPriceDiscount": _written(facts.total, life.total_as_text) if life.discounted else None,
        "payment": {"amount": _written(facts.prepayment)},
        "cashOnDelivery": _written(rest),
    }
    lines = [_line_row(line, cost) for line, cost in zip(life.lines, facts.costs, strict=True)]
    return exact_text(order), [exact_text(line) for line in lines]


def _line_row(line: Line, cost: Decimal | None) -> Row:
    return {
        "title": line.title,
        "quantity": line.quantity,
        "price": _written(line.price),
        "offerPriceDiscount": None,
        "costPrice": None if cost is None else _written(cost),
    }


def _written(amount: Decimal, as_text: bool = False) -> int | Decimal | str:
    """An amount in hryvnias as JSON has it: 1500, 1500.50, or as a text "1500.00"."""
    if as_text:
        return f"{amount:.2f}"
    return int(amount) if amount == int(amount) else amount
