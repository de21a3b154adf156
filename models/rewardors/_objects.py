"""Things: how many, how large, how they move, and whether they last."""

from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from models.rewardors._space import late

FRAMES = 7
SHARE = 0.5  # a thing is brighter than half of the brightest
VISIBLE = 0.02  # difference of brightness
SMALLEST = 6  # pixels
FURTHEST = 8.0  # pixels that a thing may move between two of these frames
CROSS = np.stack([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


def objects(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Counts, sizes, persistence and motion of the bright things of late frames (12,)."""
    del spectrum
    frames = grey[late(len(grey), FRAMES)].numpy()
    dark, bright = frames.min((1, 2), keepdims=True), frames.max((1, 2), keepdims=True)
    solid = (frames - dark > SHARE * (bright - dark)) & (bright - dark > VISIBLE)
    things = _find(solid)
    table = np.array([_count(size) for size, _ in things])
    pairs = list(pairwise(things))
    moves = [_move(*now, *then) for now, then in pairs] or [np.zeros(3)]
    both, either = (solid[:-1] & solid[1:]).sum((1, 2)), (solid[:-1] | solid[1:]).sum((1, 2))
    stays = (both / np.maximum(either, 1)).mean() if pairs else 1.0
    return torch.from_numpy(np.concatenate([table.mean(0), table.std(0), np.mean(moves, 0), [stays]])).float()


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


def _find(solid: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sizes (k,), in pixels, and centers (k, 2), in worlds, of the things of each frame."""
    mark, count = components(solid)
    n, height, width = solid.shape
    frame, y, x = np.nonzero(mark)
    thing = mark[frame, y, x] - 1
    size = np.bincount(thing, minlength=count)
    where = np.zeros(count, int)
    where[thing] = frame
    center = np.stack([_mean_angle(thing, y, height, count), _mean_angle(thing, x, width, count)], 1)
    return [(size[keep], center[keep]) for keep in ((where == t) & (size >= SMALLEST) for t in range(n))]


def _mean_angle(thing: np.ndarray, position: np.ndarray, length: int, count: int) -> np.ndarray:
    """Mean positions (count,) on a circle of length 1."""
    angle = 2 * np.pi * np.arange(length) / length
    sine = np.bincount(thing, np.sin(angle)[position], count)
    return np.arctan2(sine, np.bincount(thing, np.cos(angle)[position], count)) / (2 * np.pi)


def _count(size: np.ndarray) -> tuple[float, float, float, float]:
    """How many, their mean size, how unequal, and the share of the largest."""
    if not len(size):
        return 0.0, 0.0, 0.0, 0.0
    logs = np.log(size)
    return np.log1p(len(size)), logs.mean(), logs.std(), size.max() / size.sum()


def _move(size: np.ndarray, now: np.ndarray, _: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Mean way to the nearest thing of the next frame, in pixels and in diameters, and how many things find one."""
    if not len(now) or not len(then):
        return np.zeros(3)
    gap = (now[:, None] - then + 0.5) % 1 - 0.5
    way = np.hypot(gap[..., 0], gap[..., 1]).min(1) * 64
    near = way < FURTHEST
    if not near.any():
        return np.zeros(3)
    return np.array([np.log1p(way[near].mean()), (way / np.sqrt(size))[near].mean(), near.mean()])
