"""How good worlds are, with intervals: in the eyes of people, and in the Rewardor's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.profile import Profile
from pipeline.rewards import rewards


@dataclass(frozen=True)
class Scored:
    """A world's score and its 95 % interval; only differences mean anything."""

    rollout: str
    score: float
    low: float
    high: float


def by_people(profile: Profile) -> list[Scored]:
    """All worlds that were compared, in the order of nothing."""
    return []


def by_rewardor(profile: Profile, rollouts: Sequence[str]) -> list[Scored]:
    """Those of these worlds that the newest Rewardor can judge; none before the first version."""
    reward = rewards(profile, np.array(rollouts, object))  # (B, M)
    if reward.size == 0:
        return []
    mean, (low, high) = reward.mean(1), np.quantile(reward, [0.025, 0.975], axis=1)
    rows = zip(rollouts, mean.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Scored(*row) for row in rows if np.isfinite(row[1])]
