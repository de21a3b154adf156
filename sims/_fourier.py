"""Convolutions of periodic fields with symmetric kernels, by Fourier transform: compiled for the CPU, torch elsewhere.

Shapes: B rollouts, C channels, K kernels, H W cells.
"""

import torch
from torch import Tensor

COMPILED = (64, 128, 256)
"""Sides of the square worlds that are compiled for."""


def prepare(kernel: Tensor) -> Tensor:
    """What `convolve` needs to know of kernels: their spectra, real because the kernels are symmetric.

    Args:
        kernel: (B, K, H, W), centered on cell (0, 0), the same under point reflection: kernel[-y, -x] = kernel[y, x].

    Returns:
        (B, K, H', W'), for `convolve` with fields of the same size, type and device, and for nobody else.
    """
    if not _is_compiled(kernel):
        return torch.fft.rfft2(kernel, norm="forward").real.contiguous()
    from sims._fft import scrambled  # The compiler is loaded by those who need it.

    return torch.from_numpy(scrambled(torch.fft.fft2(kernel.double()).real.numpy()))


def convolve(field: Tensor, spectrum: Tensor, source: tuple[int, ...] = (0,)) -> Tensor:
    """Each kernel's view of its channel, (B, K, H, W), a new tensor.

    Args:
        field: (B, C, H, W).
        spectrum: (B, K, H', W') from `prepare`.
        source: K channels, which one each kernel looks at.
    """
    if not _is_compiled(field):
        waves = torch.fft.rfft2(field)[:, list(source)]
        return torch.fft.irfft2(waves.mul_(spectrum), s=field.shape[-2:], norm="forward")
    from sims import _fft

    return torch.from_numpy(_fft.convolve(field.contiguous().numpy(), spectrum.contiguous().numpy(), source))


def _is_compiled(field: Tensor) -> bool:
    height, width = field.shape[-2:]
    return field.device.type == "cpu" and field.dtype == torch.float32 and height == width and height in COMPILED
