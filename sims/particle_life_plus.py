"""Particle Life whose colors turn: each particle changes its kind with its neighbors', and with it whom it likes.

A kind is no label but a place phi on a circle, on which the K kinds of Particle Life [1] lie evenly: between two of
them a particle is a mixture c(phi) of both. Who is drawn to whom follows, attraction(i, j) = c(phi_i)' A c(phi_j), and
forces and motion are those of `particle_life`. Particles are clocks as well, which drift and set themselves by
others [2]:

    d phi / dt = drift + follow < sin(2 pi (phi_j - phi_i - lag)) + sin(2 pi lag) >         phi, lag: in turns

The mean < > is over all within reach, the particle itself included, with weight 1 - rho. With a lag they chase the
others' color rather than agree on one: waves of color run through bodies, which change their ways as they pass.
Without drift and follow this is Particle Life. That particles change their kind with their neighbors' is the idea of
Particle Life++ [3], where a neural network decides; clocks that move are swarmalators [4].

[1] J. Ventrella (Clusters), Brainxyz, T. Mohr: see `particle_life`.
[2] H. Sakaguchi, Y. Kuramoto. A soluble active rotater model. Progress of Theoretical Physics 76(3), 1986.
[3] A. Kumar et al. Automating the Search for Artificial Life with Foundation Models. arXiv:2412.17799, 2024.
[4] K. P. O'Keeffe, H. Hong, S. H. Strogatz. Oscillators that sync and swarm. Nature Communications 8, 2017.

Shapes: B rollouts, N particles, K kinds.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sims import Param, Params, Space
from sims._discs import tinted
from sims._torch import ALIVE, FROZEN
from sims._torus import wrap
from sims.particle_life import DT, ParticleLife, Rule, State, scale

CLOCK = (
    Param("drift", -0.3, 0.3, unit="turns/time", doc="how fast each changes its color by itself; 0: not at all"),
    Param("follow", 0.05, 1, scale="log", unit="turns/time", doc="how fast neighbors change each other's colors"),
    Param("lag", 0, 0.25, unit="turns", doc="low agrees on a color, high chases after it: waves"),
)


@dataclass(frozen=True, kw_only=True)
class ParticleLifePlus(ParticleLife):
    """Particles on a torus of side 1 that change their kinds.

    Attributes:
        particles: N, at the start equally many of each kind.
        kinds: K, around the circle.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 1

    @property
    def space(self) -> Space:
        """K^2 + 9 parameters: those of Particle Life, and how colors turn."""
        return Space(*super().space.params, *CLOCK)

    def rule(self, params: Params) -> Rule:
        """The rule of Particle Life, and how clocks go, (B, 1)."""
        clock = {param.name: params[param.name][:, None] for param in CLOCK}
        return {**super().rule({name: params[name] for name in params if name not in clock}), **clock}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """The start of Particle Life, with its kinds as `kind` (B, N) in [0, K], places on the circle."""
        state = super().start(rule, seeds)
        block = -(-self.particles // self.kinds)
        kind = torch.arange(self.particles, device=seeds.device) // block
        return {**state, "kind": kind.to(state["place"]).expand(len(seeds), -1).clone()}

    def step(self, state: State, rule: Rule) -> State:
        """The world DT later."""
        from sims._clocks import mingle  # The compiler is loaded by those who need it.

        force, hand = mingle(state["place"], state["kind"], rule["attraction"], rule["reach"], rule["core"])
        motion = state["motion"] * rule["friction"] + force * rule["gain"]
        angle = 2 * torch.pi * (state["kind"] / self.kinds + rule["lag"])
        pulled = hand[:, 1] * angle.cos() - hand[:, 0] * angle.sin() + (2 * torch.pi * rule["lag"]).sin()
        turned = state["kind"] / self.kinds + DT * (rule["drift"] + rule["follow"] * pulled)
        return {"place": wrap(state["place"] + DT * motion), "motion": motion, "kind": self.kinds * wrap(turned)}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: a disc for each particle, in the hue of its kind, on black."""
        return tinted(state["place"], 2 * state["kind"], 2 * self.kinds, size, scale(self.particles))

    def status(self, state: State, rule: Rule) -> Tensor:
        """As in Particle Life, but where nothing moves colors may still turn: the driver judges that from the clip."""
        verdict = super().status(state, rule)
        return verdict.where(verdict != FROZEN, ALIVE)
