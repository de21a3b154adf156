"""Best of N: the baseline that each trained generator must beat at the same number of simulations."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from models._generator import Archive, Generator
from models.generators._archive import check, stream


class Filter(Generator):
    """Simulates worlds of the prior, and emits again those that scored best.

    Exploring never leaves the prior, so every simulation is one of the N that are filtered. What is emitted are the
    parameters of the best alive worlds, unchanged, each as likely as the others: with a fresh seed even a good world
    may turn out otherwise.

    Args:
        dim: D.
        seed: Not used: `tell` draws nothing.
        keep: Share of the alive worlds that passes the filter.
    """

    version: ClassVar[int] = 1
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"keep": (0.01, 0.3)}

    def __init__(self, dim: int, *, seed: int = 0, keep: float = 0.05) -> None:
        super().__init__(dim, seed=seed)
        if not 0 < keep <= 1:
            raise ValueError(f"keep is {keep}, expected a share in (0, 1]")
        self.keep = keep
        self.elite = torch.empty(0, dim)

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """Draws from the best worlds, or from the prior when exploring or before the first alive world."""
        draw = stream(seed)
        if explore or not len(self.elite):
            return torch.rand(n, self.dim, generator=draw)
        return self.elite[torch.randint(len(self.elite), (n,), generator=draw)]

    def tell(self, archive: Archive) -> dict[str, float]:
        """Keep the best share of the alive worlds.

        Raises:
            ValueError: The archive is not one (see `check`).
        """
        check(archive, self.dim)
        unit, score = archive.unit[archive.alive], archive.score[archive.alive]
        best = score.argsort(descending=True, stable=True)[: math.ceil(self.keep * len(score))]
        self.elite = unit[best].float().contiguous()
        return {"kept": float(len(best)), "score": float(score[best].mean()) if len(best) else 0.0}

    def state(self) -> dict[str, Tensor]:
        """The parameters that passed, (E, D)."""
        return {"elite": self.elite} if len(self.elite) else {}

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self.elite = state.get("elite", torch.empty(0, self.dim))
