"""A simulation whose every frame says how many steps were made, and whose parameter says how it ends."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from sims import Param, Space, TorchSimulation
from sims._torch import ALIVE, DEAD, EXPLODED, noise


@dataclass(frozen=True)
class Toy(TorchSimulation[dict, dict]):
    """Red counts steps, green is noise from the seed. Fate below 0.25 lives, then it dies, explodes or freezes."""

    version: ClassVar[int] = 1
    steps: int = 124

    @property
    def space(self):
        return Space(Param("fate", 0, 4, doc="how it ends"))

    def rule(self, params):
        return {"fate": params["fate"].long().clamp(max=3)}

    def start(self, rule, seeds):
        del rule
        return {"age": torch.zeros(len(seeds)), "speck": noise(seeds, 8, 8)}

    def step(self, state, rule):
        CALLS.append(len(state["age"]))
        older = state["age"] + (rule["fate"] != 3)
        return {"age": older, "speck": state["speck"]}

    def draw(self, state, size):
        picture = torch.zeros(len(state["age"]), size, size, 3, dtype=torch.uint8)
        picture[..., 0] = state["age"][:, None, None].to(torch.uint8)
        picture[:, :8, :8, 1] = (state["speck"].abs() * 60).clamp(0, 255).to(torch.uint8)
        return picture

    def status(self, state, rule):
        ended = state["age"] > 10
        verdict = torch.full_like(rule["fate"], ALIVE)
        verdict[ended & (rule["fate"] == 1)] = DEAD
        verdict[ended & (rule["fate"] == 2)] = EXPLODED
        return verdict


CALLS: list[int] = []
"""The batch size of each step so far."""
