"""Sums of bells around particles: compiled for the CPU, dense in torch elsewhere.

Shapes: B rollouts, N particles, P points.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

ZERO, HALF, ONE, TINY, LOG2E = (np.float32(value) for value in (0, 0.5, 1, 1e-18, 1.4426950408889634))
"""Compiled code needs its numbers in single precision. TINY keeps the direction between coinciding points finite."""

LOWEST = np.float32(-115)
"""Powers of two are not smaller than this one, e^-80: they would leave single precision."""

C0, C1, C2, C3, C4, C5 = (
    np.float32(value) for value in (1.41421366, 0.98025782, 0.3397241, 0.07849936, 0.01368318, 0.00187623)
)
"""2^(q + 1/2) for |q| < 1/2 by powers of q, fitted at Chebyshev nodes: wrong by less than 1e-7 of itself."""

BIAS, MANTISSA = np.int32(127), np.int32(23)
"""A float32 is 2^(e - BIAS) where e stands above MANTISSA bits."""


def bells(at: Tensor, place: Tensor, ring: Tensor, width: Tensor) -> Tensor:
    """What points see of the particles around them, (B, 5, P).

    The first is the field, a sum over particles at distance r of bells exp(-((r - ring) / width)^2). The second and
    third are its gradient. The last two are the gradient of the sum of max(1 - r, 0)^2 / 2. A particle at the point
    itself counts in the field, and has no gradient.

    Args:
        at: (B, 2, P).
        place: (B, 2, N).
        ring: (B,).
        width: (B,).
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense(at, place, ring, width)
    seen = torch.empty(len(at), 5, at.shape[2])
    _all_points(*(one.contiguous().numpy() for one in (at, place, ring, width, seen)))
    return seen


def company(at: Tensor, place: Tensor, ring: Tensor, width: Tensor) -> Tensor:
    """The field of `bells` alone, (B, P)."""
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return dense(at, place, ring, width)[:, 0]
    field = torch.empty(len(at), at.shape[2])
    _all_fields(*(one.contiguous().numpy() for one in (at, place, ring, width, field)))
    return field


def dense(at: Tensor, place: Tensor, ring: Tensor, width: Tensor) -> Tensor:
    """`bells` on any device, with all pairs in memory at once."""
    offset = at[..., None] - place[:, :, None]  # (B, 2, P, N)
    distance = offset.square().sum(1, keepdim=True).add(float(TINY)).sqrt()
    away = (distance - ring[:, None, None, None]) / width[:, None, None, None]
    bell = away.square().neg().clamp(min=-80).exp()
    slope = (-2 / width[:, None, None, None] * away * bell / distance * offset).sum(3)
    crowd = ((distance - 1).clamp(max=0) / distance * offset).sum(3)
    return torch.cat([bell.sum(3), slope, crowd], 1)


@compiled
def power(t):  # type: ignore[no-untyped-def]
    """2^t for t from LOWEST to 127, as a polynomial: a call to a library would not become vector instructions."""
    whole = np.floor(t)
    q = t - whole - HALF
    part = ((((C5 * q + C4) * q + C3) * q + C2) * q + C1) * q + C0
    return part * np.int32((np.int32(whole) + BIAS) << MANTISSA).view(np.float32)


@compiled
def _one_point(x, y, other_x, other_y, ring, per_width):  # type: ignore[no-untyped-def]
    """The five sums at one point. No branches, so that the loop becomes vector instructions."""
    field, slope_x, slope_y, crowd_x, crowd_y = ZERO, ZERO, ZERO, ZERO, ZERO
    for j in range(other_x.size):
        dx, dy = x - other_x[j], y - other_y[j]
        square = dx * dx + dy * dy + TINY
        nearer = ONE / np.sqrt(square)
        distance = square * nearer
        away = (distance - ring) * per_width
        bell = power(max(LOWEST, -LOG2E * away * away))
        slope = bell * away * nearer
        crowd = min(ZERO, distance - ONE) * nearer
        field += bell
        slope_x += slope * dx
        slope_y += slope * dy
        crowd_x += crowd * dx
        crowd_y += crowd * dy
    steep = -(per_width + per_width)
    return field, steep * slope_x, steep * slope_y, crowd_x, crowd_y


@compiled
def _all_points(at, place, ring, width, seen):  # type: ignore[no-untyped-def]
    """`bells` for float32, into `seen`."""
    for b in range(len(at)):
        for i in range(at.shape[2]):
            sums = _one_point(at[b, 0, i], at[b, 1, i], place[b, 0], place[b, 1], ring[b], ONE / width[b])
            seen[b, 0, i], seen[b, 1, i], seen[b, 2, i], seen[b, 3, i], seen[b, 4, i] = sums


@compiled
def _all_fields(at, place, ring, width, field):  # type: ignore[no-untyped-def]
    """`company` for float32, into `field`; the compiler drops the sums that nobody reads."""
    for b in range(len(at)):
        for i in range(at.shape[2]):
            sums = _one_point(at[b, 0, i], at[b, 1, i], place[b, 0], place[b, 1], ring[b], ONE / width[b])
            field[b, i] = sums[0]
