"""Mirror and turn symmetry about the best center, wherever it is."""

import torch
from torch import Tensor

from models.rewardors._space import SIDE, late

FRAMES = 4


def symmetry(grey: Tensor, spectrum: Tensor) -> Tensor:
    """How well late frames correlate with their mirror images and turns, mean and worst over frames.

    The correlation of a picture with a transformed copy at every displacement is one inverse Fourier transform; its
    maximum over displacements is the symmetry about the best center.
    """
    del grey
    a = spectrum[late(len(spectrum), FRAMES)]
    full = _full(a)
    flip_y = full.roll(-1, 1).flip(1)  # index -k
    flip_xy = flip_y.roll(-1, 2).flip(2)
    transposed = full.transpose(1, 2)
    turned = transposed.roll(-1, 1).flip(1)
    copies = {"upright": flip_y, "level": full.roll(-1, 2).flip(2), "half": flip_xy, "quarter": turned}
    copies |= {"diagonal": transposed, "other": transposed.roll(-1, 1).flip(1).roll(-1, 2).flip(2)}
    half = SIDE // 2 + 1
    stacked = torch.stack([copy[:, :, :half] for copy in copies.values()])  # (6, frames, H, W/2+1)
    product = a * stacked.conj()
    product[..., 0, 0] = 0
    best = torch.fft.irfft2(product, s=(SIDE, SIDE)).amax((2, 3))
    weight = (full.abs() ** 2).sum((1, 2)) - full[:, 0, 0].abs() ** 2
    best = best * SIDE**2 / (weight + 1.0)
    upright, level, half_turn, quarter, diagonal, other = best
    kinds = torch.stack([torch.maximum(upright, level), torch.maximum(diagonal, other), half_turn, quarter])
    kinds = torch.cat([kinds, kinds[:2].amax(0)[None]])
    return torch.cat([kinds.mean(1), kinds.amin(1)])


def _full(spectrum: Tensor) -> Tensor:
    """The whole spectrum (n, SIDE, SIDE) of real pictures."""
    mirrored = spectrum[:, :, 1 : SIDE // 2].conj().flip(2).roll(-1, 1).flip(1)
    return torch.cat([spectrum, mirrored], 2)
