"""A small network in every cell, the same in all: compiled for the CPU, in torch elsewhere.

Shapes: B rollouts, C channels, N hidden neurons, H W cells.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

TWO, THREE, NINE, FULL, EIGHTH, SIXTEENTH = (np.float32(x) for x in (2, 3, 9, 27, 1 / 8, 1 / 16))
"""Compiled code needs its numbers in single precision."""

BLOCK = 512
"""Cells that are thought about together: all their perceptions fit the fastest cache."""


def think(cells: Tensor, see: Tensor, bias: Tensor, act: Tensor, mix: Tensor, spread: Tensor, dt: float) -> Tensor:
    """The cells (B, C, H, W) on a torus a little later, in a new tensor.

    Args:
        cells: (B, C, H, W).
        see: (B, N, C, 4), how each neuron hears what is perceived of each channel: its value, its slope along a row
            and down a column (Sobel), and its Laplacian.
        bias: (B, N).
        act: (B, C, N), how the channels hear the neurons.
        mix: (B, C, C), how the channels hear each other directly.
        spread: (B,), how much of its Laplacian is added to each channel.
        dt: How far a cell goes from what it is to what its network wants.
    """
    if cells.device.type != "cpu" or cells.dtype != torch.float32:
        return dense(cells, see, bias, act, mix, spread, dt)
    later = torch.empty_like(cells, memory_format=torch.contiguous_format)
    arrays = [one.contiguous().numpy() for one in (cells, see, bias, act, mix, spread)]
    _think_all(*arrays, np.float32(dt), later.numpy())
    return later


def dense(cells: Tensor, see: Tensor, bias: Tensor, act: Tensor, mix: Tensor, spread: Tensor, dt: float) -> Tensor:
    """`think` on any device and in any precision."""
    seen = perceive(cells)
    neurons = squash(torch.einsum("bncf,bcfyx->bnyx", see, seen) + bias[:, :, None, None])
    wish = torch.einsum("bcn,bnyx->bcyx", act, neurons) + torch.einsum("bcd,bdyx->bcyx", mix, cells)
    return cells + dt * (squash(wish) - cells) + spread[:, None, None, None] * seen[:, :, 3]


def perceive(cells: Tensor) -> Tensor:
    """Value, slopes and Laplacian of fields (B, C, H, W), (B, C, 4, H, W), by filters of 3 x 3 cells."""
    above, below = cells.roll(1, 2), cells.roll(-1, 2)
    down, fall = above + 2 * cells + below, below - above
    slope = down.roll(-1, 3) - down.roll(1, 3)
    fall = fall.roll(1, 3) + 2 * fall + fall.roll(-1, 3)
    around = down.roll(1, 3) + 2 * down + down.roll(-1, 3)
    return torch.stack([cells, slope / 8, fall / 8, around / 16 - cells], 2)


def squash(x: Tensor) -> Tensor:
    """A fraction within 0.024 of tanh(x), which compiles to few instructions; 1 from 3 on."""
    x = x.clamp(-3, 3)
    return x * (27 + x * x) / (27 + 9 * x * x)


@compiled
def _think_all(cells, see, bias, act, mix, spread, dt, later):  # type: ignore[no-untyped-def]
    """`dense` for float32: worlds have a border, so that their rows are one long loop, done block by block in cache."""
    batch, channels, height, width = cells.shape
    wide = width + 2
    size = height * wide - 2
    world = np.empty((channels, (height + 2) * wide), np.float32)
    made = np.empty((channels, height * wide), np.float32)
    seen = np.empty((channels, 4, BLOCK), np.float32)
    for b in range(batch):
        for c in range(channels):
            _surround(cells[b, c], world[c])
        for first in range(0, size, BLOCK):
            n = min(BLOCK, size - first)
            for c in range(channels):
                _perceive(world[c, first:], wide, seen[c, 0, :n], seen[c, 1, :n], seen[c, 2, :n], seen[c, 3, :n])
            _think_block(seen, see[b], bias[b], act[b], mix[b], made, first, n)
            for c in range(channels):
                _approach(made[c, first : first + n], seen[c, 0, :n], seen[c, 3, :n], dt, spread[b])
        for c in range(channels):
            for y in range(height):
                _copy(made[c, y * wide : y * wide + width], later[b, c, y])


@compiled
def _surround(field, world):  # type: ignore[no-untyped-def]
    """Write a field into `world`, with a border of what lies on the other side of the torus."""
    height, width = field.shape
    wide = width + 2
    for y in range(height + 2):
        row = world[y * wide : (y + 1) * wide]
        _copy(field[(y - 1) % height], row[1 : width + 1])
        row[0], row[width + 1] = row[width], row[1]


@compiled
def _copy(source, target):  # type: ignore[no-untyped-def]
    for x in range(source.size):
        target[x] = source[x]


@compiled
def _perceive(field, wide, value, slope, fall, rough):  # type: ignore[no-untyped-def]
    """`perceive` for the cells from the first inner one on; the sum of rows is shared by the filters."""
    n = value.size
    a0, a1, a2 = field[:n], field[1 : 1 + n], field[2 : 2 + n]
    field = field[wide:]
    b0, b1, b2 = field[:n], field[1 : 1 + n], field[2 : 2 + n]
    field = field[wide:]
    c0, c1, c2 = field[:n], field[1 : 1 + n], field[2 : 2 + n]
    for i in range(n):
        before, after = a0[i] + TWO * b0[i] + c0[i], a2[i] + TWO * b2[i] + c2[i]
        value[i] = b1[i]
        slope[i] = EIGHTH * (after - before)
        rough[i] = SIXTEENTH * (before + TWO * (a1[i] + TWO * b1[i] + c1[i]) + after) - b1[i]
    for i in range(n):
        fall[i] = EIGHTH * (c0[i] - a0[i] + TWO * (c1[i] - a1[i]) + c2[i] - a2[i])


@compiled
def _think_block(seen, see, bias, act, mix, made, first, n):  # type: ignore[no-untyped-def]
    """What the network wants of n cells."""
    channels = len(seen)
    neuron = np.empty(n, np.float32)
    for c in range(channels):
        wish = made[c, first : first + n]
        wish[:] = 0
        for d in range(channels):
            _add(wish, mix[c, d], seen[d, 0, :n])
    for i in range(len(see)):
        neuron[:] = bias[i]
        for c in range(channels):
            _hear(neuron, see[i, c], seen[c, 0, :n], seen[c, 1, :n], seen[c, 2, :n], seen[c, 3, :n])
        _squash(neuron)
        for c in range(channels):
            _add(made[c, first : first + n], act[c, i], neuron)
    for c in range(channels):
        _squash(made[c, first : first + n])


@compiled
def _approach(wish, value, rough, dt, spread):  # type: ignore[no-untyped-def]
    for i in range(wish.size):
        wish[i] = value[i] + dt * (wish[i] - value[i]) + spread * rough[i]


@compiled
def _hear(neuron, weight, value, slope, fall, rough):  # type: ignore[no-untyped-def]
    a, b, c, d = weight
    for x in range(neuron.size):
        neuron[x] += a * value[x] + b * slope[x] + c * fall[x] + d * rough[x]


@compiled
def _add(total, weight, value):  # type: ignore[no-untyped-def]
    for x in range(total.size):
        total[x] += weight * value[x]


@compiled
def _squash(field):  # type: ignore[no-untyped-def]
    for i in range(field.size):
        x = min(max(field[i], -THREE), THREE)
        field[i] = x * (FULL + x * x) / (FULL + NINE * x * x)
