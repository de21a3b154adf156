"""A KL-regularised Gibbs policy, estimated from the archive.

What maximises the expected worth at a given divergence from the prior is p(θ) ∝ prior(θ) exp(w(θ) / τ). The prior is
uniform, so the divergence is the lack of entropy, and one knob trades surprise for worth. The archive holds points that
the policy itself proposed earlier, more and more of them where the worth is high, so p is estimated on it.

A world's worth is about the chance that it beats a living world of the prior, and nothing if it died. Being bounded, it
cannot be had by a few outliers of the Rewardor, and it prefers what is good each time to what is splendid and mostly
dies. Worth is noisy all the same: many parameters live or die with the seed. Taken at face value, the best of the
archive are the luckiest, and die on the next seed. Two things help. What is emitted is simulated again while exploring,
so that what counts is what parameters earn on average; and averages of few worlds are shrunk towards a regression on
the parameters, in which worlds that died speak as loudly as those that live.
"""

from typing import ClassVar

import torch
from torch import Tensor

from models._generator import Archive, Generator
from models.generators._archive import Distinct, check, distinct, stream
from models.generators._chains import climb, reflect
from models.generators._policy import behavior_density, temper
from models.generators._surrogate import Surrogate

REPEATS, ELITES, CHAINS = 0.3, 0.3, 0.3
"""Shares of what is emitted itself, of mutated elites, and of chains in what is explored; the rest is prior."""

COOL = 4.0
"""How much colder than the policy the chains are: only what the regression is sure of is worth a look beyond."""

STEPS = (0.015, 0.05)
"""Standard deviations of small and large mutations."""

CROSSED = 0.15
"""Share of the parameters that a mutant has from another parent."""

JITTER = 0.005
"""Standard deviation of what is emitted, around what was simulated."""

FEWEST = 16.0
"""Parameters that what is emitted rests on at least: one of them alone may look strange and turn out to be a dud."""

KEPT = 512
"""Points of the archive that a version holds: the others weigh next to nothing."""


class Gibbs(Generator):
    """Emits what scored well and will live again; explores around it and where the regression promises more.

    Args:
        dim: D.
        seed: Fixes the chains that `tell` runs.
        kl: Divergence of what is emitted from all that was simulated, in nats: 2 is diverse, 5 is greedy.
        luck: How many worlds of the same parameters are believed as much as the regression: the variance between their
            seeds, over that of parameters around the regression.
        width: Of the kernel in which worlds look alike, in squared median distances.
    """

    version: ClassVar[int] = 2
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"kl": (2.0, 7.0), "luck": (1.0, 16.0), "width": (0.01, 0.4)}

    def __init__(self, dim: int, *, seed: int = 0, kl: float = 4.5, luck: float = 4.0, width: float = 0.06) -> None:
        super().__init__(dim, seed=seed)
        self.kl, self.luck, self.width = kl, luck, width
        self._state: dict[str, Tensor] = {}

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        draw = stream(seed)
        prior = torch.rand(n, self.dim, generator=draw)
        if not self._state:
            return prior
        if not explore:
            return reflect(self._parents(n, draw) + JITTER * torch.randn(n, self.dim, generator=draw))
        chains = self._state["chains"]
        climbed = chains[torch.randint(len(chains), (n,), generator=draw)]
        again, mutants = self._parents(n, draw), self._mutants(n, draw)
        shares = torch.tensor([REPEATS, ELITES, CHAINS, 1 - REPEATS - ELITES - CHAINS])
        kind = torch.multinomial(shares, n, replacement=True, generator=draw)
        return torch.stack([again, mutants, climbed, prior])[kind, torch.arange(n)]

    def _parents(self, n: int, draw: torch.Generator) -> Tensor:
        rows = torch.multinomial(self._state["weight"], n, replacement=True, generator=draw)
        return self._state["unit"][rows]

    def _mutants(self, n: int, draw: torch.Generator) -> Tensor:
        one, other = self._parents(n, draw), self._parents(n, draw)
        child = torch.where(torch.rand(n, self.dim, generator=draw) < CROSSED, other, one)
        small, large = STEPS
        size = torch.where(torch.rand(n, 1, generator=draw) < 0.5, small, large)
        return reflect(child + size * torch.randn(n, self.dim, generator=draw))

    def tell(self, archive: Archive) -> dict[str, float]:
        """See `Generator.tell`; returns the temperature and what the policy expects to be worth."""
        check(archive, self.dim)
        alive, draw = archive.alive, stream(self.seed)
        if not alive.any():
            self._state = {}
            return {}
        worth, tried = _worth(archive), distinct(archive.unit, alive)
        surrogate = Surrogate(archive.unit, worth, seed=self.seed)
        believed = _believe(worth, surrogate, tried, self.luck)
        rare = 1 / behavior_density(archive.embedding[tried.shown], self.width)
        weight, tau = temper(believed, rare, self.kl, FEWEST)
        kept = weight.argsort(descending=True)[:KEPT]
        self._state = {"unit": tried.unit[kept].contiguous(), "weight": weight[kept].contiguous()}
        self._state["chains"] = climb(surrogate, self._parents(200, draw), tau / COOL, draw).contiguous()
        return {"tau": tau, "expected_worth": float((weight * believed).sum())}

    def state(self) -> dict[str, Tensor]:
        """The archive's best points with their weights, and where the chains ended."""
        return dict(self._state)

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._state = dict(state)


def _believe(worth: Tensor, surrogate: Surrogate, tried: Distinct, luck: float) -> Tensor:
    """What parameters (G,) are believed to earn on average: from the worth (B,) of worlds, and the regression on it."""
    own = tried.count / (tried.count + luck)
    return own * tried.mean(worth) + (1 - own) * surrogate(tried.unit)


def _worth(archive: Archive) -> Tensor:
    """(B,) in [0, 1]: the normal distribution function of scores in standard deviations, 0 where not alive.

    Scores are centered on the prior's living worlds.
    """
    living = archive.score[archive.alive]
    worth = torch.zeros(len(archive.score))
    worth[archive.alive] = torch.special.ndtr(living / living.std(correction=0).clamp_min(1e-6))
    return worth
