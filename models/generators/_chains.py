"""Markov chains that sample exp(value / τ) on the unit cube."""

from collections.abc import Callable

import torch
from torch import Tensor


def climb(
    value: Callable[[Tensor], Tensor], start: Tensor, tau: float, draw: torch.Generator, steps: int = 60
) -> Tensor:
    """Where chains (C, D) are after `steps` Metropolis steps: random walks and differential evolution [1] in turn.

    [1] C. ter Braak. A Markov chain Monte Carlo version of the genetic algorithm differential evolution, 2006.
    """
    here, worth = start.clone(), value(start)
    C, D = start.shape
    for step in range(steps):
        if step % 2:
            size = 0.02 * 10 ** torch.rand(C, 1, generator=draw)
            move = size * torch.randn(C, D, generator=draw)
        else:
            a, b = torch.randint(C, (2, C), generator=draw)
            size = 2.38 / (2 * D) ** 0.5 * torch.rand(C, 1, generator=draw)
            move = size * (here[a] - here[b]) + 0.01 * torch.randn(C, D, generator=draw)
        there = reflect(here + move)
        new = value(there)
        accept = torch.rand(C, generator=draw).log() < (new - worth) / tau
        here = torch.where(accept[:, None], there, here)
        worth = torch.where(accept, new, worth)
    return here


def reflect(unit: Tensor) -> Tensor:
    """Points outside the cube, mirrored back into it."""
    return 1 - (unit.remainder(2) - 1).abs()
