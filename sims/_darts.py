"""Light of particles on pixels: small shapes, smooth at any size, each in its own color.

Shapes: B rollouts, N particles, S pixels: the side of the window around a particle.
"""

import math

import torch
from torch import Tensor

from sims._color import hues

WHEEL = 240
"""Hues in the circle of hues."""

TIP, TAIL, HALF_BASE = 0.022, 0.011, 0.009
"""A dart: how far its tip is ahead of its place, its base behind, and half its base, in worlds."""

WAKE, WAKE_LIGHT = 0.04, 0.4
"""How far behind a dart its wake fades to nothing, in worlds, and how bright the wake is beside the dart."""

LARGE = 2.0
"""How much larger the large ones are."""


def darts(place: Tensor, heading: Tensor, color: Tensor, size: int, large: int = 0) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of darts with fading wakes on black, on a torus of side 1.

    Args:
        place: (B, 2, N) in [0, 1): down, along.
        heading: (B, 2, N), unit vectors.
        color: (B, N, 3) in [0, 1].
        size: Side of a picture, in pixels.
        large: How many of them, the last ones, are large.
    """
    split = [place.shape[2] - large, large]
    groups = zip(place.split(split, 2), heading.split(split, 2), color.split(split, 1), (1.0, LARGE), strict=True)
    light = torch.stack([_lay_darts(*group, size) for group in groups]).sum(0)
    return light.clamp_(max=1).mul_(255).round_().to(torch.uint8)


def hue(angle: Tensor) -> Tensor:
    """Colors (*, 3) in [0, 1], equally light, by angles (*) in radians."""
    return hues(WHEEL).to(angle)[(angle * (WHEEL / (2 * math.pi))).round().long() % WHEEL]


def _lay_darts(place: Tensor, heading: Tensor, color: Tensor, scale: float, size: int) -> Tensor:
    """The light of darts that are `scale` times as large as usual, (B, size, size, 3)."""
    back = scale * (WAKE - TIP) / 2
    middle = place - back * heading  # of dart and wake: the window around it is the smallest
    down, along = window(middle, size, scale * (WAKE + TIP) / 2)
    x, y = heading[:, 0, :, None, None] / scale, heading[:, 1, :, None, None] / scale
    ahead = x * down[..., None] + (y * along[..., None, :] - back / scale)  # (B, N, S, S), in usual darts
    aside = (y * down[..., None] - x * along[..., None, :]).abs_()
    taper = (HALF_BASE / (TIP + TAIL)) * (TIP - ahead)
    body = torch.minimum(taper.sub_(aside), ahead + TAIL).mul_(scale * size).add_(0.5).clamp_(0, 1)
    fade = ahead.div_(WAKE).add_(1).clamp_(0, 1)  # 1 in the dart itself, which outshines it
    wake = (fade - aside.div_(HALF_BASE)).clamp_(min=0).mul_(fade).mul_(WAKE_LIGHT)
    return lay(torch.maximum(body, wake)[..., None] * color[:, :, None, None], middle, size, wrap=True)


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
