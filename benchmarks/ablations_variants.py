"""What ablations.py puts in place of parts of the product: the same code with another constant, or with less of it.

All of these are plug-ins, named "benchmarks.ablations_variants:Class".
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from models import Archive, Labels
from models.generators import gibbs
from models.preference import SKIP, TIE, Curve
from models.rewardors import _answers, _labelers, common
from models.rewardors._features import FAMILIES


class Fewer(common.Common):
    """Knows nothing but some families of features.

    Args:
        families: Their names.
        members: See `Common`.
    """

    def __init__(self, *, families: Sequence[str], members: int = 32) -> None:
        super().__init__(members=members)
        self._kept = {name: FAMILIES[name] for name in families}

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.fit`."""
        with self._narrow():
            return super().fit(embedding, labels, reference)

    def refit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.refit`."""
        with self._narrow():
            return super().refit(embedding, labels, reference)

    def forward(self, embedding: Tensor) -> Tensor:
        """See `Rewardor.forward`."""
        with self._narrow():
            return super().forward(embedding)

    def _narrow(self) -> AbstractContextManager:
        return patch.multiple(common, FAMILIES=self._kept, SLICES=tuple(self._kept.values()))


class Ties(common.Common):
    """Learns from ties in one of three ways.

    Args:
        rule: "dropped": they say nothing, and who is better at all is called better. "half": half a win for each world,
            in the likelihood of Bradley and Terry. "margin": that of Rao and Kupper, as shipped.
        members: See `Common`.
    """

    def __init__(self, *, rule: Literal["dropped", "half", "margin"], members: int = 32) -> None:
        super().__init__(members=members)
        self.rule = rule

    def fit(self, embedding: Tensor, labels: Labels, reference: Tensor) -> dict[str, float]:
        """See `Rewardor.fit`."""
        if self.rule == "dropped":
            labels = replace(labels, answer=torch.where(labels.answer == TIE, SKIP, labels.answer))
        plain = patch.object(_labelers, "MARGIN", 0.0) if self.rule != "margin" else nullcontext()
        half = patch.object(_answers, "tie", half_a_win) if self.rule == "half" else nullcontext()
        with plain, half:
            return super().fit(embedding, labels, reference)


def half_a_win(difference: Tensor, margin: Tensor | float) -> Curve:
    """Half the log-probability that the one wins, and half that of the other; takes the place of `preference.tie`."""
    del margin
    win = torch.sigmoid(difference)
    return Curve((logsigmoid(difference) + logsigmoid(-difference)) / 2, 0.5 - win, -win * (1 - win))


class Cautious(common.Common):
    """Takes some standard deviations over members off the score that the Generator climbs.

    Args:
        caution: How many.
        members: See `Common`.
    """

    def __init__(self, *, caution: float, members: int = 32) -> None:
        super().__init__(members=members)
        self.caution = caution


class Shrunk(gibbs.Gibbs):
    """Believes the regression otherwise.

    Args:
        dim: D.
        seed: See `Gibbs`.
        doubt: See `Gibbs`.
        promise: In place of `PROMISE`.
    """

    def __init__(self, dim: int, *, seed: int = 0, doubt: float = 4.0, promise: float = gibbs.PROMISE) -> None:
        super().__init__(dim, seed=seed, doubt=doubt)
        self.promise = promise

    def tell(self, archive: Archive) -> dict[str, float]:
        """See `Generator.tell`."""
        with patch.object(gibbs, "PROMISE", self.promise):
            return super().tell(archive)


class Exploring(gibbs.Gibbs):
    """Explores with another share of the prior; what else is explored keeps its proportions.

    Args:
        dim: D.
        seed: See `Gibbs`.
        kl: See `Gibbs`.
        prior: The share.
    """

    def __init__(self, dim: int, *, seed: int = 0, kl: float = 4.5, prior: float) -> None:
        super().__init__(dim, seed=seed, kl=kl)
        shares = {name: getattr(gibbs, name) for name in ("REPEATS", "ELITES", "CHAINS")}
        self._shares = {name: share / sum(shares.values()) * (1 - prior) for name, share in shares.items()}

    def ask(self, n: int, seed: int, *, explore: bool = False) -> Tensor:
        """See `Generator.ask`."""
        with patch.multiple(gibbs, **self._shares):
            return super().ask(n, seed, explore=explore)
