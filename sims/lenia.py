"""Lenia: a continuous cellular automaton [1].

    U = K * A                                                what each cell sees (* : convolution on the torus)
    G = 2 max(0, 1 - (U - mu)^2 / (9 sigma^2))^4 - 1         how it answers, in [-1, 1]
    A <- clip(A + G / T, 0, 1)

The kernel K has up to three rings: at distance r from its center, in units of a ring's thickness, ring floor(r) speaks
with its height times (4 q (1 - q))^4, where q = r mod 1. K sums to 1.

Known creatures lie on a ridge, sigma = 0.25 mu^1.5: below it everything dies, above it everything is covered by spots
and stripes. So the tolerance sigma / mu^1.5 is what is drawn, and the prior lies around the ridge. How a world starts
decides as much as its rule about what lives, so that is drawn, too.

[1] B. W.-C. Chan. Lenia: Biology of Artificial Life. Complex Systems 28(3), 2019.

Shapes: B rollouts, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._fourier import convolve, prepare
from sims._starts import distance, lumps
from sims._torch import ALIVE, DEAD, EXPLODED

SPACE = Space(
    Param("mu", 0.12, 0.3, scale="log", doc="how crowded a cell likes it: higher makes denser, thicker bodies"),
    Param("tolerance", 0.17, 0.28, scale="log", doc="sigma / mu^1.5: low is fragile and crisp, high fills the world"),
    Param("time", 8, 25, scale="log", unit="steps", doc="T, steps per unit of time: higher is slower and smoother"),
    Param("radius", 8, 13, scale="log", unit="cells", doc="R of a kernel with one ring: the size of a creature"),
    Param("rings", 1, 3, doc="number of rings, the last one fading in: more make richer textures"),
    Param("height", 0.05, 1, shape=(3,), doc="heights of the rings, inner to outer: what a body is made of"),
    Param("patch", 0.2, 0.6, unit="worlds", doc="radius of the patch that is alive at the start"),
    Param("cover", 0.3, 0.75, doc="share of the patch that is alive: high starts with more"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 0.15, 0.5, scale="log", doc="size of its lumps, in radii: high starts as few big blobs"),
)

MEMORY = 24
"""Steps after which the trail that colors a world has mostly faded."""

LEVEL = 0.8
"""How dense the lumps of a start are."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Lenia(TorchSimulation[State, Rule]):
    """Lenia with one channel and one kernel, on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 1

    size: int = 64
    steps: int = 400

    @property
    def space(self) -> Space:
        """12 parameters: what a cell likes, how it sees, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """What `step` needs, prepared so that it needs little, and what `start` needs; numbers are (B, 1, 1).

        `kernel` is the spectrum of K / (3 sigma), so that x = U / (3 sigma) - `center` is where `bell`
        looks: G = 2 bell(x) - 1, and G / T = `gain` bell(x) - `loss`.
        """
        number = {name: params[name][:, None, None] for name in params if name != "height"}
        reach = 3 * number["tolerance"] * number["mu"] ** 1.5  # Growth is -1 from three sigma on.
        kernel = kernels(params["radius"], params["rings"], params["height"], self.size)
        return {
            "kernel": prepare((kernel / reach)[:, None]),
            "center": number["mu"] / reach,
            "gain": 2 / number["time"],
            "loss": 1 / number["time"],
            **{name: number[name] for name in ("radius", "patch", "cover", "pattern", "grain")},
        }

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`cells` and their `trail`, (B, H, W) in [0, 1]: lumps in a disc in the middle of an empty world."""
        at, grain = rule["pattern"].flatten(), (rule["grain"] * rule["radius"]).flatten()
        hills = lumps(at, grain, seeds, self.size)
        water = torch.special.ndtri(1 - rule["cover"])  # What rises above it is alive.
        middle = distance(self.size).to(hills) / self.size
        disc = (0.5 + 20 * (rule["patch"] - middle)).clamp(0, 1)
        cells = disc * LEVEL * (hills - water).clamp(0, 1)
        return {"cells": cells, "trail": cells}

    def step(self, state: State, rule: Rule) -> State:
        """The world 1/T units of time later."""
        before = state["cells"]
        seen = convolve(before[:, None], rule["kernel"])[:, 0]
        likes = bell(seen.sub_(rule["center"]))
        cells = torch.addcmul(before, likes, rule["gain"]).sub_(rule["loss"]).clamp_(0, 1)
        return {"cells": cells, "trail": state["trail"].lerp(cells, 1 / MEMORY)}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8, in fixed colors."""
        return paint(state["cells"], state["trail"], size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead with less than one full cell left, exploded when four fifths of the world are covered."""
        del rule
        cells = state["cells"]
        verdict = torch.full((len(cells),), ALIVE, device=cells.device)
        verdict[(cells > 0.1).float().mean((1, 2)) > 0.8] = EXPLODED
        verdict[~(cells.sum((1, 2)) > 1)] = DEAD
        return verdict


def bell(x: Tensor) -> Tensor:
    """max(0, 1 - x^2)^4: 1 at 0, and 0 from 1 on. In place, for speed: `x` is overwritten."""
    return x.square_().sub_(1).clamp_(max=0).square_().square_()


def kernels(radius: Tensor, rings: Tensor, height: Tensor, size: int) -> Tensor:
    """Kernels (B, size, size) that sum to 1, centered on cell (0, 0).

    Args:
        radius: (B,), R of a kernel with one ring, in cells; each further ring reaches half a radius further.
        rings: (B,) from 1 to 3. The part after the point is how loud the last ring already is.
        height: (B, 3), inner to outer.
        size: Side of the world, in cells.
    """
    thickness = radius * (rings + 1) / 2 / rings
    r = distance(size).roll((size // 2, size // 2), (0, 1)).to(radius) / thickness[:, None, None]
    loudness = height * (rings[:, None] - torch.arange(3, device=rings.device)).clamp(0, 1)  # (B, 3)
    ring, q = r.long().clamp_(max=2), r % 1
    shell = loudness.gather(1, ring.flatten(1)).view_as(r) * (4 * q * (1 - q)) ** 4
    shell = shell * (r < rings[:, None, None])
    return shell / shell.sum((1, 2), keepdim=True)
