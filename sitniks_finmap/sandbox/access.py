"""What a key may do: its permissions and its rate limit."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from .exchange import Refused


@dataclass(frozen=True)
class Limit:
    """More than `requests` in any `per_seconds` block the key for `block_seconds`.

    Sitniks' 429 blocks the key for about a minute; whether it sends Retry-After is unknown, so it is optional.
    """

    requests: int
    per_seconds: float
    block_seconds: float
    retry_after: str | None


class Access:
    """One key of one shop."""

    def __init__(self) -> None:
        self.limit: Limit | None = None
        self.revoked = False
        self.forbidden: list[str] = []
        self.hidden: list[str] = []
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._blocked_until = float("-inf")

    def set_limit(self, limit: Limit | None) -> None:
        with self._lock:
            self.limit = limit
            self._times.clear()
            self._blocked_until = float("-inf")

    def check_rate(self, now: datetime) -> None:
        """Counts this request. Raises Refused (429) if it exceeds the limit or the key is blocked."""
        if self.limit is None:
            return
        with self._lock:
            if self._exceeds(self.limit, now.timestamp()):
                headers = (("Retry-After", self.limit.retry_after),) if self.limit.retry_after else ()
                raise Refused(429, "too_many_requests", headers)

    def _exceeds(self, limit: Limit, moment: float) -> bool:
        if moment < self._blocked_until:
            return True
        while self._times and self._times[0] <= moment - limit.per_seconds:
            self._times.popleft()
        self._times.append(moment)
        if len(self._times) <= limit.requests:
            return False
        self._blocked_until = moment + limit.block_seconds
        self._times.clear()
        return True

    def check_rights(self, method: str, path: str) -> None:
        """Raises Refused: 401 for a revoked key, 404 for a missing endpoint, 403 for a missing permission."""
        if self.revoked:
            raise Refused(401, "unauthorized")
        if any(path.startswith(prefix) for prefix in self.hidden):
            raise Refused(404, f"Cannot {method} {path}")
        if any(path.startswith(prefix) for prefix in self.forbidden):
            raise Refused(403, "forbidden_resource")
