"""What every generator asks of the archive it is told."""

import torch

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
