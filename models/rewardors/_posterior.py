"""Functions drawn from the posterior, each a weighted sum of kernels at a few anchor worlds."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from models.rewardors._answers import Questions
from models.rewardors._gaussian_process import Mode, find_mode

Kernel: TypeAlias = Callable[[Tensor, Tensor], Tensor]

ANCHORS = 512
"""Worlds on which the posterior is kept: those with labels first, then reference worlds. Bounds every later cost."""

SPARE = 128
"""Anchors that stay with the reference however many worlds have labels."""

JITTER = 1e-6


def draw_members(kernel: Kernel, z: Tensor, questions: Questions, rows: Tensor, members: int) -> dict[str, Tensor]:
    """Functions kernel(x, anchor) @ weight - offset, one per column.

    Their mean is the posterior mean to rounding, and their mean over the reference is zero.

    Args:
        kernel: From features (n, F) and (m, F) to (n, m).
        z: (B, F) normalised features.
        questions: What was answered, about rows of `z`.
        rows: The reference.
        members: M, how many.

    Returns:
        `anchor` (A, F), `weight` (A, M) and `offset` (M,).
    """
    anchor = z[_anchors(questions.worlds, rows)]
    gram = kernel(anchor, anchor)
    factor = torch.linalg.cholesky(gram + JITTER * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype))

    def basis(x: Tensor) -> Tensor:
        """Coordinates (n, A) in which the prior is white."""
        return torch.linalg.solve_triangular(factor, kernel(anchor, x), upper=False).T

    reference = basis(z[rows])
    middle = reference.mean(0)
    second = torch.where(questions.second[:, None] >= 0, basis(z[questions.second]), middle)
    asked = basis(z[questions.first]) - second
    mode = _settle(asked, questions, reference - middle)
    weight = torch.linalg.solve_triangular(factor.T, _draws(asked, mode, members), upper=True)
    return {"anchor": anchor, "weight": weight.contiguous(), "offset": (kernel(z[rows], anchor) @ weight).mean(0)}


def _anchors(labelled: Tensor, reference: Tensor) -> Tensor:
    spare = reference[~torch.isin(reference, labelled)]
    keep = min(len(labelled), ANCHORS - min(len(spare), SPARE))
    chosen = labelled[torch.linspace(0, max(len(labelled) - 1, 0), keep).long()]
    return torch.cat([chosen, spare[: ANCHORS - keep]])


def _settle(asked: Tensor, questions: Questions, reference: Tensor) -> Mode:
    """The mode, with the reward that *neither* is below moved from the mean of the reference to its median."""
    told, gram = questions.told, asked @ asked.T
    mode = find_mode(gram, told)
    below = questions.second < 0
    if not below.any():
        return mode
    median = (reference @ (asked.T @ mode.dual)).median()
    told = replace(told, margin=torch.where(below, -median, told.margin))
    return find_mode(gram, told, mode.dual)


def _draws(asked: Tensor, mode: Mode, members: int) -> Tensor:
    """Weights (A, M) from the posterior of white ones, given differences asked (m, A) @ weights.

    Matheron's rule: a draw from the prior, corrected by what the answers say of it. The draws' own mean is taken out,
    so that theirs is the posterior's, and their sample covariance stays unbiased.
    """
    random = torch.Generator().manual_seed(0)
    prior = torch.randn(asked.shape[1], members, generator=random, dtype=asked.dtype)
    noise = torch.randn(asked.shape[0], members, generator=random, dtype=asked.dtype)
    prior, noise = prior - prior.mean(1, keepdim=True), noise - noise.mean(1, keepdim=True)
    if not len(asked):
        return prior
    told = mode.explain(asked @ prior) + mode.root[:, None] * torch.cholesky_solve(noise, mode.factor)
    return (asked.T @ mode.dual)[:, None] + prior - asked.T @ told
