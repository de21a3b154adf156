"""Wavelet moments [1]: how strong, how sparse, how aligned and how clustered structure is, at each scale.

[1] J. Bruna and S. Mallat, Invariant scattering convolution networks, TPAMI 35, 2013.
"""

import math

import torch
from torch import Tensor

from models.rewardors._space import bands, complete, deviation, log, power, shrink

SIDES = (32, 16, 8)
"""Pixels that suffice at each scale; a wave is 3.6 of them long."""

DIRECTIONS = 4


def waves(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Moments of the last frame, of the changes just before it, and of where change happens (3 x 18,)."""
    activity = torch.fft.rfft2(deviation(grey[len(grey) // 2 :], 0))
    last, before = spectrum[-1], spectrum[max(len(spectrum) - 2, 0)]
    fields = shrink(torch.stack([last, last - before, activity]), SIDES[0])
    return torch.cat([_moments(fields, scale) for scale in range(len(SIDES))], 1).reshape(-1)


def _moments(fields: Tensor, scale: int) -> Tensor:
    """Strength, sparsity, alignment and three bands of clustering (n, 6) of fields given as spectra."""
    side = SIDES[scale]
    whole = complete(shrink(fields, side))
    size2 = power(torch.fft.ifft2(whole[:, None] * WAVELETS[scale]))  # (n, DIRECTIONS, side, side)
    size = size2.sqrt()
    energy, mean = size2.mean((2, 3)), size.mean((2, 3))
    total = energy.mean(1)
    sparse = (mean.square().mean(1) + 1e-9) / (total + 1e-9)
    aligned = deviation(energy, 1) / (total + 1e-6)
    cluster = (power(torch.fft.rfft2(size)).flatten(2) @ CLUSTERS[scale]).mean(1)
    cluster = log((cluster + 1e-8) / (total[:, None] + 1e-7), 1e-4)
    return torch.cat([log(total.sqrt())[:, None], sparse[:, None], aligned[:, None], cluster], 1)


def _wavelets(side: int) -> Tensor:
    """Spectra (DIRECTIONS, side, side) of Gabor wavelets without mean."""
    axis = torch.fft.fftfreq(side) * side
    center = 0.28 * side
    rows = []
    for direction in range(DIRECTIONS):
        angle = math.pi * direction / DIRECTIONS
        y, x = axis[:, None] - center * math.sin(angle), axis - center * math.cos(angle)
        rows.append(torch.exp(-(x**2 + y**2) / (2 * (0.45 * center) ** 2)))
    wavelets = torch.stack(rows)
    wavelets[:, 0, 0] = 0
    return wavelets


WAVELETS = [_wavelets(side) for side in SIDES]
CLUSTERS = [bands((0.5, side / 16, side / 8, side / 4), side) for side in SIDES]
