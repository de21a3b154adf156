"""What cells make of what they see, summed over kernels: compiled for the CPU, plain torch elsewhere.

Shapes: B rollouts, K kernels, C channels, H W cells.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sims._compile import compiled

POWER = tuple(np.float32(c) for c in (1.00000008, 0.69314721, 0.24022107, 0.05550327, 0.00967604, 0.00134004))
"""2^t for |t| <= 1/2 by powers of t, fitted at Chebyshev nodes: wrong by less than 2e-7."""

HALF, LEAST, BIAS, MANTISSA = np.float32(0.5), np.float32(-126), np.int32(127), np.int32(23)
"""A float32 is 2^(e - BIAS), where e stands above MANTISSA bits and is at least 1."""


def affinity(seen: Tensor, mu: Tensor, sigma: Tensor, weight: Tensor, target: tuple[int, ...]) -> Tensor:
    """What each channel answers, (B, C, H, W): the sum of weight (2 exp(-((seen - mu) / sigma)^2 / 2) - 1).

    Args:
        seen: (B, K, H, W), what each kernel sees.
        mu: (B, K), what it likes best.
        sigma: (B, K), and how much else it likes.
        weight: (B, K), how loud it is.
        target: K channels, which one each kernel speaks to; all from 0 on are spoken to.
    """
    if seen.device.type != "cpu" or seen.dtype != torch.float32:
        return plain(seen, mu, sigma, weight, target)
    scale = math.sqrt(0.5 / math.log(2)) / sigma  # The compiled bell is 2^(-x^2).
    total = -_sums(weight, target)[:, :, None, None].expand(-1, -1, *seen.shape[2:]).contiguous()
    numbers = (one.contiguous().numpy() for one in (seen, scale, mu * scale, 2 * weight))
    _add_bells(*numbers, np.array(target), total.numpy())
    return total


def plain(seen: Tensor, mu: Tensor, sigma: Tensor, weight: Tensor, target: tuple[int, ...]) -> Tensor:
    """`affinity` on any device."""
    mu, sigma, weight = (one[:, :, None, None] for one in (mu, sigma, weight))
    return _sums(weight * (2 * torch.exp(-(((seen - mu) / sigma) ** 2) / 2) - 1), target)


def _sums(values: Tensor, target: tuple[int, ...]) -> Tensor:
    """Values of kernels (B, K, ...) summed by the channel they speak to, (B, C, ...), always in the same order."""
    heard = [[k for k, channel in enumerate(target) if channel == c] for c in range(max(target) + 1)]
    return torch.stack([values[:, kernels].sum(1) for kernels in heard], 1)


@compiled
def _exp2(x):  # type: ignore[no-untyped-def]
    """2^x for x at most 0, in single precision; no call and no branch, so that loops become vector instructions."""
    x = max(x, LEAST)
    whole = np.floor(x + HALF)
    c, t = POWER, x - whole
    part = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))))
    return part * np.int32((np.int32(whole) + BIAS) << MANTISSA).view(np.float32)


@compiled
def _add_bells(seen, scale, shift, height, target, total):  # type: ignore[no-untyped-def]
    """Add height 2^-(scale seen - shift)^2 of each kernel (B, K, H, W) to its channel of `total` (B, C, H, W)."""
    for b in range(seen.shape[0]):
        for i in range(seen.shape[2]):
            for k in range(seen.shape[1]):
                line, out = seen[b, k, i], total[b, target[k], i]
                stretch, middle, tall = scale[b, k], shift[b, k], height[b, k]
                for j in range(line.size):
                    x = line[j] * stretch - middle
                    out[j] += tall * _exp2(-x * x)
