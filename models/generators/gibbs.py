"""A KL-regularised Gibbs policy, estimated from the archive.

What maximises the expected worth at a given divergence from the prior is p(θ) ∝ prior(θ) exp(w(θ) / τ). The prior is
uniform, so the divergence is the lack of entropy, and one knob trades surprise for worth. The archive holds points that
the policy itself proposed earlier, more and more of them where the worth is high, so p is estimated on it.

A world's worth is about the chance that it beats a living world of the prior, and nothing if it died. Being bounded, it
cannot be had by a few outliers of the Rewardor, and it prefers what is good each time to what is splendid and mostly
dies. Worth is noisy all the same: many parameters live or die with the seed. Taken at face value, the best of the
archive are the luckiest, and die on the next seed. Two things help. What is emitted is simulated again while exploring,
so that what counts is what parameters earn on average; and averages of few worlds are shrunk towards what a newcomer
earns. A regression on the parameters, in which worlds that died speak as loudly as those that live, says where a
newcomer earns more than others. What it promises most is also where it errs most: to emit, it is believed by half; to
choose what is worth a second look, it is taken at its word.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor

from models._generator import Archive, Generator
from models.generators._archive import Distinct, check, distinct, stream
from models.generators._chains import climb, reflect
from models.generators._policy import behavior_density, temper
from models.generators._surrogate import Surrogate

PROMISE = 0.5
"""Share of what the regression promises that is believed when emitting."""

REPEATS, ELITES, CHAINS = 0.4, 0.3, 0.2
"""Shares of candidates simulated again, of mutated elites, and of chains in what is explored; the rest is prior."""

ENOUGH = 2.0
"""Worlds of the same parameters that halve the need for another one."""

COOL = 4.0
"""How much colder than the policy the chains are: only what the regression is sure of is worth a look beyond."""

STEPS = (0.015, 0.05)
"""Standard deviations of small and large mutations."""

CROSSED = 0.15
"""Share of the parameters that a mutant has from another parent."""

JITTER = 0.005
"""Standard deviation of what is emitted, around what was simulated."""

KL = 4.5
"""Divergence by default, in nats."""

FEWEST = 16.0
"""Parameters that what is emitted rests on at least, by default: one alone may look strange and turn out to be a dud.
Each nat less of divergence asks for e times as many, each more for as many fewer: this bound decides in most archives,
and would make a knob of `kl` that moves nothing if it stood still."""

CANDIDATES = 3.0
"""How many times as many what is simulated again is drawn from at least."""

KEPT = 512
"""Points of the archive that a version holds: the others weigh next to nothing."""

WIDTH = 0.06
"""Of the kernel in which worlds look alike, in squared median distances."""


class Gibbs(Generator):
    """Emits what scored well and will live again; explores around it and where the regression promises more.

    Args:
        dim: D.
        seed: Fixes the chains that `tell` runs.
        kl: Divergence of what is emitted from all that was simulated, in nats, at most: 2 is diverse, 6 is greedy.
        doubt: How many worlds of the same parameters are believed as much as what is expected of a newcomer.
        rarity: Power of how rare a look is that the policy departs from: 0 is what was simulated, 1 gives each look the
            same.
    """

    version: ClassVar[int] = 4
    tunable: ClassVar[dict[str, tuple[float, float]]] = {"kl": (2.0, 7.0), "doubt": (1.0, 16.0), "rarity": (0.1, 1.0)}

    def __init__(self, dim: int, *, seed: int = 0, kl: float = KL, doubt: float = 4.0, rarity: float = 0.5) -> None:
        super().__init__(dim, seed=seed)
        self.kl, self.doubt, self.rarity = kl, doubt, rarity
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
        again, mutants = self._parents(n, draw, "again"), self._mutants(n, draw)
        shares = torch.tensor([REPEATS, ELITES, CHAINS, 1 - REPEATS - ELITES - CHAINS])
        kind = torch.multinomial(shares, n, replacement=True, generator=draw)
        return torch.stack([again, mutants, climbed, prior])[kind, torch.arange(n)]

    def _parents(self, n: int, draw: torch.Generator, by: str = "weight") -> Tensor:
        rows = torch.multinomial(self._state[by], n, replacement=True, generator=draw)
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
        promised = surrogate(tried.unit).clamp(0, 1)
        believed, hoped = (self._believe(worth, promised, tried, trust) for trust in (PROMISE, 1.0))
        rare = behavior_density(archive.embedding[tried.shown], WIDTH) ** -self.rarity
        fewest = max(1.0, FEWEST * math.exp(KL - self.kl))
        weight, tau = temper(believed, rare, self.kl, fewest)
        again = temper(hoped, rare, self.kl, CANDIDATES * fewest)[0] / (1 + tried.count / ENOUGH)
        kept = (weight + again).argsort(descending=True)[:KEPT]
        told = {"unit": tried.unit, "weight": weight, "again": again}
        self._state = {name: value[kept].contiguous() for name, value in told.items()}
        self._state["chains"] = climb(surrogate, self._parents(200, draw), tau / COOL, draw).contiguous()
        return {"tau": tau, "expected_worth": float((weight * believed).sum())}

    def _believe(self, worth: Tensor, promised: Tensor, tried: Distinct, trust: float) -> Tensor:
        """What parameters (G,) are believed to earn on average.

        Args:
            worth: (B,) of worlds.
            promised: (G,) by a regression.
            tried: The parameters.
            trust: How far a newcomer keeps what the regression promises beyond the average of the archive.
        """
        newcomer = torch.lerp(worth.mean(), promised, trust)
        own = tried.count / (tried.count + self.doubt)
        return own * tried.mean(worth) + (1 - own) * newcomer

    def state(self) -> dict[str, Tensor]:
        """The archive's best points, their weights when emitting and when simulating again, and where chains ended."""
        return dict(self._state)

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._state = dict(state)


def _worth(archive: Archive) -> Tensor:
    """(B,) in [0, 1]: the normal distribution function of scores in standard deviations, 0 where not alive.

    Scores are centered on the prior's living worlds.
    """
    living = archive.score[archive.alive]
    worth = torch.zeros(len(archive.score))
    worth[archive.alive] = torch.special.ndtr(living / living.std(correction=0).clamp_min(1e-6))
    return worth
