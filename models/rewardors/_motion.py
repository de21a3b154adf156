"""How a world moves: the pulse of the whole, its travel, and the flow of its parts."""

from functools import cache

import torch
from torch import Tensor

from models.rewardors._signal import SMALL, bands, blur, deviation, fold, late, log, power, shrink

ALL = bands((0.5, SMALL), SMALL)
LAGS = (1, 4)
PAIRS = 6
FASTEST = 8.0  # pixels per frame


def motion(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Numbers (28,) on each; the pulse is that of brightness and contrast."""
    whole = torch.stack([grey.mean((1, 2)), deviation(grey.flatten(1), 1)])
    small = shrink(spectrum, SMALL)
    return torch.cat([_pulse(whole), _travel(small), _flow(small)])


def _pulse(series: Tensor) -> Tensor:
    """How strongly, how lastingly and in which rhythm the whole (n, T) oscillates, relative to itself, without trend.

    The first quarter of a clip, when worlds settle, does not count.
    """
    relative = series[:, series.shape[1] // 4 :]
    relative = relative / (relative.mean(1, keepdim=True) + 0.01)
    n = relative.shape[1]
    trend = _trend(n)
    wave = relative - relative @ trend @ trend.T
    halves = torch.stack([wave[:, : (n + 1) // 2].norm(dim=1), wave[:, n // 2 :].norm(dim=1)]) / n**0.5
    beat = power(torch.fft.rfft(wave * torch.hann_window(n, periodic=False)))
    share = fold(beat.T, torch.arange(n // 2 + 1)) / (beat.sum(1) + 1e-6)
    return torch.cat([log(halves.amax(0), 1e-3), log(halves.amin(0), 1e-3), share.reshape(-1)])


@cache
def _trend(n: int) -> Tensor:
    """An orthonormal basis (n, 3) of parabolas."""
    time = torch.linspace(-1, 1, n)[:, None]
    return torch.linalg.qr(time ** torch.arange(min(3, n)))[0]


def _travel(spectrum: Tensor) -> Tensor:
    """How far the whole moves between frames, how well it then matches, and how much better than unmoved."""
    numbers = []
    for lag in LAGS:
        start = (late(2 * len(spectrum), PAIRS) - len(spectrum) - lag).clamp_min(0)
        a, b = spectrum[start], spectrum[(start + lag).clamp_max(len(spectrum) - 1)]
        product = a.conj() * b
        product[:, 0, 0] = 0
        match = torch.fft.irfft2(product, s=(SMALL, SMALL)).flatten(1)
        best, where = match.max(1)
        way = torch.stack([where // SMALL, where % SMALL])
        way = ((way + SMALL // 2) % SMALL - SMALL // 2).float()
        strength = ((power(a) + power(b)).flatten(1) @ ALL)[:, 0] * SMALL**2 / 2 + 1e-3
        numbers += [way.norm(dim=0).log1p().mean(), (best / strength).mean(), ((best - match[:, 0]) / strength).mean()]
    return torch.stack(numbers)


def _flow(spectrum: Tensor) -> Tensor:
    """Local motion [1]: its speed, whether it agrees everywhere, and the share of change that it explains.

    [1] B. Lucas and T. Kanade, An iterative image registration technique, IJCAI 1981.
    """
    n = len(spectrum)
    start = (late(2 * n, PAIRS) - n - 1).clamp_min(0)
    a, b = spectrum[start], spectrum[(start + 1).clamp_max(n - 1)]
    mean = (a + b) / 2
    frames = torch.fft.irfft2(torch.stack([mean * SLOPE_X, mean * SLOPE_Y, b - a]), s=(SMALL, SMALL))
    dx, dy, dt = frames.unbind()
    xx, xy, yy, xt, yt, tt = _blur(torch.stack([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt, dt * dt]))
    xx, yy = xx + 1e-4, yy + 1e-4
    determinant = xx * yy - xy * xy
    u, v = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
    explained = (-u * xt - v * yt).clamp_min(0)
    weight = xx + yy
    whole = weight.mean((1, 2))
    speed = (torch.hypot(u, v).clamp_max(FASTEST) * weight).mean((1, 2)) / whole
    together = torch.hypot((u * weight).mean((1, 2)), (v * weight).mean((1, 2))) / whole
    share = explained.mean((1, 2)) / (tt.mean((1, 2)) + 1e-5)
    numbers = torch.stack([speed.log1p(), together.log1p(), share, log((tt - explained).clamp_min(0).mean((1, 2)))])
    return torch.cat([numbers.mean(1), deviation(numbers, 1)])


def _slopes() -> tuple[Tensor, Tensor]:
    """Spectra of central differences along x and y."""
    axis = torch.fft.fftfreq(SMALL) * 2 * torch.pi
    return 1j * axis[: SMALL // 2 + 1].sin(), 1j * axis.sin()[:, None]


SLOPE_X, SLOPE_Y = _slopes()
WINDOW = blur(SMALL, 2.0)


def _blur(x: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(x) * WINDOW, s=(SMALL, SMALL))
