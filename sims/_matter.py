"""Matter that is carried along and never lost: compiled for the CPU, plain torch elsewhere.

Reintegration tracking [1]: what is in a cell is a uniform square around it that moves as one; then each cell keeps what
lies over it. The square is at most two cells wide, so it lies over at most three by three.

[1] M. Moroz. Reintegration tracking. 2020.

Shapes: B rollouts, C channels, H W cells.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

ZERO, HALF, ONE = (np.float32(value) for value in (0, 0.5, 1))
"""Compiled code needs its numbers in single precision."""

NOTHING = 1e-18
"""Less than this in a cell is nothing: numbers near the end of single precision are slow. A world of it for a thousand
steps weighs less than any sum can tell."""

GRAIN = 2.0**-44
"""Matter that plain torch counts as one: sums of whole numbers do not depend on their order."""


def carry(matter: Tensor, drift: Tensor, spread: float) -> Tensor:
    """Where matter is next, (B, C, H, W).

    Args:
        matter: (B, C, H, W), not negative.
        drift: (B, C, 2, H, W), how far each cell's matter moves, down and to the right, in cells.
        spread: Half the side of the square that a cell's matter fills, in cells, at most 1.
    """
    if matter.device.type != "cpu" or matter.dtype != torch.float32:
        return plain(matter, drift, spread)
    result = torch.empty(matter.shape)
    fields = (one.contiguous().flatten(0, 1).numpy() for one in (matter, drift, result))
    _carry(*fields, np.float32(0.5 / spread), np.float32(spread - 0.5))
    return result


def plain(matter: Tensor, drift: Tensor, spread: float) -> Tensor:
    """`carry` on any device: in whole grains, so that nothing is lost and the result is always the same."""
    height, width = matter.shape[-2:]
    home = drift.round()  # The cell in which the middle of the square comes to lie.
    off = drift - home
    before, after = (((spread - 0.5 + side * off) / (2 * spread)).clamp(min=0) for side in (-1, 1))
    share = torch.stack([before, 1 - before - after, after])  # (3, B, C, 2, H, W)
    home = home.long()
    row = torch.arange(height, device=matter.device)[:, None] + home[:, :, 0]
    column = torch.arange(width, device=matter.device) + home[:, :, 1]
    grains = (matter.double() / GRAIN).round().long()
    rest, result = grains, torch.zeros_like(grains).flatten(2)
    for i, j in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1), (0, 0)):
        part = rest if i == j == 0 else (grains * (share[i + 1, :, :, 0] * share[j + 1, :, :, 1]).double()).long()
        place = (row + i) % height * width + (column + j) % width
        result.scatter_add_(2, place.flatten(2), part.flatten(2))
        rest = rest - part
    return (result.double() * GRAIN).to(matter.dtype).view_as(matter)


@compiled
def _inside(place, n):  # type: ignore[no-untyped-def]
    """A place on a circle of n cells that is less than n away from them."""
    return place + n if place < 0 else (place - n if place >= n else place)


@compiled
def _land(place, drift, n, shorten, over):  # type: ignore[no-untyped-def]
    """The three cells of an axis that a square comes to lie over, and what share of it is over the outer two."""
    home = np.floor(drift + HALF)
    off, middle = drift - home, _inside(place + np.int64(home), n)
    before, after = max(ZERO, over - off) * shorten, max(ZERO, over + off) * shorten
    return _inside(middle - 1, n), middle, _inside(middle + 1, n), np.float64(before), np.float64(after)


@compiled
def _carry(matter, drift, result, shorten, over):  # type: ignore[no-untyped-def]
    """`carry` for float32 fields (N, H, W), drift (N, 2, H, W): summed in double precision, rounded once."""
    height, width = matter.shape[1:]
    total = np.empty((height, width))
    for n in range(len(matter)):
        total[:] = 0
        for i in range(height):
            for j in range(width):
                if matter[n, i, j] == ZERO:
                    continue
                y0, y1, y2, above, below = _land(i, drift[n, 0, i, j], height, shorten, over)
                x0, x1, x2, left, right = _land(j, drift[n, 1, i, j], width, shorten, over)
                whole = np.float64(matter[n, i, j])
                top, low, center = whole * above, whole * below, 1.0 - left - right
                mid = whole - top - low  # What remains, so that nothing is lost.
                for y, part in ((y0, top), (y1, mid), (y2, low)):
                    total[y, x0] += part * left
                    total[y, x1] += part * center
                    total[y, x2] += part * right
        for i in range(height):
            for j in range(width):
                result[n, i, j] = total[i, j] if total[i, j] > NOTHING else 0.0
