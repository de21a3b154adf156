"""How fast people ask and answer, and how fast answers are learned."""

import threading
import time
from collections import deque


class TooFastError(RuntimeError):
    """A request too soon after the ones before: it will be welcome later."""


MOST_S = 5.0
"""An answer that took longer to be learned than this says that training was paused; a crowd's take three seconds."""


class Lag:
    """How long it takes until an answer was learned, by those that were lately.

    Attributes:
        seconds: So long, on average, and `MOST_S` at most; 0 before the first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._open: deque[tuple[int, float]] = deque(maxlen=100)

    def given(self, labels: int) -> None:
        """Note an answer, with which there are so many labels."""
        self._open.append((labels, time.monotonic()))

    def learned(self, labels: int) -> None:
        """Note that so many labels were learned."""
        now = time.monotonic()
        while self._open and self._open[0][0] <= labels:
            lasted = min(now - self._open.popleft()[1], MOST_S)
            self.seconds += 0.1 * (lasted - self.seconds)


class Limits:
    """How often one person may do one thing: a bucket that fills with time and is emptied by use.

    Args:
        rate: Uses per second.
        burst: Uses at once, after a while without any: an outbox that was filled on a train empties at once.
    """

    MANY = 10_000
    """Buckets to remember; a full one says nothing, and is forgotten first."""

    def __init__(self, rate: float = 8.0, burst: float = 60.0) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def spend(self, who: str, what: str) -> None:
        """Count one use.

        Raises:
            TooFastError: The bucket is empty.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._buckets) >= self.MANY:
                self._buckets = {
                    key: each for key, each in self._buckets.items() if self._level(each, now) < self._burst
                }
            level = self._level(self._buckets.get((who, what), (self._burst, now)), now)
            if level < 1:
                raise TooFastError("more than anyone can look at: wait a moment")
            self._buckets[who, what] = (level - 1, now)

    def _level(self, bucket: tuple[float, float], now: float) -> float:
        level, since = bucket
        return min(self._burst, level + (now - since) * self._rate)
