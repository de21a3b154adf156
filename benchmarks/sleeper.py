"""A simulation that sleeps instead of computing, so that one machine can play a cluster; and who simulated a world."""

import time
from dataclasses import dataclass
from typing import ClassVar

import ray
import torch
from torch import Tensor

from sims import Param, Plan, Rollouts, Simulation, Space


@dataclass(frozen=True)
class Sleeper(Simulation):
    """Black pictures after a nap.

    Args:
        seconds: How long worlds that are simulated together take.
    """

    version: ClassVar[int] = 1
    seconds: float = 1.0

    @property
    def space(self) -> Space:
        return Space(Param("nothing", 0, 1))

    def simulate(self, unit: Tensor, seeds: Tensor, plan: Plan) -> Rollouts:  # noqa: ARG002
        time.sleep(self.seconds)
        clip = torch.zeros(len(unit), 1, plan.clip_size, plan.clip_size, 3, dtype=torch.uint8)
        return Rollouts(torch.zeros(len(unit), dtype=torch.int64), clip, None)


def place(clip: Tensor) -> Tensor:
    """A question about clips: on which node this is, (B, 1), as `number` has it."""
    return torch.full((len(clip), 1), float(number(ray.get_runtime_context().get_node_id())))


def number(node: str) -> int:
    """A node's id as a number that float32 holds."""
    return int(node[:6], 16)
