"""What boids see of each other on a torus of side 1: compiled for the CPU, dense in torch elsewhere.

Shapes: B rollouts, N boids.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled
from sims._torus import ways

ZERO, HALF, ONE, TINY = (np.float32(value) for value in (0, 0.5, 1, 1e-18))
"""Compiled code needs its numbers in single precision. TINY keeps the direction between coinciding boids finite."""

NEAR = 0.1
"""The distance, in worlds, within which a flock is told from a gas."""


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


def gas(place: Tensor, heading: Tensor) -> Tensor:
    """Where boids neither gather nor fly as those around them do, (B,) bool: nobody heeds anybody.

    Args:
        place: (B, 2, N).
        heading: (B, 2, N), unit vectors.
    """
    near = torch.full_like(place[:, 0, 0], NEAR)
    number, together = neighbors(place, heading, near, near, -2 * torch.ones_like(near))[:, :3].split([1, 2], 1)
    crowding = number.mean((1, 2)) / (max(1, place.shape[2] - 1) * math.pi * NEAR**2)
    accord = ((together * heading).sum(1, keepdim=True) / number.clamp(min=1)).mean((1, 2))
    return (crowding < 1.5) & (accord < 0.3)


def nearest(place: Tensor, heading: Tensor, reach: Tensor, count: int) -> Tensor:
    """The nearest neighbors within reach, each as the boid itself sees it, (B, 5, N, count).

    The first two are how far ahead and how far to the left the neighbor is, in units of the reach; then come the
    cosine and the sine of the angle from the boid's heading to its neighbor's; the last is 1. Where there are fewer
    neighbors, all five are 0. Nearer ones come first; boids that coincide do not see each other.

    Args:
        place: (B, 2, N).
        heading: (B, 2, N), unit vectors.
        reach: (B,), at most 1/2.
        count: How many are seen at most, less than N.
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense_nearest(place, heading, reach, count)
    seen = torch.zeros(len(place), 5, place.shape[2], count)
    _all_nearest(*(one.contiguous().numpy() for one in (place, heading, reach, seen)))
    return seen


def dense_nearest(place: Tensor, heading: Tensor, reach: Tensor, count: int) -> Tensor:
    """`nearest` on any device, with all pairs in memory at once."""
    offset = ways(place) / reach[:, None, None, None]
    square = offset.square().sum(1)
    square = square.where((square > 0) & (square < 1), torch.inf)
    near, who = square.topk(count, largest=False)  # (B, N, count)
    there = (near < torch.inf).to(place)
    index = who[:, None].expand(-1, 2, -1, -1)
    way = offset.gather(3, index)
    theirs = heading[:, :, None].expand_as(offset).gather(3, index)
    seen = [part for vector in (way, theirs) for part in _turned(vector, heading[..., None])]
    return torch.stack([*(part * there for part in seen), there], 1)


def _turned(vector: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (B, 2, ...) by how much they point along a heading, and to the left of it, (B, ...) each."""
    along = vector[:, 0] * heading[:, 0] + vector[:, 1] * heading[:, 1]
    return along, vector[:, 1] * heading[:, 0] - vector[:, 0] * heading[:, 1]


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


@compiled
def _distances(x, y, other_x, other_y, per_reach, square):  # type: ignore[no-untyped-def]
    """The square of the way to each boid, in units of the reach. No branches, see `_one_boid`."""
    for j in range(other_x.size):
        dx, dy = other_x[j] - x, other_y[j] - y
        dx = (dx - np.floor(dx + HALF)) * per_reach
        dy = (dy - np.floor(dy + HALF)) * per_reach
        square[j] = dx * dx + dy * dy


@compiled
def _keep_nearest(square, inside, near, who):  # type: ignore[no-untyped-def]
    """Who is nearest, nearest first, into `who`; returns how many are near at all."""
    candidates = 0
    for j in range(square.size):  # No branches: nobody could predict them.
        inside[candidates] = j
        candidates += (square[j] < ONE) & (square[j] > ZERO)
    found = 0
    for c in range(candidates):
        far = square[inside[c]]
        if found == near.size and far >= near[found - 1]:
            continue
        k = min(found, near.size - 1)
        while k > 0 and near[k - 1] > far:
            near[k], who[k] = near[k - 1], who[k - 1]
            k -= 1
        near[k], who[k] = far, inside[c]
        found = min(found + 1, near.size)
    return found


@compiled
def _all_nearest(place, heading, reach, seen):  # type: ignore[no-untyped-def]
    """`nearest` for float32, into `seen`, which starts at zero."""
    n, count = seen.shape[2:]
    square, inside = np.empty(n, np.float32), np.empty(n, np.int64)
    near, who = np.empty(count, np.float32), np.empty(count, np.int64)
    for b in range(len(place)):
        x, y, head_x, head_y, per_reach = place[b, 0], place[b, 1], heading[b, 0], heading[b, 1], ONE / reach[b]
        for i in range(n):
            _distances(x[i], y[i], x, y, per_reach, square)
            for k in range(_keep_nearest(square, inside, near, who)):
                j = who[k]
                dx, dy = x[j] - x[i], y[j] - y[i]
                dx = (dx - np.floor(dx + HALF)) * per_reach
                dy = (dy - np.floor(dy + HALF)) * per_reach
                seen[b, 0, i, k] = dx * head_x[i] + dy * head_y[i]
                seen[b, 1, i, k] = dy * head_x[i] - dx * head_y[i]
                seen[b, 2, i, k] = head_x[j] * head_x[i] + head_y[j] * head_y[i]
                seen[b, 3, i, k] = head_y[j] * head_x[i] - head_x[j] * head_y[i]
                seen[b, 4, i, k] = ONE
