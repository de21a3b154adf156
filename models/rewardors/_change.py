"""How a world changes: how fast, at which scales, in which rhythm, and what it remembers."""

import torch
from torch import Tensor

from models.rewardors._signal import SMALL, bands, fold, log, power, shrink, summarize

BANDS = bands((0.5, 2.5, 5.0, 10.0, 22.0), SMALL)
LAGS = (1, 2, 4, 8)


def change(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Speed of change, correlations over time and rhythms (44,)."""
    size = (grey[1:] - grey[:-1]).abs() if len(grey) > 1 else torch.zeros_like(grey)
    speed = torch.stack([log(size.mean((1, 2))), log(size.amax((1, 2)))])
    small = shrink(spectrum, SMALL).flatten(1)
    return torch.cat([summarize(speed), _memory(small).reshape(-1), _rhythms(small).reshape(-1)])


def _memory(spectrum: Tensor) -> Tensor:
    """Correlation of spectra (n, -1) with later ones, by lag and band (lags, bands)."""
    total = (power(spectrum) @ BANDS).mean(0) + 1e-7
    rows = []
    for lag in (min(lag, len(spectrum) - 1) for lag in LAGS):
        a, b = spectrum[: len(spectrum) - lag], spectrum[lag:]
        rows.append((a.real * b.real + a.imag * b.imag).mean(0) @ BANDS / total)
    return torch.stack(rows)


def _rhythms(spectrum: Tensor) -> Tensor:
    """Logarithmic power of change by rhythm and band (rhythms, bands)."""
    n = len(spectrum)
    wave = power(torch.fft.fft(spectrum, dim=0)) @ BANDS / n**2
    return log(fold(wave, (torch.fft.fftfreq(n) * n).abs()), 1e-7)
