"""Weights of a Gibbs policy on a finite set of points."""

import math

import torch
from torch import Tensor


def temper(reward: Tensor, base: Tensor, kl: float, fewest: float = 1.0) -> tuple[Tensor, float]:
    """Weights (N,) ∝ base · exp(reward / τ) whose divergence from the base is `kl` nats, and τ.

    The divergence falls as τ rises, so τ is found by bisection. It is smaller than asked where even the greediest
    weights diverge less, or where the weights would rest on fewer than `fewest` points: 1 / Σ weight².
    """
    log_base = base.double().log().log_softmax(0)
    reward = reward.double()
    low, high = -10.0, 10.0  # log τ, in standard deviations of the reward
    scale = float(reward.std(correction=0)) or 1.0
    for _ in range(50):
        middle = (low + high) / 2
        log_weight = (log_base + reward / (scale * math.exp(middle))).log_softmax(0)
        divergence = float((log_weight.exp() * (log_weight - log_base)).sum())
        if divergence > kl or float(log_weight.exp().square().sum()) > 1 / fewest:
            low = middle
        else:
            high = middle
    log_weight = (log_base + reward / (scale * math.exp(high))).log_softmax(0)
    return log_weight.exp().float(), scale * math.exp(high)


def behavior_density(embedding: Tensor, width: float) -> Tensor:
    """How many worlds (N, F) look like each one, (N,): summed Gaussian similarity."""
    z = (embedding - embedding.mean(0)) / embedding.std(0, correction=0).clamp_min(1e-6)
    distance = torch.cdist(z, z).square()
    different = distance[distance > 0]
    apart = different.median() if len(different) else torch.tensor(1.0)
    return torch.exp(-distance / (2 * width * apart)).sum(1)
