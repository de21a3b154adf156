"""Gray-Scott: two chemicals, one eating the other, grow spots that divide, worms, mazes and waves [1, 2].

    du/dt = spread lap(u) - u v^2 + feed (1 - u)                     u is fed, and eaten by v,
    dv/dt = spread / ratio lap(v) + u v^2 - (feed + kill) v          which spreads more slowly, and fades

Besides nothing (u, v) = (1, 0), which never changes, a uniform world can rest at v > 0 where kill <= k0(feed), with
k0 = sqrt(feed) / 2 - feed. All that is worth watching happens near that edge: far above it everything dies, far
below it the world is filled evenly. So the distance to the edge, `hunger` = kill - k0, is what is drawn.

[1] J. E. Pearson. Complex patterns in a simple system. Science 261, 1993.
[2] R. P. Munafo. Stable localized moving patterns in the 2-D Gray-Scott model. arXiv:1501.01990, 2014.

Shapes: B rollouts, H W cells.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from sims import Param, Params, Space, TorchSimulation
from sims._color import paint
from sims._starts import distance, lumps
from sims._torch import ALIVE, DEAD, EXPLODED

SPACE = Space(
    Param("feed", 0.011, 0.045, scale="log", unit="1/time", doc="how fast food comes: low is restless, high is still"),
    Param("hunger", -0.002, 0.009, unit="1/time", doc="kill - k0(feed): low fills the world, high starves it to spots"),
    Param(
        "spread", 0.12, 0.2, scale="log", unit="cells^2/time", doc="how fast food spreads: high makes larger patterns"
    ),
    Param("ratio", 1.8, 2.4, scale="log", doc="how much slower the eater spreads: high is crisp and stable"),
    Param("patch", 0.08, 0.35, unit="worlds", doc="radius of the patch where eaters are at the start"),
    Param("cover", 0.3, 0.75, doc="share of the patch that has eaters: high starts with more"),
    Param("pattern", 0, 1, doc="which lumps: near values start alike, far ones have nothing in common"),
    Param("grain", 1.5, 5, scale="log", unit="cells", doc="size of its lumps: high starts as few big blobs"),
)

SUBSTEPS = 20
"""Units of time in a step."""

MEMORY = 8
"""Steps after which the trail that colors a world has mostly faded."""

BRIGHT = 0.4
"""What v hardly ever exceeds."""

State: TypeAlias = dict[str, Tensor]
Rule: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class GrayScott(TorchSimulation[State, Rule]):
    """Gray-Scott on a torus.

    Attributes:
        size: Side of the world, in cells.
        steps: Steps in a rollout, of 20 units of time each.
    """

    version: ClassVar[int] = 1

    size: int = 80
    steps: int = 300

    @property
    def space(self) -> Space:
        """8 parameters: how the chemicals react and spread, and how the world starts."""
        return SPACE

    def rule(self, params: Params) -> Rule:
        """`rates` (B, 4) as `react` wants them, and what `start` needs, (B,)."""
        feed = params["feed"]
        kill = fold(feed) + params["hunger"]
        rates = torch.stack([params["spread"], params["spread"] / params["ratio"], feed, feed + kill], 1)
        return {"rates": rates, **{name: params[name] for name in ("patch", "cover", "pattern", "grain")}}

    def start(self, rule: Rule, seeds: Tensor) -> State:
        """`u`, `v` and the `trail` of v, (B, H, W): lumps of (1/2, 1/4) in a disc in the middle of (1, 0)."""
        patch, cover = (rule[name][:, None, None] for name in ("patch", "cover"))
        hills = lumps(rule["pattern"], rule["grain"], seeds, self.size)
        middle = distance(self.size).to(hills)
        disc = (0.5 + self.size * patch - middle).clamp(0, 1)
        eaters = disc * (0.5 + 3 * (hills - torch.special.ndtri(1 - cover))).clamp(0, 1)
        return {"u": 1 - eaters / 2, "v": eaters / 4, "trail": eaters / 4}

    def step(self, state: State, rule: Rule) -> State:
        """The world 20 units of time later."""
        from sims._reaction import react  # The compiler is loaded by those who need it.

        u, v = react(state["u"], state["v"], rule["rates"], SUBSTEPS)
        return {"u": u, "v": v, "trail": state["trail"].lerp(v, 1 / MEMORY)}

    def draw(self, state: State, size: int) -> Tensor:
        """Frames of the eaters, (B, size, size, 3) uint8, in fixed colors."""
        return paint(state["v"] / BRIGHT, state["trail"] / BRIGHT, size)

    def status(self, state: State, rule: Rule) -> Tensor:
        """Dead without eaters, exploded when they fill the world evenly."""
        del rule
        v = state["v"].flatten(1)
        verdict = torch.full((len(v),), ALIVE, device=v.device)
        verdict[(v.std(1) < 0.01) & (v.mean(1) > 0.1)] = EXPLODED
        verdict[~(v.amax(1) > 1e-3)] = DEAD
        return verdict


def fold(feed: Tensor) -> Tensor:
    """The highest kill rate at which a uniform world can keep its eaters."""
    return feed.sqrt() / 2 - feed
