"""How good worlds are, with 95 % intervals: in the eyes of people, and in the Rewardor's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from pipeline import ranking
from pipeline.profile import Profile
from pipeline.rewards import rewards

Judge: TypeAlias = Literal["people", "rewardor"]
OUTCOME = {"left": 1.0, "right": 0.0, "tie": 0.5, "neither": 0.5}


@dataclass(frozen=True)
class Scored:
    """A world's score and its interval; only differences mean anything."""

    rollout: str
    score: float
    low: float
    high: float


def ranked(profile: Profile, by: Judge) -> list[Scored]:
    """The filmed worlds, best first: in the eyes of people those that they compared, in the Rewardor's all."""
    filmed = list(dict.fromkeys(profile.films().rollout.tolist()))
    scored = by_people(profile) if by == "people" else by_rewardor(profile, filmed)
    there = set(filmed)
    return sorted((each for each in scored if each.rollout in there), key=lambda each: -each.score)


def leaders(profile: Profile, by: Judge, count: int) -> list[str]:
    """The best worlds of a ranking.

    Raises:
        ValueError: There are fewer; the message is fit to be shown.
    """
    found = [each.rollout for each in ranked(profile, by)[:count]]
    if len(found) < count:
        raise ValueError(
            f"only {len(found)} worlds with films can be ranked so far, and {count} are needed: label more pairs first"
        )
    return found


def by_people(profile: Profile) -> list[Scored]:
    """All worlds that were compared; remembered until there is another label."""
    labels = profile.labels()
    known, scored = profile.cache.get("by people", (None, []))
    if known is not labels:
        decided = labels.where(np.isin(labels.answer.astype(str), list(OUTCOME)))
        worlds, rows = np.unique(np.concatenate([decided.left, decided.right]).astype(str), return_inverse=True)
        left, right = np.split(rows, 2)
        outcome = np.array([OUTCOME[answer] for answer in decided.answer])
        scored = _ranked(worlds.tolist(), left, right, outcome) if len(worlds) else []
        profile.cache["by people"] = labels, scored
    return scored


def _ranked(worlds: list[str], left: np.ndarray, right: np.ndarray, outcome: np.ndarray) -> list[Scored]:
    ranked = ranking.rank(left, right, outcome, len(worlds))
    rows = zip(worlds, ranked.score.tolist(), ranked.low.tolist(), ranked.high.tolist(), strict=True)
    return [Scored(*row) for row in rows]


def by_rewardor(profile: Profile, rollouts: Sequence[str]) -> list[Scored]:
    """Those of these worlds that the newest Rewardor can judge; none before the first version."""
    reward = rewards(profile, np.array(rollouts, object))  # (B, M)
    if reward.size == 0:
        return []
    mean, (low, high) = reward.mean(1), np.quantile(reward, [0.025, 0.975], axis=1)
    rows = zip(rollouts, mean.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Scored(*row) for row in rows if np.isfinite(row[1])]
