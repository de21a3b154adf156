"""Tools that the feature families share: frequencies in space and time, and which frames count."""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import one_hot

SIDE = 64
SMALL = 32
"""Pixels that suffice where only what is large or moves matters."""

RHYTHMS = (0.5, 1.5, 2.5, 4.5, 8.5)
"""Edges of the bands of temporal frequency, in cycles."""


def power(spectrum: Tensor) -> Tensor:
    """Squared magnitudes, without the square roots that `abs` takes."""
    return spectrum.real.square() + spectrum.imag.square()


def bands(edges: tuple[float, ...], side: int) -> Tensor:
    """Sorts the power of real spectra (side, side/2+1, flattened) into bands: a matrix (side * (side/2+1), K).

    The result is the mean square per pixel of what lies between two edges, in waves per world. All columns of a real
    spectrum but the first and the last stand for two.
    """
    axis = torch.fft.fftfreq(side) * side
    radius = torch.hypot(axis[:, None], axis[: side // 2 + 1].abs())
    band = torch.bucketize(radius.reshape(-1), torch.tensor(edges))
    twice = torch.full((side, side // 2 + 1), 2.0)
    twice[:, 0] = twice[:, -1] = 1
    sort = one_hot(band, len(edges) + 1).float() * twice.reshape(-1, 1)
    return sort[:, 1:-1].contiguous() / side**4


def shrink(spectrum: Tensor, side: int) -> Tensor:
    """Real spectra (..., side, side/2+1) of the same frames at fewer pixels; nothing aliases, so they shift alike."""
    whole, half = spectrum.shape[-2], side // 2
    if side == whole:
        return spectrum
    rows = torch.cat([torch.arange(half), torch.arange(whole - half, whole)])
    small = spectrum[..., rows, : half + 1] * (side / whole) ** 2
    small[..., half, :] = 0  # the highest frequency has no well-defined phase
    small[..., half] = 0
    return small


def blur(side: int, width: float) -> Tensor:
    """Spectrum (side, side/2+1) of a Gaussian of `width` pixels: multiplies spectra of pictures to blur."""
    axis = torch.fft.fftfreq(side) * 2 * torch.pi
    square = axis[:, None] ** 2 + axis[: side // 2 + 1] ** 2
    return torch.exp(-square * width**2 / 2)


def complete(spectrum: Tensor) -> Tensor:
    """Whole spectra (n, side, side) from real ones (n, side, side/2+1)."""
    side = spectrum.shape[1]
    mirrored = spectrum[:, :, 1 : side // 2].conj().flip(2).roll(-1, 1).flip(1)
    return torch.cat([spectrum, mirrored], 2)


def deviation(x: Tensor, dim: int) -> Tensor:
    """Standard deviations along an axis; twenty times as fast as `std` where there is much to add up."""
    return (x - x.mean(dim, keepdim=True)).square().mean(dim).sqrt()


def fold(wave: Tensor, cycles: Tensor) -> Tensor:
    """Power (rhythms, k) from power (n, k) by number of cycles (n,)."""
    which = torch.bucketize(cycles.float(), torch.tensor(RHYTHMS))
    return torch.zeros(len(RHYTHMS) + 1, wave.shape[1]).index_add_(0, which, wave)[1:]


@cache
def late(frames: int, count: int) -> Tensor:
    """At most `count` frame numbers, evenly spread over the second half."""
    return torch.linspace(frames // 2, frames - 1, count).round().long().unique()


def log(x: Tensor, floor: float = 1e-5) -> Tensor:
    """Logarithm of what is not negative; a change too small to be seen is none."""
    return (x + floor).log()


def summarize(series: Tensor) -> Tensor:
    """Late mean, late deviation, late drift and early mean (4n,) of series (n, T)."""
    half = series.shape[1] // 2
    first, second = series[:, : max(half, 1)], series[:, half:]
    quarter = (second.shape[1] + 1) // 2
    drift = second[:, -quarter:].mean(1) - second[:, :quarter].mean(1)
    return torch.cat([second.mean(1), deviation(second, 1), drift, first.mean(1)])
