"""The sandbox in a process of its own, so that server and client do not share an interpreter, with a busy shop."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sitniks_finmap.sandbox import Sandbox, Shop
from sitniks_finmap.sandbox.seed import SOURCES
from sitniks_finmap.sandbox.sitniks_rows import KYIV
from sitniks_finmap.sandbox.transaction_shapes import Deal, Money, What, order_row, transaction_row

FIRST_DAY = date(2025, 7, 1)
LAST_DAY = date(2025, 12, 31)
WARM_UP = 100  # transactions in the shop on which a contender may load what it loads only once


@dataclass(frozen=True)
class Served:
    """What a client must know: the two APIs, and the two keys of each shop."""

    sitniks_url: str
    finmap_url: str
    sitniks_keys: dict[str, str]
    finmap_keys: dict[str, str]


@contextmanager
def serving(
    transactions: int,
    *,
    orders: bool = False,
    further_shops: Sequence[str] = (),
    first_day: date = FIRST_DAY,
    last_day: date = LAST_DAY,
) -> Iterator[Served]:
    """A sandbox whose shop "demo" has so many transactions, "warm_up" a few, and the further shops none."""
    processes = get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(
        target=_serve, args=(there, transactions, orders, further_shops, first_day, last_day), daemon=True
    )
    server.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        server.join(10)


def _serve(
    pipe: Pipe, transactions: int, orders: bool, further_shops: Sequence[str], first_day: date, last_day: date
) -> None:
    with Sandbox(keep_requests=1000) as sandbox:
        fill(sandbox.shop(), transactions, orders, first_day, last_day)
        fill(sandbox.add_shop("warm_up"), WARM_UP, orders)
        for name in further_shops:
            sandbox.add_shop(name)
        shops = sandbox.shops()
        sitniks_keys = {shop.name: shop.sitniks_key for shop in shops}
        finmap_keys = {shop.name: shop.finmap_key for shop in shops}
        pipe.send(Served(sandbox.sitniks_url, sandbox.finmap_url, sitniks_keys, finmap_keys))
        try:
            pipe.recv()
        except EOFError:
            return  # the benchmark has closed its end, or is gone


def fill(shop: Shop, transactions: int, orders: bool, first_day: date = FIRST_DAY, last_day: date = LAST_DAY) -> None:
    """So many well-formed transactions, evenly from the first day to the last, two to an order."""
    rng = random.Random(1)
    first, last = (datetime.combine(day, time(12), KYIV) for day in (first_day, last_day))
    moneys = [_money(number, first + (last - first) * number / transactions, rng) for number in range(transactions)]
    shop.put_transactions([_transaction(money, number, rng) for number, money in enumerate(moneys)])
    if orders:
        shop.put_orders([order_row(money.deal, [money], rng) for money in moneys[::2]])


def _money(number: int, at: datetime, rng: random.Random) -> Money:
    total = Decimal(rng.randint(19_000, 420_000)).scaleb(-2)
    deal = Deal(1001 + number // 2, rng.randint(1001, 1600), rng.choice(SOURCES), at - timedelta(minutes=30), total)
    what: What = "delivery" if number % 2 else "payment"
    return Money(deal, what, -total / 10 if number % 2 else total, at)


def _transaction(money: Money, number: int, rng: random.Random) -> dict[str, Any]:
    rounded = Money(money.deal, money.what, money.amount.quantize(Decimal("0.01")), money.at)
    # The id always as text: dlt cannot merge by a key that is a number in one row and a text in the next.
    return transaction_row(rounded, number, rng) | {"id": f"tx_{number}"}
