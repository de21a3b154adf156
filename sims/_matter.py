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


def drift(matter: Tensor, liked: Tensor, theta: Tensor, dt: float, reach: float) -> Tensor:
    """How far matter moves, down and to the right, in cells, (B, C, 2, H, W): dt ((1 - alpha) grad U - alpha grad A).

    Args:
        matter: (B, C, H, W). Of all channels together it is A.
        liked: (B, C, H, W), U: how much the matter of each channel likes a place.
        theta: (B,), density from which matter only moves away from crowds: alpha = min(1, matter / theta)^2.
        dt: Cells per unit of flow.
        reach: Cells that it moves at most along each axis.
    """
    if matter.device.type != "cpu" or matter.dtype != torch.float32:
        return plain_drift(matter, liked, theta, dt, reach)
    result = torch.empty(*matter.shape[:2], 2, *matter.shape[2:])
    fields = (one.contiguous().numpy() for one in (matter, liked, 1 / theta))
    _drift(*fields, np.float32(dt), np.float32(reach), result.numpy())
    return result


def plain_drift(matter: Tensor, liked: Tensor, theta: Tensor, dt: float, reach: float) -> Tensor:
    """`drift` on any device."""
    crowded = (matter / theta[:, None, None, None]).clamp_(max=1).square_()[:, :, None]
    flow = torch.lerp(slope(liked), -slope(matter.sum(1, keepdim=True)), crowded)
    return flow.mul_(dt).clamp_(-reach, reach)


def slope(field: Tensor) -> Tensor:
    """Sobel's gradient of periodic fields (B, C, H, W), (B, C, 2, H, W): 8 times the slope per cell."""
    parts = []
    for along, across in ((2, 3), (3, 2)):
        smooth = field.roll(1, across).add_(field.roll(-1, across)).add_(field, alpha=2)
        parts.append(smooth.roll(-1, along).sub_(smooth.roll(1, along)))
    return torch.stack(parts, 2)


def carry(matter: Tensor, moves: Tensor, spread: float) -> Tensor:
    """Where matter is next, (B, C, H, W).

    Args:
        matter: (B, C, H, W), not negative.
        moves: (B, C, 2, H, W), how far each cell's matter moves, down and to the right, in cells.
        spread: Half the side of the square that a cell's matter fills, in cells, at most 1.
    """
    if matter.device.type != "cpu" or matter.dtype != torch.float32:
        return plain_carry(matter, moves, spread)
    result = torch.empty(matter.shape)
    fields = (one.contiguous().flatten(0, 1).numpy() for one in (matter, moves, result))
    margin = int(moves.abs().max()) + 2
    _carry(*fields, margin, np.float32(0.5 / spread), np.float32(spread - 0.5))
    return result


def plain_carry(matter: Tensor, moves: Tensor, spread: float) -> Tensor:
    """`carry` on any device: in whole grains, so that nothing is lost and the result is always the same."""
    height, width = matter.shape[-2:]
    home = moves.round()  # The cell in which the middle of the square comes to lie.
    off = moves - home
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
def _framed(field, framed):  # type: ignore[no-untyped-def]
    """Add a periodic field (H, W) to the inside of a larger one, (H + 2, W + 2), and what is beyond to its frame."""
    height, width = field.shape
    for i in range(height + 2):
        line, row = framed[i], field[(i - 1) % height]
        for j in range(width):
            line[j + 1] += row[j]
        line[0] += row[width - 1]
        line[width + 1] += row[0]


@compiled
def _slope(framed, i, j):  # type: ignore[no-untyped-def]
    """`slope` at a cell of a framed field: down and to the right."""
    a, b, c = framed[i, j], framed[i, j + 1], framed[i, j + 2]
    d, f = framed[i + 1, j], framed[i + 1, j + 2]
    g, h, k = framed[i + 2, j], framed[i + 2, j + 1], framed[i + 2, j + 2]
    return (g + h + h + k) - (a + b + b + c), (c + f + f + k) - (a + d + d + g)


