"""Markov chains that sample exp(value / τ) on the unit cube."""

from collections.abc import Callable

import torch
from torch import Tensor


def climb(value: Callable[[Tensor], Tensor], start: Tensor, tau: float, draw: torch.Generator, steps: int = 60) -> Tensor:
    """Where chains (C, D) are after `steps` Metropolis steps: random walks and differential evolution."""
    here, worth = start.clone(), value(start)
    C, D = start.shape
    for step in range(steps):
        if step % 2:
            size = 0.02 * 10 ** torch.rand(C, 1, generator=draw)
            move = size * torch.randn(C, D, generator=draw)
        else:
            a, b = torch.randint(C, (2, C), generator=draw)
            move = 2.38 / (2 * D) ** 0.5 * torch.rand(C, 1, generator=draw) * (here[a] - here[b]) + 0.01 * torch.randn(C, D, generator=draw)
        there = (((here + move).remainder(2) - 1).abs() * -1 + 1)
        new = value(there)
        accept = torch.rand(C, generator=draw).log() < (new - worth) / tau
        here = torch.where(accept[:, None], there, here)
        worth = torch.where(accept, new, worth)
    return here
