"""Small tools that all feature families share."""

import torch
from torch import Tensor

SIDE = 64
EDGES = (0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 46.0)
"""Edges of the bands of spatial frequency, in waves per world; the constant and all above the last count for nothing."""


def radius(side: int = SIDE) -> Tensor:
    """Spatial frequency (side, side/2+1) of each number of a real spectrum, in waves per world."""
    axis = torch.fft.fftfreq(side) * side
    return torch.hypot(axis[:, None], axis[: side // 2 + 1].abs())


def bands(edges: tuple[float, ...] = EDGES, side: int = SIDE) -> Tensor:
    """(side * (side/2+1), K): adds the power of a real spectrum up by band, as mean square per pixel.

    The columns between the first and the last of a real spectrum stand for two.
    """
    k = torch.bucketize(radius(side), torch.tensor(edges))
    twice = torch.full((side, side // 2 + 1), 2.0)
    twice[:, 0] = twice[:, -1] = 1
    one_hot = torch.nn.functional.one_hot(k.reshape(-1), len(edges) + 1).float() * twice.reshape(-1, 1)
    return one_hot[:, 1:-1] / side**4


BANDS = bands()


def late(frames: int, count: int) -> Tensor:
    """At most `count` frame numbers, evenly spread over the second half."""
    return torch.linspace(frames // 2, frames - 1, count).round().long().unique()


def log(x: Tensor) -> Tensor:
    """Logarithm of what is not negative; a change too small to be seen is none."""
    return (x + 1e-5).log()


def summarize(series: Tensor) -> Tensor:
    """Late mean, late deviation, late drift and early mean (4n,) of series (n, T)."""
    half = series.shape[1] // 2
    second = series[:, half:]
    first = series[:, : max(half, 1)]
    quarter = (second.shape[1] + 1) // 2
    drift = second[:, -quarter:].mean(1) - second[:, :quarter].mean(1)
    return torch.cat([second.mean(1), second.std(1, correction=0), drift, first.mean(1)])
