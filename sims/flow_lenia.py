"""Flow Lenia: Lenia in which nothing is born and nothing dies: matter flows to where it likes to be [1].

    U = sum_k weight_k (2 exp(-((K_k * A - mu_k) / sigma_k)^2 / 2) - 1)     how much a place is liked
    F = (1 - alpha) grad U - alpha grad A,  alpha = min(1, A / theta)^2     towards what is liked, away from crowds
    A <- what of the moved matter comes to lie over each cell               reintegration tracking, see sims/_matter.py

All matter of a cell, a square of half-width `spread`, moves by dt F, but not beyond `limit` cells. The gradient is
Sobel's, not divided by 8: dt assumes it. Mass is conserved exactly, up to rounding. Even matter at rest spreads a
little, as the square is wider than a cell.

Kernels have two soft rings, at distance D from the center in units of the radius,

    K(D) = s(10 (1 - D)) ((1 - outer) exp(-(D - ring_1)^2 / width) + outer exp(-(D - ring_2)^2 / width)),

s the logistic function, and sum to 1.

[1] E. Plantec, G. Hamon, M. Etcheverry, P.-Y. Oudeyer, C. Moulin-Frier, B. W.-C. Chan. Flow-Lenia: Towards open-ended
evolution in cellular automata through mass conservation and parameter localization. ALIFE 2023.

Shapes: B rollouts, C channels, K kernels, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._fourier import convolve, prepare
from sims._starts import distance, lumps
from sims._torch import ALIVE, DEAD, FROZEN

KERNELS = 5

SPACE = Space(
    Param("radius", 6, 14, scale="log", unit="cells", doc="how far matter sees: the size of what it forms"),
    Param("theta", 1.5, 5, scale="log", doc="how dense matter gets before it pushes: low is loose and wide"),
    Param("mu", 0.05, 0.3, (KERNELS,), "log", doc="how crowded each kernel likes it: low makes sparse, fine matter"),
    Param("tolerance", 0.05, 0.25, (KERNELS,), "log", doc="sigma / mu of each kernel: low is lively, high is calm"),
    Param("weight", 0.05, 1, (KERNELS,), doc="how loud each kernel is: high is fast"),
    Param("ring", 0, 1, (KERNELS, 2), unit="radii", doc="where each kernel's rings are: far ones make wide patterns"),
    Param("outer", 0, 1, (KERNELS,), doc="how loud the second of them is"),
    Param("width", 0.02, 0.5, (KERNELS,), "log", doc="how soft they are: low makes sharp patterns"),
    Param("patch", 0.15, 0.45, unit="worlds", doc="radius of the patch that is filled at the start"),
    Param("cover", 0.2, 0.6, doc="share of the patch that is filled: there is never more matter than at the start"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 0.15, 0.5, scale="log", unit="radii", doc="size of its lumps: high starts as few big blobs"),
)

MEMORY = 16
"""Steps after which the trail that colors a world has mostly faded."""

EXPOSURE = 1.6
"""How fast a picture gets bright with matter: 1 - exp(-EXPOSURE A)."""

STILL = 0.1
"""Share of the matter that is elsewhere than it was MEMORY steps ago, below which nobody sees anything move."""

FLAT = 0.01
"""Standard deviation of the density of a world in which nothing is to be seen."""

SOURCE = TARGET = (0,) * KERNELS

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class FlowLenia(TorchSimulation[State, Rule]):
    """Flow Lenia with one channel and five kernels, on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout.
        dt: Cells that matter moves per step and unit of flow.
        limit: Cells that no part of a square moves beyond; dd in [1].
        spread: Half the side of the square that a cell's matter fills, in cells, at most 1; sigma in [1].
    """

    version: ClassVar[int] = 1

    size: int = 64
    steps: int = 300
    dt: float = 0.2
    limit: float = 5
    spread: float = 0.65

    @property
    def space(self) -> Space:
        """41 parameters: how each kernel sees and what it likes, how matter crowds, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The kernels' spectra (B, K, ...), their numbers (B, K), and the others (B,)."""
        loud = torch.stack([1 - params["outer"], params["outer"]], 2)
        shells = kernels(params["radius"], params["ring"], loud, params["width"], self.size)
        return {
            "kernel": prepare(shells),
            "mu": params["mu"],
            "sigma": params["mu"] * params["tolerance"],
            "weight": params["weight"],
            **{name: params[name] for name in ("theta", "radius", "patch", "cover", "pattern", "grain")},
        }

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`cells` and their `trail`, (B, H, W): lumps of matter in a disc in the middle of an empty world."""
        hills = lumps(rule["pattern"], rule["grain"] * rule["radius"], seeds, self.size)
        patch, cover = (rule[name][:, None, None] for name in ("patch", "cover"))
        water = torch.special.ndtri(1 - cover)  # What rises above it is matter.
        disc = (0.5 + 20 * (patch - distance(self.size).to(hills) / self.size)).clamp(0, 1)
        cells = disc * (hills - water).clamp(0, 1)
        return {"cells": cells, "trail": cells}

    def step(self, state: State, rule: Rule) -> State:
        """The world after all matter has moved once."""
        from sims._affinity import affinity  # The compiler is loaded by those who need it.
        from sims._matter import carry, drift

        cells = state["cells"][:, None]
        seen = convolve(cells, rule["kernel"], SOURCE)
        liked = affinity(seen, rule["mu"], rule["sigma"], rule["weight"], TARGET)
        moves = drift(cells, liked, rule["theta"], self.dt, self.limit - self.spread)
        cells = carry(cells, moves, self.spread)[:, 0]
        return {"cells": cells, "trail": state["trail"].lerp(cells, 1 / MEMORY)}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8, in fixed colors."""
        cells, trail = (-torch.expm1(-EXPOSURE * state[name]) for name in ("cells", "trail"))
        return paint(cells, trail, size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead when dissolved: equally dense all over; frozen when nearly all matter is where it was for a while."""
        del rule
        cells, trail = state["cells"], state["trail"]
        moved = (cells - trail).abs().sum((1, 2)) / cells.sum((1, 2))
        verdict = torch.full((len(cells),), ALIVE, device=cells.device)
        verdict[moved < STILL] = FROZEN
        verdict[~(cells.std((1, 2)) > FLAT)] = DEAD
        return verdict


def kernels(radius: Tensor, ring: Tensor, loud: Tensor, width: Tensor, size: int) -> Tensor:
    """Kernels (B, K, size, size) that sum to 1, centered on cell (0, 0).

    Args:
        radius: (B,), in cells.
        ring: (B, K, 2), where the rings are, in radii.
        loud: (B, K, 2), how loud they are.
        width: (B, K), how soft they are, in squared radii.
        size: Side of the world, in cells.
    """
    away = distance(size).roll((size // 2, size // 2), (0, 1)).to(radius) / radius[:, None, None]
    ring, loud = ring[..., None, None], loud[..., None, None]  # (B, K, 2, 1, 1)
    off = (away[:, None, None] - ring).square() / width[..., None, None, None]
    shell = (loud * off.neg_().clamp_(min=-80).exp_()).sum(2) * torch.sigmoid(10 * (1 - away))[:, None]
    return shell / shell.sum((2, 3), keepdim=True)
