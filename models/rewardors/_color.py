"""Colors: which, how many, and whether they keep apart."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SCALES = (1, 4, 4)  # each on top of the one before


def color(rgb: Tensor) -> Tensor:
    """Mean and saturation of the channels, and their covariances at several scales, of frames (3, n, H, W)."""
    saturation = rgb.amax(0) - rgb.amin(0)
    numbers = [rgb.mean((1, 2, 3)), saturation.mean()[None], saturation.std(correction=0)[None]]
    upper = torch.triu_indices(3, 3).unbind()
    for scale in SCALES:
        rgb = avg_pool2d(rgb, scale) if scale > 1 else rgb
        covariance = torch.cov(rgb.flatten(1), correction=0)[upper]
        numbers.append(covariance.sign() * covariance.abs().sqrt())
    return torch.cat(numbers)
