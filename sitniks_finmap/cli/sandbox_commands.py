"""Commands that need no shop: demo, sandbox."""

import sys

import click

from sitniks_finmap.cli.terminal import out, show_progress

PORT = click.IntRange(1, 65535)
SHOP_DAYS = click.IntRange(1, 3650)
SECONDS = click.FloatRange(0, 86400)


@click.command()
@click.option(
    "--source",
    type=click.Choice(["transactions", "orders"]),
    default="transactions",
    show_default=True,
    help="The shop to run: one with transactions, or one whose Sitniks has only orders.",
)
@click.option("--port", type=PORT, help="Port of the sandbox on 127.0.0.1; default: the one in connections.toml.")
@click.option("--days", type=SHOP_DAYS, default=60, show_default=True, help="Days of history to generate.")
@click.option("--seed", default=1, show_default=True, help="Random seed; each makes a different shop.")
def demo(source: str, port: int | None, days: int, seed: int) -> None:
    """Run the main job against a simulated shop.

    Example: sitniks-finmap demo --source orders
    """
    from sitniks_finmap.cli.demo import run_demo

    show_progress()
    sys.exit(0 if run_demo(out, source=source, port=port, days=days, seed=seed) else 1)


@click.command()
@click.option("--port", type=PORT, default=8686, show_default=True, help="Port on 127.0.0.1.")
@click.option("--live", type=SECONDS, default=60, show_default=True, help="Seconds between new sales; 0 = none.")
@click.option("--days", type=SHOP_DAYS, default=60, show_default=True, help="Days of history, if the shop is new.")
@click.option("--seed", default=1, show_default=True, help="Random seed; each makes a different shop.")
def sandbox(port: int, live: float, days: int, seed: int) -> None:
    """Serve both APIs on this machine until Ctrl-C.

    Two shops: one with transactions, and one that has only orders. They are kept in <data>/sandbox.sqlite. Their keys
    are in .env.example: SANDBOX_SHOP_… and SANDBOX_ORDERS_… To sync the second one, copy the table [sandbox_orders]
    from sitniks_finmap/sandbox/connections_orders.toml into connections.toml.

    Example: sitniks-finmap sandbox --live 10
    """
    from sitniks_finmap.cli.demo import serve_sandbox

    serve_sandbox(out, port=port, live=live or None, days=days, seed=seed)
