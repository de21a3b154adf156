"""What happens in a profile, as lines of a log: for people, or with ALIFE_LOG=json for programs, one object a line."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

from pipeline.profile import Profile

BAD = {"error", "failed"}
"""Kinds of events that somebody should look at."""


class Journal:
    """Tells the events of a profile, whichever process they happened in, from now on.

    Args:
        profile: Whose.
        out: Where to; standard error by default, which a cluster keeps with the job.
    """

    def __init__(self, profile: Profile, out: TextIO | None = None) -> None:
        self._profile, self._out = profile, out
        self._told = set(self._events())

    def tell(self) -> None:
        """Write the events that are new."""
        for event in self._events():
            if event not in self._told:
                self._told.add(event)
                print(self._line(*event), file=self._out or sys.stderr, flush=True)

    def _events(self) -> Iterator[tuple[float, str, str]]:
        table = self._profile.events()
        return zip(table.time.tolist(), table.kind.tolist(), table.text.tolist(), strict=True)

    def _line(self, time: float, kind: str, text: str) -> str:
        if os.environ.get("ALIFE_LOG") != "json":
            return f"{datetime.fromtimestamp(time):%H:%M:%S} {kind}: {text}"
        when = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
        level = "error" if kind in BAD else "info"
        return json.dumps({"time": when, "level": level, "profile": self._profile.name, "event": kind, "text": text})
