"""Pictures of particles."""

import numpy as np
import torch
from torch import Tensor

from sims._color import hues

DISC, GLOW, GLOW_LIGHT = 0.009, 0.02, 0.35
"""Radii of a particle's body and of its glow, in worlds, and how bright the glow is beside the body."""


def discs(place: Tensor, kinds: int, size: int, scale: float = 1) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of particles (B, 2, N) on a torus of side 1, smooth at any size.

    A hue for each kind: particles come sorted, in blocks of equal length. Where kinds overlap, their lights mix.
    `scale` makes all discs larger or smaller.
    """
    batch, _, n = place.shape
    kind = torch.arange(n, device=place.device) // -(-n // kinds)
    return tinted(place, kind.to(place).expand(batch, n), kinds, size, scale)


def tinted(place: Tensor, tone: Tensor, count: int, size: int, scale: float = 1) -> Tensor:
    """`discs` in colors of their own: `tone` (B, N) in [0, count) goes around a circle of `count` hues.

    Between two hues a particle shines in both: drawing knows no others, so that lights of all tones mix.
    """
    if place.device.type != "cpu" or place.dtype != torch.float32:
        return _lit(_cover(place, tone, count, size, scale), hues(count).to(place.device))
    from sims._stamp import stamp  # The compiler is loaded by those who need it.

    picture = torch.empty(len(place), size, size, 3, dtype=torch.uint8)
    arrays = (one.contiguous().numpy() for one in (place, tone, hues(count)))
    stamp(*arrays, *np.array([DISC * scale, GLOW * scale], np.float32), picture.numpy())
    return picture


def _lit(cover: Tensor, hue: Tensor) -> Tensor:
    """Pictures of what each hue covers of each pixel, (B, K, size, size) in [0, 1]."""
    dark = (1 - cover[..., None] * hue[:, None, None]).prod(1)
    return ((1 - dark) * 255).round_().to(torch.uint8)


def _cover(place: Tensor, tone: Tensor, count: int, size: int, scale: float) -> Tensor:
    """How much of each pixel each hue covers, (B, count, size, size) in [0, 1].

    Coverages are added as integers: a sum of floats depends on its order, which is not fixed on a GPU.
    """
    light, row, column = _stamps(place, size, scale)
    pixel = (row * size)[..., None] + column[:, :, None]  # (B, N, S, S)
    total = torch.zeros(len(place) * count * size * size, dtype=torch.int32, device=place.device)
    batch = count * torch.arange(len(place), device=place.device)[:, None]
    first = tone.floor()
    for hue, share in ((first, first + 1 - tone), (first + 1, tone - first)):
        plane = batch + hue.long() % count  # (B, N)
        part = (light * share[..., None, None]).round_().int()
        total.index_add_(0, (pixel + plane[..., None, None] * size**2).flatten(), part.flatten())
    return total.clamp_(max=255).view(len(place), count, size, size) / 255


def _stamps(place: Tensor, size: int, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """The light (B, N, S, S) in [0, 255] around each particle, and the rows and columns (B, N, S) that it falls on."""
    reach = int(GLOW * scale * size) + 1
    stamp = torch.arange(-reach, reach + 1, device=place.device)
    pixel = (place * size).floor()
    off = (stamp + 0.5 - (place * size - pixel)[..., None]) / size  # (B, 2, N, S), to the centers of pixels
    row, column = (pixel.long()[..., None] + stamp).remainder_(size).unbind(1)
    down, along = off.square_().unbind(1)
    distance = (down[..., None] + along[:, :, None]).sqrt_()
    glow = (distance / (GLOW * scale)).neg_().add_(1).clamp_(min=0).square_().mul_(GLOW_LIGHT)
    body = distance.sub_(DISC * scale).mul_(-size).add_(0.5).clamp_(0, 1)
    return torch.maximum(body, glow, out=glow).mul_(255), row, column
