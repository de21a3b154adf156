"""Lenia: a continuous cellular automaton [1].

    U = K * A                                what each cell sees (* : convolution on the torus)
    A <- clip(A + G(U) / T, 0, 1)            how it answers, T times per unit of time

The kernel K has up to five rings: at distance r from its center, in units of a ring's thickness, ring floor(r) speaks
with its height times core(q), where q = r mod 1. The last ring ends at distance R, and K sums to 1. The growth G is 1
where U = mu, -1 far from it, and sigma is how far is far:

    core                                     growth, with d = (U - mu) / sigma
    polynomial   (4 q (1 - q))^4             polynomial   2 max(0, 1 - d^2 / 9)^4 - 1
    exponential  exp(4 - 1 / (q (1 - q)))    gaussian     2 exp(-d^2 / 2) - 1
    step         1 for 1/4 <= q <= 3/4       step         1 for |d| <= 1, else -1
    life         step, and 1/2 for q < 1/4

Nearly all known creatures live with polynomials. The core "life" with the growth "step", R = 2, T = 1, mu = 0.35 and
sigma = 0.07 is Conway's Game of Life.

Known creatures lie on a ridge, sigma = 0.25 mu^1.5: below it everything dies, above it everything is covered by spots
and stripes. So the tolerance sigma / mu^1.5 is what is drawn, and the prior lies around the ridge. How a world starts
decides as much as its rule about what lives, so that is drawn, too.

[1] B. W.-C. Chan. Lenia: Biology of Artificial Life. Complex Systems 28(3), 2019.

Shapes: B rollouts, H W cells, N rings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._fourier import convolve, prepare
from sims._starts import distance, lumps
from sims._torch import ALIVE, DEAD, EXPLODED

BEGINS = (
    Param("patch", 0.15, 0.35, unit="worlds", doc="radius of the patch that is alive at the start"),
    Param("cover", 0.3, 0.75, doc="share of the patch that is alive: high starts with more"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 0.15, 0.5, scale="log", doc="size of its lumps, in radii: high starts as few big blobs"),
)
"""How a world starts; what its cells like and see is in `_likes` and `_sees`."""

MEMORY = 24
"""Steps after which the trail that colors a world has mostly faded."""

LEVEL = 0.8
"""How dense the lumps of a start are."""

Core: TypeAlias = Literal["polynomial", "exponential", "step", "life"]
Growth: TypeAlias = Literal["polynomial", "gaussian", "step"]
State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Lenia(TorchSimulation[State, Rule]):
    """Lenia with one channel and one kernel, on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout.
        rings: The most rings that a kernel of the space has; `law` takes any number.
        core: What a ring is like across.
        growth: How a cell answers.
    """

    version: ClassVar[int] = 2

    size: int = 64
    steps: int = 400
    rings: Literal[1, 2, 3, 4, 5] = 3
    core: Core = "polynomial"
    growth: Growth = "polynomial"

    @property
    def space(self) -> Space:
        """What a cell likes, how it sees, and how the world starts: 9 parameters, and a height for each ring.

        The height of a single ring means nothing: a space of one ring has 8 parameters.
        """
        return Space(*_likes(self.growth, self.rings), *_sees(self.size, self.rings), *BEGINS)

    def rule(self, params: Params) -> Rule:
        """What `step` needs, see `law`, and what `start` needs, (B, 1, 1)."""
        rings = params.get("rings", torch.ones_like(params["mu"]))
        law = self.law(
            mu=params["mu"],
            sigma=params["tolerance"] * params["mu"] ** 1.5,
            time=params["time"],
            reach=params["radius"] * (rings + 1) / 2,  # Each further ring reaches half a radius further.
            rings=rings,
            height=params.get("height", rings[:, None]),
        )
        return law | {name: _number(params[name]) for name in ("radius", "patch", "cover", "pattern", "grain")}

    def law(self, *, mu: Tensor, sigma: Tensor, time: Tensor, reach: Tensor, rings: Tensor, height: Tensor) -> Rule:
        """What `step` needs, from the numbers that the literature gives for a creature, prepared to need little.

        `kernel` is the spectrum of K / (3 sigma), so that x = U / (3 sigma) - `center` is where the bells of `BELLS`
        look: G = 2 bell(x) - 1, and G / T = `gain` bell(x) - `loss`; these numbers are (B, 1, 1).

        Args:
            mu: (B,), what a cell likes best to see.
            sigma: (B,), and how much else it likes.
            time: (B,), T, steps per unit of time.
            reach: (B,), R, where the last ring ends, in cells.
            rings: (B,), how many there are; the part after the point is how loud the last one already is.
            height: (B, N), inner to outer. Those after the last ring mean nothing.
        """
        width = _number(3 * sigma)  # Polynomial growth is -1 from three sigma on.
        kernel = kernels(reach, rings, height, self.size, self.core)
        return {
            "kernel": prepare((kernel / width)[:, None]),
            "center": _number(mu) / width,
            "gain": _number(2 / time),
            "loss": _number(1 / time),
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
        return grow(state, convolve(state["cells"][:, None], rule["kernel"])[:, 0], rule, self.growth)

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


def grow(state: State, seen: Tensor, rule: Rule, growth: Growth) -> State:
    """The state after cells have answered to what they have `seen` (B, H, W), which is overwritten."""
    before, trail, seen = state["cells"], state["trail"], seen.contiguous()
    if growth == "polynomial" and seen.device.type == "cpu" and seen.dtype == torch.float32:
        from sims import _lenia  # The compiler is loaded by those who need it.

        faded = torch.empty_like(seen)
        fields = [one.contiguous().numpy() for one in (before, trail, seen)]
        numbers = [rule[name].numpy() for name in ("center", "gain", "loss")]
        _lenia.grow(*fields, *numbers, np.float32(1 / MEMORY), faded.numpy())
        return {"cells": seen, "trail": faded}
    likes = BELLS[growth](seen.sub_(rule["center"]))
    cells = torch.addcmul(before, likes, rule["gain"]).sub_(rule["loss"]).clamp_(0, 1)
    return {"cells": cells, "trail": trail.lerp(cells, 1 / MEMORY)}


def _bell(x: Tensor) -> Tensor:
    return x.square_().sub_(1).clamp_(max=0).square_().square_()


def _gauss(x: Tensor) -> Tensor:
    return x.square_().mul_(-4.5).clamp_(min=-80).exp_()  # exp is ten times slower where it underflows


def _box(x: Tensor) -> Tensor:
    return (x.abs_() <= 1 / 3).to(x)


BELLS: dict[Growth, Callable[[Tensor], Tensor]] = {"polynomial": _bell, "gaussian": _gauss, "step": _box}
"""Growth as bells from 0 to 1, of the distance to mu in units of 3 sigma. For speed they overwrite what they get."""


def kernels(reach: Tensor, rings: Tensor, height: Tensor, size: int, core: Core = "polynomial") -> Tensor:
    """Kernels (B, size, size) that sum to 1, centered on cell (0, 0); for the arguments see `Lenia.law`."""
    thickness = reach / rings
    r = distance(size).roll((-(size // 2), -(size // 2)), (0, 1)).to(reach) / thickness[:, None, None]
    count = height.shape[1]
    loudness = height * (rings[:, None] - torch.arange(count, device=rings.device)).clamp(0, 1)  # (B, N)
    shell = loudness.gather(1, r.long().clamp_(max=count - 1).flatten(1)).view_as(r) * CORES[core](r % 1)
    shell = shell * (r < rings[:, None, None])
    return shell / shell.sum((1, 2), keepdim=True)


def _plateau(q: Tensor) -> Tensor:
    return ((q >= 0.25) & (q <= 0.75)).to(q)


CORES: dict[Core, Callable[[Tensor], Tensor]] = {
    "polynomial": lambda q: (4 * q * (1 - q)) ** 4,
    "exponential": lambda q: (4 - 1 / (q * (1 - q))).exp(),
    "step": _plateau,
    "life": lambda q: _plateau(q) + (q < 0.25) / 2,
}
"""How loud a ring is across, for q from 0 at its inner to 1 at its outer edge."""


def _likes(growth: Growth, rings: int) -> tuple[Param, ...]:
    """What tells the answers of cells in a space apart."""
    # A step answers 0 at sigma, a bell at 1.2 sigma; and worlds of a single ring mostly die at the tolerance of others.
    ease = 1.2 ** ((growth == "step") + (rings == 1))
    low, high, doc = 0.22 * ease, 0.32 * ease, "sigma / mu^1.5: low is fragile and crisp, high fills the world"
    return (
        Param("mu", 0.12, 0.3, scale="log", doc="how crowded a cell likes it: higher makes denser, thicker bodies"),
        Param("tolerance", low, high, scale="log", doc=doc),
        Param("time", 12, 30, scale="log", unit="steps", doc="T, steps per unit of time: high is slow and smooth"),
    )


def _sees(size: int, rings: int) -> tuple[Param, ...]:
    """What tells the kernels of a space apart."""
    wide = min(13, size / (rings + 1))  # No kernel is wider than the world.
    doc = "R of a kernel with one ring: the size of a creature"
    radius = Param("radius", wide * 8 / 13, wide, scale="log", unit="cells", doc=doc)
    if rings == 1:
        return (radius,)
    return (
        radius,
        Param("rings", 1.5, rings, doc="number of rings, the last one fading in: more make richer textures"),
        Param("height", 0.02, 1, shape=(rings,), doc="heights of the rings, inner to outer: what a body is made of"),
    )


def _number(value: Tensor) -> Tensor:
    """Numbers (B,) as (B, 1, 1), for arithmetic with fields."""
    return value[:, None, None]
