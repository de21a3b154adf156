"""Functions drawn from the posterior, each a weighted sum of kernels at a few anchor worlds."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from models.rewardors._answers import Questions
from models.rewardors._gaussian_process import ROUGH, Mode, Weights, find_mode
from models.rewardors._labelers import Manner

Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]

ANCHORS = 512
"""Worlds on which the posterior is kept: those with labels first, then reference worlds. Bounds every later cost."""

SPARE = 128
"""Anchors that stay with the reference however many worlds have labels."""

JITTER = 1e-6


def draw_members(
    kernel: Kernel,
    z: Tensor,
    questions: Questions,
    manner: Manner,
    rows: Tensor,
    members: int,
    last: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Functions kernel(x, anchor) @ weight - offset, one per column.

    Their mean is the posterior mean to rounding, and their mean over the reference is zero.

    Args:
        kernel: From features (n, F) and (m, F) to (n, m).
        z: (B, F) normalised features.
        questions: What was answered, about rows of `z`.
        manner: How people answer.
        rows: The reference.
        members: M, how many.
        last: The mean (n,) of an earlier posterior at features (n, F), to start from.

    Returns:
        `anchor` (A, F), `weight` (A, M) and `offset` (M,).
    """
    anchor = z[_anchors(questions.worlds, rows)]
    gram = kernel(anchor, anchor)
    factor = torch.linalg.cholesky(gram + JITTER * gram.diagonal().mean() * torch.eye(len(gram)).to(gram))
    worlds = torch.cat([questions.worlds, rows]).unique()
    apart = _Differences(questions, worlds, rows)
    between = kernel(z[worlds], anchor)
    # in the coordinates of this basis the prior is white
    basis = torch.linalg.solve_triangular(factor, between.T, upper=False).T
    before = apart(last(z[worlds])[:, None])[:, 0] if last else None
    mode = _settle(apart(basis), questions, manner, apart.centred(basis), before)
    weight = torch.linalg.solve_triangular(factor.T, _draws(mode, members), upper=True)
    return {"anchor": anchor, "weight": weight.contiguous(), "offset": apart.reference(between @ weight).mean(0)}


class _Differences:
    """From values (n, k) at the worlds that matter to their differences (m, k) that were asked about."""

    def __init__(self, questions: Questions, worlds: Tensor, rows: Tensor) -> None:
        self._first, self._rows = torch.searchsorted(worlds, questions.first), torch.searchsorted(worlds, rows)
        self._second = torch.searchsorted(worlds, questions.second)
        self._whole = questions.second[:, None] >= 0

    def __call__(self, values: Tensor) -> Tensor:
        return values[self._first] - torch.where(self._whole, values[self._second], self.reference(values).mean(0))

    def reference(self, values: Tensor) -> Tensor:
        """Values at the reference worlds."""
        return values[self._rows]

    def centred(self, values: Tensor) -> Tensor:
        """The same, less their mean."""
        reference = self.reference(values)
        return reference - reference.mean(0)


def _anchors(labelled: Tensor, reference: Tensor) -> Tensor:
    spare = reference[~torch.isin(reference, labelled)]
    keep = min(len(labelled), ANCHORS - min(len(spare), SPARE))
    chosen = labelled[torch.linspace(0, max(len(labelled) - 1, 0), keep).long()]
    return torch.cat([chosen, spare[: ANCHORS - keep]])


def _settle(asked: Tensor, questions: Questions, manner: Manner, reference: Tensor, before: Tensor | None) -> Mode:
    """The mode, with the reward that *neither* is below moved from the mean of the reference to its median.

    Answers given at random may leave several modes. The one taken is found from the only mode that there is without
    such answers, so that it does not depend on where the search starts.
    """
    space, told = Weights(asked), questions.told(manner)
    sincere = replace(told, noise=torch.zeros_like(told.noise))
    start = asked.new_zeros(space.size) if before is None else asked.T @ sincere.curve(before).slope
    mode = find_mode(space, told, find_mode(space, sincere, start, ROUGH).x)
    if (questions.second < 0).any():
        median = float((reference @ mode.x).median())
        mode = find_mode(space, questions.told(manner, median), mode.x)
    return mode


def _draws(mode: Mode, members: int) -> Tensor:
    """Weights (A, M) from the posterior of white ones.

    The draws' own mean is taken out, so that theirs is the posterior's, and their sample covariance stays unbiased.
    """
    random = torch.Generator().manual_seed(0)
    draw = torch.randn(len(mode.x), members, generator=random, dtype=mode.x.dtype).to(mode.x)
    away = draw - draw.mean(1, keepdim=True)
    return mode.x[:, None] + torch.linalg.solve_triangular(mode.factor.T, away, upper=True)
