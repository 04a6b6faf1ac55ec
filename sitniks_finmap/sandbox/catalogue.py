"""The shop's catalogue: what a product variation costs and how much of it is in stock on a day.

Sitniks shows today's price and stock in the lines of every order, so an old order's payload changes although the order
does not. Here a variation's price and stock change once in seven days, each on a weekday of its own.
"""

import random
from datetime import date
from decimal import Decimal
from functools import cache

from .exchange import exact_text
from .sitniks_rows import Row
from .transaction_shapes import PRODUCTS

FIRST_VARIATION = 301
VARIATIONS = range(FIRST_VARIATION, FIRST_VARIATION + 48)
KOPIYKA = Decimal("0.01")
COST_SHARE = Decimal("0.45")
DAYS = 7


def title(variation: int) -> str:
    return PRODUCTS[variation % len(PRODUCTS)]


def issue(variation: int, day: date) -> int:
    """Numbers the weeks of a variation: price and stock are the same on two days exactly if this is."""
    return (day.toordinal() + variation) // DAYS


def price_on(variation: int, day: date) -> Decimal:
    """The price of one in hryvnias, 2 decimals."""
    return _issue(variation, issue(variation, day))[0]


def cost_on(variation: int, day: date) -> Decimal:
    """What the shop itself pays for one, in hryvnias, 2 decimals."""
    return (price_on(variation, day) * COST_SHARE).quantize(KOPIYKA)


def variation_text(variation: int | None, day: date) -> str:
    """The JSON of a line's `productVariation` as Sitniks shows it on this day, null for none."""
    return "null" if variation is None else _text(variation, issue(variation, day))


@cache
def _text(variation: int, number: int) -> str:
    """One variation in four has no `stock`: it is not counted."""
    price, stock = _issue(variation, number)
    row: Row = {
        "id": variation,
        "sku": f"SKU-{variation}",
        "price": price,
        "productId": 11 + variation % len(PRODUCTS),
    }
    return exact_text(row if variation % 4 == 0 else row | {"stock": stock})


@cache
def _issue(variation: int, number: int) -> tuple[Decimal, int]:
    """Price and stock; the price is within 15% of the variation's usual one, and never that of the week before."""
    usual = Decimal(random.Random(variation).randint(60, 900))
    week = random.Random(f"{variation}/{number}")
    drift = Decimal(2 * week.randint(-7, 7) + number % 2) / 100
    return (usual * (1 + drift)).quantize(KOPIYKA), week.randint(0, 80)
