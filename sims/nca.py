"""Neural cellular automata: every cell runs the same small random network on what it sees of its neighborhood [1, 2].

    h = squash(see [s, wind ds/dx, wind ds/dy, lap s] + bias)              six neurons, squash: almost tanh
    s <- s + dt (squash(gain act h + whirl (s_before - s_after)) - s) + spread lap s

The state s of a cell has three channels in [-1, 1]. Perception is fixed, as in growing automata [1]: values, slopes
(Sobel) and Laplacians. All else is drawn, as in searches for open-ended automata [2]; but most networks drawn there end
in one flat color. Here states leak, so that none gets stuck at a bound; they spread, so that structures are larger
than cells; slopes move them; and `whirl` lets each channel chase the one before it, the first the third. Sums are
scaled by the root of their number of terms. All cells change at once: a mask of random cells is not needed, and
without one near parameters make near worlds.

[1] A. Mordvintsev, E. Randazzo, E. Niklasson, M. Levin. Growing neural cellular automata. Distill, 2020.
[2] A. Kumar et al. Automating the search for artificial life with foundation models. arXiv:2412.17799, 2024.

Shapes: B rollouts, C channels, N hidden neurons, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._starts import blur, distance, pattern
from sims._tint import tint
from sims._torch import ALIVE, DEAD

CHANNELS, NEURONS = 3, 6

EVEN = 3**0.5
"""Weights are even in [-EVEN, EVEN]: their variance is 1."""

SPACE = Space(
    Param("see", -EVEN, EVEN, shape=(NEURONS, CHANNELS, 4), doc="what excites each neuron: far from 0 listens hard"),
    Param("bias", -0.4, 0.4, shape=(NEURONS,), doc="what each neuron says to nothing: far from 0 breaks the symmetry"),
    Param("act", -EVEN, EVEN, shape=(CHANNELS, NEURONS), doc="where each neuron drives each channel"),
    Param("gain", 0.8, 3, scale="log", doc="how hard neurons drive: low is soft and calm, high has sharp edges"),
    Param("wind", 0, 2, doc="how much slopes are heard: low stays in place, high streams"),
    Param("whirl", 0, 3, doc="how fast channels chase each other: high pulses and spirals"),
    Param("spread", 0.05, 0.25, scale="log", unit="cells^2/step", doc="diffusion: high makes larger structures"),
    Param("patch", 0.1, 0.7, unit="worlds", doc="radius of the patch that is not empty at the start"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 1.5, 5, scale="log", unit="cells", doc="size of its lumps: high starts as few big blobs"),
)

State: TypeAlias = Tensor
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class NCA(TorchSimulation[State, Rule]):
    """A neural cellular automaton of three channels and six neurons on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout.
        dt: Time in a step; smaller is slower and smoother.
    """

    version: ClassVar[int] = 1

    size: int = 64
    steps: int = 300
    dt: float = 0.1

    @property
    def space(self) -> Space:
        """103 parameters: 96 weights, four knobs that scale them, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The network as `think` wants it, with inputs scaled by their number, and what `start` needs."""
        wind = params["wind"][:, None]
        still = torch.ones_like(wind)
        heard = torch.stack([2 * still, wind, wind, still], 2)[:, :, None]  # (B, 1, 1, 4): a slope is heard as wind.
        before = torch.eye(CHANNELS).to(wind).roll(1, 0)
        return {
            "see": params["see"] * heard / CHANNELS**0.5,
            "bias": params["bias"],
            "act": params["act"] * (params["gain"] / NEURONS**0.5 * 2)[:, None, None],
            "mix": params["whirl"][:, None, None] * (before - before.mT),
            **{name: params[name] for name in ("spread", "patch", "pattern", "grain")},
        }

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """Cells (B, C, H, W) in [-1, 1]: smooth lumps in a disc in the middle, 0 elsewhere."""
        hills = pattern(rule["pattern"], seeds, CHANNELS, self.size, self.size)
        hills = blur(hills.flatten(0, 1), rule["grain"].repeat_interleave(CHANNELS)).view_as(hills)
        disc = 1 + rule["patch"][:, None, None] * self.size - distance(self.size).to(hills)
        return (0.7 * hills / hills.std((2, 3), keepdim=True)).clamp(-1, 1) * (disc / 4).clamp(0, 1)[:, None]

    def step(self, state: State, rule: Rule) -> State:
        """The world `dt` later."""
        from sims._neural import think  # The compiler is loaded by those who need it.

        return think(state, rule["see"], rule["bias"], rule["act"], rule["mix"], rule["spread"], self.dt)

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: the channels are lightness and the two axes of hue."""
        return tint(state, size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead when all cells are nearly the same."""
        del rule
        contrast = state.flatten(2).std(2).amax(1)
        return torch.where(contrast > 0.03, ALIVE, DEAD)
