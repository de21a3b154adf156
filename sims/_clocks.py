"""Forces between particles whose kinds lie on a circle, and what they see of each other's: compiled for the CPU.

Shapes: B rollouts, N particles, K kinds.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sims._cells import ONE, TINY, ZERO, arrange, cells, gather, room
from sims._compile import compiled
from sims._pairs import apart, law, lines, tug


def mingle(place: Tensor, kind: Tensor, attraction: Tensor, reach: Tensor, core: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the forces on each particle, (B, 2, N), and the mean of the hands around it, (B, 2, N).

    A particle's hand is the cosine and the sine of its place on the circle. Its own one counts fully, those of others
    less with distance, until the reach.

    Args:
        place: (B, 2, N) in [0, 1).
        kind: (B, N) in [0, K): between two kinds, a particle is a mixture of them; after the last comes the first.
        attraction: (B, K, K), how much the kind of the row is drawn to the kind of the column.
        reach: (B,), at most 1/2.
        core: (B,) in (0, 1), in units of the reach.
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense(place, kind, attraction, reach, core)
    total = torch.empty(len(place), 4, place.shape[2])
    _near_pairs(*(one.contiguous().numpy() for one in (place, kind, attraction, reach, core)), total.numpy())
    return total[:, :2], total[:, 2:]


def dense(place: Tensor, kind: Tensor, attraction: Tensor, reach: Tensor, core: Tensor) -> tuple[Tensor, Tensor]:
    """`mingle` on any device, with all pairs in memory at once."""
    offset, distance = apart(place)
    close = (1 - distance / reach[:, None, None]).clamp(min=0)
    mean = hands(kind, attraction.shape[1]) @ close / close.sum(1, keepdim=True)
    weight = mixture(kind, attraction.shape[1])
    return tug(offset, distance, weight.mT @ attraction @ weight, reach, core), mean


def hands(kind: Tensor, count: int) -> Tensor:
    """Cosine and sine (B, 2, N) of places on a circle of `count` kinds."""
    angle = 2 * torch.pi / count * kind
    return torch.stack([angle.cos(), angle.sin()], 1)


def mixture(kind: Tensor, count: int) -> Tensor:
    """How much a particle is of each kind, (B, K, N): of at most two, and of 1 in all."""
    first = kind.long()
    this, next_ = (one_hot(one % count, count).mT for one in (first, first + 1))
    return this + (kind - first)[:, None] * (next_ - this)


@compiled
def _one_particle(y, x, near, drawn, per_reach, push, slope, offset):  # type: ignore[no-untyped-def]
    """The force on a particle from those near it, to each of which it is `drawn` so much, and the mean hand there."""
    ys, xs, cosine, sine = near[0], near[1], near[2], near[3]
    force_y, force_x, all_close, mean_cosine, mean_sine = ZERO, ZERO, ZERO, ZERO, ZERO
    for j in range(drawn.size):
        dy, dx = ys[j] - y, xs[j] - x
        square = dy * dy + dx * dx + TINY
        nearer = ONE / np.sqrt(square)
        distance = square * nearer
        force = law(distance, drawn[j], push, slope, offset) * nearer
        force_y += force * dy
        force_x += force * dx
        close = max(ZERO, ONE - distance * per_reach)
        all_close += close
        mean_cosine += close * cosine[j]
        mean_sine += close * sine[j]
    return force_y, force_x, mean_cosine / all_close, mean_sine / all_close


@compiled
def _draw(weight, attraction, near, drawn):  # type: ignore[no-untyped-def]
    """How much a particle of mixed kind (K,) is drawn to each of those near it."""
    drawn[:] = ZERO
    for other in range(weight.size):
        pull, theirs = ZERO, near[4 + other]
        for kind in range(weight.size):
            pull += weight[kind] * attraction[kind, other]
        for j in range(drawn.size):
            drawn[j] += pull * theirs[j]


@compiled
def _describe(place, kind, numbers):  # type: ignore[no-untyped-def]
    """The place, the hand and the mixture of each particle, (4 + K, N)."""
    count = len(numbers) - 4
    numbers[:2], numbers[4:] = place, ZERO
    for i in range(kind.size):
        angle = kind[i] * np.float32(2 * np.pi / count)
        numbers[2, i], numbers[3, i] = np.cos(angle), np.sin(angle)
        first = int(kind[i])
        part = kind[i] - np.float32(first)
        numbers[4 + first % count, i] += ONE - part
        numbers[4 + (first + 1) % count, i] += part


@compiled
def _near_pairs(place, kind, attraction, reach, core, total):  # type: ignore[no-untyped-def]
    """`mingle` for float32, into `total`.

    It goes through the cells as `_pairs` does: a generator that both could share would double the time.
    """
    n, rows = place.shape[2], 4 + attraction.shape[1]
    sorted_, order, first, near = room(n, rows)
    numbers, drawn = np.empty((rows, n), np.float32), np.empty(near.shape[1], np.float32)
    for b in range(len(place)):
        side, (push, slope, offset) = cells(n, reach[b]), lines(reach[b], core[b])
        _describe(place[b], kind[b], numbers)
        arrange(numbers, side, sorted_, order, first)
        for cell in range(side * side):
            row, column = cell // side, cell % side
            here = row * (side + 2) + column + 1
            if first[here] < first[here + 1]:
                size = gather(sorted_, side, row, column, first, near)
            for at in range(first[here], first[here + 1]):
                _draw(sorted_[4:, at], attraction[b], near, drawn[:size])
                y, x = sorted_[0, at], sorted_[1, at]
                found = _one_particle(y, x, near, drawn[:size], ONE / reach[b], push, slope, offset)
                for f in range(4):
                    total[b, f, order[at]] = found[f]
