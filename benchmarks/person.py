"""Somebody who labels at a human pace: looks, answers, clicks twice, takes back, and tries again if nobody replies."""

import http.client
import random
import threading
import time
import urllib.error

from benchmarks.launcher import Visitor

ANSWERS = ("left", "right", "tie", "neither", "skip")
UNREACHED = (OSError, http.client.HTTPException, ValueError)
"""What a request may raise whose server dies: no connection, half an answer."""


class Person:
    """A labeler in a thread, until `close`.

    Args:
        visitor: The browser.
        seed: What they will do.
        looking: Least and most seconds that they look at a pair.
        twice: How often they click twice.
        undoes: How often they take an answer back.

    Attributes:
        acknowledged: When the last answer was, as of `time.monotonic`.
        trouble: What the server said that it should never say.
    """

    def __init__(
        self,
        visitor: Visitor,
        seed: int,
        looking: tuple[float, float] = (0.6, 1.8),
        twice: float = 0.2,
        undoes: float = 0.1,
    ) -> None:
        self.visitor, self.acknowledged, self.trouble = visitor, 0.0, list[str]()
        self._chance, self._looking, self._twice, self._undoes = random.Random(seed), looking, twice, undoes
        self._going, self._closed, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._going.set()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Answer nothing until `go`; returns once the last answer is acknowledged."""
        self._going.clear()
        self._idle.wait()

    def go(self) -> None:
        """Go on."""
        self._idle.clear()
        self._going.set()

    def close(self) -> None:
        """Leave."""
        self._closed.set()
        self._going.set()
        self._thread.join(timeout=60)

    def _live(self) -> None:
        while not self._closed.is_set():
            if not self._going.is_set():
                self._idle.set()
                self._going.wait()
            try:
                pairs = self.visitor.post("/api/pairs", {"want": 1, "have": []})["pairs"]
            except UNREACHED:
                pairs = []
            if not pairs:
                time.sleep(0.2)
                continue
            time.sleep(self._chance.uniform(*self._looking))
            self._answer(pairs[0]["token"], self._chance.choice(ANSWERS))
            if self._chance.random() < self._undoes and not self._closed.is_set():
                self._take_back()

    def _answer(self, token: str, answer: str) -> None:
        """Answer, again and again until somebody says that it is saved."""
        for _ in range(2 if self._chance.random() < self._twice else 1):
            while not self._closed.is_set():
                try:
                    self.visitor.vote(token, answer)
                    self.acknowledged = time.monotonic()
                    break
                except urllib.error.HTTPError as error:
                    if error.code < 500 and error.code != 429:
                        self.trouble.append(f"{error.code} to an answer: {error.read().decode(errors='replace')[:200]}")
                        return
                    time.sleep(0.2)
                except UNREACHED:
                    time.sleep(0.2)

    def _take_back(self) -> None:
        """Take the last answer back; whoever gets no receipt does not know, and goes on."""
        try:
            self.visitor.undo()
        except UNREACHED:
            time.sleep(0.2)
