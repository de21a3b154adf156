"""Whether all that the Generator proposes is interesting by now: whether people still answer *neither* to it."""

from dataclasses import dataclass

import numpy as np

from pipeline import evidence
from pipeline.profile import Profile

FRESH = 50
"""Worlds of the Generator that count: the last that somebody judged."""
BAR = 0.9
"""Share of interesting worlds that is to be exceeded."""


@dataclass(frozen=True)
class Interest:
    """The last worlds of the Generator that were judged.

    Attributes:
        among: How many there are, `FRESH` at most.
        interesting: How many of them nobody answered *neither* to.
        low: Lower end of the 95 % interval of the share.
        high: Upper end.
        enough: Whether the share is proved to exceed `BAR`, on as many worlds as it takes.
    """

    among: int
    interesting: int
    low: float
    high: float
    enough: bool


def interest(profile: Profile) -> Interest:
    """How interesting the newest worlds are; remembered until there is another label."""
    labels = profile.labels()
    known, found = profile.cache.get("interest", (None, None))
    if known is not labels or found is None:
        found = _count(profile)
        profile.cache["interest"] = labels, found
    return found


def _count(profile: Profile) -> Interest:
    rollouts, labels = profile.rollouts(), profile.labels()
    proposed = set(rollouts.id[rollouts.origin == "generator"].tolist())
    worth = labels.where(labels.answer != "skip")
    shown = np.stack([worth.left, worth.right], 1).ravel().tolist()[::-1]  # the last first
    last = [world for world in dict.fromkeys(shown) if world in proposed][:FRESH]
    bad = worth.where(worth.answer == "neither")
    dull = {*bad.left.tolist(), *bad.right.tolist()}
    return measured(sum(world not in dull for world in last), len(last))


def measured(interesting: int, among: int) -> Interest:
    """What so many interesting worlds among so many mean."""
    low, high = evidence.interval(interesting, among)
    proved = evidence.above(interesting, among - interesting, BAR) >= evidence.PROOF
    return Interest(among, interesting, low, high, bool(proved) and among >= FRESH)
