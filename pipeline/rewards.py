"""What the newest Rewardor thinks of a profile's worlds, computed once per version and world."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline import loop
from pipeline.profile import Profile

if TYPE_CHECKING:
    from models import Rewardor

T = TypeVar("T")


def rewards(profile: Profile, rollouts: np.ndarray) -> np.ndarray:
    """Rewards (B, M) of worlds (B,); NaN where one was not embedded, (B, 0) where no version can judge.

    That is so before the first version, and where a stranger's Rewardor raises: its cause becomes an event of the
    profile, and people go on labeling as before the first version.
    """
    newest = loop.newest(profile, "rewardor")
    if newest is None:
        return np.zeros((len(rollouts), 0), np.float32)
    memory: _Memory = profile.cache.setdefault("rewards", _Memory(profile))
    return memory.of(newest.number, rollouts.tolist())


class _Memory:
    """Rewards by world, of one version."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._lock = threading.Lock()
        self._version = -1
        self._rewardor: Rewardor | None = None
        self._known: dict[str, np.ndarray] = {}

    def of(self, version: int, rollouts: list[str]) -> np.ndarray:
        with self._lock:
            if version != self._version:
                self._version, self._known = version, {}
                self._rewardor = self._careful(self._load)
            if self._rewardor is not None and self._careful(lambda: self._judge(set(rollouts))) is None:
                self._rewardor = None
            if self._rewardor is None:
                return np.zeros((len(rollouts), 0), np.float32)
            missing = np.full(self._rewardor.members, np.nan, np.float32)
            return np.stack([self._known.get(rollout, missing) for rollout in rollouts] or [missing])[: len(rollouts)]

    def _careful(self, act: Callable[[], T]) -> T | None:
        try:
            return act()
        except Exception as error:
            text = f"version {self._version} of the rewardor cannot judge: {type(error).__name__}: {error}"
            self._profile.event("error", text)
            return None

    def _load(self) -> "Rewardor":
        return loop.load_rewardor(self._profile, self._version)

    def _judge(self, rollouts: set[str]) -> int:
        """Judge those of these worlds that were embedded and are new; returns how many."""
        import torch

        assert self._rewardor is not None
        table = self._profile.embeddings(self._profile.config.rewardor.name, self._rewardor.version)
        new = rollouts - self._known.keys()
        rows = [row for row, rollout in enumerate(table.rollout.tolist()) if rollout in new]
        if rows:
            with torch.inference_mode():
                reward = self._rewardor.forward(torch.from_numpy(table.values[rows])).float().numpy()  # (B, M)
            self._known |= dict(zip(table.rollout[rows].tolist(), reward, strict=True))
        return len(rows)
