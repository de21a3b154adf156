"""Particle Life: kinds of particles that are drawn to each other, or not, and never in return [1].

    rho < core:          F = rho / core - 1                                     nobody likes to be crowded
    core <= rho < 1:     F = attraction (1 - |2 rho - 1 - core| / (1 - core))   rho: distance in units of the reach
    v <- v 2^(-dt / glide) + dt force reach sum F,     x <- (x + dt v) mod 1

Forces need not be mutual: momentum is not conserved, so that chasers, crawlers and rotors arise.

With more particles all lengths shrink, so that as many are within reach of each other: the world becomes larger, not
denser.

[1] After the particle-life programs of J. Ventrella (Clusters), Brainxyz and T. Mohr.

Shapes: B rollouts, N particles, K kinds.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._discs import discs
from sims._starts import pattern
from sims._torch import ALIVE, EXPLODED, FROZEN
from sims._torus import wrap

DT = 0.02

USUAL = 300
"""Particles in a world of side 1."""

STILL = 1e-4
"""Root mean square speed, in worlds per unit of time, below which a rollout would last less than a pixel."""

PAIRS = 1 << 25
"""Pairs of particles that are worked on at once where there is no compiled loop: a gigabyte or two."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ParticleLife(TorchSimulation[State, Rule]):
    """Kinds of particles on a torus of side 1.

    Attributes:
        particles: N, equally many of each kind.
        kinds: K.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 2

    particles: int = USUAL
    kinds: int = 3
    steps: int = 400

    @property
    def space(self) -> Space:
        """K^2 + 6 parameters: who is drawn to whom, how forces and motion behave, and how the world starts."""
        side = scale(self.particles)
        return Space(
            Param("attraction", -1, 1, shape=(self.kinds, self.kinds), doc="how much the first is drawn to the second"),
            Param(
                "reach",
                0.08 * side,
                0.25 * side,
                scale="log",
                unit="worlds",
                doc="how far forces reach: the size of structures",
            ),
            Param("core", 0.2, 0.6, unit="reaches", doc="distance that is kept: high makes loose, large bodies"),
            Param("force", 2, 20, scale="log", doc="how strong forces are: high is fast"),
            Param("glide", 0.02, 0.2, scale="log", unit="time", doc="half-life of motion: low is honey, high is ice"),
            Param("spread", 0.1, 0.7, unit="worlds", doc="radius of the disc in which all start"),
            Param("pattern", 0, 1, doc="who starts where: near values start alike, far ones have nothing in common"),
        )

    def rule(self, params: Params) -> Rule:
        """The parameters, and what a step makes of velocities and forces, (B, 1, 1)."""
        friction = 0.5 ** (DT / params["glide"])
        gain = DT * params["force"] * params["reach"]
        return {**params, "friction": friction[:, None, None], "gain": gain[:, None, None]}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`place` in [0, 1) and velocity `motion`, (B, 2, N): all at rest, evenly spread over a disc in the middle."""
        even = torch.special.ndtr(pattern(rule["pattern"], seeds, 2, self.particles))
        turn, away = 2 * torch.pi * even[:, 0], even[:, 1].sqrt() * rule["spread"][:, None]
        place = 0.5 + torch.stack([away * turn.cos(), away * turn.sin()], 1)
        return {"place": wrap(place), "motion": torch.zeros_like(place)}

    def step(self, state: State, rule: Rule) -> State:
        """The world DT later."""
        from sims._pairs import pull  # The compiler is loaded by those who need it.

        force = pull(state["place"], rule["attraction"], rule["reach"], rule["core"])
        motion = state["motion"] * rule["friction"] + force.mul_(rule["gain"])
        return {"place": wrap(state["place"] + DT * motion), "motion": motion}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: a disc for each particle, a hue for each kind, on black."""
        return discs(state["place"], self.kinds, size, scale(self.particles))

    def width(self, device: torch.device) -> int:
        """Eight rows on a CPU, as forces work row by row and more would make a film wait; else what memory allows."""
        return 8 if device.type == "cpu" else max(1, min(super().width(device), PAIRS // self.particles**2))

    def status(self, state: State, rule: Rule) -> Tensor:
        """Frozen when nothing moves any more, exploded when particles jump half a reach per step.

        Then the picture would show the size of the step, not the world.
        """
        speed = state["motion"].square().sum(1).mean(1).sqrt()
        verdict = torch.full((len(speed),), ALIVE, device=speed.device)
        verdict[speed < STILL] = FROZEN
        verdict[~(speed * DT < rule["reach"] / 2)] = EXPLODED
        return verdict


def scale(particles: int) -> float:
    """The unit of lengths with so many particles, in worlds; forces still reach no further than half a world."""
    return min(2.0, (USUAL / particles) ** 0.5)
