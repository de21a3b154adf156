"""Places on a torus of side 1."""

from torch import Tensor


def wrap(place: Tensor) -> Tensor:
    """Places in [0, 1]; 1 only where a place just below 0 was rounded up to it, which is the same place."""
    return place - place.floor()


def short(way: Tensor) -> Tensor:
    """The short way around to where `way` leads, in [-1/2, 1/2]."""
    return way - (way + 0.5).floor()
