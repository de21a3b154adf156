"""Things: how many, how large, how round, how they move, and whether they last."""

import numpy as np
import torch
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from models.rewardors._space import late

FRAMES = 8
SHARE = 0.5  # a thing is brighter than half of the brightest
SMALLEST = 6  # pixels
IN_PLANE = np.stack([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])


def objects(grey: Tensor, spectrum: Tensor) -> Tensor:
    """Counts, sizes, persistence and motion of the bright things of late frames."""
    del spectrum
    some = grey[late(len(grey), FRAMES)].numpy()
    dark, bright = some.min((1, 2), keepdims=True), some.max((1, 2), keepdims=True)
    solid = (some - dark > SHARE * (bright - dark)) & (bright - dark > 0.02)
    return torch.from_numpy(_measure(solid)).float()


def components(solid: np.ndarray) -> tuple[np.ndarray, int]:
    """Which thing each pixel belongs to, (n, H, W) from 0 (none) to the number of things, and that number.

    Things are 4-connected, wrap around the edges, and never reach into another frame.
    """
    mark, count = label(solid, IN_PLANE)
    seams = [(mark[:, 0], mark[:, -1]), (mark[:, :, 0], mark[:, :, -1])]
    a = np.concatenate([first[(first > 0) & (last > 0)] for first, last in seams])
    b = np.concatenate([last[(first > 0) & (last > 0)] for first, last in seams])
    joined = coo_array((np.ones(len(a)), (a, b)), shape=(count + 1, count + 1))
    _, same = connected_components(joined, directed=False)
    return same[mark], int(same.max())  # the background is thing 0 and stays alone


def _measure(solid: np.ndarray) -> np.ndarray:
    mark, count = components(solid)
    n, height, width = solid.shape
    size = np.bincount(mark.ravel(), minlength=count + 1)[1:].astype(float)
    frame = np.zeros(count, int)
    where = np.arange(n)[:, None, None] + np.zeros_like(mark)
    flat, inside = mark.ravel(), mark.ravel() > 0
    frame[flat[inside] - 1] = where.ravel()[inside]
    center = np.stack([_centers(flat, count, axis) for axis in _axes(n, height, width)], 1) if count else np.zeros((0, 2))
    big = size >= SMALLEST
    rows = [_frame_numbers(size[big & (frame == t)], solid[t].mean()) for t in range(n)]
    table = np.array(rows)  # (n, 4)
    moves = [
        _moves(center[big & (frame == t)], center[big & (frame == t + 1)], size[big & (frame == t)], height)
        for t in range(n - 1)
    ] or [np.zeros(3)]
    stays = np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in zip(solid, solid[1:], strict=False)] or [1.0])
    return np.concatenate([table.mean(0), table.std(0), np.mean(moves, 0), [stays]])


def _axes(n: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.exp(2j * np.pi * np.arange(height) / height)
    x = np.exp(2j * np.pi * np.arange(width) / width)
    shape = (n, height, width)
    return np.broadcast_to(y[:, None], shape).ravel(), np.broadcast_to(x, shape).ravel()


def _centers(flat: np.ndarray, count: int, phase: np.ndarray) -> np.ndarray:
    """Centers (count,) on the circle, as a share of its length."""
    re = np.bincount(flat, phase.real, count + 1)[1:]
    im = np.bincount(flat, phase.imag, count + 1)[1:]
    return np.arctan2(im, re) / (2 * np.pi)


def _frame_numbers(size: np.ndarray, area: float) -> tuple[float, ...]:
    if not len(size):
        return 0.0, 0.0, 0.0, 0.0
    return (
        np.log1p(len(size)),
        np.log(size).mean(),
        np.log(size).std(),
        size.max() / size.sum(),
    )


def _moves(now: np.ndarray, then: np.ndarray, size: np.ndarray, side: int) -> np.ndarray:
    """Mean step of things to the nearest one of the next frame, in pixels and in diameters, and how many find one."""
    if not len(now) or not len(then):
        return np.zeros(3)
    gap = (now[:, None] - then[None] + 0.5) % 1 - 0.5
    step = np.hypot(*np.moveaxis(gap, 2, 0)).min(1) * side
    near = step < 8
    if not near.any():
        return np.zeros(3)
    return np.array([np.log1p(step[near].mean()), (step / np.sqrt(size))[near].mean(), near.mean()])
