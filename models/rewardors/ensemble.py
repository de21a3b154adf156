"""Small networks on the features of `common`: for thousands of labels, and for a GPU."""

from typing import ClassVar

import torch
from torch import Tensor

from models.rewardors._features import FAMILIES, F
from models.rewardors._networks import AMPLITUDE, Heads, Networks
from models.rewardors.common import Common

CROWD = torch.empty(F)
"""The root of how large a feature's family is, beside an average one."""

for family in FAMILIES.values():
    CROWD[family] = ((family.stop - family.start) * len(FAMILIES) / F) ** 0.5


class Ensemble(Networks):
    """An ensemble of networks with random prior functions, each trained on a bootstrap of the labels.

    What it costs to fit hardly grows with the number of labels, where the Gaussian process of `common` takes the cube.

    Args:
        members: Number M of networks.
        rate: See `Networks`.
        amplitude: See `Networks`.
    """

    version: ClassVar[int] = Common.version
    steps: ClassVar[int] = 80
    batch: ClassVar[int] = 256

    def __init__(self, *, members: int = 12, rate: float = 0.08, amplitude: float = AMPLITUDE) -> None:
        super().__init__(members=members, rate=rate, amplitude=amplitude)
        self._eye = Common()

    def embed(self, clip: Tensor) -> Tensor:
        """The features of `common`, (B, F) float32 of clips (B, T, H, W, 3) uint8."""
        return self._eye.embed(clip)

    def network(self, draw: torch.Generator) -> Heads:
        """See `Networks.network`."""
        return Heads(F, self.members, draw)

    def normal(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature; families are made to weigh the same, however many they are."""
        return embedding.mean(0), embedding.std(0, correction=0).clamp_min(1e-6) * CROWD
