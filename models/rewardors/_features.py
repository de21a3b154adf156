"""What of a clip the `common` Rewardor keeps: numbers that do not depend on where on the torus things happen."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIDE = 64
LUMINANCE = (0.299, 0.587, 0.114)
K_BANDS = (0.5, 1.5, 2.5, 4.5, 7.5, 11.5, 16.5, 23.5, 46.0)


def describe(clip: Tensor) -> Tensor:
    """(F,) float32 features of one clip (T, H, W, 3) uint8."""
    color = resize(clip)
    grey = torch.tensordot(torch.tensor(LUMINANCE), color, 1)
    return torch.cat([part.reshape(-1) for part in (series(grey), spectrum(grey), hue(color))])


def resize(clip: Tensor) -> Tensor:
    """(3, T, SIDE, SIDE) in [0, 1]."""
    color = clip.permute(3, 0, 1, 2).float() / 255
    if clip.shape[1:3] == (SIDE, SIDE):
        return color.contiguous()
    return interpolate(color, size=(SIDE, SIDE), mode="area")


def series(grey: Tensor) -> Tensor:
    mean = grey.mean((1, 2))
    spread = grey.std((1, 2))
    area = torch.stack([(grey > level).float().mean((1, 2)) for level in (0.1, 0.25, 0.5, 0.75)])
    edge = ((grey - grey.roll(1, 1)) ** 2 + (grey - grey.roll(1, 2)) ** 2).mean((1, 2)).sqrt()
    change = (grey - grey.roll(1, 0)).abs().mean((1, 2))
    if len(change) > 1:
        change[0] = change[1]
    return summary(torch.cat([torch.stack([mean, spread, edge, change, grey.amax((1, 2))]), area]))


def summary(x: Tensor) -> Tensor:
    """Late mean, late deviation, drift and early mean of series (n, T)."""
    half = x.shape[1] // 2
    late, early = x[:, half:], x[:, : max(half, 1)]
    third = late.shape[1] // 2
    drift = late[:, third:].mean(1) - late[:, : max(third, 1)].mean(1)
    return torch.stack([late.mean(1), late.std(1, correction=0), drift, early.mean(1)])


def spectrum(grey: Tensor) -> Tensor:
    late = grey[len(grey) // 2 :]
    power = torch.fft.rfft2(late) / SIDE**2
    fx, fy = torch.fft.rfftfreq(SIDE) * SIDE, torch.fft.fftfreq(SIDE) * SIDE
    band = torch.bucketize((fx**2 + fy[:, None] ** 2).sqrt(), torch.tensor(K_BANDS))
    time = torch.fft.fft(power, dim=0).abs() ** 2
    energy = torch.zeros(len(late), len(K_BANDS) + 1).index_add_(1, band.reshape(-1), time.flatten(1))
    folded = energy[: len(late) // 2 + 1]
    wbands = torch.zeros(5, energy.shape[1])
    which = torch.bucketize(torch.arange(len(folded)), torch.tensor([0, 1, 2, 4]))
    wbands.index_add_(0, which, folded)
    return (wbands[:, :-1] + 1e-7).log()


def hue(color: Tensor) -> Tensor:
    late = color[:, -1].flatten(1)
    covariance = torch.cov(late)
    return torch.cat([late.mean(1), covariance[torch.triu_indices(3, 3).unbind()].reshape(-1)])


FAMILIES: dict[str, slice] = {"series": slice(0, 36), "spectrum": slice(36, 81), "hue": slice(81, 90)}
F = 90
