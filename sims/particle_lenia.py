"""Particle Lenia: particles that seek the company they like best, and build bodies out of each other [1].

    U(x) = w sum_j exp(-((|x - x_j| - ring) / width)^2)     the company that x has, most from those a ring away
    G(x) = exp(-((U(x) - mu) / sigma)^2)                    how much it is liked; best at U = mu
    R(x) = repulsion / 2 sum_j max(0, 1 - |x - x_j|)^2      how crowded it is
    x_i <- x_i - dt grad E(x_i),   E = R - G                each descends its own E while the others are held fixed

There are no walls and no momentum. As each one moves for itself, forces are not mutual: bodies crawl, turn and divide
on their way to rest. Most of them come to rest in the end, so what is filmed is how they get there.

Only mu / w and sigma / w matter, so w = 0.022 as in [1], and two numbers that stay meaningful when the others change
stand for mu and sigma: the appetite, mu as a share of the company in an even crowd of one particle per unit of area,
2 pi^1.5 w ring width; and the tolerance, sigma width / mu, how far company may change over a distance. The step is
dt = 0.1 as in [1], and shorter where a small tolerance bends E so much that such a step would shake particles. In
these numbers [1] has ring 4, width 1, repulsion 1, appetite 0.61 and tolerance 0.25.

[1] A. Mordvintsev, E. Niklasson and E. Randazzo. Particle Lenia and the energy-based formulation, 2022.

Shapes: B rollouts, N particles, P points.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sims import Param, Params, Space, TorchSimulation
from sims._darts import lay, window
from sims._starts import pattern
from sims._torch import ALIVE, EXPLODED, FROZEN

SPACE = Space(
    Param("ring", 1.5, 6, scale="log", unit="lengths", doc="distance from which company counts: the size of bodies"),
    Param("width", 0.35, 1.4, scale="log", unit="lengths", doc="thickness of that ring: low makes thin, curly walls"),
    Param("appetite", 0.45, 1.4, scale="log", doc="how much company is liked: low builds shells, high dense bodies"),
    Param("tolerance", 0.13, 0.45, scale="log", doc="how much too much is still liked: low is crisp, high is soft"),
    Param("repulsion", 0.15, 3, scale="log", doc="how hard neighbors push: low lets chains and walls condense"),
    Param("spread", 3.5, 8, unit="lengths", doc="radius of the disc in which all start"),
    Param("clumps", 0, 0.8, doc="how much they start in five heaps instead of evenly"),
    Param("pattern", 0, 1, doc="which places: near values start alike, far ones have nothing in common"),
)

W = 0.022
LONGEST, BEND = 0.1, 1.6
"""The longest step, and steps per squared tolerance that are short enough for it."""

HEAPS = 5

VIEW = 10.0
"""Half the side of the picture, in lengths."""

GRID = 40
"""Points per side on which the field is computed for a picture."""

DOT, GLOW = 0.17, 0.4
"""Radii of a particle and of its glow, in lengths."""

NIGHT, SEA, GOLD, PEARL = (0.012, 0.012, 0.05), (0.05, 0.32, 0.62), (0.95, 0.55, 0.12), (1.0, 0.98, 0.9)
"""Colors of nothing, of company, of liked company, and of particles."""

STILL = 1e-3
"""Root mean square step, in lengths, below which motion is hardly seen: a pixel of a film in 80 steps."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ParticleLenia(TorchSimulation[State, Rule]):
    """Particle Lenia with one kind of particles, in an unbounded plane of which the middle is filmed.

    Attributes:
        particles: N.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 1

    particles: int = 200
    steps: int = 500

    @property
    def space(self) -> Space:
        """8 parameters: whose company counts, how much is liked, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The numbers of the equations and of the start, each (B, 1, 1)."""
        mu = params["appetite"] * 2 * math.pi**1.5 * W * params["ring"] * params["width"]
        sigma = params["tolerance"] * mu / params["width"]
        step = (BEND * params["tolerance"] ** 2).clamp(max=LONGEST)
        return {name: one[:, None, None] for name, one in {**params, "mu": mu, "sigma": sigma, "step": step}.items()}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`place` (B, 2, N) in lengths from the middle; and what `draw` needs of the rule, (B, 1, 1)."""
        at = rule["pattern"].flatten()
        place = _disc(pattern(at, seeds, 2, self.particles))
        heap = _disc(pattern(at, seeds, 2, HEAPS))[:, :, torch.arange(self.particles) % HEAPS]
        place = torch.lerp(place, heap, rule["clumps"]) * rule["spread"]
        return {"place": place, **{name: rule[name] for name in ("ring", "width", "mu", "sigma")}}

    def step(self, state: State, rule: Rule) -> State:
        """The world one step later."""
        return {**state, "place": state["place"] - rule["step"] * slope(state["place"], rule)}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: particles over what they are after, from a fixed camera."""
        from sims._bells import company

        place = state["place"]
        points = _grid().to(place).expand(len(place), -1, -1)
        field = W * company(points, place, state["ring"].flatten(), state["width"].flatten())
        field = interpolate(field.view(-1, 1, GRID, GRID), (size, size), mode="bicubic")[:, 0]
        void = _liked(torch.zeros_like(state["mu"]), state)
        liked = ((_liked(field, state) - void) / (1 - void)).clamp(min=0)
        night, sea, gold, pearl = (torch.tensor(color).to(place) for color in (NIGHT, SEA, GOLD, PEARL))
        ground = night.lerp(sea, (field / state["mu"] / 2).clamp(0, 1)[..., None])
        ground = ground.lerp(gold, 0.75 * liked[..., None]).lerp(pearl, _dots(place, size))
        return ground.mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    def width(self, device: torch.device) -> int:
        """Eight rows on a CPU: fields are summed row by row, so that more would only make a single film wait."""
        return 8 if device.type == "cpu" else 64

    def status(self, state: State, rule: Rule) -> Tensor:
        """Exploded when most particles have left the picture, frozen when they no longer move visibly."""
        place = state["place"]
        away = (place.abs().amax(1) > VIEW).float().mean(1) > 0.5
        step = (rule["step"] * slope(place, rule)).square().sum(1).mean(1).sqrt()
        verdict = torch.where(step > STILL, ALIVE, FROZEN)
        return torch.where(away, EXPLODED, verdict)


def slope(place: Tensor, rule: Rule) -> Tensor:
    """The gradient of E at each particle, (B, 2, N), all others held fixed."""
    from sims._bells import bells  # The compiler is loaded by those who need it.

    seen = bells(place, place, rule["ring"].flatten(), rule["width"].flatten())
    company, change, crowd = W * seen[:, :1], W * seen[:, 1:3], seen[:, 3:]
    dislike = 2 * (company - rule["mu"]) / rule["sigma"] ** 2 * _liked(company, rule)  # -dG/dU
    return rule["repulsion"] * crowd + dislike * change


def _liked(company: Tensor, rule: Rule) -> Tensor:
    return ((company - rule["mu"]) / rule["sigma"]).square().neg().clamp(min=-80).exp()


def _disc(normal: Tensor) -> Tensor:
    """Places (B, 2, N) evenly spread over the disc of radius 1, from normal numbers."""
    square = normal.square().sum(1, keepdim=True)
    return normal * ((1 - (-square / 2).exp()) / square).sqrt()


@lru_cache
def _grid() -> Tensor:
    """The centers of GRID x GRID cells that cover the picture, (2, P)."""
    axis = ((torch.arange(GRID) + 0.5) / GRID * 2 - 1) * VIEW
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)


def _dots(place: Tensor, size: int) -> Tensor:
    """The light of the particles, (B, size, size, 1) in [0, 1]."""
    place = place / (2 * VIEW) + 0.5
    down, along = window(place, size, GLOW / (2 * VIEW))
    far = (down[..., None].square() + along[..., None, :].square()).sqrt_().mul_(2 * VIEW)
    body = ((DOT - far) * (size / (2 * VIEW)) + 0.5).clamp_(0, 1)
    glow = (1 - far / GLOW).clamp_(min=0).square_().mul_(0.5)
    return lay(torch.maximum(body, glow)[..., None], place, size, wrap=False)
