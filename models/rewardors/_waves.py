"""Wavelet moments [1]: how strong, how sparse and how clustered structure is at each scale and direction.

[1] J. Bruna and S. Mallat, Invariant scattering convolution networks, TPAMI 35, 2013.
"""

import math

import torch
from torch import Tensor

from models.rewardors._space import SIDE, bands, log

SCALES = 4
DIRECTIONS = 4


def _wavelets() -> list[Tensor]:
    """Spectra of Morlet-like wavelets, (DIRECTIONS, side, side) for sides 64, 32, 16, 8: half as fine each time."""
    filters = []
    for j in range(SCALES):
        side = SIDE >> j
        axis = torch.fft.fftfreq(side) * side
        center = SIDE * 0.28 / 2**j
        width = center * 0.45
        rows = []
        for d in range(DIRECTIONS):
            angle = math.pi * d / DIRECTIONS
            y, x = axis[:, None] - center * math.sin(angle), axis - center * math.cos(angle)
            rows.append(torch.exp(-(x**2 + y**2) / (2 * width**2)))
        w = torch.stack(rows)
        w[:, 0, 0] = 0
        filters.append(w)
    return filters


WAVELETS = _wavelets()
CLUSTERS = [bands((0.5, 1.5, 3.5, 8.0), side=SIDE >> j) if (SIDE >> j) >= 8 else None for j in range(SCALES)]


def waves(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Moments of a late and the last frame, of the changes just before them, and of where change happens."""
    n = len(spectrum)
    t = torch.tensor([3 * n // 4, n - 1])
    before = (t - 1).clamp_min(0)
    activity = torch.fft.rfft2(grey[n // 2 :].std(0, correction=0))
    fields = torch.cat([spectrum[t], spectrum[t] - spectrum[before], activity[None]])  # (5, ...)
    full = _full(fields)
    rows = [_moments(full, j) for j in range(SCALES)]
    m = torch.cat(rows, 1)  # (5, numbers)
    m = torch.stack([m[:2].mean(0), m[2:4].mean(0), m[4]])
    return m.reshape(-1)


def _moments(full: Tensor, j: int) -> Tensor:
    side = SIDE >> j
    part = _crop(full, side)
    u = torch.fft.ifft2(part[:, None] * WAVELETS[j]).abs()  # (fields, DIRECTIONS, side, side)
    u = u * (side / SIDE) ** 2
    first, second = u.mean((2, 3)), u.square().mean((2, 3))
    energy = second.mean(1)
    sparse = (first.square().mean(1) + 1e-9) / (energy + 1e-9)
    direction = second.std(1, correction=0) / (energy + 1e-6)
    power = torch.fft.rfft2(u).abs().square().flatten(2) @ CLUSTERS[j]  # (fields, DIRECTIONS, bands)
    cluster = (power.mean(1) + 1e-8) / (energy[:, None] + 1e-7)
    return torch.cat([log(energy.sqrt())[:, None], sparse[:, None], direction[:, None], (cluster + 1e-4).log()], 1)


def _crop(full: Tensor, side: int) -> Tensor:
    """The low frequencies (n, side, side) of spectra (n, SIDE, SIDE)."""
    if side == SIDE:
        return full
    h = side // 2
    keep = torch.cat([torch.arange(h), torch.arange(SIDE - h, SIDE)])
    return full[:, keep][:, :, keep]


def _full(spectrum: Tensor) -> Tensor:
    mirrored = spectrum[:, :, 1 : SIDE // 2].conj().flip(2).roll(-1, 1).flip(1)
    return torch.cat([spectrum, mirrored], 2)
