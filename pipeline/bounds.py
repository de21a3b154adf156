"""What a trial of `alife tune` may take, so that a model that never ends costs its own options and not the search.

A thread of Python cannot be stopped, and one that computes may let no other one run, not even to look at a clock. So
time is measured by whoever waits for a fold, and its end is the end of a process; memory is refused by the system.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import psutil

from pipeline.checkpoint import Role
from pipeline.config import RolloutPlan

MB = 1_000_000


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
        """What profiles grant a block of worlds; a fold asks it of each, and of a Generator two blocks."""
        blocks = 1 if role == "rewardor" else 2
        return cls(sum(blocks * plan.timeout_s for plan in plans), max(plan.memory_mb for plan in plans))


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
