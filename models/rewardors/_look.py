"""What a world looks like, frame by frame: brightness, texture scales, and the topology of its level sets."""

import torch
from torch import Tensor

from models.rewardors._signal import SIDE, bands, deviation, late, log, power, summarize

BANDS = bands((0.5, 1.5, 2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 46.0), SIDE)
LEVELS = (0.1, 0.3, 0.5, 0.7)
FRAMES = 6
CLASSES = 16


def look(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Series of brightness statistics, radial spectra, and Minkowski functionals of level sets."""
    flat = grey.flatten(1)
    mean = flat.mean(1)
    apart = flat - mean[:, None]
    square = apart * apart
    variance = square.mean(1)
    skewness = (square * apart).mean(1) / (variance + 1e-3) ** 1.5
    series = torch.stack([mean, variance.sqrt(), flat.amax(1), skewness])
    some = grey[late(len(grey), FRAMES)]
    radial = power(spectrum).flatten(1) @ BANDS
    share = radial / radial.sum(1, keepdim=True).clamp_min(1e-6)
    return torch.cat(
        [
            summarize(series),
            log(radial).mean(0),
            deviation(log(radial), 0),
            share.mean(0),
            _entropy(some).mean()[None],
            _shape(some),
        ]
    )


def _entropy(frames: Tensor) -> Tensor:
    """Entropy (n,) of brightness in classes, in nats."""
    n = len(frames)
    level = (frames * (CLASSES - 0.01)).long().flatten(1) + CLASSES * torch.arange(n)[:, None]
    p = torch.bincount(level.reshape(-1), minlength=CLASSES * n).view(n, CLASSES) / level.shape[1]
    return -(p * p.clamp_min(1e-9).log()).sum(1)


def _shape(frames: Tensor) -> Tensor:
    """Area, boundary and Euler number (things minus holes) above each level, their mean and deviation over frames."""
    solid = (frames > torch.tensor(LEVELS)[:, None, None, None]).float()  # (levels, n, H, W)
    across = solid * solid.roll(1, 3)
    down = solid * solid.roll(1, 2)
    block = across * across.roll(1, 2)
    area, pairs, blocks = solid.mean((2, 3)), (across + down).mean((2, 3)), block.mean((2, 3))
    euler = (area - pairs + blocks) * SIDE
    m = torch.stack([area, 4 * area - 2 * pairs, euler.sign() * euler.abs().log1p()])
    return torch.cat([m.mean(2).reshape(-1), deviation(m, 2).reshape(-1)])
