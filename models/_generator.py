"""What a Generator is: a distribution over the unit cube that learns from everything rolled out so far."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Archive:
    """Everything rolled out so far, scored by the newest Rewardor.

    Attributes:
        unit: (B, D) in [0, 1].
        alive: (B,) bool.
        score: (B,); rows that are not alive hold the floor, the 2nd percentile of the alive scores.
        embedding: (B, F); NaN where not alive.
    """

    unit: Tensor
    alive: Tensor
    score: Tensor
    embedding: Tensor


class Generator(ABC):
    """Proposes parameters.

    Each `tell` replaces the one before: the state is a function of the archive and the seed, so nothing is told
    twice and resuming is one call.

    Args:
        dim: D, the number of parameters.
        seed: Fixes whatever randomness `tell` needs.

    Attributes:
        tunable: Options of the constructor that `alife tune` may try: see `Rewardor`.
    """

    version: ClassVar[int]
    tunable: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __init__(self, dim: int, *, seed: int = 0) -> None:
        self.dim = dim
        self.seed = seed

    @abstractmethod
    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """Points worth simulating, (n, D) float32 in [0, 1]; the same for the same `n` and `seed`.

        Args:
            n: How many.
            seed: Fixes the draw.
            explore: False emits what the Generator believes is best, True what it would learn most from next.
                Before the first `tell` both are draws from the prior, uniform on the cube.
        """

    @abstractmethod
    def tell(self, archive: Archive) -> dict[str, float]:
        """Learn from the whole archive; returns numbers worth plotting.

        Raises:
            ValueError: A score or a unit is not finite, or the shapes do not fit together.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that `ask` needs after a `tell`, as contiguous tensors; empty before the first."""

    @abstractmethod
    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
