"""Particle Life: kinds of particles that are drawn to each other, or not, and never in return [1].

    rho < core:          F = rho / core - 1                                     nobody likes to be crowded
    core <= rho < 1:     F = attraction (1 - |2 rho - 1 - core| / (1 - core))   rho: distance in units of the reach
    v <- v 2^(-dt / glide) + dt force reach sum F,     x <- (x + dt v) mod 1

Forces need not be mutual: momentum is not conserved, so that chasers, crawlers and rotors arise.

[1] After the particle-life programs of J. Ventrella (Clusters), Brainxyz and T. Mohr.

Shapes: B rollouts, N particles, K kinds.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._discs import discs
from sims._torch import ALIVE, EXPLODED, uniform

KINDS = 3

SPACE = Space(
    Param("attraction", -1, 1, shape=(KINDS, KINDS), doc="how much the first kind is drawn to the second"),
    Param("reach", 0.08, 0.25, scale="log", unit="worlds", doc="how far forces reach: the size of structures"),
    Param("core", 0.2, 0.6, unit="reaches", doc="distance that is kept: high makes loose, large bodies"),
    Param("force", 2, 20, scale="log", doc="how strong forces are: high is fast"),
    Param("glide", 0.02, 0.2, scale="log", unit="time", doc="half-life of motion: low is honey, high is ice"),
    Param("spread", 0.1, 0.7, unit="worlds", doc="radius of the disc in which all start"),
)

DT = 0.02

PAIRS = 1 << 25
"""Pairs of particles that are worked on at once where there is no compiled loop: a gigabyte or two."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ParticleLife(TorchSimulation[State, Rule]):
    """Three kinds of particles on a torus of side 1.

    Attributes:
        particles: N, a third of each kind.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 2

    particles: int = 300
    steps: int = 400

    @property
    def space(self) -> Space:
        """14 parameters: who is drawn to whom, how forces and motion behave, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The parameters, and what a step makes of velocities and forces, (B, 1, 1)."""
        friction = 0.5 ** (DT / params["glide"])
        gain = DT * params["force"] * params["reach"]
        return {**params, "friction": friction[:, None, None], "gain": gain[:, None, None]}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`place` in [0, 1) and velocity `motion`, (B, 2, N): all at rest, evenly spread over a disc in the middle."""
        turn, away = uniform(seeds, 2, self.particles).to(rule["gain"]).unbind(1)
        away = away.sqrt() * rule["spread"][:, None]
        turn = 2 * torch.pi * turn
        place = 0.5 + torch.stack([away * turn.cos(), away * turn.sin()], 1)
        return {"place": _wrap(place), "motion": torch.zeros_like(place)}

    def step(self, state: State, rule: Rule) -> State:
        """The world DT later."""
        from sims._pairs import pull  # The compiler is loaded by those who need it.

        force = pull(state["place"], rule["attraction"], rule["reach"], rule["core"])
        motion = state["motion"] * rule["friction"] + force.mul_(rule["gain"])
        return {"place": _wrap(state["place"] + DT * motion), "motion": motion}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: a disc for each particle, a hue for each kind, on black."""
        return discs(state["place"], KINDS, size)

    def width(self, device: torch.device) -> int:
        """Eight rows on a CPU, as forces work row by row and more would make a film wait; else what memory allows."""
        return 8 if device.type == "cpu" else max(1, min(super().width(device), PAIRS // self.particles**2))

    def status(self, state: State, rule: Rule) -> Tensor:
        """Exploded when particles jump half a reach per step: then the picture shows the step size, not the world."""
        speed = state["motion"].square().sum(1).mean(1).sqrt()
        calm = speed * DT < rule["reach"] / 2
        return torch.where(calm, ALIVE, EXPLODED)


def _wrap(place: Tensor) -> Tensor:
    """Places in [0, 1]; 1 only where a place just below 0 was rounded up to it, which is the same place."""
    return place - place.floor()
