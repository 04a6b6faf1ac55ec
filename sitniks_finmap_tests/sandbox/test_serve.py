"""The second shop that `sitniks-finmap sandbox` serves: orders without transactions."""

from datetime import timedelta
from pathlib import Path

from sitniks_finmap.sandbox import Sandbox, seed_orders
from sitniks_finmap.sandbox.serve import open_orders

from .clients import Client, Clock

NOW = Clock().now
DAY = timedelta(days=1)


def test_a_served_shop_lives_on_after_a_restart(tmp_path: Path) -> None:
    for moment in (NOW, NOW + 20 * DAY):
        with Sandbox(tmp_path / "shop.sqlite", clock=lambda moment=moment: moment) as sandbox:
            open_orders(sandbox.add_shop("orders"), days=10 if moment == NOW else 60, seed=3)
            stored = sandbox.shop("orders").rows["orders"].page(-1, 0)
    with Sandbox(clock=lambda: NOW) as sandbox:
        seed_orders(sandbox.shop(), days=10, seed=3).book.advance(NOW + 20 * DAY)
        assert stored == sandbox.shop().rows["orders"].page(-1, 0)


def test_a_served_shop_of_orders_has_no_transactions(client: Client) -> None:
    open_orders(client.shop, days=2, seed=1)
    assert client.sitniks("/transactions").status_code == 404
    assert client.page("/orders")[1] > 20
