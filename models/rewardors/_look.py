"""What a world looks like, frame by frame: brightness, texture scales, and the topology of its level sets."""

import torch
from torch import Tensor

from models.rewardors._space import BANDS, late, log, summarize

LEVELS = (0.1, 0.3, 0.5, 0.7)
FRAMES = 8


def look(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Series of brightness statistics, radial spectra, and Minkowski functionals of level sets."""
    flat = grey.flatten(1)
    mean, spread = flat.mean(1), flat.std(1)
    power = spectrum.abs().square_().flatten(1) @ BANDS  # (T, K)
    share = power / power.sum(1, keepdim=True).clamp_min(1e-6)
    edge = (grey - grey.roll(1, 1)).abs().mean((1, 2)) + (grey - grey.roll(1, 2)).abs().mean((1, 2))
    series = torch.stack([mean, spread, flat.amax(1), log(edge), _skewness(flat, mean, spread), _entropy(grey)])
    return torch.cat([summarize(series), summarize(log(power.T)), share[late(len(grey), FRAMES)].mean(0), _shape(grey)])


def _skewness(flat: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    z = (flat - mean[:, None]) / (spread[:, None] + 0.01)
    return (z * z * z).mean(1)


def _entropy(grey: Tensor) -> Tensor:
    """Entropy (T,) of brightness in 16 classes, in nats."""
    level = (grey * 15.99).long().flatten(1) + 16 * torch.arange(len(grey))[:, None]
    p = torch.bincount(level.reshape(-1), minlength=16 * len(grey)).view(len(grey), 16) / level.shape[1]
    return -(p * p.clamp_min(1e-9).log()).sum(1)


def _shape(grey: Tensor) -> Tensor:
    """Area, boundary and Euler number (things minus holes) above each level, mean and deviation over late frames."""
    solid = (grey[late(len(grey), FRAMES)] > torch.tensor(LEVELS)[:, None, None, None]).float()  # (levels, frames, H, W)
    across, down = solid * solid.roll(1, 3), solid * solid.roll(1, 2)
    block = across * across.roll(1, 2)
    area, pairs, blocks = solid.mean((2, 3)), (across + down).mean((2, 3)), block.mean((2, 3))
    boundary = 4 * area - 2 * pairs
    euler = (area - pairs + blocks) * 100  # vertices - edges + faces
    m = torch.stack([area, boundary, euler.sign() * euler.abs().log1p()])
    return torch.cat([m.mean(2).reshape(-1), m.std(2, correction=0).reshape(-1)])
