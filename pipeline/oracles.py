"""Programs that label: tastes in what worlds look like.

An oracle is a frozen dataclass with `utility`. It sees what people see, a clip, and judges it with code of its own:
nothing here is shared with `models/`, so that a Rewardor cannot be right by construction. Utilities have no unit;
a `Teacher` standardises them. Each is a smooth number rather than a verdict: two worlds should hardly ever tie.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from torch import Tensor

from pipeline import blobs

Light: TypeAlias = NDArray[np.float32]
"""The brightness (T, H, W) of a clip, in [0, 1]."""

FEWEST = 8
"""Frames that any judge can do with."""


class Oracle(Protocol):
    """A taste. It pickles, for it travels to where clips are made.

    An oracle whose preferences are not differences of utilities has a second method, `preference(left (P, k), right
    (P, k)) -> (P,)`, on numpy arrays: how much better left is than right, in standard deviations. Its `utility` then
    has k columns, of which the first is the utility that figures are measured by and all are standardised on the prior
    before `preference` sees them. It is antisymmetric: `preference(right, left) = -preference(left, right)`.
    """

    def utility(self, clip: Tensor) -> Tensor:
        """How much this oracle likes each of the clips (B, T, H, W, 3) uint8: (B, 1) float32, or (B, k) as above."""


def each(judge: Callable[[Light], float | Sequence[float]], clip: Tensor) -> Tensor:
    """The verdicts (B, k) on the brightness of clips (B, T, H, W, 3); a single picture is a world that stands still."""
    times = 1 if clip.shape[1] > 1 else FEWEST
    values = [judge(brightness(frames).repeat(times, 0)) for frames in clip.cpu().numpy()]
    return torch.tensor(values, dtype=torch.float32).reshape(len(clip), -1)


def late(clip: Tensor) -> Tensor:
    """The second half of clips (B, T, H, W, 3), when what the start was like is forgotten."""
    return clip[:, clip.shape[1] // 2 :]


def brightness(frames: NDArray[np.uint8]) -> Light:
    """The mean of the channels (T, H, W, 3): in the color maps of this project it rises with what it stands for."""
    red, green, blue = (frames[..., channel].astype(np.uint16) for channel in range(3))
    return (red + green + blue).astype(np.float32) / np.float32(3 * 255)


def pool(light: Light) -> Light:
    """Means over squares of two pixels by two: (T, H / 2, W / 2)."""
    rows = light[:, ::2] + light[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


@dataclass(frozen=True)
class Movers:
    """Likes compact creatures that travel and stay whole, and room around them.

    Attributes:
        threshold: Brightness, after blurring, from which a pixel belongs to a creature.
        lag: Frames between departure and arrival. Wobbling on the spot gets nowhere in so long a time.
    """

    threshold: float = 0.08
    lag: int = 5

    def utility(self, clip: Tensor) -> Tensor:
        """Free room, and how far creatures get in the second half of the clip, in their diameters: (B, 1)."""
        return each(self._judge, late(clip))

    def _judge(self, light: Light) -> float:
        frames, body = bodies(light, self.threshold)
        room = np.exp(-body[::4] / 0.15).mean()
        return float(room + 2 * np.tanh(travel(frames, body.shape[1:], self.lag)))


def bodies(light: Light, threshold: float) -> tuple[list[blobs.Blobs], Light]:
    """The creatures in each frame, in squares of two pixels, and the blurred picture in which they are found.

    Blurred, a body is one blob, whatever the texture inside it.
    """
    body = ndimage.uniform_filter(pool(light), (0, 3, 3), mode="wrap")
    return blobs.find(body, threshold), body


def travel(frames: Sequence[blobs.Blobs], world: Sequence[int], lag: int) -> float:
    """Mean way of a unit of mass, in diameters of its blob; who is lost or walks at random gets nowhere."""
    total, mass = 0.0, 1e-9
    links = blobs.link(frames, world)
    for start in range(0, len(frames) - lag, 2):
        here = frames[start]
        way, path = blobs.travel(links[start : start + lag])
        net = np.hypot(way[:, 0], way[:, 1])
        straight = net / (path + 1e-9)
        total += float((net * straight**2 * here.compact * here.mass / np.sqrt(here.area)).sum())
        mass += float(here.mass.sum())
    return total / mass


@dataclass(frozen=True)
class EdgeOfChaos:
    """Likes worlds that keep changing, neither still nor boiling, and whose changes hang together.

    Attributes:
        activity: The change per frame that is liked best, as a mean over pixels.
        structure: Weight of how much better than shuffled ones the changes compress.
    """

    activity: float = 0.03
    structure: float = 4.0

    def utility(self, clip: Tensor) -> Tensor:
        """Closeness of the activity to the best one on a log scale, plus the structure of the changes: (B, 1)."""
        return each(self._judge, late(clip))

    def _judge(self, light: Light) -> float:
        change = np.abs(np.diff(pool(light), axis=0))
        level = np.minimum(change * 32, 15).astype(np.uint8)
        shuffled = np.random.default_rng(0).permutation(level.ravel())
        ratio = len(zlib.compress(level.tobytes(), 1)) / len(zlib.compress(shuffled.tobytes(), 1))
        away = np.log((change.mean() + 1e-4) / self.activity) / 2
        return float(self.structure * (1 - ratio) - away**2)


@dataclass(frozen=True)
class Symmetry:
    """Likes patterns that a mirror or a quarter turn maps onto themselves, wherever the axis lies."""

    def utility(self, clip: Tensor) -> Tensor:
        """The correlation of frames with their best image, in the second half of the clip: (B, 1)."""
        return each(self.judge, late(clip))

    def judge(self, light: Light) -> float:
        """The same of brightness (T, H, W), of all frames given."""
        frames = light[::4] - light[::4].mean((1, 2), keepdims=True)
        spectrum, power = fft.rfft2(frames), (frames**2).sum((1, 2)) + 1e-6
        turned = frames.transpose(0, 2, 1)
        images = frames[:, ::-1], frames[:, :, ::-1], turned, turned[:, ::-1]
        # The peak of the cross-correlation finds the axis; on a torus each shift of it is as good.
        peaks = [fft.irfft2(spectrum * fft.rfft2(image).conj()).max((1, 2)) for image in images]
        return float((np.max(peaks, 0) / power).mean())


@dataclass(frozen=True)
class Pulsation:
    """Likes worlds that swell and shrink as one, again and again, without dying down.

    Attributes:
        lit: Brightness from which a pixel counts as lit.
    """

    lit: float = 0.15

    def utility(self, clip: Tensor) -> Tensor:
        """How strongly the whole oscillates in the last three quarters of the clip, on a log scale: (B, 1)."""
        return each(self._judge, clip[:, clip.shape[1] // 4 :])

    def _judge(self, light: Light) -> float:
        return float(np.log(rhythm(light, self.lit) + 1e-3))


def rhythm(light: Light, lit: float = 0.15) -> float:
    """How strongly the whole oscillates, relative to itself: 0 if it drifts, stands still, or changes only once."""
    # Brightness, its square and the lit area belong to the whole: what merely moves leaves them alone.
    whole = np.stack([light.mean((1, 2)), (light**2).mean((1, 2)), (light > lit).mean((1, 2))], 1)
    series = whole / (whole.mean(0) + 1e-6)
    drift = ndimage.uniform_filter1d(series, 7, axis=0, mode="nearest")
    wave = series - drift
    power = (np.abs(np.fft.rfft(wave * np.hanning(len(wave))[:, None], axis=0)) ** 2).sum(1)
    peak = np.convolve(power, np.ones(3), "same").max() / (power.sum() + 1e-12)
    return float(peak * min(part.std() for part in np.array_split(wave, 3)))
