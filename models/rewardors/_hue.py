"""Hues: how many there are, and whether they keep to places of their own."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

POOL = 2
"""Side in pixels of the squares that are looked at: hues blend where things are smaller."""

HUES = 6
SHARP = 4.0
"""Concentration of the soft bins around the circle of hues."""

SHIFTS = (1, 2, 4)
"""Distances at which places are compared, in squares of `POOL` pixels."""


def hue(rgb: Tensor) -> Tensor:
    """Numbers about the chroma of frames (3, n, H, W), a complex number whose angle is the hue."""
    red, green, blue = avg_pool2d(rgb, POOL)
    chroma = torch.complex(red - (green + blue) / 2, (green - blue) * 0.75**0.5)
    power = chroma.abs()
    total = power.square().mean() + 1e-6
    turn = chroma / (power + 1e-6)
    moments = torch.stack([(power.square() * turn**k).mean().abs() / total for k in (1, 2, 3)])
    share = _histogram(chroma.angle(), power.square())
    entropy = -(share * (share + 1e-9).log()).sum()
    return torch.cat([share, entropy[None], moments, _coherence(chroma, power), power.mean()[None].sqrt()])


def _histogram(angle: Tensor, weight: Tensor) -> Tensor:
    """Share (HUES,) of the chroma around each hue."""
    center = torch.arange(HUES, device=angle.device) * (2 * torch.pi / HUES)
    near = torch.exp(SHARP * (torch.cos(angle[None] - center[:, None, None, None]) - 1))
    share = (near / near.sum(0) * weight).sum((1, 2, 3))
    return share / (share.sum() + 1e-6)


def _coherence(chroma: Tensor, power: Tensor) -> Tensor:
    """How alike hues are at each distance, and how alike saturations are there: (2 · SHIFTS,)."""
    numbers = []
    for field in (chroma, power - power.mean()):
        spread = field.abs().square().mean() + 1e-6
        for shift in SHIFTS:
            both = [(field * field.roll(shift, axis).conj()).real.mean() for axis in (1, 2)]
            numbers.append((both[0] + both[1]) / 2 / spread)
    return torch.stack(numbers)
