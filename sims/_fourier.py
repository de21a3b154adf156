"""Convolutions of periodic fields with symmetric kernels, by Fourier transform.

Shapes: B rollouts, C channels, K kernels, H W cells.
"""

import torch
from torch import Tensor


def prepare(kernel: Tensor) -> Tensor:
    """What `convolve` needs to know of kernels: their spectra, real because the kernels are symmetric.

    Args:
        kernel: (B, K, H, W), centered on cell (0, 0), the same under point reflection: kernel[-y, -x] = kernel[y, x].

    Returns:
        (B, K, H, W/2+1), scaled so that `convolve` needs not scale.
    """
    return torch.fft.rfft2(kernel, norm="forward").real.contiguous()


def convolve(field: Tensor, spectrum: Tensor, source: tuple[int, ...] = (0,)) -> Tensor:
    """Each kernel's view of its channel, (B, K, H, W), a new tensor.

    Args:
        field: (B, C, H, W).
        spectrum: (B, K, ...) from `prepare`.
        source: K channels, which one each kernel looks at.
    """
    waves = torch.fft.rfft2(field)
    if len(source) > 1 or field.shape[1] > 1:
        waves = waves[:, list(source)]
    return torch.fft.irfft2(waves.mul_(spectrum), s=field.shape[-2:], norm="forward")
