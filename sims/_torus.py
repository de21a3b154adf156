"""Places on a torus of side 1."""

from torch import Tensor


def wrap(place: Tensor) -> Tensor:
    """Places in [0, 1]; 1 only where a place just below 0 was rounded up to it, which is the same place."""
    return place - place.floor()


def short(way: Tensor) -> Tensor:
    """The short way around to where `way` leads, in [-1/2, 1/2]."""
    return way - (way + 0.5).floor()


def ways(place: Tensor) -> Tensor:
    """The short way from each particle (row) to each other one (column), (B, 2, N, N), of places (B, 2, N)."""
    return short(place[:, :, None, :] - place[:, :, :, None])
