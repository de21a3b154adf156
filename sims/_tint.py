"""Colors for fields of three channels."""

from functools import lru_cache

import torch
from torch import Tensor

from sims._color import _srgb, resample

LEVELS = 64

LIGHT, STEP, CHROMA = 0.44, 0.4, 0.17
"""Lightness of zero, how far the first channel lifts it, and how far the other two move the hue, in Oklab."""


def tint(fields: Tensor, size: int) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of periodic fields (B, 3, H, W) in [-1, 1].

    The first channel is lightness, the others are the axes green-red and blue-yellow: all differences look alike.
    """
    level = resample(fields, size).add_(1).mul_((LEVELS - 1) / 2).round_().clamp_(0, LEVELS - 1).int()
    index = (level[:, 0].mul_(LEVELS) + level[:, 1]).mul_(LEVELS) + level[:, 2]
    return _cube().to(fields.device).index_select(0, index.flatten()).view(*index.shape, 3)


@lru_cache
def _cube() -> Tensor:
    """Colors (LEVELS^3, 3) uint8, row-major."""
    axis = torch.linspace(-1, 1, LEVELS, dtype=torch.float64)
    light, green, blue = torch.meshgrid(axis, axis, axis, indexing="ij")
    oklab = torch.stack([LIGHT + STEP * light, CHROMA * green, CHROMA * blue], -1)
    return (_srgb(oklab.view(-1, 3)) * 255).round().to(torch.uint8)
