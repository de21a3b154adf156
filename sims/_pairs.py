"""Forces between all pairs of particles on a torus: compiled for the CPU, dense in torch elsewhere."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

ZERO, HALF, ONE, TINY = (np.float32(value) for value in (0, 0.5, 1, 1e-18))
"""Compiled code needs its numbers in single precision. TINY keeps the direction between coinciding particles finite."""


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
    total = torch.zeros(place.shape)
    _all_pairs(*(one.contiguous().numpy() for one in (place, attraction, reach, core)), total.numpy())
    return total


def dense(place: Tensor, attraction: Tensor, reach: Tensor, core: Tensor) -> Tensor:
    """`pull` on any device, with all pairs in memory at once."""
    kind = kinds(place.shape[2], attraction.shape[1], place.device)
    offset = place[:, :, None, :] - place[:, :, :, None]  # (B, 2, N, N), from the row's particle to the column's
    offset = offset - (offset + 0.5).floor()
    distance = offset.square().sum(1).add(float(TINY)).sqrt()  # (B, N, N)
    core = core[:, None, None]
    rho = distance / reach[:, None, None]
    tent = (1 - (2 * rho - 1 - core).abs() / (1 - core)).clamp(min=0)
    force = (rho / core - 1).clamp(max=0) + attraction[:, kind[:, None], kind] * tent
    return (offset * (force / distance)[:, None]).sum(3)


def kinds(n: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The kind of each of n particles, (N,) int64: blocks of equal length, the last one may be shorter."""
    return torch.arange(n, device=device) // -(-n // count)


def _compile(function: Any) -> Any:
    """Compiled on first use, and kept on disk for the next process where there is a folder to keep it in."""
    # Division by zero is left to IEEE 754: a check for it would keep the loop from becoming vector instructions.
    options = {"fastmath": True, "error_model": "numpy", "nogil": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # Neither the installation nor the home folder can be written.
        return numba.njit(**options)(function)


@_compile
def _one_particle(x, y, other_x, other_y, mine, theirs, reach, core, other_ax, other_ay):  # type: ignore[no-untyped-def]
    """The force on a particle; the force that it exerts on others is added to theirs. No branches, see `_compile`."""
    per_reach, per_core = ONE / reach, ONE / core
    peak, slope = ONE + core, ONE / (ONE - core)
    ax, ay = ZERO, ZERO
    for j in range(other_x.size):
        dx, dy = other_x[j] - x, other_y[j] - y
        dx -= np.floor(dx + HALF)
        dy -= np.floor(dy + HALF)
        square = dx * dx + dy * dy + TINY
        nearer = ONE / np.sqrt(square)
        rho = square * nearer * per_reach
        tent = max(ZERO, ONE - abs(rho + rho - peak) * slope) * nearer
        push = min(ZERO, rho * per_core - ONE) * nearer
        ax += (push + mine[j] * tent) * dx
        ay += (push + mine[j] * tent) * dy
        other_ax[j] -= (push + theirs[j] * tent) * dx
        other_ay[j] -= (push + theirs[j] * tent) * dy
    return ax, ay


@_compile
def _all_pairs(place, attraction, reach, core, total):  # type: ignore[no-untyped-def]
    """`pull` for float32, into `total`, which starts at zero."""
    n, count = place.shape[2], attraction.shape[1]
    block = (n + count - 1) // count
    mine = np.empty((count, n), np.float32)  # How each kind is drawn to particle j,
    theirs = np.empty((count, n), np.float32)  # and particle j to each kind.
    for b in range(len(place)):
        for kind in range(count):
            for j in range(n):
                mine[kind, j] = attraction[b, kind, j // block]
                theirs[kind, j] = attraction[b, j // block, kind]
        x, y, ax, ay = place[b, 0], place[b, 1], total[b, 0], total[b, 1]
        for i in range(n):
            kind, k = i // block, i + 1
            sum_x, sum_y = _one_particle(
                x[i], y[i], x[k:], y[k:], mine[kind, k:], theirs[kind, k:], reach[b], core[b], ax[k:], ay[k:]
            )
            ax[i] += sum_x
            ay[i] += sum_y
