"""What was listed lately, for stores of which many ask the same at once."""

import re
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Listings(Generic[T]):
    """What was found below some prefixes. Safe for threads.

    Args:
        seconds: How long it is believed, unless something there was written since.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, T]] = {}
        self._changes = 0

    def of(self, prefix: str, look: Callable[[], T]) -> T:
        """What is below a prefix: what was found lately, or else what `look` finds now."""
        now = time.monotonic()
        with self._lock:
            changes, known = self._changes, self._found.get(prefix)
        if known and now < known[0] + self.seconds:
            return known[1]
        found = look()
        with self._lock:
            newest = self._found.get(prefix, (now, found))[0]
            if changes == self._changes and newest <= now:  # else it may lack what was written meanwhile
                self._found[prefix] = now, found
        return found

    def forget(self, key: str) -> None:
        """Believe nothing any more that was found on the way to a key: it was written, or is gone."""
        with self._lock:
            self._changes += 1
            for prefix in ["", *(key[: slash.end()] for slash in re.finditer("/", key))]:
                self._found.pop(prefix, None)
