"""Forces between pairs of particles on a torus: compiled for the CPU, dense in torch elsewhere."""

import numpy as np
import torch
from torch import Tensor

from sims._cells import ONE, TINY, TWO, ZERO, arrange, cells, gather, room
from sims._compile import compiled
from sims._torus import ways


def pull(place: Tensor, attraction: Tensor, reach: Tensor, core: Tensor) -> Tensor:
    """The sum of the forces on each particle, (B, 2, N).

    At distance rho, in units of the reach, a particle is pushed away by 1 - rho / core inside the core, and drawn by
    its attraction to the other's kind times a tent, which peaks halfway between core and reach.

    Args:
        place: (B, 2, N) in [0, 1), sorted by kind as in `kinds`.
        attraction: (B, K, K), how much the kind of the row is drawn to the kind of the column.
        reach: (B,), at most 1/2.
        core: (B,) in (0, 1), in units of the reach.
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense(place, attraction, reach, core)
    total = torch.empty(place.shape)
    _near_pairs(*(one.contiguous().numpy() for one in (place, attraction, reach, core)), total.numpy())
    return total


def dense(place: Tensor, attraction: Tensor, reach: Tensor, core: Tensor) -> Tensor:
    """`pull` on any device, with all pairs in memory at once."""
    kind = kinds(place.shape[2], attraction.shape[1], place.device)
    offset, distance = apart(place)
    return tug(offset, distance, attraction[:, kind[:, None], kind], reach, core)


def apart(place: Tensor) -> tuple[Tensor, Tensor]:
    """From each particle (row) to each other (column), the short way around: (B, 2, N, N), and how far, (B, N, N)."""
    offset = ways(place)
    return offset, offset.square().sum(1).add(float(TINY)).sqrt()


def tug(offset: Tensor, distance: Tensor, drawn: Tensor, reach: Tensor, core: Tensor) -> Tensor:
    """`pull` for particles of which each is `drawn` (B, N, N) to each other."""
    core, rho = core[:, None, None], distance / reach[:, None, None]
    tent = (1 - (2 * rho - 1 - core).abs() / (1 - core)).clamp(min=0)
    force = (rho / core - 1).clamp(max=0) + drawn * tent
    return (offset * (force / distance)[:, None]).sum(3)


def kinds(n: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The kind of each of n particles, (N,) int64: blocks of equal length, the last one may be shorter."""
    return torch.arange(n, device=device) // -(-n // count)


@compiled
def lines(reach, core):  # type: ignore[no-untyped-def]
    """The slopes of push and tent by distance, and where the lines of the tent begin: at 1 - offset and 1 + offset."""
    return ONE / (core * reach), TWO / (ONE - core) / reach, (ONE + core) / (ONE - core)


@compiled
def law(distance, drawn, push, slope, offset):  # type: ignore[no-untyped-def]
    """The force between two particles. No branches, see `compiled`: the tent is the lower one of two lines."""
    tent = max(ZERO, min(slope * distance + (ONE - offset), (ONE + offset) - slope * distance))
    return min(ZERO, push * distance - ONE) + drawn * tent


@compiled
def _one_particle(y, x, near, drawn, push, slope, offset):  # type: ignore[no-untyped-def]
    """The force on a particle at a place from those near it, to each of which it is `drawn` so much."""
    ys, xs, force_y, force_x = near[0], near[1], ZERO, ZERO
    for j in range(drawn.size):
        dy, dx = ys[j] - y, xs[j] - x
        square = dy * dy + dx * dx + TINY
        nearer = ONE / np.sqrt(square)
        force = law(square * nearer, drawn[j], push, slope, offset) * nearer
        force_y += force * dy
        force_x += force * dx
    return force_y, force_x


@compiled
def _near_pairs(place, attraction, reach, core, total):  # type: ignore[no-untyped-def]
    """`pull` for float32, into `total`."""
    n, count = place.shape[2], attraction.shape[1]
    kind = np.arange(n) // ((n + count - 1) // count)
    numbers = np.empty((2 + count, n), np.float32)  # Places, and how each kind is drawn to a particle.
    sorted_, order, first, near = room(n, 2 + count)
    for b in range(len(place)):
        side, (push, slope, offset) = cells(n, reach[b]), lines(reach[b], core[b])
        numbers[:2] = place[b]
        for other in range(count):
            for i in range(n):
                numbers[2 + other, i] = attraction[b, other, kind[i]]
        arrange(numbers, side, sorted_, order, first)
        for cell in range(side * side):
            row, column = cell // side, cell % side
            here = row * (side + 2) + column + 1
            if first[here] < first[here + 1]:
                size = gather(sorted_, side, row, column, first, near)
            for at in range(first[here], first[here + 1]):
                i, y, x = order[at], sorted_[0, at], sorted_[1, at]
                drawn = near[2 + kind[i], :size]
                total[b, 0, i], total[b, 1, i] = _one_particle(y, x, near, drawn, push, slope, offset)
