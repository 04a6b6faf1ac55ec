"""Both APIs over real HTTP on this machine, with seeded data."""

from .faults import Fault, FaultKind
from .order_book import OrderBook, OrderChanges, OrderSummary, seed_orders
from .order_lives import Life, Truth, life_of, order_at
from .request import RecordedRequest
from .seed import SeedSummary, live_transaction, seed_shop
from .serve import serve
from .server import Sandbox
from .tenant import Shop

__all__ = [
    "Fault",
    "FaultKind",
    "Life",
    "OrderBook",
    "OrderChanges",
    "OrderSummary",
    "RecordedRequest",
    "Sandbox",
    "SeedSummary",
    "Shop",
    "Truth",
    "life_of",
    "live_transaction",
    "order_at",
    "seed_orders",
    "seed_shop",
    "serve",
]
