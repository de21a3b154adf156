"""Life and its 262,143 relatives: cells are born and survive by the number of their living neighbors [1, 2].

A rule is 18 yes or no: whether a dead cell with n living neighbors of eight comes alive (B), whether a living one stays
(S), for n = 0 ... 8. Conway's Life is B3/S23. Each answer is one parameter in [0, 1], yes where it exceeds a threshold.
A fair coin for each would make noise: four in five rules boil. So births from few neighbors, which make worlds explode,
have high thresholds; yet every rule has its box in the unit cube, and neighboring boxes differ in one answer.

Where even empty space comes alive (B0), the sky itself blinks or turns white. What is kept and drawn are the cells
that differ from the sky, so that these 131,072 rules are worlds like all others.

[1] M. Gardner. Mathematical games: The fantastic combinations of John Conway's new solitaire game "life", 1970.
[2] D. Eppstein. Growth and decay in life-like cellular automata. In: Game of Life Cellular Automata, 2010.

Shapes: B rollouts, H W cells, words (B, W/64, H) of 64 cells each.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._starts import distance, pattern
from sims._torch import ALIVE, DEAD, EXPLODED, FROZEN

LIKELY = {
    "born": (0.03, 0.05, 0.15, 0.85, 0.25, 0.2, 0.25, 0.35, 0.35),
    "survives": (0.25, 0.4, 0.7, 0.75, 0.55, 0.5, 0.4, 0.35, 0.35),
}
"""The share of [0, 1] that means yes, by the number of living neighbors."""

SPACE = Space(
    Param("born", 0, 1, shape=(9,), doc="towards birth beside 0 ... 8 living neighbors: high grows faster"),
    Param("survives", 0, 1, shape=(9,), doc="towards survival among 0 ... 8 living neighbors: high makes solid bodies"),
    Param("patch", 0.04, 0.4, unit="worlds", doc="radius of the patch where cells live at the start"),
    Param("cover", 0.15, 0.6, doc="share of the patch that is alive: high starts with more"),
    Param("pattern", 0, 1, doc="which cells: near values start alike, far ones have nothing in common"),
    Param(
        "mirror", 0, 1, doc="symmetry of the start, which lasts: below 1/3 none, then left and right, from 2/3 fourfold"
    ),
)

AGES = 4
"""Bits of a cell's age."""

FADE = 0.8
"""How much of its light a cell that has died keeps from one generation to the next."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Life(TorchSimulation[State, Rule]):
    """Life-like automata on a torus.

    Attributes:
        size: Side of the world, in cells; a multiple of 64.
        steps: Generations in a rollout.
    """

    version: ClassVar[int] = 1

    size: int = 128
    steps: int = 95

    def __post_init__(self) -> None:
        """Refuse worlds that do not fill their words.

        Raises:
            ValueError: The size is no multiple of 64, or there are no steps.
        """
        super().__post_init__()
        if self.size < 64 or self.size % 64:
            raise ValueError(f"size is {self.size}, expected a multiple of 64")

    @property
    def space(self) -> Space:
        """22 parameters: 18 answers of the rule, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The answers, `born` and `survives` (B, 9) bool, and what `start` needs, (B,)."""
        answers = {name: params[name] > 1 - torch.tensor(LIKELY[name]).to(params[name]) for name in LIKELY}
        return {**params, **answers}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`cells` in a disc in the middle of an empty world, their `age` in bit planes, and a `sky` (B,) bool."""
        from sims._bits import pack  # The compiler is loaded by those who need it.

        patch, cover = (rule[name][:, None, None] for name in ("patch", "cover"))
        chance = folded(pattern(rule["pattern"], seeds, self.size, self.size), rule["mirror"])
        disc = distance(self.size).to(patch) < patch * self.size
        cells = pack(disc & (chance < torch.special.ndtri(cover)))
        age = torch.full_like(cells, -1)[:, None].expand(-1, AGES, -1, -1).contiguous()
        return {"cells": cells, "age": age, "sky": torch.zeros_like(seeds, dtype=torch.bool)}

    def step(self, state: State, rule: Rule) -> State:
        """The next generation."""
        from sims._bits import turn

        cells, age, sky = turn(state["cells"], state["age"], rule["born"], rule["survives"], state["sky"])
        return {"cells": cells, "age": age, "sky": sky}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of what differs from the sky, (B, size, size, 3) uint8: newborn cells are pale, the dead fade."""
        from sims._bits import unpack

        cells = unpack(state["cells"]).float()
        light = FADE ** torch.arange(2.0**AGES, device=cells.device)  # what is left of it, by age
        past = (light - light[-1]).index_select(0, ages(state["age"]).int().flatten()).view_as(cells)
        return paint(cells, (cells - past).abs(), size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead without cells, frozen with a period of at most 2, exploded when the world is full or boils."""
        from sims._bits import unpack

        cells = state["cells"]
        cover = unpack(cells).float().mean((1, 2))
        boiling = (ages(state["age"]) == 0).float().mean((1, 2))
        later = self.step(self.step(state, rule), rule)
        verdict = torch.full((len(cells),), ALIVE, device=cells.device)
        verdict[(later["cells"] == cells).flatten(1).all(1) & (later["sky"] == state["sky"])] = FROZEN
        verdict[(cover > 0.8) | (boiling > 0.3)] = EXPLODED
        verdict[cover == 0] = DEAD
        return verdict


def ages(planes: Tensor) -> Tensor:
    """For how many generations cells have been what they are, (B, H, W) uint8, from bit planes (B, L, W/64, H)."""
    from sims._bits import unpack

    weight = 2 ** torch.arange(planes.shape[1], device=planes.device, dtype=torch.uint8)
    return (unpack(planes) * weight[:, None, None]).sum(1, dtype=torch.uint8)


def folded(field: Tensor, mirror: Tensor) -> Tensor:
    """Fields (B, H, H) made symmetric about their middle cell: not at all, left and right, or like a kaleidoscope."""
    away = (torch.arange(field.shape[1], device=field.device) - field.shape[1] // 2).abs()
    down, along = away[:, None], away
    fold = mirror[:, None, None] * 3
    both = torch.where(fold < 2, field[:, :, away], field[:, torch.maximum(down, along), torch.minimum(down, along)])
    return torch.where(fold < 1, field, both)


def answers(code: int) -> dict[str, Tensor]:
    """A rule by its number, `born` and `survives` (9,) bool: bit n is birth on n, bit 9 + n survival. Life is 6152."""
    bits = torch.tensor([code >> n & 1 for n in range(18)], dtype=torch.bool)
    return {"born": bits[:9], "survives": bits[9:]}
