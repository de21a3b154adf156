"""A KL-regularised Gibbs policy, estimated from the archive.

What maximises the expected reward at a given divergence from the prior is p(θ) ∝ prior(θ) exp(r(θ) / τ). The prior is
uniform, so the divergence is the lack of entropy, and one knob trades surprise for reward. The archive holds points that
the policy itself proposed earlier, more and more of them where the reward is high, so p is estimated on it.

Rewards are noisy: the same parameters live or die with the start. Taken at face value, the best of the archive are the
luckiest, and die on the next seed. So rewards are shrunk towards a regression of reward on parameters, in which worlds
that died speak as loudly as those that live.
"""

from typing import ClassVar

import torch
from torch import Tensor

from models._generator import Archive, Generator
from models.generators._archive import check, stream
from models.generators._chains import climb
from models.generators._policy import behavior_density, temper
from models.generators._surrogate import Surrogate


class Gibbs(Generator):
    """Emits what scored well and will live again; explores around it and where the regression promises more.

    Args:
        dim: D.
        seed: Fixes the chains that `tell` runs.
        kl: Divergence of what is emitted from all that was simulated, in nats: 1.5 is diverse, 3 is greedy.
    """

    version: ClassVar[int] = 1

    def __init__(self, dim: int, *, seed: int = 0, kl: float = 2.5, own: float = 0.25, jitter: float = 0.01,
                 chain_kl: float = 4.0, squash: float = 0.0, small: float = 0.015, large: float = 0.05, width: float = 0.06, elite: float=0.45, chain: float=0.45) -> None:
        super().__init__(dim, seed=seed)
        self.kl = kl
        self.own, self.jitter, self.chain_kl, self.squash, self.small, self.large, self.width, self.elite, self.chain = own, jitter, chain_kl, squash, small, large, width, elite, chain
        self._state: dict[str, Tensor] = {}

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        draw = stream(seed)
        prior = torch.rand(n, self.dim, generator=draw)
        if not self._state:
            return prior
        if not explore:
            return _reflect(self._parents(n, draw) + self.jitter * torch.randn(n, self.dim, generator=draw))
        kind = torch.rand(n, 1, generator=draw)
        chains = self._state["chains"]
        climbed = chains[torch.randint(len(chains), (n,), generator=draw)]
        return torch.where(kind < self.elite, self._mutants(n, draw), torch.where(kind < self.elite + self.chain, climbed, prior))

    def _parents(self, n: int, draw: torch.Generator) -> Tensor:
        rows = torch.multinomial(self._state["weight"], n, replacement=True, generator=draw)
        return self._state["unit"][rows]

    def _mutants(self, n: int, draw: torch.Generator) -> Tensor:
        one, other = self._parents(n, draw), self._parents(n, draw)
        child = torch.where(torch.rand(n, self.dim, generator=draw) < 0.15, other, one)
        size = torch.where(torch.rand(n, 1, generator=draw) < 0.5, self.small, self.large)
        return _reflect(child + size * torch.randn(n, self.dim, generator=draw))

    def tell(self, archive: Archive) -> dict[str, float]:
        check(archive, self.dim)
        alive = archive.alive
        score = archive.score
        if self.squash:
            a = score[alive]; z = (score - a.median()) / a.std()
            score = torch.special.ndtr(z / self.squash) * self.squash * 2.5
            score = torch.where(alive, score, 0.)
        surrogate = Surrogate(archive.unit, score, seed=self.seed)
        predicted = surrogate(archive.unit)
        shrunk = (self.own * score + (1-self.own) * predicted)[alive]
        base = 1 / behavior_density(archive.embedding[alive], self.width)
        weight, tau = temper(shrunk, base, self.kl)
        unit = archive.unit[alive]
        best = weight.argsort(descending=True)[:512]
        self._state = {"unit": unit[best].contiguous(), "weight": weight[best].contiguous()}
        draw = stream(self.seed)
        test = torch.rand(4096, self.dim, generator=draw)
        v = surrogate(test)
        _, hot = temper(v, torch.ones(len(v)), self.chain_kl)
        start = self._parents(200, draw)
        self._state["chains"] = climb(surrogate, start, hot, draw).contiguous()
        self.surrogate, self.shrunk = surrogate, shrunk
        return {"tau": tau, "chain_tau": hot, "expected": float((weight * shrunk).sum()), "chain_value": float(surrogate(self._state["chains"]).mean())}

    def state(self) -> dict[str, Tensor]:
        return dict(self._state)

    def load(self, state: dict[str, Tensor]) -> None:
        self._state = dict(state)


def _reflect(unit: Tensor) -> Tensor:
    """Points outside the cube, mirrored back into it."""
    return (unit.remainder(2) - 1).abs().mul(-1).add(1)
