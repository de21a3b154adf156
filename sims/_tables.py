"""Automata of a few states that look up what to become: compiled for the CPU, in torch elsewhere.

A neighborhood is told by how many of its cells are in each state: by the sum of the numbers 0, 1, Q, Q^2, … over its
cells, one for each state, where Q is the number of its cells plus one.

Shapes: B rollouts, K states, H W cells, M counts.
"""

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

FADE = np.float32(0.4)
"""How fast light follows a cell's state. Compiled code needs its numbers in single precision."""


def counts(states: int, reach: int) -> Tensor:
    """How many neighbors are in each state but the first, (M, K - 1) int64: all cases that there are."""
    most = (2 * reach + 1) ** 2 - 1
    cases = torch.cartesian_prod(*[torch.arange(most + 1)] * (states - 1)).view(-1, states - 1)
    return cases[cases.sum(1) <= most]


def table(choice: Tensor, reach: int) -> Tensor:
    """What becomes of each state in each neighborhood, (B, K * Q^(K - 1)) uint8, from (B, K, M) over `counts`."""
    batch, states, _ = choice.shape
    code = codes(states, reach).to(choice.device)
    place = (counts(states, reach).to(choice.device) * code[1:]).sum(1)
    whole = torch.zeros(batch, states, (2 * reach + 1) ** (2 * (states - 1)), dtype=torch.uint8, device=choice.device)
    whole[:, :, place] = choice.to(torch.uint8)
    return whole.flatten(1)


def codes(states: int, reach: int) -> Tensor:
    """The number that each state adds to the sum over a neighborhood, (K,) int64."""
    return torch.tensor([0] + [(2 * reach + 1) ** (2 * i) for i in range(states - 1)])


def turn(cells: Tensor, light: Tensor, rule: Tensor, colors: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """The next generation of cells, and the light that follows it, in new tensors.

    Args:
        cells: (B, H, W) uint8 below K.
        light: (B, 3, H, W).
        rule: (B, K * Q^(K - 1)) from `table`.
        colors: (K, 3).
        reach: How many cells away the farthest neighbors are, along rows and columns.
    """
    if cells.device.type != "cpu":
        return dense(cells, light, rule, colors, reach)
    code = codes(len(colors), reach).int()
    new_cells, new_light = torch.empty_like(cells), torch.empty_like(light)
    arrays = (cells.contiguous(), light.contiguous(), rule.contiguous(), colors.T.contiguous(), code)
    _turn_all(*(one.numpy() for one in arrays), reach, new_cells.numpy(), new_light.numpy())
    return new_cells, new_light


def dense(cells: Tensor, light: Tensor, rule: Tensor, colors: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """`turn` on any device."""
    code = codes(len(colors), reach).to(cells.device)[cells.long()]
    shifts = range(-reach, reach + 1)
    rows = torch.stack([code.roll(shift, 2) for shift in shifts]).sum(0)
    around = torch.stack([rows.roll(shift, 1) for shift in shifts]).sum(0) - code
    place = cells.long() * (rule.shape[1] // len(colors)) + around
    later = rule.gather(1, place.flatten(1)).view_as(cells)
    return later, light + float(FADE) * (colors[later.long()].permute(0, 3, 1, 2) - light)


@compiled
def _turn_all(cells, light, rule, colors, code, reach, new_cells, new_light):  # type: ignore[no-untyped-def]
    batch, height, width = cells.shape
    row = np.empty(width + 2 * reach, np.int32)  # has a border on both sides
    sums = np.empty((height, width), np.int32)  # over the row of each neighborhood
    for b in range(batch):
        for y in range(height):
            _encode(cells[b, y], code, row[reach : reach + width])
            for x in range(reach):
                row[x], row[reach + width + x] = row[width + x], row[reach + x]
            sums[y] = 0
            for shift in range(2 * reach + 1):
                _add(sums[y], row[shift : shift + width])
        for y in range(height):
            around = row[:width]
            around[:] = 0
            for shift in range(-reach, reach + 1):
                _add(around, sums[(y + shift) % height])
            _look_up(cells[b, y], around, code, rule[b], new_cells[b, y])
            for c in range(3):
                _follow(light[b, c, y], colors[c], new_cells[b, y], new_light[b, c, y])


@compiled
def _encode(cells, code, row):  # type: ignore[no-untyped-def]
    for x in range(row.size):
        row[x] = code[cells[x]]


@compiled
def _add(total, more):  # type: ignore[no-untyped-def]
    for x in range(total.size):
        total[x] += more[x]


@compiled
def _look_up(cells, around, code, rule, later):  # type: ignore[no-untyped-def]
    block = rule.size // code.size
    for x in range(cells.size):
        own = np.int64(cells[x])
        later[x] = rule[own * block + around[x] - code[own]]


@compiled
def _follow(light, color, cells, later):  # type: ignore[no-untyped-def]
    for x in range(light.size):
        later[x] = light[x] + FADE * (color[cells[x]] - light[x])
