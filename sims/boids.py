"""Boids: a flock of birds that heed only their neighbors, and two hawks that hunt them [1].

    away    = sum of (1 - d / elbow) times the unit vector away from each neighbor nearer than the elbow
    along   = (mean velocity of the neighbors - own velocity) / speed
    inward  = mean way to the neighbors / reach
    flee    = (1 - d / fright) times the unit vector away from a hawk that is nearer than the fright
    wish    = separation away^ + alignment along^ + cohesion inward^ + fear (sum of flee^ over hawks)
    v <- v + dt (speed wish + (speed v / |v| - v) / rest),   x <- (x + dt v) mod 1

A bird's neighbors are those within reach that are in its view: behind it is a blind angle. u^ = u / sqrt(|u|^2 + 0.1^2)
is nearly a unit vector, as in [1], but does not jump where nothing is left to correct. A velocity turns by at most
`turn` dt in a step, and keeps between half and one and a half times the usual speed. Hawks fly after the birds that are
near them, and keep apart. Nobody is ever caught: they only stir, so that flocks part, turn and find together again.

The rules know no chance: all of it is in the start.

[1] C. Reynolds. Flocks, herds and schools: a distributed behavioral model. SIGGRAPH 1987. The hawks are ours.

Shapes: B rollouts, N birds and, behind them, the hawks.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._darts import darts, hue
from sims._starts import pattern
from sims._torch import ALIVE, DEAD
from sims._torus import short, wrap

SPACE = Space(
    Param("separation", 2, 25, scale="log", unit="1/time", doc="how hard birds avoid those too near: high is loose"),
    Param("alignment", 0.4, 12, scale="log", unit="1/time", doc="how hard they fly as others do: high makes streams"),
    Param("cohesion", 0.8, 12, scale="log", unit="1/time", doc="how hard they seek others: high makes tight swarms"),
    Param("reach", 0.07, 0.25, scale="log", unit="worlds", doc="how far birds see: high makes few, large flocks"),
    Param("elbow", 0.15, 0.6, scale="log", unit="reaches", doc="the distance that birds keep: high makes airy flocks"),
    Param("view", 120, 360, unit="degrees", doc="the angle that birds see: low makes files and branches"),
    Param("speed", 0.12, 0.4, scale="log", unit="worlds/time", doc="how fast birds fly"),
    Param("turn", 1.5, 15, scale="log", unit="radians/time", doc="how sharply all can turn: low makes wide arcs"),
    Param("fear", 1, 30, scale="log", unit="1/time", doc="how hard birds flee from hawks: high tears flocks apart"),
    Param("fright", 0.05, 0.3, scale="log", unit="worlds", doc="how near is too near a hawk: high clears wide holes"),
    Param("hawk", 1, 1.6, unit="bird speeds", doc="how fast hawks are: high stirs more"),
    Param("order", 0, 3, doc="how much all fly the same way at the start"),
    Param("spread", 0.08, 0.4, unit="worlds", doc="how far from the middle birds start"),
    Param("pattern", 0, 1, doc="which start: near values start alike, far ones have nothing in common"),
)

DT = 0.02
SLOWEST, FASTEST = 0.5, 1.5
"""The range of speeds, in units of the usual one."""

REST = 0.5
"""Time after which a speed is mostly back to usual."""

SOFT = 0.1
"""Wishes shorter than this are not as strong as others."""

HUNGER = 30.0
"""How hard hawks steer, per unit of time."""

SCENT, REALM = 0.15, 0.3
"""How far hawks feel birds, and the distance that they keep from each other, in worlds."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Boids(TorchSimulation[State, Rule]):
    """Birds and hawks on a torus of side 1.

    Attributes:
        birds: N.
        hawks: How many, may be 0.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 1

    birds: int = 200
    hawks: int = 2
    steps: int = 400

    @property
    def space(self) -> Space:
        """14 parameters: what birds heed, how they fly, what they fear, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The parameters, and the cosine and sine of the largest turn in a step, all (B, 1, 1)."""
        turn = params["turn"] * DT
        view = (params["view"].deg2rad() / 2).cos()
        numbers = {**params, "elbow": params["elbow"] * params["reach"], "view": view}
        numbers |= {"least": turn.cos(), "most": turn.sin()}
        return {name: one[:, None, None] for name, one in numbers.items()}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`place` in [0, 1) and velocity `motion`, (B, 2, N + hawks), and the `age` in steps, (B, 1, 1)."""
        normal = pattern(rule["pattern"].flatten(), seeds, 6, self.birds + self.hawks)
        common = normal[:, 4:].sum(2, keepdim=True) / normal.shape[2] ** 0.5
        way = normal[:, 2:4] + rule["order"] * common
        place = wrap(0.5 + rule["spread"] * normal[:, :2])
        return {"place": place, "motion": rule["speed"] * way / _length(way), "age": torch.zeros_like(rule["speed"])}

    def step(self, state: State, rule: Rule) -> State:
        """The world DT later."""
        motion = torch.cat([self._birds(state, rule), self._hawks(state, rule)], 2)
        return {"place": wrap(state["place"] + DT * motion), "motion": motion, "age": state["age"] + 1}

    def _birds(self, state: State, rule: Rule) -> Tensor:
        """The velocity of the birds DT later, (B, 2, N)."""
        from sims._flock import neighbors  # The compiler is loaded by those who need it.

        place, motion = state["place"][..., : self.birds], state["motion"][..., : self.birds]
        seen = neighbors(place, motion, *(rule[name].flatten() for name in ("reach", "elbow", "view")))
        number, together, way, away = seen.split([1, 2, 2, 2], 1)
        share = 1 / number.clamp(min=1)
        wish = rule["separation"] * _unit(away)
        wish += rule["alignment"] * _unit((together - number * motion) * (share / rule["speed"]))
        wish += rule["cohesion"] * _unit(way * (share / rule["reach"]))
        for hawk in _each(state["place"][..., self.birds :]):
            wish += rule["fear"] * _unit(_flee(place, hawk, rule["fright"]))
        return _fly(motion, wish, rule["speed"], rule)

    def _hawks(self, state: State, rule: Rule) -> Tensor:
        """The velocity of the hawks DT later, (B, 2, hawks)."""
        motion = state["motion"][..., self.birds :]
        if not self.hawks:
            return motion
        birds, hawks = state["place"].split([self.birds, self.hawks], 2)
        ways = [short(birds - hawk) for hawk in _each(hawks)]
        prey = torch.cat([(way * (_length(way) / -SCENT).exp()).sum(2, keepdim=True) for way in ways], 2)
        rivals = torch.stack([_flee(hawks, hawk, REALM) for hawk in _each(hawks)]).sum(0)
        return _fly(motion, HUNGER * (_unit(prey) + _unit(rivals)), rule["hawk"] * rule["speed"], rule)

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: darts, their hue shows where they fly; hawks are white."""
        heading = state["motion"] / _length(state["motion"])
        color = hue(torch.atan2(heading[:, 0], heading[:, 1]))
        color[:, self.birds :] = 1
        return darts(state["place"], heading, color, size, large=self.hawks)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead when, in the second half, birds neither gather nor fly as their neighbors do: nobody heeds anybody."""
        from sims._flock import gas

        del rule
        place, motion = state["place"][..., : self.birds], state["motion"][..., : self.birds]
        lost = gas(place, motion / _length(motion)) & (state["age"].flatten() >= self.steps // 2)
        return torch.where(lost, DEAD, ALIVE)


def _each(hawks: Tensor) -> list[Tensor]:
    """(B, 2, 1) for each hawk; unlike `split`, nothing where there are none."""
    return [hawk[..., None] for hawk in hawks.unbind(2)]


def _flee(place: Tensor, hawk: Tensor, fright: Tensor | float) -> Tensor:
    """The way (B, 2, N) from a hawk (B, 2, 1) that is near: shorter, the farther it is."""
    away = short(place - hawk)
    far = _length(away).clamp(min=1e-9)
    return away * ((1 - far / fright).clamp(min=0) / far)


def _fly(motion: Tensor, wish: Tensor, speed: Tensor, rule: Rule) -> Tensor:
    """The velocity DT later, (B, 2, N), of those whose usual speed is `speed` (B, 1, 1).

    The turn is a complex number, so that no angle needs to be computed.
    """
    pace = _length(motion)
    wanted = motion * (1 - DT / REST + (DT / REST) * speed / pace) + (DT * speed) * wish
    reach = _length(wanted).clamp(min=1e-9)
    x, y, wanted_x, wanted_y = motion[:, :1], motion[:, 1:], wanted[:, :1], wanted[:, 1:]
    cos = (x * wanted_x + y * wanted_y) / (pace * reach)
    sin = (x * wanted_y - y * wanted_x) / (pace * reach)
    sharp = cos < rule["least"]
    cos, sin = torch.where(sharp, rule["least"], cos), torch.where(sharp, rule["most"].copysign(sin), sin)
    grow = reach.maximum(SLOWEST * speed).minimum(FASTEST * speed) / pace
    return torch.cat([cos * x - sin * y, sin * x + cos * y], 1) * grow


def _unit(vector: Tensor) -> Tensor:
    return vector * (vector[:, :1].square() + vector[:, 1:].square() + SOFT**2).rsqrt()


def _length(vector: Tensor) -> Tensor:
    """(B, 1, N) of (B, 2, N): torch is slow at reducing an axis of two."""
    return (vector[:, :1].square() + vector[:, 1:].square()).sqrt()
