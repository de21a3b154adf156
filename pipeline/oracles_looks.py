"""Two more tastes, and the looks that tastes with two sides are made of.

A look is one number, relative to the world itself or on a log scale, so that it means the same in every simulation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from pipeline.oracles import Light, each, late, pool


@dataclass(frozen=True)
class Colour:
    """Likes many hues, each in a place of its own.

    In Particle Life a hue is a kind, so this is a taste for kinds that gather apart, evenly mixed kinds being worst. In
    Lenia a hue is an age: the pale front of what is new, the rose of what stays, the violet wake of what was. There it
    is a taste for worlds that show all three at once.

    Attributes:
        hues: Bins around the circle of hues; neighboring bins share what lies between them.
        reach: How far a neighbor is, in squares of two pixels.
    """

    hues: int = 8
    reach: int = 2

    def utility(self, clip: Tensor) -> Tensor:
        """Entropy of the hues in [0, 1], times how much likelier than by chance neighbors share one: (B, 1)."""
        values = [self._judge(frames) for frames in late(clip)[:, ::4].cpu().numpy()]
        return torch.tensor(values, dtype=torch.float32).reshape(-1, 1)

    def _judge(self, frames: NDArray[np.uint8]) -> float:
        layers, ink = self._layers(frames)
        share = layers.sum((1, 2, 3)) / (ink.sum() + 1e-6)
        entropy = -(share * np.log(share + 1e-9)).sum() / np.log(self.hues)
        alike = sum(_meeting(layers, self.reach, axis) for axis in (2, 3))
        pairs = sum(_meeting(ink, self.reach, axis) for axis in (1, 2))
        chance = (share**2).sum()
        excess = (alike / (pairs + 1e-6) - chance) / (1 - chance + 1e-2)
        return float(entropy * excess)

    def _layers(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Light]:
        """How much of each hue (K, T, H, W) there is, and of all of them (T, H, W): the square of the chroma."""
        red, green, blue = (pool(frames[..., channel].astype(np.float32)) / np.float32(255) for channel in range(3))
        across, along = np.sqrt(np.float32(0.75)) * (green - blue), red - (green + blue) / 2
        ink = across**2 + along**2
        hue = np.arctan2(across, along) * np.float32(self.hues / (2 * np.pi))
        bins = np.arange(self.hues, dtype=np.float32)[:, None, None, None]
        away = np.abs((hue - bins + self.hues / 2) % self.hues - self.hues / 2)
        return np.maximum(1 - away, 0) * ink, ink


def _meeting(field: NDArray[np.float32], reach: int, axis: int) -> float:
    """The correlation of a field with itself, so far away along an axis of the torus."""
    return float(np.vdot(field, np.roll(field, reach, axis)))


@dataclass(frozen=True)
class Persistence:
    """Likes worlds that last: as much there at the end as ever, all along of the same size, and still moving.

    Attributes:
        wobble: Deviation of the total brightness over time, as a share of its mean, that leaves a third of the liking.
        activity: The change per frame, as a share of the brightness, that is half as good as any amount of it.
    """

    wobble: float = 0.2
    activity: float = 0.1

    def utility(self, clip: Tensor) -> Tensor:
        """What is left at the end, times how steady it was, times how active its last quarter is: (B, 1) in [0, 1]."""
        return each(self._judge, clip)

    def _judge(self, light: Light) -> float:
        mass = light.mean((1, 2)) + 1e-6
        left = min(1.0, mass[-1] / mass.mean())
        change = np.exp(pace(pool(light[-max(2, len(light) // 4) :])))
        return float(left * np.exp(-swelling(light) / self.wobble) * change / (change + self.activity))


def pace(light: Light) -> float:
    """Change per frame as a share of the brightness, as a logarithm."""
    change = np.abs(np.diff(light, axis=0)).sum() / max(1, light[1:].size)
    return float(np.log((change + 1e-4) / (light.mean() + 1e-2)))


def swelling(light: Light) -> float:
    """Standard deviation of the total brightness over time, as a share of its mean."""
    mass = light.mean((1, 2))
    return float(mass.std() / (mass.mean() + 1e-6))


def grain(light: Light) -> float:
    """How fine the patterns are: the mean of their spatial frequency in waves per world, as a logarithm."""
    frames = light - light.mean((1, 2), keepdims=True)
    power = (np.abs(fft.rfft2(frames)) ** 2).mean(0)
    rows, columns = (np.fft.fftfreq(side, 1 / side) for side in light.shape[1:])
    columns = np.abs(columns[: power.shape[1]])
    twice = np.where((columns > 0) & (columns < light.shape[2] / 2), 2, 1)  # the half that the transform leaves out
    weight = power * twice
    return float(np.log(((weight * np.hypot(rows[:, None], columns)).sum() + 1e-3) / (weight.sum() + 1e-3)))


def lone(light: Light) -> float:
    """How much all that is lit is in one place: 1 for one point, 0 for what is everywhere or in opposite places."""
    body = (light - light.min((1, 2), keepdims=True)) ** 2
    total = body.sum((1, 2)) + 1e-6
    sides = (body.sum(2), body.sum(1))
    lengths = [np.abs(side @ np.exp(2j * np.pi * np.arange(side.shape[1]) / side.shape[1])) / total for side in sides]
    return float((lengths[0] * lengths[1]).mean())
