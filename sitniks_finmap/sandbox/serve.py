"""The sandbox in the foreground, as run by `sitniks-finmap sandbox`."""

import signal
import threading
from pathlib import Path
from typing import Any

import click

from .seed import live_transaction, seed_shop
from .server import Sandbox
from .tenant import Shop


def serve(path: Path | str | None, port: int, live: float | None, days: int, seed: int) -> None:
    """Serves until Ctrl-C or SIGTERM. A new state gets the seeded shop.

    With `live`, adds an order and its transaction every `live` seconds, at the current moment.
    Raises OSError if the port is taken.
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
        _explain(sandbox, shop)
        while not stop.wait(live):
            if live:
                row = live_transaction(shop, seed)
                click.echo(f"+ {row['id']}  {row['amount']}  {row.get('description') or row.get('comment')}")
    click.echo("Stopped.")


def _stop_on_signals(stop: threading.Event) -> None:
    def leave(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _explain(sandbox: Sandbox, shop: Shop) -> None:
    click.echo(f"Sitniks  {sandbox.sitniks_url}  key: {shop.sitniks_key}")
    click.echo(f"Finmap   {sandbox.finmap_url}  key: {shop.finmap_key}")
    click.echo(f"Status   {sandbox.url}/sandbox   Stop with Ctrl-C.")
