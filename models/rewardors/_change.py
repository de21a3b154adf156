"""How a world changes: how fast, at which scales, in which rhythm, and whether things move or only flicker."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from models.rewardors._space import BANDS, EDGES, SIDE, bands, late, log, summarize

LAGS = (1, 2, 4, 8)
COARSE = bands((0.5, 2.5, 5.0, 10.0, 20.0, 46.0))
RHYTHMS = (0.5, 1.5, 2.5, 4.5, 8.5, 16.5)  # edges, in cycles per second half of a clip
PAIRS = 8


def change(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Speed of change, correlations over time, rhythms and motion."""
    frames = len(grey)
    step = grey[1:] - grey[:-1] if frames > 1 else torch.zeros_like(grey)
    size = step.abs()
    series = torch.stack([log(size.mean((1, 2))), log((size > 0.1).float().mean((1, 2))), log(size.amax((1, 2)))])
    parts = [summarize(series), _memory(spectrum), _rhythms(grey, spectrum), _displacement(spectrum), _flow(grey)]
    return torch.cat([part.reshape(-1) for part in parts])


def _memory(spectrum: Tensor) -> Tensor:
    """Correlation of late frames with later ones, by lag and band (lags, bands)."""
    half = spectrum[len(spectrum) // 2 :].flatten(1)
    power = (half.abs() ** 2 @ COARSE).mean(0) + 1e-7
    rows = []
    for lag in LAGS:
        lag = min(lag, len(half) - 1)
        a, b = half[: len(half) - lag], half[lag:]
        rows.append(((a.real * b.real + a.imag * b.imag) @ COARSE).mean(0) / power)
    return torch.stack(rows)


def _rhythms(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Power of the late change by band and rhythm, and of total brightness by rhythm."""
    half = spectrum[len(spectrum) // 2 :].flatten(1)
    n = len(half)
    mass = grey.mean((1, 2))[len(grey) // 2 :]
    time = torch.fft.fft(half, dim=0).abs() ** 2 @ COARSE / n**2  # (n, bands)
    beat = torch.fft.fft(mass - mass.mean()).abs() ** 2 / n**2
    cycles = torch.fft.fftfreq(n).abs() * n
    which = torch.bucketize(cycles, torch.tensor(RHYTHMS))
    folded = torch.zeros(len(RHYTHMS), time.shape[1] + 1).index_add_(
        0, which.clamp_max(len(RHYTHMS) - 1), torch.cat([time, beat[:, None]], 1)
    )
    return (folded[1:] + 1e-7).log()


def _displacement(spectrum: Tensor) -> Tensor:
    """How far, and how well, one whole frame moves onto a later one."""
    n = len(spectrum)
    out = []
    for lag in (1, 4):
        start = late(n, PAIRS)
        start = (start - lag).clamp_min(0)
        a, b = spectrum[start], spectrum[(start + lag).clamp_max(n - 1)]
        product = a.conj() * b
        product[:, 0, 0] = 0
        match = torch.fft.irfft2(product, s=(SIDE, SIDE)).flatten(1)
        best, where = match.max(1)
        y, x = where // SIDE, where % SIDE
        y, x = (y + SIDE // 2) % SIDE - SIDE // 2, (x + SIDE // 2) % SIDE - SIDE // 2
        shift = torch.hypot(y.float(), x.float())
        power = ((a.abs() ** 2).flatten(1) @ BANDS).sum(1) + ((b.abs() ** 2).flatten(1) @ BANDS).sum(1)
        power = power * SIDE**2 / 2 + 1e-3
        out += [shift.log1p().mean(), (best / power).mean(), ((best - match[:, 0]) / power).mean()]
    return torch.stack(out)


def _flow(grey: Tensor) -> Tensor:
    """Local motion [Lucas and Kanade 1981]: its speed, and the share of change that motion explains."""
    n = len(grey)
    start = (late(n, PAIRS) - 1).clamp_min(0)
    small = avg_pool2d(grey, 2)
    a, b = small[start], small[(start + 1).clamp_max(n - 1)]
    mean, dt = (a + b) / 2, b - a
    dx = (mean.roll(-1, 2) - mean.roll(1, 2)) / 2
    dy = (mean.roll(-1, 1) - mean.roll(1, 1)) / 2
    field = torch.stack([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt, dt * dt])
    window = _blur(field.flatten(0, 1)).view_as(field)
    xx, xy, yy, xt, yt, tt = window
    det = (xx + 1e-4) * (yy + 1e-4) - xy * xy
    u = ((yy + 1e-4) * xt - xy * yt) / det
    v = ((xx + 1e-4) * yt - xy * xt) / det
    explained = (u * xt + v * yt).clamp_min(0)
    total = tt.mean((1, 2)) + 1e-6
    speed = torch.hypot(u, v).clamp_max(8)
    weight = xx + yy
    mean_speed = (speed * weight).sum((1, 2)) / (weight.sum((1, 2)) + 1e-3)
    drift = torch.hypot((u * weight).mean((1, 2)), (v * weight).mean((1, 2))) / (weight.mean((1, 2)) + 1e-5)
    still = tt - explained
    numbers = torch.stack([mean_speed, drift, explained.mean((1, 2)) / total, log(still.mean((1, 2)))])
    return torch.cat([numbers.mean(1), numbers.std(1, correction=0)])


def _blur(x: Tensor) -> Tensor:
    """Mean over 7 x 7 pixels on the torus, of pictures (n, H, W)."""
    return avg_pool2d(pad(x[None], (3, 3, 3, 3), mode="circular"), 7, stride=1)[0]
