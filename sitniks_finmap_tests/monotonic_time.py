"""The module `time` of code that only asks how much of it has passed."""


class MonotonicTime:
    """Passes only when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now
