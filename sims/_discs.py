"""Pictures of particles."""

import torch
from torch import Tensor

from sims._color import hues

DISC, GLOW, GLOW_LIGHT = 0.009, 0.02, 0.35
"""Radii of a particle's body and of its glow, in worlds, and how bright the glow is beside the body."""


def discs(place: Tensor, kinds: int, size: int) -> Tensor:
    """Pictures (B, size, size, 3) uint8 of particles (B, 2, N) on a torus of side 1, smooth at any size.

    A hue for each kind: particles come sorted, in blocks of equal length. Where kinds overlap, their lights mix.
    """
    covered = _cover(place, kinds, size)[..., None]  # (B, K, size, size, 1)
    dark = (1 - covered * hues(kinds).to(place.device)[:, None, None]).prod(1)
    return ((1 - dark) * 255).round_().to(torch.uint8)


def _cover(place: Tensor, kinds: int, size: int) -> Tensor:
    """How much of each pixel each kind covers, (B, K, size, size) in [0, 1].

    Coverages are added as integers: a sum of floats depends on its order, which is not fixed on a GPU.
    """
    batch, _, n = place.shape
    light, row, column = _stamps(place, size)
    kind = torch.arange(n, device=place.device) // -(-n // kinds)
    plane = torch.arange(batch, device=place.device)[:, None] * kinds + kind  # (B, N)
    pixel = ((plane[..., None] * size + row) * size)[..., None] + column[:, :, None]  # (B, N, S, S)
    total = torch.zeros(batch * kinds * size * size, dtype=torch.int32, device=place.device)
    total.index_add_(0, pixel.flatten(), light.flatten())
    return total.clamp_(max=255).view(batch, kinds, size, size) / 255


def _stamps(place: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The light (B, N, S, S) int32 around each particle, and the rows and columns (B, N, S) on which it falls."""
    reach = int(GLOW * size) + 1
    stamp = torch.arange(-reach, reach + 1, device=place.device)
    pixel = (place * size).floor()
    off = (stamp + 0.5 - (place * size - pixel)[..., None]) / size  # (B, 2, N, S), to the centers of pixels
    row, column = (pixel.long()[..., None] + stamp).remainder_(size).unbind(1)
    down, along = off.square_().unbind(1)
    distance = (down[..., None] + along[:, :, None]).sqrt_()
    glow = (distance / GLOW).neg_().add_(1).clamp_(min=0).square_().mul_(GLOW_LIGHT)
    body = distance.sub_(DISC).mul_(-size).add_(0.5).clamp_(0, 1)
    return torch.maximum(body, glow, out=glow).mul_(255).round_().int(), row, column
