"""A normalising flow, distilled from the archive: a density that can be drawn from without end.

The target is the one of `gibbs`: p(θ) ∝ exp(w(θ) / τ) on the worlds of the archive, as diverse as they look. Weighted
maximum likelihood [1, 2] fits a density q to it,

    maximise  Σ_i p_i log q(θ_i + ε),    ε a small step in any direction,

which needs no gradient of the reward, uses every world ever simulated, and minimises the divergence of p from q, so
that q covers whatever p holds: it may blur two tastes, but cannot drop one of them.

[1] J. Peters, S. Schaal. Reinforcement learning by reward-weighted regression for operational space control. 2007.
[2] J. Peters, K. Mülling, Y. Altün. Relative entropy policy search. 2010.
"""

from typing import ClassVar

import torch
from torch import Tensor

from models._generator import Archive, Generator
from models.generators._archive import stream
from models.generators._chains import reflect
from models.generators._spline import Flow as Density
from models.generators.gibbs import Gibbs

LAYERS = 4

STEPS, BATCH, RATE = 300, 256, 5e-3
"""Of gradient ascent: how many, on how many worlds each, and the highest learning rate."""

STEEPEST = 5.0
"""Norm to which gradients are cut."""

BLUR = 0.01
"""Standard deviation of the steps ε: what keeps a flow of thousands of weights from learning single points by heart."""

FLOOR = 0.2
"""Share of the prior in what is explored: nothing may become impossible."""


class Flow(Generator):
    """Emits draws of the flow; explores with draws of the flow and a floor of prior.

    Args:
        dim: D.
        seed: Fixes the first weights and the batches.
        kl: Divergence of the worlds that are learned from all that were simulated, as in `gibbs`, in nats: 2 is
            diverse, 5 is greedy.
    """

    version: ClassVar[int] = 1
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"kl": (2.0, 7.0)}

    def __init__(self, dim: int, *, seed: int = 0, kl: float = 4.5) -> None:
        super().__init__(dim, seed=seed)
        self.kl = kl
        self._density: Density | None = None

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        draw = stream(seed)
        prior = torch.rand(n, self.dim, generator=draw)
        if self._density is None:
            return prior
        with torch.no_grad():
            drawn = self._density.sample(torch.rand(n, self.dim, generator=draw))
        floor = FLOOR if explore else 0.0
        return torch.where(torch.rand(n, 1, generator=draw) < floor, prior, drawn)

    def tell(self, archive: Archive) -> dict[str, float]:
        """See `Generator.tell`; returns the teacher's numbers and `surprise`, the divergence from the prior."""
        teacher = Gibbs(self.dim, seed=self.seed, kl=self.kl)
        metrics, target = teacher.tell(archive), teacher.state()
        self._density = None
        if not target:
            return metrics
        draw = stream(self.seed)
        self._density = Density(self.dim, LAYERS, draw)
        _learn(self._density, target["unit"], target["weight"], draw)
        with torch.no_grad():
            drawn = self._density.sample(torch.rand(1000, self.dim, generator=draw))
            surprise = self._density.log_prob(drawn).mean()
        return {**metrics, "surprise": float(surprise)}

    def state(self) -> dict[str, Tensor]:
        """The weights of the flow."""
        return {} if self._density is None else dict(self._density.state_dict())

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._density = None
        if state:
            self._density = Density(self.dim, LAYERS, stream(0))
            self._density.load_state_dict(state)


def _learn(density: Density, unit: Tensor, weight: Tensor, draw: torch.Generator) -> None:
    """Climb the likelihood of points (N, D) that count as much as their weights (N,) say."""
    optimizer = torch.optim.AdamW(density.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        rows = torch.multinomial(weight, BATCH, replacement=True, generator=draw)
        near = reflect(unit[rows] + BLUR * torch.randn(BATCH, unit.shape[1], generator=draw))
        optimizer.zero_grad()
        (-density.log_prob(near).mean()).backward()
        torch.nn.utils.clip_grad_norm_(density.parameters(), STEEPEST)
        optimizer.step()
        schedule.step()
