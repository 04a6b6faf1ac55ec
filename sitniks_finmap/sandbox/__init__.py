"""Both APIs over real HTTP on this machine, with seeded data."""

from .app import RecordedRequest
from .faults import Fault, FaultKind
from .server import Sandbox
from .tenant import Shop

__all__ = ["Fault", "FaultKind", "RecordedRequest", "Sandbox", "Shop"]
