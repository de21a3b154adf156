"""Tastes with two sides: a conjunction, a rarity, two favorites at once, and one that goes in circles."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from pipeline import blobs
from pipeline.oracles import Light, Symmetry, bodies, each, late, pool, rhythm, travel
from pipeline.oracles_looks import grain, lone, pace, swelling

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Niche:
    """Likes symmetric worlds of travelers of one size: not linear in any of the three.

    Attributes:
        symmetry: From where a world counts as symmetric, see `Symmetry`: a third of Lenia's prior that lives, a sixth
            of Particle Life's.
        slope: How sharply.
        way: Diameters in five frames that are a long way.
        size: Diameter of a creature that is liked best, as a share of the world.
        threshold: Brightness, after blurring, from which a pixel belongs to a creature.
        lag: Frames between departure and arrival.
    """

    symmetry: float = 0.5
    slope: float = 0.05
    way: float = 0.1
    size: float = 0.25
    threshold: float = 0.08
    lag: int = 5

    def utility(self, clip: Tensor) -> Tensor:
        """1 if symmetric, plus up to 1 for traveling, less half the distance to the best size: (B, 1)."""
        return each(self._judge, late(clip))

    def _judge(self, light: Light) -> float:
        frames, body = bodies(light, self.threshold)
        world = body.shape[1:]
        symmetric = expit((Symmetry().judge(light) - self.symmetry) / self.slope)
        way = np.tanh(travel(frames, world, self.lag) / self.way)
        away = abs(_diameter(frames[::4]) / world[0] - self.size) / self.size
        return float(symmetric + way - np.tanh(away / 2))


def _diameter(frames: list[blobs.Blobs]) -> float:
    """Of the blob of a unit of mass, in pixels; 0 where there is none."""
    mass, area = (np.concatenate([getattr(frame, name) for frame in frames]) for name in ("mass", "area"))
    return float(2 * np.sqrt((area * mass).sum() / (np.pi * (mass.sum() + 1e-9))))


@dataclass(frozen=True)
class Needle:
    """Likes a field that beats as one: the whole swells and shrinks though it is everywhere.

    Attributes:
        beat: Strength of the beat at which liking is half full: of the living prior 2 % are beyond in Lenia, 1 % in
            Particle Life.
        growth: Change of the total brightness from the first to the last third, as a share of it, that takes two
            thirds of the strength: what grows or fades does not beat.
        slope: How sharply liking sets in, on the log scale of the beat.
        faint: What a beat e times as strong is worth far from the liked one.
    """

    beat: float = 0.007
    growth: float = 0.1
    slope: float = 0.1
    faint: float = 0.02

    def utility(self, clip: Tensor) -> Tensor:
        """1 for fields that beat, and next to nothing for all others, though hardly ever the same: (B, 1)."""
        return each(self._judge, late(clip))

    def _judge(self, light: Light) -> float:
        first, _, last = (part.mean() + 1e-6 for part in np.array_split(light, 3))
        steady = np.exp(-abs(np.log(last / first)) / self.growth)
        beat = rhythm(light) * steady * (1 - lone(pool(light[::4]))) ** 4
        ahead = np.log((beat + 1e-6) / self.beat)
        return float(expit(ahead / self.slope) + self.faint * ahead)


@dataclass(frozen=True)
class TwoTastes:
    """Likes two looks that exclude each other, crystals and runners, and what lies between them least.

    Crystals are fine and still, runners are alone and restless. A look is a product of two scores in [0, 1], each
    logistic in a number that is centered and scaled by what is typical for the priors of Lenia and Particle Life.

    Attributes:
        grain: Mean and standard deviation of `oracles_looks.grain`.
        pace: Of `oracles_looks.pace`.
        lone: Of `oracles_looks.lone`.
    """

    grain: tuple[float, float] = (2.0, 0.35)
    pace: tuple[float, float] = (-2.1, 1.0)
    lone: tuple[float, float] = (0.2, 0.3)

    def utility(self, clip: Tensor) -> Tensor:
        """The better of the two looks: (B, 1) in [0, 1]."""
        return each(lambda light: max(self.looks(light)), late(clip))

    def looks(self, light: Light) -> tuple[float, float]:
        """How much of a crystal and of a runner there is in the brightness (T, H, W) of the second half of a clip."""
        small = pool(light)
        fine, fast = _score(grain(small[::4]), self.grain), _score(pace(small), self.pace)
        return fine * (1 - fast), _score(lone(small[::4]), self.lone) * fast


def _score(value: float, typical: tuple[float, float]) -> float:
    """From 0 to 1 for values far below and far above what is typical: its mean and standard deviation."""
    center, scale = typical
    return float(expit(2 * (value - center) / scale))


@dataclass(frozen=True)
class Intransitive:
    """Likes symmetry, but goes in circles: what it makes of a world's pace depends on the rival's swelling.

    To the difference in utility comes cycle * (x y' - x' y), where x is the pace and y the swelling of a world, x' and
    y' those of its rival: no utility has such differences, so no reward can answer all pairs as this one does.

    Attributes:
        cycle: Weight of the circle, in standard deviations.
    """

    cycle: float = 1.0

    def utility(self, clip: Tensor) -> Tensor:
        """Symmetry, pace and logarithm of the swelling: (B, 3)."""
        return each(self._judge, clip)

    def preference(self, left: Array, right: Array) -> Array:
        """How much better left (P, 3) is than right (P, 3), (P,), all in standard deviations; see `oracles.Oracle`."""
        circle = left[:, 1] * right[:, 2] - right[:, 1] * left[:, 2]
        return left[:, 0] - right[:, 0] + self.cycle * circle

    def _judge(self, light: Light) -> tuple[float, float, float]:
        second = light[len(light) // 2 :]
        return Symmetry().judge(second), pace(pool(second)), float(np.log(swelling(light) + 1e-3))
