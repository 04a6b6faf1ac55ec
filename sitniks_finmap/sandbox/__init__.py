"""Both APIs over real HTTP on this machine, with seeded data."""

from .faults import Fault, FaultKind
from .request import RecordedRequest
from .seed import SeedSummary, live_transaction, seed_shop
from .serve import serve
from .server import Sandbox
from .tenant import Shop

__all__ = [
    "Fault",
    "FaultKind",
    "RecordedRequest",
    "Sandbox",
    "SeedSummary",
    "Shop",
    "live_transaction",
    "seed_shop",
    "serve",
]