@compiled
def _drift(matter, liked, thin, dt, reach, result):  # type: ignore[no-untyped-def]
    """`drift` for float32, into `result`; `thin` is 1 / theta."""
    rows, channels, height, width = matter.shape
    crowd, wish = np.empty((2, height + 2, width + 2), np.float32)
    for b in range(rows):
        crowd[:] = 0
        for c in range(channels):
            _framed(matter[b, c], crowd)
        for c in range(channels):
            wish[:] = 0
            _framed(liked[b, c], wish)
            for i in range(height):
                here, down, right = matter[b, c, i], result[b, c, 0, i], result[b, c, 1, i]
                for j in range(width):
                    alpha = min(ONE, here[j] * thin[b]) ** 2
                    wish_down, wish_right = _slope(wish, i, j)
                    crowd_down, crowd_right = _slope(crowd, i, j)
                    down[j] = min(reach, max(-reach, dt * (wish_down - alpha * (wish_down + crowd_down))))
                    right[j] = min(reach, max(-reach, dt * (wish_right - alpha * (wish_right + crowd_right))))


@compiled
def _carry(matter, moves, result, margin, shorten, over):  # type: ignore[no-untyped-def]
    """`carry` for float32 fields (N, H, W), moves (N, 2, H, W): summed in double precision, rounded once.

    The margin is so wide that nothing comes beyond it.
    """
    height, width = matter.shape[1:]
    stride = width + 2 * margin
    share, place = np.empty((4, width), np.float32), np.empty(width, np.int64)
    for n in range(len(matter)):
        total = np.zeros((height + 2 * margin) * stride)
        for i in range(height):
            _land(moves[n, 0, i], moves[n, 1, i], (i + margin) * stride + margin, stride, shorten, over, share, place)
            for j in range(width):
                if matter[n, i, j] > ZERO:
                    _leave(np.float64(matter[n, i, j]), share[:, j], place[j], stride, total)
        _fold(total.reshape(-1, stride), margin, result[n])


@compiled
def _land(down, right, start, stride, shorten, over, share, place):  # type: ignore[no-untyped-def]
    """For a row of squares: in which cell their middles come to lie, and what shares lie above, below, left, right."""
    for j in range(down.size):
        y, x = np.floor(down[j] + HALF), np.floor(right[j] + HALF)
        off_y, off_x = down[j] - y, right[j] - x
        share[0, j], share[1, j] = max(ZERO, over - off_y) * shorten, max(ZERO, over + off_y) * shorten
        share[2, j], share[3, j] = max(ZERO, over - off_x) * shorten, max(ZERO, over + off_x) * shorten
        place[j] = start + j + np.int64(y) * stride + np.int64(x)


@compiled
def _leave(whole, share, place, stride, total):  # type: ignore[no-untyped-def]
    """Leave a square's matter in nine cells; the middle gets what the others leave, so that nothing is lost."""
    top, low = whole * share[0], whole * share[1]
    left, right = np.float64(share[2]), np.float64(share[3])
    center, middle = 1.0 - left - right, whole - top - low
    for part, p in ((top, place - stride), (middle, place), (low, place + stride)):
        total[p - 1] += part * left
        total[p] += part * center
        total[p + 1] += part * right


@compiled
def _fold(total, margin, result):  # type: ignore[no-untyped-def]
    """The inside of a field, to which what came to lie beyond an edge returns at the other."""
    height, width = result.shape
    for i in range(len(total)):
        if i < margin or i >= height + margin:
            total[margin + (i - margin) % height] += total[i]
    for i in range(height):
        line = total[i + margin]
        for j in range(margin):
            line[margin + (j - margin) % width] += line[j]
            line[margin + j % width] += line[margin + width + j]
        for j in range(width):
            here = line[margin + j]
            result[i, j] = here if here > NOTHING else 0.0
