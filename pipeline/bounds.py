"""What a trial of `alife tune` may take, so that a model that never ends costs its own options and not the search.

A thread of Python cannot be stopped, and one that computes may let no other one run, not even to look at a clock. So
time is measured by whoever waits for a fold, and its end is the end of a process; memory is refused by the system.
"""

import math
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import psutil

from pipeline.checkpoint import Role
from pipeline.config import RolloutPlan
from pipeline.trial import WORLDS

MB = 1_000_000
FIT_S = 300.0
"""For the models that a fold fits in a profile, in seconds: a hundred times what two thousand answers take."""


@dataclass(frozen=True)
class Bounds:
    """What is granted.

    Attributes:
        seconds: For a fold.
        memory_mb: Megabytes beside what a trial's process has to begin with.
    """

    seconds: float
    memory_mb: float

    @classmethod
    def of(cls, plans: Sequence[RolloutPlan], role: Role) -> "Bounds":
        """What profiles grant: a Generator's fold makes `WORLDS` by some options, and at first by the present ones."""
        worlds = 0 if role == "rewardor" else 2 * WORLDS
        seconds = sum(FIT_S + math.ceil(worlds / plan.block) * plan.timeout_s for plan in plans)
        return cls(seconds, max(plan.memory_mb for plan in plans))


@lru_cache(maxsize=1)
def refuse_beyond(memory_mb: float) -> None:
    """Have this process refused what it asks for beyond so many megabytes more than it has now; once for all trials."""
    most, (_, hard) = _data() + int(memory_mb * MB), resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _data() -> int:
    """Bytes that the system counts against the limit: what is this process's own, touched or not."""
    memory = psutil.Process().memory_info()
    return int(getattr(memory, "data", memory.rss))  # macOS has no such count, and does not enforce the limit
