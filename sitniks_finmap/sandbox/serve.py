"""The sandbox in the foreground, as run by `sitniks-finmap sandbox`."""

import signal
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from .exchange import parse_json
from .order_book import OrderBook, OrderSummary, seed_orders
from .seed import live_transaction, seed_shop
from .server import Sandbox
from .sitniks_rows import KYIV, parse_stamp
from .tenant import Shop

ORDERS_SHOP = "orders"


def serve(path: Path | str | None, port: int, live: float | None, days: int, seed: int) -> None:
    """Serves until Ctrl-C or SIGTERM. A new state gets the seeded shop, and a second one that has only orders.

    With `live`, adds an order and its transaction to the first shop every `live` seconds, at the current moment, and
    lets the orders of the second live on: each has its edits in their own time. Raises OSError if the port is taken.
    """
    stop = threading.Event()
    _stop_on_signals(stop)
    with Sandbox(path, port) as sandbox:
        shop = sandbox.shop()
        if not shop.rows["transactions"].count():
            summary = seed_shop(shop, days=days, seed=seed)
            click.echo(
                f"A new shop: {summary.transactions:,} transactions and {summary.orders:,} orders in {days} days."
            )
        second = sandbox.add_shop(ORDERS_SHOP)
        is_new = not second.orders()
        orders = open_orders(second, days, seed)
        if is_new:
            click.echo(f"A second shop, {second.name}: {orders.orders:,} orders in {days} days, no transactions.")
        _explain(sandbox, shop)
        while not stop.wait(live):
            if live:
                row = live_transaction(shop, seed)
                click.echo(f"+ {row['id']}  {row['amount']}  {row.get('description') or row.get('comment')}")
                _live_on(orders.book, shop.clock())
    click.echo("Stopped.")


def open_orders(shop: Shop, days: int, seed: int) -> OrderSummary:
    """The orders of a shop whose Sitniks has no transactions, brought to now.

    If the shop has orders, they live on from their first day; `seed` must be the one that they began with.
    """
    shop.hide("sitniks", "/transactions")
    known = shop.rows["orders"].count()
    if known:
        (oldest,) = shop.rows["orders"].page(1, known - 1)
        created = parse_stamp(parse_json(oldest)["createdAt"]) or shop.clock()
        days = (shop.clock().astimezone(KYIV).date() - created.astimezone(KYIV).date()).days + 1
    return seed_orders(shop, days=days, seed=seed)


def _live_on(book: OrderBook, now: datetime) -> None:
    changes = book.advance(now)
    if changes.begun or changes.edited or changes.deleted:
        click.echo(f"+ orders: {changes.begun} new, {changes.edited} edited, {changes.deleted} deleted")


def _stop_on_signals(stop: threading.Event) -> None:
    def leave(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _explain(sandbox: Sandbox, shop: Shop) -> None:
    click.echo(f"Sitniks  {sandbox.sitniks_url}  key: {shop.sitniks_key}")
    click.echo(f"Finmap   {sandbox.finmap_url}  key: {shop.finmap_key}")
    second = sandbox.shop(ORDERS_SHOP)
    click.echo(f"Orders   the second shop, at the same addresses; keys: {second.sitniks_key}, {second.finmap_key}")
    click.echo(f"Look     {sandbox.url}/sandbox/{shop.name}   what Finmap shows. Stop with Ctrl-C.")
