"""Discrete neural cellular automata: cells of four colors, and a small random network that says what each becomes [1].

    x_h = sum_k see_hk n_k                                       n_k: neighbors in state k > 0, of 24
    vote_j = sum_h act_jh cos(pace x_h + phase_h,own) + calm [j = 0] + stay [j = own] + fade [j = own - 1]
    a cell becomes the state with the most votes

The network's waves make it hear "some, but not too many", which threshold networks hardly do: those freeze or flash.
Its knobs run through what there is between order and noise [2]: `calm` and `stay` settle, `pace` makes choosy. An
empty cell among empty ones stays empty; and states fade towards it, one by one, as in the automata that make waves
and gliders [3]. A network is asked once for each number of neighbors in each state; the answers are a table.

[1] After A. Kumar et al. Automating the search for artificial life with foundation models. arXiv:2412.17799, 2024.
[2] C. G. Langton. Computation at the edge of chaos. Physica D 42, 1990.
[3] J. M. Greenberg, S. P. Hastings. Spatial patterns for discrete models of diffusion in excitable media. 1978.

Shapes: B rollouts, K states, N neurons, M cases of neighbors, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import hues, resample
from sims._starts import blur, distance, pattern
from sims._torch import ALIVE, DEAD, EXPLODED, FROZEN

STATES, NEURONS = 4, 5

EVEN = 3**0.5
"""Weights are even in [-EVEN, EVEN]: their variance is 1."""

SPACE = Space(
    Param("see", -EVEN, EVEN, shape=(NEURONS, STATES - 1), doc="how each neuron counts neighbors of each color"),
    Param("phase", 0, 2 * torch.pi, shape=(NEURONS, STATES), doc="where its wave begins in a cell of each color"),
    Param("act", -EVEN, EVEN, shape=(STATES, NEURONS), doc="which color each neuron votes for"),
    Param("pace", 0.08, 0.35, scale="log", doc="waves per neighbor: low makes broad shapes, high fine and busy ones"),
    Param("calm", 0, 1.2, doc="votes for emptiness: low fills the world, high empties it"),
    Param("stay", 0, 1, doc="votes for staying what one is: low is restless, high is still"),
    Param("fade", 0, 1.5, doc="votes for fading by one color: high makes fronts with tails"),
    Param("patch", 0.05, 0.35, unit="worlds", doc="radius of the patch that is not empty at the start"),
    Param("pattern", 0, 1, doc="which patches of color: near values start alike, far ones have nothing in common"),
    Param("grain", 0.7, 3, scale="log", unit="cells", doc="size of its patches: high starts with big ones"),
)

NIGHT = (0.02, 0.015, 0.04)
"""Color of what is empty."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class DiscreteNCA(TorchSimulation[State, Rule]):
    """A neural cellular automaton of four states and five neurons on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Generations in a rollout.
        reach: How far a cell sees: 1 is a neighborhood of 8 cells, 2 of 24.
    """

    version: ClassVar[int] = 1

    size: int = 128
    steps: int = 95
    reach: int = 2

    @property
    def space(self) -> Space:
        """62 parameters: 55 weights, four knobs between order and noise, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The `table` of what becomes of a cell, and what `start` needs."""
        from sims._tables import table  # The compiler is loaded by those who need it.

        choice = self.votes(params).argmax(1)  # (B, own, M)
        choice[:, 0, 0] = 0
        return {"table": table(choice, self.reach), **{name: params[name] for name in ("patch", "pattern", "grain")}}

    def votes(self, params: Params) -> Tensor:
        """Votes (B, K, own, M) for each state, in a cell of each state, in each case of `counts`."""
        from sims._tables import counts

        crowd = counts(STATES, self.reach).to(params["see"])
        heard = torch.einsum("bhk,mk->bhm", params["see"] * params["pace"][:, None, None], crowd)
        wave = (heard[:, :, None] + params["phase"][..., None]).cos()  # (B, N, own, M)
        votes = torch.einsum("bjh,bhom->bjom", params["act"] * (2 / NEURONS) ** 0.5, wave)
        calm, stay, fade = (params[name][:, None, None] for name in ("calm", "stay", "fade"))
        own = torch.eye(STATES).to(votes)
        knobs = calm * own[:, :1] + stay * own + fade * torch.ones(STATES - 1).diag(1).to(own)  # (B, K, own)
        return votes + knobs[..., None]

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`cells` (B, H, W) uint8: patches of all states in a disc in the middle; and their `light` (B, 3, H, W)."""
        hills = pattern(rule["pattern"], seeds, STATES, self.size, self.size)
        hills = blur(hills.flatten(0, 1), rule["grain"].repeat_interleave(STATES)).view_as(hills)
        disc = distance(self.size).to(hills) < rule["patch"][:, None, None] * self.size
        cells = hills.argmax(1) * disc
        return {"cells": cells.to(torch.uint8), "light": colors().to(hills)[cells].permute(0, 3, 1, 2).contiguous()}

    def step(self, state: State, rule: Rule) -> State:
        """The next generation."""
        from sims._tables import turn

        light = state["light"]
        cells, light = turn(state["cells"], light, rule["table"], colors().to(light), self.reach)
        return {"cells": cells, "light": light}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the light, (B, size, size, 3) uint8: a hue for each state, on black; what flickers is blurred."""
        return resample(state["light"], size).mul_(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead when all cells are the same, frozen with a period of at most 2, exploded when it boils everywhere."""
        cells = state["cells"]
        once = self.step(state, rule)
        twice = self.step(once, rule)
        still = (twice["cells"] == cells).flatten(1).all(1)
        changed = (once["cells"] != cells).float().mean((1, 2))
        uneven = (cells != cells.roll(1, 1)).float().mean((1, 2))
        verdict = torch.full((len(cells),), ALIVE, device=cells.device)
        verdict[still] = FROZEN
        verdict[(changed > 0.3) & (uneven > 0.5)] = EXPLODED
        verdict[(cells == cells[:, :1, :1]).flatten(1).all(1)] = DEAD
        return verdict


def colors() -> Tensor:
    """Colors of the states (K, 3) in [0, 1]."""
    return torch.cat([torch.tensor([NIGHT]), hues(STATES - 1)])
