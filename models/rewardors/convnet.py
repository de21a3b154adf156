"""A convolutional network that sees the clips themselves: for a GPU and many labels."""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv3d, interpolate, pad, silu

from models.rewardors._networks import AMPLITUDE, Heads, Networks

FRAMES, SIDE = 16, 16
"""Of what is kept of a clip: 12288 numbers, 48 KB of memory."""

CROP = 8
"""Frames of which a view in training consists."""

CHANNELS = (8, 12, 16)
REACH = (1, 2, 4)
"""Of the three layers, in pixels between the middle of a kernel and its edge: the last one sees most of a world."""

LASTS = (3, 3, 1)
"""Of the three layers, how many frames a kernel lasts."""


class ConvNet(Networks):
    """Three layers of convolutions in space and time, means and deviations of what they see, and a head per member.

    Space is a torus to it: shifts by the four pixels of a clip that become one change a reward by rounding errors.
    Quarter turns, mirrors and the moment at which a clip begins are learned not to matter.

    Args:
        members: Number M of heads.
        rate: See `Networks`.
        amplitude: See `Networks`.
    """

    version: ClassVar[int] = 1
    steps: ClassVar[int] = 80
    batch: ClassVar[int] = 16

    def __init__(self, *, members: int = 8, rate: float = 0.05, amplitude: float = AMPLITUDE) -> None:
        super().__init__(members=members, rate=rate, amplitude=amplitude)

    def embed(self, clip: Tensor) -> Tensor:
        """A smaller clip: (B, FRAMES * 3 * SIDE * SIDE) float32 in [0, 1] of clips (B, T, H, W, 3) uint8."""
        frames = clip[:, torch.linspace(0, clip.shape[1] - 1, FRAMES).round().long()].movedim(4, 2)  # (B, T, 3, H, W)
        small = interpolate(frames.flatten(0, 1).float(), size=(SIDE, SIDE), mode="area")
        return (small / 255).reshape(len(clip), FRAMES * 3 * SIDE * SIDE)

    def network(self, draw: torch.Generator) -> "_Net":
        """See `Networks.network`."""
        return _Net(self.members, draw)

    def normal(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of all pixels, and their standard deviation: one number each, so that no place is special."""
        return embedding.mean()[None], embedding.std()[None].clamp_min(1e-3)

    def vary(self, x: Tensor, luck: Tensor) -> Tensor:
        """Shifts around the torus, mirrors, quarter turns and a random stretch of time: (N, CROP * 3 * SIDE * SIDE)."""
        row, column = ((torch.arange(SIDE, device=x.device) + luck[:, [axis]] * SIDE).long() % SIDE for axis in (0, 1))
        mirrored, turned = luck[:, 2] < 0.5, luck[:, 3] < 0.5
        row = torch.where((luck[:, 4] < 0.5)[:, None], row.flip(1), row)
        column = torch.where(mirrored[:, None], column.flip(1), column)
        time = (luck[:, [5]] * (FRAMES - CROP + 1)).long() + torch.arange(CROP, device=x.device)
        clip = x.view(len(x), FRAMES, 3, SIDE, SIDE)
        world = torch.arange(len(x), device=x.device)[:, None, None, None]
        view = clip.movedim(2, 4)[world, time[:, :, None, None], row[:, None, :, None], column[:, None, None, :]]
        view = torch.where(turned[:, None, None, None, None], view.transpose(2, 3), view)
        return view.movedim(4, 2).flatten(1)


class _Net(nn.Module):
    """From normalised small clips (N, T * 3 * SIDE * SIDE), with any number T > 5 of frames, to (N, M)."""

    def __init__(self, members: int, draw: torch.Generator) -> None:
        super().__init__()
        sizes = zip(pairwise((6, *CHANNELS)), LASTS, strict=True)
        self.kernels = nn.ParameterList([torch.randn(o, i, t, 3, 3, generator=draw) for (i, o), t in sizes])
        self.heads = Heads(2 * CHANNELS[-1], members, draw)

    def forward(self, x: Tensor) -> Tensor:
        clip = x.view(len(x), -1, 3, SIDE, SIDE).transpose(1, 2)
        motion = clip.diff(dim=2)  # given, not learned: most of what people like moves
        x = torch.cat([clip[:, :, 1:], motion], 1)
        for reach, kernel in zip(REACH, self.kernels, strict=True):
            around = pad(x, (reach, reach, reach, reach, 0, 0), mode="circular")
            x = silu(conv3d(around, kernel / math.sqrt(kernel[0].numel() / 2), dilation=(1, reach, reach)))
        seen = x.flatten(2)
        return self.heads(torch.cat([seen.mean(2), seen.std(2, correction=0)], 1))
