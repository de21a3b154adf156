"""Two chemicals that react and spread: compiled for the CPU, in torch elsewhere.

    du/dt = spread lap(u) - u v^2 + feed (1 - u),     dv/dt = spread / ratio lap(v) + u v^2 - loss v

Explicit Euler steps of length 1 on a torus of cells of side 1, with the Laplacian of five points.

Shapes: B rollouts, H W cells.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

ONE, FOUR = np.float32(1), np.float32(4)
"""Compiled code needs its numbers in single precision."""


def react(u: Tensor, v: Tensor, rates: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Both chemicals `times` steps later, in new tensors.

    Args:
        u: (B, H, W), what is fed.
        v: (B, H, W), what eats it.
        rates: (B, 4): how fast u spreads, how fast v spreads, feed, loss.
        times: Number of steps.
    """
    if u.device.type != "cpu" or u.dtype != torch.float32:
        return dense(u, v, rates, times)
    u, v = u.clone(memory_format=torch.contiguous_format), v.clone(memory_format=torch.contiguous_format)
    _react_all(u.numpy(), v.numpy(), rates.contiguous().numpy(), times)
    return u, v


def dense(u: Tensor, v: Tensor, rates: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """`react` on any device and in any precision."""
    spread_u, spread_v, feed, loss = rates[:, :, None, None].unbind(1)
    for _ in range(times):
        eaten = u * v * v
        u, v = (
            u + spread_u * _laplacian(u) - eaten + feed * (1 - u),
            v + spread_v * _laplacian(v) + eaten - loss * v,
        )
    return u, v


def _laplacian(field: Tensor) -> Tensor:
    return field.roll(1, 1) + field.roll(-1, 1) + field.roll(1, 2) + field.roll(-1, 2) - 4 * field


@compiled
def _react_all(u, v, rates, times):  # type: ignore[no-untyped-def]
    """`dense` for float32, in place, world by world: one stays in the cache for all its steps."""
    height, width = u.shape[1:]
    wide = width + 2  # Each world has a border, so that the loop over its cells needs to know nothing of edges.
    now = np.zeros((2, (height + 2) * wide), np.float32)
    new = np.zeros_like(now)
    for b in range(len(u)):
        inner = now.reshape(2, height + 2, wide)[:, 1:-1, 1:-1]
        inner[0], inner[1] = u[b], v[b]
        for _ in range(times):
            _wrap(now.reshape(2, height + 2, wide))
            _react_once(now[0], now[1], new[0], new[1], wide, rates[b])
            now, new = new, now
        inner = now.reshape(2, height + 2, wide)[:, 1:-1, 1:-1]
        u[b], v[b] = inner[0], inner[1]


@compiled
def _wrap(world):  # type: ignore[no-untyped-def]
    """Fill the border with what lies on the other side of the torus."""
    height, width = world.shape[1] - 2, world.shape[2] - 2
    for field in world:
        for y in range(1, height + 1):
            field[y, 0], field[y, width + 1] = field[y, width], field[y, 1]
        for x in range(width + 2):
            field[0, x], field[height + 1, x] = field[height, x], field[1, x]


@compiled
def _react_once(u, v, new_u, new_v, wide, rates):  # type: ignore[no-untyped-def]
    """All rows in one long loop, which makes the best vector instructions; borders get numbers that nobody reads."""
    spread_u, spread_v, feed, loss = rates
    size = u.size - 2 * wide - 2
    first, below = wide + 1, 2 * wide + 1
    u0, u_up, u_down = u[first : first + size], u[1 : 1 + size], u[below : below + size]
    v0, v_up, v_down = v[first : first + size], v[1 : 1 + size], v[below : below + size]
    u_left, u_right = u[first - 1 : first - 1 + size], u[first + 1 : first + 1 + size]
    v_left, v_right = v[first - 1 : first - 1 + size], v[first + 1 : first + 1 + size]
    out_u, out_v = new_u[first : first + size], new_v[first : first + size]
    for i in range(size):
        a, b = u0[i], v0[i]
        eaten = a * b * b
        around_a = u_up[i] + u_down[i] + u_left[i] + u_right[i] - FOUR * a
        around_b = v_up[i] + v_down[i] + v_left[i] + v_right[i] - FOUR * b
        out_u[i] = a + spread_u * around_a - eaten + feed * (ONE - a)
        out_v[i] = b + spread_v * around_b + eaten - loss * b
