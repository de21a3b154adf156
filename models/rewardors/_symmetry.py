"""Mirror and turn symmetry about the best center, wherever it is."""

import torch
from torch import Tensor

from models.rewardors._signal import SIDE, complete, late, power

FRAMES = 4


def symmetry(grey: Tensor, spectrum: Tensor) -> Tensor:
    """How well late frames match their mirror images and turns: mean and worst over frames (10,).

    The correlation of a picture with a transformed copy at every displacement is one inverse Fourier transform; its
    maximum over displacements is the symmetry about the best center.
    """
    del grey
    a = spectrum[late(2 * len(spectrum), FRAMES) - len(spectrum)]
    whole = complete(a)
    upright, across = _negate(whole, 1), whole.transpose(1, 2)
    copies = [upright, _negate(whole, 2), across, _negate(_negate(across, 1), 2), a.conj(), _negate(across, 1)]
    product = a * torch.stack([copy[:, :, : SIDE // 2 + 1] for copy in copies]).conj()
    product[..., 0, 0] = 0
    best = torch.fft.irfft2(product, s=(SIDE, SIDE)).amax((2, 3))
    match = best * SIDE**2 / (power(whole).sum((1, 2)) - power(whole[:, 0, 0]) + 1)
    mirror, diagonal = match[:2].amax(0), match[2:4].amax(0)
    kinds = torch.stack([mirror, diagonal, torch.maximum(mirror, diagonal), match[4], match[5]])
    return torch.cat([kinds.mean(1), kinds.amin(1)])


def _negate(whole: Tensor, axis: int) -> Tensor:
    """The spectrum of the pictures mirrored along an axis: frequency k becomes -k."""
    return whole.flip(axis).roll(1, axis)
