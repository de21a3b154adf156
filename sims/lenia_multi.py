"""Lenia with three channels and fifteen kernels: creatures of several tissues that see and answer each other [1, 2].

    U_k = K_k * A_source(k)                                        what kernel k sees (* : convolution on the torus)
    G_k = weight_k (2 exp(-((U_k - mu_k) / sigma_k)^2 / 2) - 1)    how it answers
    A_c <- clip(A_c + 1/T sum_k G_k, 0, 1)                         the sum is over the kernels that speak to channel c

A kernel of radius r and rings of heights b_0 .. b_n: at distance d from its center, ring i = floor(d n / r) speaks with
b_i exp(-((q - 1/2) / 0.15)^2 / 2), where q = (d n / r) mod 1; beyond r it is silent. It sums to 1.

Each channel sees itself through three kernels, and each other channel through one. As in Lenia, life keeps to a ridge
on which sigma grows with mu, so the tolerance sigma / mu is what is drawn; with several kernels the ridge is wide.

[1] B. W.-C. Chan. Lenia and Expanded Universe. ALIFE 2020.
[2] M. Faldor, A. Cully. Toward Artificial Open-Ended Evolution within Lenia using Quality-Diversity. ALIFE 2024.

Shapes: B rollouts, C channels, K kernels, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import resample
from sims._fourier import convolve, prepare
from sims._starts import blur, distance, pattern
from sims._torch import ALIVE, DEAD, EXPLODED

CHANNELS = 3

SOURCE = (0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2, 0, 1, 2)
TARGET = (0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 2, 0, 2, 0, 1)
"""Which channel a kernel looks at, and which one it speaks to: three each to itself, then to the next and the last."""

HEIGHTS: tuple[tuple[float, ...], ...] = ((1,), (1,), (0.6, 1)) * CHANNELS + ((1,),) * CHANNELS + ((1, 0.5),) * CHANNELS
SHARE = (0.7, 1, 1) * CHANNELS + (0.85,) * CHANNELS + (1,) * CHANNELS
"""The rings of each kernel, from inner to outer, and how far it reaches beside the widest of its channel."""

KERNELS = len(SOURCE)

SPACE = Space(
    Param("mu", 0.12, 0.28, (KERNELS,), "log", doc="how crowded each kernel likes it: higher makes thicker bodies"),
    Param("tolerance", 0.22, 0.44, (CHANNELS,), "log", doc="sigma / mu of who speaks to it: high spreads"),
    Param("weight", 0.18, 0.75, (KERNELS,), doc="how loud each kernel is: high is fast and nervous"),
    Param("reach", 0.7, 1, (CHANNELS,), unit="radii", doc="how far a channel is seen: the size of what it forms"),
    Param("patch", 0.15, 0.45, unit="worlds", doc="radius of the patch that is alive at the start"),
    Param("cover", 0.3, 0.75, doc="share of the patch that is alive, per channel: high starts with more"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 0.12, 0.4, scale="log", unit="radii", doc="size of its lumps: high starts as few big blobs"),
)

LIGHT = ((1.3, 0.4, 0.28), (0.1, 0.85, 0.55), (0.5, 0.36, 1.3))
NIGHT = (0.015, 0.012, 0.03)
EXPOSURE = 1.7
"""Red, green and blue of each channel, coral, sea green and violet, which add up to white; of nothing; and how fast a
picture gets bright."""

State: TypeAlias = Tensor
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class LeniaMulti(TorchSimulation[State, Rule]):
    """Three channels on a torus, each seeing itself three times and both others once.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout.
        radius: R, how far the widest kernels reach, in cells.
        time: T, steps per unit of time.
    """

    version: ClassVar[int] = 1

    size: int = 64
    steps: int = 240
    radius: float = 12
    time: float = 2

    @property
    def space(self) -> Space:
        """40 parameters: what each kernel likes, how loud it is, how far channels are seen, how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The kernels' spectra (B, K, ...), their numbers (B, K), and what `start` needs (B,)."""
        reach = self.radius * params["reach"][:, list(SOURCE)] * params["reach"].new_tensor(SHARE)
        kernels = [kernel(reach[:, k], HEIGHTS[k], self.size) for k in range(KERNELS)]
        return {
            "kernel": prepare(torch.stack(kernels, 1)),
            "mu": params["mu"],
            "sigma": params["mu"] * params["tolerance"][:, list(TARGET)],
            "weight": params["weight"],
            **{name: params[name] for name in ("patch", "cover", "pattern", "grain")},
        }

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """Cells (B, C, H, W) in [0, 1]: lumps of each channel in a disc in the middle of an empty world."""
        rough = pattern(rule["pattern"], seeds, CHANNELS, self.size, self.size)
        grain = (self.radius * rule["grain"]).repeat_interleave(CHANNELS)
        hills = blur(rough.flatten(0, 1), grain).view_as(rough)
        hills = hills / hills.std((2, 3), keepdim=True)
        patch, cover = (rule[name][:, None, None, None] for name in ("patch", "cover"))
        water = torch.special.ndtri(1 - cover)  # What rises above it is alive.
        disc = (0.5 + 20 * (patch - distance(self.size).to(hills) / self.size)).clamp(0, 1)
        return disc * (hills - water).clamp(0, 1)

    def step(self, state: State, rule: Rule) -> State:
        """The world 1/T units of time later."""
        from sims._affinity import affinity  # The compiler is loaded by those who need it.

        seen = convolve(state, rule["kernel"], SOURCE)
        growth = affinity(seen, rule["mu"], rule["sigma"], rule["weight"], TARGET)
        return torch.add(state, growth, alpha=1 / self.time).clamp_(0, 1)

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: each channel gives off light of its own color."""
        amount = resample(state, size).clamp_(min=0).flatten(2)
        light = amount.mT @ amount.new_tensor(LIGHT) * EXPOSURE + amount.new_tensor(NIGHT)
        return (255 * -torch.expm1(-light)).round_().to(torch.uint8).view(-1, size, size, 3)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead with less than three full cells left, exploded when hardly a cell is empty."""
        del rule
        verdict = torch.full((len(state),), ALIVE, device=state.device)
        verdict[(state.amax(1) > 0.1).float().mean((1, 2)) > 0.95] = EXPLODED
        verdict[~(state.sum((1, 2, 3)) > 3)] = DEAD
        return verdict


def kernel(radius: Tensor, heights: tuple[float, ...], size: int) -> Tensor:
    """Kernels (B, size, size) that sum to 1, centered on cell (0, 0).

    Args:
        radius: (B,), where the last ring ends, in cells.
        heights: Of the rings, from inner to outer.
        size: Side of the world, in cells.
    """
    rings = len(heights)
    away = distance(size).roll((size // 2, size // 2), (0, 1)).to(radius)
    place = away * (rings / radius)[:, None, None]
    height = radius.new_tensor((*heights, 0))[place.long().clamp_(max=rings)]
    shell = height * torch.exp(-(((place % 1 - 0.5) / 0.15) ** 2) / 2)
    return shell / shell.sum((1, 2), keepdim=True)
