"""Neural boids: everyone flies at the same speed, and a small network in each decides how it turns [1].

Every boid sees its 16 nearest neighbors within reach, each in its own frame: the bearing b, the distance d in units of
the reach, and the angle a from its own heading to the neighbor's. The network is a handful of reflexes: hidden units
that say when to heed a neighbor, and weights that say what to do then.

    when_h  = sigmoid(4 (w_h1 cos b + w_h2 (2 d - 1) + w_h3 cos a + w_h4))                  in [0, 1]
    pull    = sum_h when_h (steer_h sin b + follow_h sin a) - 3 max(0, 1 - d / elbow) sin b
    turn    = tanh(bias + 3 mean of pull over neighbors)                                    0 without neighbors
    heading <- unit(heading + dt rate turn left),   x <- (x + dt speed heading) mod 1       dt = 0.01, speed = 0.5

Positive `steer` turns a boid to its neighbor and positive `follow` into its direction. This is the system of [1] with
another network. There, four numbers per neighbor pass 4-8-8 units, their mean 8-1 more, and turns are up to 60 radians
per unit of time: 193 weights, most of which just make boids spin on the spot or ignore each other. Here a mirrored
world is steered in a mirrored way (but for the bias), nobody likes to be touched, and turns are gentler: what is left
of the network are 24 weights, of which most make flocks, files, mills and swarms, and each can be read.

[1] A. Kumar et al. Automating the search for artificial life with foundation models (ASAL), 2024.

Shapes: B rollouts, N boids, K neighbors, H hidden units.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._darts import darts, hue
from sims._starts import pattern
from sims._torch import ALIVE, DEAD
from sims._torus import wrap

REFLEXES = 4

SPACE = Space(
    Param(
        "when", -1, 1, shape=(REFLEXES, 4), doc="whom each reflex heeds: ahead, far, flying alike, and anyone at all"
    ),
    Param("steer", -0.6, 1, shape=(REFLEXES,), doc="how hard it turns to those: high gathers, negative scatters"),
    Param("follow", -0.6, 1, shape=(REFLEXES,), doc="how hard it turns into their direction: high makes streams"),
    Param("elbow", 0.1, 0.6, scale="log", unit="reaches", doc="the distance that boids keep: high makes airy flocks"),
    Param("reach", 0.08, 0.25, scale="log", unit="worlds", doc="how far boids see: high makes few, large flocks"),
    Param("rate", 4, 40, scale="log", unit="radians/time", doc="how sharply boids turn: low makes wide arcs"),
    Param("bias", -0.2, 0.2, doc="how much boids in company turn left, or right if negative: more makes mills"),
    Param("order", 0, 2, doc="how much all fly the same way at the start"),
    Param("spread", 0.08, 0.4, unit="worlds", doc="how far from the middle boids start"),
    Param("pattern", 0, 1, doc="which start: near values start alike, far ones have nothing in common"),
)

DT, SPEED = 0.01, 0.5

GAIN, PULL, PUSH = 4.0, 3.0, 3.0
"""How decided reflexes are, how hard they turn, and how hard boids avoid those nearer than the elbow."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class NeuralBoids(TorchSimulation[State, Rule]):
    """Boids with a network for a mind, on a torus of side 1.

    Attributes:
        boids: N.
        neighbors: K, how many others a boid heeds at most.
        steps: Steps in a rollout.
    """

    version: ClassVar[int] = 1

    boids: int = 128
    neighbors: int = 16
    steps: int = 400

    @property
    def space(self) -> Space:
        """31 parameters: the weights of the network, how far boids see, how they turn, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """The weights as matrices, `when` (B, H, 3), `level` (B, H, 1) and `react` (B, 2, H); numbers are (B, 1, 1)."""
        number = {name: one[:, None, None] for name, one in params.items() if one.ndim == 1}
        when, level = (GAIN * params["when"]).split([3, 1], 2)
        react = torch.stack([params["steer"], params["follow"]], 1)
        return {**number, "when": when.contiguous(), "level": level.contiguous(), "react": react}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`place` in [0, 1) and `heading`, unit vectors, (B, 2, N); and the `age` in steps, (B, 1, 1)."""
        normal = pattern(rule["pattern"].flatten(), seeds, 6, self.boids)
        way = normal[:, 2:4] + rule["order"] * normal[:, 4:].sum(2, keepdim=True) / self.boids**0.5
        place = wrap(0.5 + rule["spread"] * normal[:, :2])
        return {"place": place, "heading": way / way.norm(dim=1, keepdim=True), "age": torch.zeros_like(rule["rate"])}

    def step(self, state: State, rule: Rule) -> State:
        """The world DT later."""
        from sims._flock import nearest  # The compiler is loaded by those who need it.

        heading = state["heading"]
        count = min(self.neighbors, self.boids - 1)
        left = DT * rule["rate"] * turns(nearest(state["place"], heading, rule["reach"].flatten(), count), rule)
        x, y = heading[:, :1], heading[:, 1:]
        heading = torch.cat([x - left * y, y + left * x], 1) * (1 + left.square()).rsqrt()
        return {"place": wrap(state["place"] + DT * SPEED * heading), "heading": heading, "age": state["age"] + 1}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the world, (B, size, size, 3) uint8: darts whose hue shows where they fly."""
        heading = state["heading"]
        return darts(state["place"], heading, hue(torch.atan2(heading[:, 0], heading[:, 1])), size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead when, in the second half, boids neither gather nor fly as their neighbors do: nobody heeds anybody."""
        from sims._flock import gas

        del rule
        lost = gas(state["place"], state["heading"]) & (state["age"].flatten() >= self.steps // 2)
        return torch.where(lost, DEAD, ALIVE)


def turns(seen: Tensor, rule: Rule) -> Tensor:
    """What the network makes of the neighbors `seen` (B, 5, N, K) by each boid: its turn, (B, 1, N) in [-1, 1]."""
    batch, _, n, count = seen.shape
    ahead, left, alike, across, there = seen.unbind(1)
    distance = (ahead.square() + left.square()).sqrt()
    nearer = 1 / distance.clamp(min=1e-6)
    bearing = left * nearer
    sight = torch.stack([ahead * nearer, 2 * distance - 1, alike], 1).view(batch, 3, n * count)
    when = torch.baddbmm(rule["level"], rule["when"], sight).sigmoid_()  # (B, H, N K)
    steer, follow = torch.bmm(rule["react"], when).view(batch, 2, n, count).unbind(1)
    touch = PUSH * (1 - distance / rule["elbow"]).clamp_(min=0)
    pull = ((steer - touch) * bearing + follow * across).sum(2)  # Nobody there: bearing and across are 0.
    number = there.sum(2)
    turn = rule["bias"][:, 0] * number.clamp(max=1) + PULL * pull / number.clamp(min=1)
    return turn.tanh_()[:, None]
