"""What boids see of each other on a torus of side 1: compiled for the CPU, dense in torch elsewhere.

Shapes: B rollouts, N boids.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

ZERO, HALF, ONE, TINY = (np.float32(value) for value in (0, 0.5, 1, 1e-18))
"""Compiled code needs its numbers in single precision. TINY keeps the direction between coinciding boids finite."""


def neighbors(place: Tensor, motion: Tensor, reach: Tensor, elbow: Tensor, view: Tensor) -> Tensor:
    """Sums over the neighbors that each boid sees, (B, 7, N).

    The first is their number; then come the sums of their motion (two numbers), of the way to them (two), and of the
    unit vectors away from those nearer than the elbow, weighted by how much nearer they are (two).
    Boids that coincide do not see each other.

    Args:
        place: (B, 2, N).
        motion: (B, 2, N), not zero.
        reach: (B,), how far boids see, at most 1/2.
        elbow: (B,), the distance that they keep, at most the reach.
        view: (B,), the cosine of half the angle that they see.
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense_neighbors(place, motion, reach, elbow, view)
    total = torch.empty(len(place), 7, place.shape[2])
    _all_boids(*(one.contiguous().numpy() for one in (place, motion, reach, elbow, view, total)))
    return total


def dense_neighbors(place: Tensor, motion: Tensor, reach: Tensor, elbow: Tensor, view: Tensor) -> Tensor:
    """`neighbors` on any device, with all pairs in memory at once."""
    reach, elbow, view = (one[:, None, None] for one in (reach, elbow, view))
    offset = ways(place)
    square = offset.square().sum(1)
    distance = square.add(float(TINY)).sqrt()  # (B, N, N)
    ahead = (offset * (motion / motion.norm(dim=1, keepdim=True))[..., None]).sum(1)
    seen = ((square > 0) & (distance < reach) & (ahead >= view * distance)).to(place)
    near = (1 - distance / elbow).clamp(min=0) * seen / distance
    number = seen.sum(2)[:, None]
    return torch.cat([number, motion @ seen.mT, (offset * seen[:, None]).sum(3), -(offset * near[:, None]).sum(3)], 1)


def ways(place: Tensor) -> Tensor:
    """The short way from each boid to each other one, (B, 2, N, N)."""
    offset = place[:, :, None, :] - place[:, :, :, None]
    return offset - (offset + 0.5).floor()


@compiled
def _one_boid(x, y, head_x, head_y, other_x, other_y, motion_x, motion_y, reach, per_elbow, view):  # type: ignore[no-untyped-def]
    """The seven sums of one boid. No branches, so that the loop becomes vector instructions."""
    number, go_x, go_y, way_x, way_y, off_x, off_y = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    for j in range(other_x.size):
        dx, dy = other_x[j] - x, other_y[j] - y
        dx -= np.floor(dx + HALF)
        dy -= np.floor(dy + HALF)
        square = dx * dx + dy * dy
        nearer = ONE / np.sqrt(square + TINY)
        distance = square * nearer
        ahead = dx * head_x + dy * head_y
        seen = ONE if (square > ZERO) & (distance < reach) & (ahead >= view * distance) else ZERO
        near = max(ZERO, ONE - distance * per_elbow) * seen * nearer
        number += seen
        go_x += seen * motion_x[j]
        go_y += seen * motion_y[j]
        way_x += seen * dx
        way_y += seen * dy
        off_x -= near * dx
        off_y -= near * dy
    return number, go_x, go_y, way_x, way_y, off_x, off_y


@compiled
def _all_boids(place, motion, reach, elbow, view, total):  # type: ignore[no-untyped-def]
    """`neighbors` for float32, into `total`."""
    for b in range(len(place)):
        x, y, go_x, go_y, out = place[b, 0], place[b, 1], motion[b, 0], motion[b, 1], total[b]
        for i in range(x.size):
            slower = ONE / np.sqrt(go_x[i] * go_x[i] + go_y[i] * go_y[i])
            head_x, head_y = go_x[i] * slower, go_y[i] * slower
            sums = _one_boid(x[i], y[i], head_x, head_y, x, y, go_x, go_y, reach[b], ONE / elbow[b], view[b])
            out[0, i], out[1, i], out[2, i], out[3, i], out[4, i], out[5, i], out[6, i] = sums
