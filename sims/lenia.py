"""Lenia: a continuous cellular automaton [1].

    U = K * A                                                what each cell sees (* : convolution on the torus)
    G = 2 max(0, 1 - (U - mu)^2 / (9 sigma^2))^4 - 1         how it answers, in [-1, 1]
    A <- clip(A + G / T, 0, 1)

The kernel K has up to three rings: at distance r from its center, in units of the radius R, ring floor(3 r) speaks
with its height times (4 q (1 - q))^4, where q runs from 0 to 1 across the ring. K sums to 1.

[1] B. W.-C. Chan. Lenia: Biology of Artificial Life. Complex Systems 28(3), 2019.

Shapes: B rollouts, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._torch import ALIVE, DEAD, EXPLODED

SPACE = Space(
    Param("mu", 0.1, 0.4, doc="how crowded a cell likes it: higher makes denser, thicker bodies"),
    Param("rho", 0.08, 0.25, scale="log", doc="tolerance sigma / mu: low is fragile and crisp, high survives as fog"),
    Param("time", 4, 20, scale="log", unit="steps", doc="T, steps per unit of time: higher is slower and smoother"),
    Param("radius", 6, 13, scale="log", unit="cells", doc="R, reach of a cell: the size of a creature"),
    Param("rings", 0, 1, shape=(3,), doc="heights of the kernel's rings, inner to outer: the texture of a body"),
    Param("patch", 0.1, 0.6, unit="worlds", doc="radius of the patch that is alive at the start"),
    Param("density", 0.3, 1.5, doc="mean of the patch at the start, relative to mu"),
    Param("contrast", 0.2, 1.5, doc="how uneven the patch is"),
    Param("grain", 0.2, 1.0, scale="log", doc="size of the patch's lumps, in radii: high starts as few big blobs"),
)


@dataclass(frozen=True, kw_only=True)
class Lenia(TorchSimulation[Tensor, dict[str, Tensor]]):
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
        """11 parameters: the growth (mu, rho), T, R, the rings, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> dict[str, Tensor]:
        """The kernel's spectrum (B, H, W/2+1), the growth's constants (B, 1, 1), and what `start` needs."""
        kernel = kernels(params["radius"], params["rings"], self.size)
        return {
            "kernel": torch.fft.rfft2(kernel),
            "mu": params["mu"][:, None, None],
            "sigma": (params["mu"] * params["rho"])[:, None, None],
            "rate": 1 / params["time"][:, None, None],
            **{name: params[name][:, None, None] for name in ("radius", "patch", "density", "contrast", "grain")},
        }

    def start(self, rule: dict[str, Tensor], seeds: Tensor) -> Tensor:
        """A patch of lumps in the middle of an empty world, (B, H, W) in [0, 1]."""
        noise = _noise(seeds, self.size).to(rule["mu"])
        lumps = _smooth(noise, rule["grain"] * rule["radius"])
        lumps = lumps / lumps.std((1, 2), keepdim=True)
        distance = _distance(self.size).to(noise) / self.size
        patch = ((rule["patch"] - distance) * 20 + 0.5).clamp(0, 1)
        return (patch * rule["density"] * rule["mu"] * (1 + rule["contrast"] * lumps)).clamp_(0, 1)

    def step(self, state: Tensor, rule: dict[str, Tensor]) -> Tensor:
        """The world 1/T units of time later, (B, H, W) in [0, 1]."""
        u = torch.fft.irfft2(torch.fft.rfft2(state).mul_(rule["kernel"]), s=state.shape[1:])
        return growth(u, rule["mu"], rule["sigma"]).mul_(rule["rate"]).add_(state).clamp_(0, 1)

    def draw(self, state: Tensor, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8, empty to full in fixed colors."""
        return paint(state, size)

    def status(self, state: Tensor, rule: dict[str, Tensor]) -> Tensor:
        """Dead when less than one full cell is left, exploded when the world is mostly full."""
        del rule
        verdict = torch.full((len(state),), ALIVE, device=state.device)
        verdict[(state > 0.1).float().mean((1, 2)) > 0.8] = EXPLODED
        verdict[~(state.sum((1, 2)) > 1)] = DEAD
        return verdict


def growth(u: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Growth in [-1, 1] of what cells see; 1 exactly at `u == mu`. Overwrites `u`."""
    u.sub_(mu).div_(3 * sigma).square_()
    return u.neg_().add_(1).clamp_(min=0).square_().square_().mul_(2).sub_(1)


def kernels(radius: Tensor, rings: Tensor, size: int) -> Tensor:
    """Kernels (B, size, size) that sum to 1, centered on cell (0, 0).

    Args:
        radius: (B,), in cells.
        rings: (B, 3) heights, from the inner to the outer ring.
        size: Side of the world, in cells.
    """
    r = _distance(size).roll((size // 2, size // 2), (0, 1)).to(radius) / radius[:, None, None] * rings.shape[1]
    q = r % 1
    ring = r.long().clamp_(max=rings.shape[1] - 1)
    height = rings.gather(1, ring.flatten(1)).view_as(r)
    shell = height * (4 * q * (1 - q)) ** 4 * (r < rings.shape[1])
    return shell / shell.sum((1, 2), keepdim=True)


def _distance(size: int) -> Tensor:
    """Distance of each cell (size, size) to the middle cell, in cells."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.hypot(axis[:, None], axis)


def _noise(seeds: Tensor, size: int) -> Tensor:
    """White noise (B, size, size): a row depends on its own seed only, on any device."""
    rows = [torch.randn(size, size, generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    return torch.stack(rows).to(seeds.device)


def _smooth(field: Tensor, scale: Tensor) -> Tensor:
    """Fields (B, H, W) blurred on the torus by a Gaussian of `scale` (B, 1, 1) cells."""
    frequency = torch.fft.fftfreq(field.shape[-1]).to(field)
    square = frequency[:, None] ** 2 + frequency[: field.shape[-1] // 2 + 1] ** 2
    blur = (-2 * (torch.pi * scale) ** 2 * square).clamp_(min=-80).exp()  # exp is slow where it underflows
    return torch.fft.irfft2(torch.fft.rfft2(field) * blur, s=field.shape[1:])
