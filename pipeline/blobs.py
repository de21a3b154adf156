"""Bright blobs on the torus, and how far they travel: what oracles know about creatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Blobs:
    """The blobs of one frame.

    Attributes:
        mass: (N,) summed brightness.
        area: (N,) in pixels.
        center: (N, 2) row and column of the center of mass, in pixels.
        compact: (N,) 1 for a point, 0 for what reaches around the torus and so has no center.
    """

    mass: Array
    area: Array
    center: Array
    compact: Array


def find(light: NDArray[np.floating], threshold: float, smallest: int = 4) -> list[Blobs]:
    """The blobs of each frame of (T, H, W) that are brighter than `threshold` and cover `smallest` pixels or more."""
    label, count = label_torus(light > threshold)
    frame, row, column = label.nonzero()
    number, mass = label[frame, row, column], light[frame, row, column]
    area = np.bincount(number, minlength=count + 1).astype(np.float64)
    weight = np.bincount(number, mass, count + 1)
    sides = [
        _circular_mean(number, mass, at, side, count + 1)
        for at, side in ((row, light.shape[1]), (column, light.shape[2]))
    ]
    center = np.stack([middle for middle, _ in sides], 1)
    compact = np.minimum(*(length for _, length in sides)) / np.maximum(weight, 1e-9)
    home = np.full(count + 1, -1)
    home[number] = frame
    wanted = [(home == t) & (area >= smallest) for t in range(len(light))]
    return [Blobs(weight[keep], area[keep], center[keep], compact[keep]) for keep in wanted]


def _circular_mean(number: Index, mass: NDArray[np.floating], at: Index, side: int, labels: int) -> tuple[Array, Array]:
    """Mean position in [0, side) of the pixels of each label, and the length of the summed unit vectors."""
    turn = 2 * np.pi * np.arange(side) / side
    cos, sin = (np.bincount(number, mass * wave[at], labels) for wave in (np.cos(turn), np.sin(turn)))
    return np.arctan2(sin, cos) * side / (2 * np.pi) % side, np.hypot(sin, cos)


def label_torus(mask: NDArray[np.bool_]) -> tuple[Index, int]:
    """Labels 1..N of the 4-connected regions of each frame of (T, H, W), opposite edges joined; and N."""
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    label, count = ndimage.label(mask, in_plane)
    first = np.concatenate([label[:, 0].ravel(), label[:, :, 0].ravel()])
    last = np.concatenate([label[:, -1].ravel(), label[:, :, -1].ravel()])
    touch = (first > 0) & (last > 0)
    seam = coo_array((touch[touch], (first[touch], last[touch])), shape=(count + 1, count + 1))
    joined, new = connected_components(seam, directed=False)
    # No seam touches the background, so it stays component 0.
    return new[label].astype(np.int64), joined - 1


def shortest(start: Array, end: Array, world: Sequence[int]) -> Array:
    """The shortest way (..., 2) from `start` to `end` on a torus of size `world`."""
    size = np.asarray(world, dtype=np.float64)
    return (end - start + size / 2) % size - size / 2


def follow(here: Blobs, there: Blobs, world: Sequence[int]) -> Index:
    """For each blob of `here` its row in `there`, or -1 if it is lost.

    Two blobs are one creature if each is nearest to the other and their masses differ by less than a factor of two.
    """
    if not len(here.mass) or not len(there.mass):
        return np.full(len(here.mass), -1)
    distance = (shortest(here.center[:, None], there.center[None], world) ** 2).sum(-1)
    best = distance.argmin(1)
    mutual = distance.argmin(0)[best] == np.arange(len(best))
    ratio = there.mass[best] / here.mass
    return np.where(mutual & (ratio > 0.5) & (ratio < 2), best, -1)


@dataclass(frozen=True)
class Link:
    """Where the blobs of one frame are in the next.

    Attributes:
        after: (N,) their rows there, -1 if lost.
        step: (N, 2) the way there, in pixels; without meaning if lost.
    """

    after: Index
    step: Array


def link(frames: Sequence[Blobs], world: Sequence[int]) -> list[Link]:
    """The links of frames in sequence, one fewer than frames."""
    links = []
    for here, there in pairwise(frames):
        after = follow(here, there, world)
        end = there.center[after] if len(there.center) else here.center
        links.append(Link(after, shortest(here.center, end, world)))
    return links


def travel(links: Sequence[Link]) -> tuple[Array, Array]:
    """Where the blobs of the first frame went by the end of the last of one or more links.

    Returns:
        The way from start to end (N, 2), and the length of the path between (N,), in pixels; 0 for lost blobs.
    """
    rows = np.arange(len(links[0].after))
    way, path = np.zeros((len(rows), 2)), np.zeros(len(rows))
    alive = rows >= 0
    for one in links:
        if not alive.any():
            break
        after = one.after[rows]
        alive = alive & (after >= 0)
        step = one.step[rows[alive]]
        way[alive] += step
        path[alive] += np.hypot(step[:, 0], step[:, 1])
        rows = np.where(alive, after, 0)
    return way * alive[:, None], path * alive
