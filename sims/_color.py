"""Colors for fields, and smooth pictures of them."""

from functools import lru_cache

import torch
from torch import Tensor

EMBER = (
    (0.0, 0.0, 285),
    (0.18, 0.07, 285),
    (0.36, 0.15, 310),
    (0.56, 0.20, 365),
    (0.74, 0.17, 410),
    (0.88, 0.13, 445),
    (0.98, 0.04, 465),
)
"""Stops of the default gradient, (lightness, chroma, hue in degrees) in OkLCh: night, violet, rose, amber, straw."""


@lru_cache
def gradient(stops: tuple[tuple[float, float, float], ...] = EMBER) -> Tensor:
    """256 colors from evenly spaced stops, (256, 3) uint8.

    Interpolated in OkLCh [1], where equal steps look equal: a picture then shows neither bands nor false edges.

    [1] B. Ottosson. A perceptual color space for image processing, 2020.
    """
    lightness, chroma, hue = (_interpolate([stop[i] for stop in stops]) for i in range(3))
    hue = hue.deg2rad()
    return (_srgb(torch.stack([lightness, chroma * hue.cos(), chroma * hue.sin()], 1)) * 255).round().to(torch.uint8)


def _interpolate(values: list[float]) -> Tensor:
    """256 values on straight lines through evenly spaced ones."""
    points = torch.tensor(values, dtype=torch.float64)
    at = torch.linspace(0, len(values) - 1, 256, dtype=torch.float64)
    left = at.long().clamp(max=len(values) - 2)
    return points[left] + (at - left) * (points[left + 1] - points[left])


def _srgb(oklab: Tensor) -> Tensor:
    """Gamma-encoded sRGB in [0, 1] of Oklab colors (N, 3); matrices from [1] of `gradient`."""
    to_cone = torch.tensor(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_rgb = torch.tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = ((oklab @ to_cone.T.double()) ** 3 @ to_rgb.T.double()).clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def paint(field: Tensor, size: int) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of periodic fields (B, H, W) with values in [0, 1]."""
    colors = gradient().to(field.device)
    level = (resample(field, size) * 255).round_().clamp_(0, 255).int()
    return colors.index_select(0, level.flatten()).view(*level.shape, 3)


def resample(field: Tensor, size: int) -> Tensor:
    """Periodic fields (B, H, W) at another resolution, (B, size, size), by cubic interpolation."""
    if field.shape[-2:] == (size, size):
        return field
    rows, columns = (_cubic(n, size).to(field) for n in field.shape[-2:])
    return rows @ field @ columns.T


@lru_cache
def _cubic(n: int, size: int) -> Tensor:
    """The linear map (size, n) from n periodic cells to `size` pixels."""
    stretch = max(1.0, n / size)  # When shrinking, the kernel covers a whole pixel.
    at = (torch.arange(size, dtype=torch.float64) + 0.5) * n / size - 0.5
    offset = (at[:, None] - torch.arange(n) + n / 2) % n - n / 2
    weight = _mitchell(offset.abs() / stretch)
    return (weight / weight.sum(1, keepdim=True)).float()


def _mitchell(x: Tensor) -> Tensor:
    """The cubic filter of Mitchell and Netravali (SIGGRAPH 1988) with B = C = 1/3: hardly blurred, hardly ringing."""
    near = (21 * x**3 - 36 * x**2 + 16) / 18
    far = (-7 * x**3 + 36 * x**2 - 60 * x + 32) / 18
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
