"""Colors: which, how many, and whether they keep apart."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from models.rewardors._space import late

FRAMES = 4
SCALES = (1, 4, 16)


def color(rgb: Tensor) -> Tensor:
    """Mean, saturation, and covariances of the channels at several scales, of clips (3, T, H, W) in [0, 1]."""
    some = rgb[:, late(rgb.shape[1], FRAMES)]
    saturation = some.amax(0) - some.amin(0)
    flat = some.flatten(1)
    numbers = [flat.mean(1), saturation.mean()[None], saturation.std(correction=0)[None]]
    upper = torch.triu_indices(3, 3).unbind()
    for scale in SCALES:
        coarse = avg_pool2d(some, scale).flatten(1) if scale > 1 else flat
        covariance = torch.cov(coarse, correction=0)[upper]
        numbers.append(covariance.sign() * covariance.abs().sqrt())
    return torch.cat(numbers)
