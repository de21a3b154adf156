"""What the newest Rewardor thinks of a profile's worlds, computed once per version and world."""

import threading
from typing import TYPE_CHECKING

import numpy as np

from pipeline import loop
from pipeline.profile import Profile

if TYPE_CHECKING:
    from models import Rewardor


def rewards(profile: Profile, rollouts: np.ndarray) -> np.ndarray:
    """Rewards (B, M) of worlds (B,); NaN where one was not embedded, (B, 0) before the first version."""
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
            if self._rewardor is None or version != self._version:
                self._rewardor = loop.load_rewardor(self._profile, version)
                self._version, self._known = version, {}
            self._judge(self._rewardor, {rollout for rollout in rollouts if rollout not in self._known})
            missing = np.full(self._rewardor.members, np.nan, np.float32)
            return np.stack([self._known.get(rollout, missing) for rollout in rollouts] or [missing])[: len(rollouts)]

    def _judge(self, rewardor: "Rewardor", rollouts: set[str]) -> None:
        import torch

        table = self._profile.embeddings(self._profile.config.rewardor.name, rewardor.version)
        rows = [row for row, rollout in enumerate(table.rollout.tolist()) if rollout in rollouts]
        if rows:
            with torch.inference_mode():
                reward = rewardor.forward(torch.from_numpy(table.values[rows])).float().numpy()  # (B, M)
            self._known |= dict(zip(table.rollout[rows].tolist(), reward, strict=True))
