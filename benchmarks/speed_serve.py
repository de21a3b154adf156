"""How a peer of speed.py speaks, with nothing but the standard library, since it may live in another environment.

It is started with a name and a setup as JSON, works once to warm up, says that it is ready, and then answers each line
that it reads with the CPU seconds of one piece of its work.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

BLOCK = 0.15
"""Seconds that a timed block should take at least."""

Work = Callable[[], object]
"""A piece of work that is done when it returns."""


def pin(core: int) -> None:
    """Keep this process on one core, the same for ours and theirs."""
    os.sched_setaffinity(0, {core})


def seconds(work: Work, repeats: int) -> float:
    """CPU seconds of a piece of work, from several in a row."""
    begin = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - begin) / repeats


def repeats(work: Work) -> int:
    """How many in a row make a block long enough to be timed."""
    work()
    return max(1, round(BLOCK / max(1e-6, seconds(work, 1))))


def fastest(works: Mapping[str, Work]) -> tuple[str, Work]:
    """The quickest of several ways to do the same work: a peer is taken at its best. Those that fail are left out."""
    times: dict[str, float] = {}
    for name, work in works.items():
        try:
            times[name] = seconds(work, repeats(work))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
    best = min(times, key=times.__getitem__)
    return best, works[best]


def serve(peers: Mapping[str, Callable[..., Mapping[str, Work]]]) -> None:
    """Be the peer that the command line names."""
    setup: dict[str, Any] = json.loads(sys.argv[2])
    pin(setup.pop("core"))
    way, work = fastest(peers[sys.argv[1]](**setup))
    times = repeats(work)
    print(json.dumps({"way": way}), flush=True)
    for _ in sys.stdin:
        print(seconds(work, times), flush=True)
