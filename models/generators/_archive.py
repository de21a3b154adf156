"""What every generator asks of the archive it is told."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models._generator import Archive


def check(archive: Archive, dim: int) -> None:
    """Refuse an archive that would train a generator on nonsense.

    Raises:
        ValueError: A score or a unit is not finite, a unit leaves [0, 1], or the shapes do not fit together.
    """
    rows = len(archive.unit)
    if archive.unit.shape != (rows, dim):
        raise ValueError(f"unit has shape {tuple(archive.unit.shape)}, expected (B, {dim})")
    if archive.alive.shape != (rows,) or archive.score.shape != (rows,) or len(archive.embedding) != rows:
        shapes = {name: tuple(getattr(archive, name).shape) for name in ("alive", "score", "embedding")}
        raise ValueError(f"{rows} units do not fit {shapes}")
    if not bool(torch.isfinite(archive.score).all()):
        raise ValueError("a score is not finite; worlds that are not alive hold the floor")
    if not bool(((archive.unit >= 0) & (archive.unit <= 1)).all()):
        raise ValueError("a unit is not finite or leaves [0, 1]")


def stream(seed: int) -> torch.Generator:
    """The random numbers that belong to `seed`, on the CPU: the same on every machine."""
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Distinct:
    """The G different parameters of an archive of B worlds of which some world lives.

    Attributes:
        unit: (G, D).
        shown: (G,) row of a world that lives, for what it looks like.
        count: (G,) how many worlds there are, the dead ones included.
        group: (B,) which parameters each world has; -1 where none of theirs lives.
    """

    unit: Tensor
    shown: Tensor
    count: Tensor
    group: Tensor

    def mean(self, value: Tensor) -> Tensor:
        """Means (G,) over the worlds of each, of values (B,)."""
        known = self.group >= 0
        return torch.zeros(len(self.count)).index_add_(0, self.group[known], value[known]) / self.count


def distinct(unit: Tensor, alive: Tensor) -> Distinct:
    """What was simulated again under other seeds, taken together: parameters (B, D), and which worlds live (B,)."""
    points, group, count = unit.unique(dim=0, return_inverse=True, return_counts=True)
    living = torch.nonzero(alive)[:, 0].flip(0)  # so that the first of each is written last
    shown = torch.full((len(points),), -1)
    shown[group[living]] = living
    lives = shown >= 0
    place = torch.where(lives, lives.cumsum(0) - 1, -1)
    return Distinct(points[lives], shown[lives], count[lives], place[group])
