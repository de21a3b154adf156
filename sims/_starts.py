"""Starts that belong to the parameters: near parameters start alike, and only little is left to the seed.

Were the start drawn by the seed alone, the same parameters would live or die by chance,
and nobody could promise anything.

Shapes: B rollouts, H W cells.
"""

import torch
from torch import Tensor

from sims._torch import noise

PATTERNS = 12
"""Patterns that a world can start from; what lies between two is a mixture of them."""

CHANCE = 0.003
"""Share of a start's variance that is left to the seed."""


def pattern(at: Tensor, seeds: Tensor, *shape: int) -> Tensor:
    """Normal numbers (B, *shape) that change smoothly with `at` and, a little, with the seed.

    Args:
        at: (B,) in [0, 1]. Near values give almost the same numbers, far ones have nothing in common.
        seeds: (B,) int64.
        shape: What a world needs: (H, W) for a field, (2, N) for particles.
    """
    fields = noise(torch.arange(PATTERNS), *shape).to(at)
    place = at * (PATTERNS - 1)
    first = place.long().clamp_(max=PATTERNS - 2)
    turn = (place - first).view(-1, *[1] * len(shape)) * torch.pi / 2  # on a circle: the variance stays the same
    common = turn.cos() * fields[first] + turn.sin() * fields[first + 1]
    return (1 - CHANCE) ** 0.5 * common + CHANCE**0.5 * noise(seeds, *shape).to(at)


def lumps(at: Tensor, grain: Tensor, seeds: Tensor, size: int) -> Tensor:
    """Smooth hills and valleys, (B, size, size), of mean about 0 and standard deviation 1.

    Args:
        at: (B,) in [0, 1], which ones: see `pattern`.
        grain: (B,), how wide they are: standard deviation of the Gaussian that smooths them, in cells.
        seeds: (B,) int64.
        size: Side of the world, in cells.
    """
    smooth = blur(pattern(at, seeds, size, size), grain)
    return smooth / smooth.std((1, 2), keepdim=True)


def blur(field: Tensor, scale: Tensor) -> Tensor:
    """Fields (B, H, W) blurred on the torus by a Gaussian of `scale` (B,) cells."""
    height, width = field.shape[1:]
    down, along = torch.fft.fftfreq(height).to(field), torch.fft.rfftfreq(width).to(field)
    exponent = -2 * (torch.pi * scale[:, None, None]) ** 2 * (down[:, None] ** 2 + along**2)
    gain = exponent.clamp_(min=-80).exp()  # exp is ten times slower where it underflows
    return torch.fft.irfft2(torch.fft.rfft2(field) * gain, s=(height, width))


def distance(size: int) -> Tensor:
    """Distance (size, size), float64, of each cell to the middle one, in cells."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.hypot(axis[:, None], axis)
