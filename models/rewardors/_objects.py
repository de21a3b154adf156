"""Things: how many, how large, how they move, and whether they last."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from models.rewardors._signal import SIDE, late

FRAMES = 7
SHARE = 0.5  # a thing is brighter than half of the brightest
VISIBLE = 0.02  # difference of brightness
SMALLEST = 6  # pixels
FURTHEST = 0.14
"""In worlds: how far a thing may move between two of these frames and still be recognised."""

CROSS = np.stack([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


@dataclass(frozen=True)
class Things:
    """The things of n frames, K in all.

    Attributes:
        frame: (K,) in which frame each is, rising.
        size: (K,) pixels.
        center: (K, 2) in worlds, on the torus.
    """

    frame: np.ndarray
    size: np.ndarray
    center: np.ndarray


def objects(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Numbers, sizes, persistence and motion of the bright things of late frames (12,)."""
    del spectrum
    frames = grey[late(len(grey), FRAMES)].numpy()
    dark, bright = frames.min((1, 2), keepdims=True), frames.max((1, 2), keepdims=True)
    solid = (frames - dark > SHARE * (bright - dark)) & (bright - dark > VISIBLE)
    things = find(solid)
    table = _table(things, len(frames))
    both, either = (solid[:-1] & solid[1:]).sum((1, 2)), (solid[:-1] | solid[1:]).sum((1, 2))
    stays = (both / np.maximum(either, 1)).mean() if len(frames) > 1 else 1.0
    parts = [table.mean(1), table.std(1), _motion(things, len(frames)), [stays]]
    return torch.from_numpy(np.concatenate(parts)).float()


def components(solid: np.ndarray) -> tuple[np.ndarray, int]:
    """Which thing each pixel belongs to, (n, H, W) from 0 (none) to the number of things, and that number.

    Things are 4-connected, wrap around the edges, and never reach into another frame.
    """
    mark, count = label(solid, CROSS)
    first = np.concatenate([mark[:, 0].ravel(), mark[:, :, 0].ravel()])
    last = np.concatenate([mark[:, -1].ravel(), mark[:, :, -1].ravel()])
    seam = (first > 0) & (last > 0)
    if not seam.any():
        return mark, count
    joined = coo_array((np.ones(seam.sum()), (first[seam], last[seam])), shape=(count + 1, count + 1))
    number, same = connected_components(joined, directed=False)
    return same[mark], number - 1  # the background is joined to nothing and stays 0


def find(solid: np.ndarray) -> Things:
    """The things of frames (n, H, W) bool that are not too small to be any."""
    mark, count = components(solid)
    lit = np.flatnonzero(mark)
    thing = mark.ravel()[lit] - 1
    frame, *waves = (table[lit] for table in _tables(*solid.shape))
    size = np.bincount(thing, minlength=count)
    where = np.zeros(count, int)
    where[thing] = frame
    y, x = (_mean_angle(thing, waves[i], waves[i + 1], count) for i in (0, 2))
    keep = np.flatnonzero(size >= SMALLEST)
    keep = keep[np.argsort(where[keep], kind="stable")]
    return Things(where[keep], size[keep], np.stack([y, x], 1)[keep])


@cache
def _tables(n: int, height: int, width: int) -> list[np.ndarray]:
    """Of each pixel of frames (n, H, W): its frame, and sine and cosine of its row and of its column as angles."""
    frame, y, x = (axis.ravel() for axis in np.indices((n, height, width)))
    angles = [2 * np.pi * axis / length for axis, length in ((y, height), (x, width))]
    return [frame, *(wave(angle) for angle in angles for wave in (np.sin, np.cos))]


def _mean_angle(thing: np.ndarray, sine: np.ndarray, cosine: np.ndarray, count: int) -> np.ndarray:
    """Mean positions (count,) on a circle of length 1."""
    return np.arctan2(np.bincount(thing, sine, count), np.bincount(thing, cosine, count)) / (2 * np.pi)


def _table(things: Things, n: int) -> np.ndarray:
    """By frame (4, n): how many things, their mean log size, how unequal they are, and the share of the largest."""
    logs = np.log(things.size)
    count = np.bincount(things.frame, minlength=n)
    some = np.maximum(count, 1)
    mean = np.bincount(things.frame, logs, n) / some
    spread = np.bincount(things.frame, (logs - mean[things.frame]) ** 2, n) / some
    largest = np.zeros(n)
    np.maximum.at(largest, things.frame, things.size)
    share = largest / np.maximum(np.bincount(things.frame, things.size, n), 1)
    return np.stack([np.log1p(count), mean, np.sqrt(spread), share])


def _motion(things: Things, n: int) -> np.ndarray:
    """How things move when each is taken for the nearest one of the next frame (3,).

    Mean step, in logarithmic pixels and in diameters, and the share of things found again.
    """
    ends = np.searchsorted(things.frame, np.arange(n + 1))
    steps, diameters, found = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, bool)]
    for now, then in pairwise(slice(a, b) for a, b in pairwise(ends)):
        step = _step(things.center[now], things.center[then])
        seen = step < FURTHEST
        found.append(seen)
        steps.append(step[seen] * SIDE)
        diameters.append(step[seen] * SIDE / np.sqrt(things.size[now][seen]))
    pixels, sizes, share = (float(x.mean()) if len(x) else 0.0 for x in map(np.concatenate, (steps, diameters, found)))
    return np.array([np.log1p(pixels), sizes, share])


def _step(now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Distance (k,) in worlds from each center `now` (k, 2) to the nearest one `then` (m, 2); infinite if m = 0."""
    square = np.zeros((len(now), len(then)))
    for mine, theirs in zip(now.T, then.T, strict=True):
        gap = mine[:, None] - theirs
        gap -= np.rint(gap)
        square += np.square(gap, out=gap)
    return np.sqrt(square.min(1, initial=np.inf))
