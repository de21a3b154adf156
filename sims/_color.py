"""Colors for fields, and smooth pictures of them."""

from functools import lru_cache

import torch
from torch import Tensor

LEVELS = 128

NIGHT = (0.09, 0.02, 280)
WAKE = (0.38, 0.15, 295)
BODY = (0.72, 0.175, 402)
FRONT = (0.97, 0.09, 460)
"""Lightness, chroma and hue (degrees) in OkLCh of nothing, of what was, of what stays, and of what is new."""


def paint(field: Tensor, trail: Tensor, size: int) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of periodic fields.

    Args:
        field: (B, H, W) in [0, 1]: brightness.
        trail: (B, H, W) in [0, 1], a running mean of the field: where it lags, motion shows as a pale front and a
            violet wake.
        size: Side of a picture, in pixels.
    """
    now, before = (resample(one, size).mul_(LEVELS - 1).round_().clamp_(0, LEVELS - 1).int() for one in (field, trail))
    index = now.mul_(LEVELS).add_(before)
    return ember().to(field.device).index_select(0, index.flatten()).view(*index.shape, 3)


@lru_cache
def ember() -> Tensor:
    """Colors (LEVELS * LEVELS, 3) uint8 by field and trail, row-major.

    Mixed in OkLCh [1], where equal steps look equal: a picture then shows neither bands nor false edges.

    [1] B. Ottosson. A perceptual color space for image processing, 2020.
    """
    level = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    now, before = torch.meshgrid(level, level, indexing="ij")
    new = ((now - before) / now.clamp(min=1e-9)).clamp(0, 1)
    lightness, chroma, hue = (body + (front - body) * new for body, front in zip(BODY, FRONT, strict=True))
    hue = WAKE[2] + (hue - WAKE[2]) * now**0.6  # A body's rim passes through violet and rose.
    lit = _oklab(lightness * now**0.9, chroma * now * (2 - now), hue)
    left = (before - now).clamp(min=0) * (1 - now)
    color = lit + left[..., None] * _fixed(WAKE) + (1 - now[..., None]) * _fixed(NIGHT)
    return (_srgb(color.view(-1, 3)) * 255).round().to(torch.uint8)


def _fixed(lch: tuple[float, float, float]) -> Tensor:
    return _oklab(*torch.tensor(lch, dtype=torch.float64))


def _oklab(lightness: Tensor, chroma: Tensor, hue: Tensor) -> Tensor:
    angle = hue.deg2rad()
    return torch.stack([lightness, chroma * angle.cos(), chroma * angle.sin()], -1)


def _srgb(oklab: Tensor) -> Tensor:
    """Gamma-encoded sRGB in [0, 1] of Oklab colors (N, 3); matrices from [1] of `ember`."""
    cone = torch.tensor(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    rgb = torch.tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = ((oklab @ cone.T.double()) ** 3 @ rgb.T.double()).clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def resample(field: Tensor, size: int) -> Tensor:
    """Periodic fields (B, H, W) at another resolution, (B, size, size), by cubic interpolation; a new tensor."""
    rows, columns = (_cubic(n, size).to(field) for n in field.shape[-2:])
    return rows @ field @ columns.T


@lru_cache
def _cubic(n: int, size: int) -> Tensor:
    """The linear map (size, n) from n periodic cells to `size` pixels."""
    if size == n:
        return torch.eye(n)
    stretch = max(1.0, n / size)  # When shrinking, the filter covers a whole pixel.
    at = (torch.arange(size, dtype=torch.float64) + 0.5) * n / size - 0.5
    offset = (at[:, None] - torch.arange(n) + n / 2) % n - n / 2
    weight = _spline(offset.abs() / stretch)
    return (weight / weight.sum(1, keepdim=True)).float()


def _spline(x: Tensor) -> Tensor:
    """The cubic B-spline: the smoothest of the cubic filters, so that cells do not show as squares."""
    near = (4 - 6 * x**2 + 3 * x**3) / 6
    return torch.where(x < 1, near, torch.where(x < 2, (2 - x).clamp(min=0) ** 3 / 6, 0.0))


@lru_cache
def hues(count: int) -> Tensor:
    """Colors (count, 3) in [0, 1], equally light and evenly spread around the circle of hues."""
    angle = 15 + 360 * torch.arange(count, dtype=torch.float64) / count
    return _srgb(_oklab(torch.full_like(angle, 0.75), torch.full_like(angle, 0.15), angle)).float()
