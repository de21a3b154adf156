"""What of a clip the `common` Rewardor keeps.

Nothing here depends on where on the torus things happen, or on quarter turns and mirrors of the picture: people do not
care either, and every invariance saves labels. Worlds are judged late in the clip, when they have shown what they are.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from models.rewardors._change import change
from models.rewardors._color import color
from models.rewardors._hue import hue
from models.rewardors._look import look
from models.rewardors._motion import motion
from models.rewardors._objects import objects
from models.rewardors._signal import SIDE, late
from models.rewardors._symmetry import symmetry

LUMINANCE = torch.tensor((0.299, 0.587, 0.114)) / 255
COLOR_FRAMES = 3

GREY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "look": look,
    "change": change,
    "motion": motion,
    "objects": objects,
    "symmetry": symmetry,
}
"""Families made from brightness (T, SIDE, SIDE) in [0, 1] and the spectrum (T', SIDE, SIDE/2+1) of its second half."""


def describe(clip: Tensor) -> Tensor:
    """Features (F,) float32 of one clip (T, H, W, 3) uint8; `FAMILIES` says which are which."""
    return torch.cat(list(_families(clip).values()))


def _families(clip: Tensor) -> dict[str, Tensor]:
    grey = _resize(clip.float() @ LUMINANCE)
    spectrum = torch.fft.rfft2(grey[len(grey) // 2 :])
    families = {name: family(grey, spectrum) for name, family in GREY.items()}
    rgb = clip[late(len(clip), COLOR_FRAMES)].permute(3, 0, 1, 2).float() / 255
    rgb = _resize(rgb.flatten(0, 1)).unflatten(0, (3, -1))
    return {**families, "color": color(rgb), "hue": hue(rgb)}


def _resize(frames: Tensor) -> Tensor:
    """Frames (n, SIDE, SIDE) from (n, H, W)."""
    if frames.shape[1:] == (SIDE, SIDE):
        return frames
    return interpolate(frames[None], size=(SIDE, SIDE), mode="area")[0]


def _slices() -> dict[str, slice]:
    """Where each family is: the lengths do not depend on the clip."""
    slices, start = {}, 0
    for name, values in _families(torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)).items():
        slices[name] = slice(start, start + len(values))
        start += len(values)
    return slices


FAMILIES = _slices()
F = sum(family.stop - family.start for family in FAMILIES.values())
