"""Light of particles on pixels: small shapes, smooth at any size, each in its own color.

Shapes: B rollouts, N particles, S pixels: the side of the window around a particle.
"""

import torch
from torch import Tensor

TIP, TAIL, HALF_BASE = 0.022, 0.011, 0.009
"""A dart: how far its tip is ahead of its place, its base behind, and half its base, in worlds."""

WAKE, WAKE_LIGHT = 0.05, 0.45
"""How far behind a dart its wake fades to nothing, in worlds, and how bright the wake is beside the dart."""


def darts(place: Tensor, heading: Tensor, color: Tensor, size: int, scale: Tensor | None = None) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of darts on black, on a torus of side 1.

    Args:
        place: (B, 2, N) in [0, 1): down, along.
        heading: (B, 2, N), unit vectors.
        color: (B, N, 3) in [0, 1].
        size: Side of a picture, in pixels.
        scale: (N,), how large each one is; 1 if None.
    """
    grown = torch.ones(place.shape[2]) if scale is None else scale
    scale = grown.to(place)[:, None, None]
    down, along = window(place, size, WAKE * float(grown.max()))
    ahead = (
        heading[:, 0, :, None, None] * down[..., None] + heading[:, 1, :, None, None] * along[..., None, :]
    ) / scale
    aside = heading[:, 1, :, None, None] * down[..., None] - heading[:, 0, :, None, None] * along[..., None, :]
    aside = aside.abs_() / scale
    taper = HALF_BASE * (TIP - ahead) / (TIP + TAIL)
    body = torch.minimum((taper - aside).mul_(scale * size), (ahead + TAIL).mul_(scale * size)).add_(0.5).clamp_(0, 1)
    fade = (1 + ahead / WAKE).clamp_(0, 1) * (ahead < 0)
    wake = (1 - aside / (HALF_BASE * fade).clamp_(min=1e-6)).clamp_(min=0).mul_(fade.square_()).mul_(WAKE_LIGHT)
    light = torch.maximum(body, wake)
    return (lay(light[..., None] * color[:, :, None, None], place, size, wrap=True) * 255).round_().to(torch.uint8)


def window(place: Tensor, size: int, reach: float) -> tuple[Tensor, Tensor]:
    """How far the pixels around each particle are from it, down (B, N, S) and along (B, N, S), in worlds.

    Args:
        place: (B, 2, N), in worlds.
        size: Pixels per world.
        reach: How far the window reaches, in worlds.
    """
    off = (_pixels(place, size, int(reach * size) + 1) + 0.5) / size - place[..., None]
    return off[:, 0], off[:, 1]


def _pixels(place: Tensor, size: int, reach: int) -> Tensor:
    """Rows and columns of the pixels around each particle, (B, 2, N, S) int64."""
    return (place * size).floor().long()[..., None] + torch.arange(-reach, reach + 1, device=place.device)


def lay(light: Tensor, place: Tensor, size: int, *, wrap: bool) -> Tensor:
    """The sum of all light on each pixel, at most 1, (B, size, size, C).

    Light is added as integers: a sum of floats depends on its order, which is not fixed on a GPU.

    Args:
        light: (B, N, S, S, C) in [0, 1], on the windows around the particles.
        place: (B, 2, N), in worlds.
        size: Pixels per world.
        wrap: Whether light that leaves on one side comes back on the other.
    """
    batch, channels = light.shape[0], light.shape[-1]
    pixel = _pixels(place, size, light.shape[2] // 2)
    inside = (pixel >= 0) & (pixel < size)
    row, column = pixel.remainder_(size).unbind(1)
    if not wrap:
        light = light * (inside[:, 0, :, :, None, None] & inside[:, 1, :, None, :, None])
    world = torch.arange(batch, device=place.device)[:, None, None, None] * size
    index = (world + row[..., None]) * size + column[:, :, None]  # (B, N, S, S)
    total = torch.zeros(batch * size * size, channels, dtype=torch.int32, device=place.device)
    total.index_add_(0, index.flatten(), light.flatten(0, -2).mul(255).round_().int())
    return total.clamp_(max=255).view(batch, size, size, channels) / 255
