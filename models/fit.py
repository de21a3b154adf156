"""The steps that Train jobs, Tune, tests and benchmarks share."""

import copy
import math

import torch
from torch import Tensor

from models import Archive, Labels, Rewardor
from models.preference import LEFT, RIGHT, log_likelihood

FOLDS = 5
FEWEST = 10
"""Decided labels below which a held-out share of them says nothing."""

FLOOR = 0.02


def fit_rewardor(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, *, folds: int = FOLDS
) -> dict[str, float]:
    """Fit in place; returns the Rewardor's metrics, how many labels there are, and how well it predicts unseen ones.

    `held_out_accuracy` and `held_out_log_loss` (in nats; a coin flip has 0.69) are over decided labels, left or right,
    and left out with fewer than ten of them. Each label is predicted by a copy that was fitted without its fold and
    without every other label on a world of that fold: where the same worlds are shown again and again this leaves
    little to learn from, and the numbers are pessimistic. Copies keep the settings that the whole fit chose, where a
    Rewardor has a `refit` that does; so only those have seen what is held out.

    Args:
        rewardor: Fitted in place.
        embedding: (B, F).
        labels: P labels on rows of `embedding`.
        reference: (B,) bool.
        folds: Parts that labels are held out in; below 2 nothing is held out.
    """
    metrics = rewardor.fit(embedding, labels, reference)
    decided = (labels.answer == LEFT) | (labels.answer == RIGHT)
    metrics |= {"labels": float(len(labels.answer)), "decided": float(decided.sum())}
    if folds < 2 or int(decided.sum()) < FEWEST:
        return metrics
    return metrics | _held_out(rewardor, embedding, labels, reference, folds)


def archive(rewardor: Rewardor, unit: Tensor, alive: Tensor, embedding: Tensor) -> Archive:
    """Everything rolled out so far, scored.

    What is not alive gets the floor, the 2nd percentile of the alive scores: the Generator learns to avoid death, and
    a score far below all others would be all that it learns.

    Args:
        rewardor: Already fitted.
        unit: (B, D).
        alive: (B,) bool.
        embedding: (B, F), finite where alive.
    """
    score = torch.zeros(len(unit))
    if alive.any():
        score[alive] = rewardor.score(embedding[alive])
        score[~alive] = score[alive].quantile(FLOOR)
    return Archive(unit=unit, alive=alive, score=score, embedding=embedding)


def _held_out(rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, folds: int) -> dict[str, float]:
    """Accuracy and log-loss on decided labels, each predicted without itself and its worlds."""
    learner = copy.deepcopy(rewardor)
    learn = getattr(learner, "refit", learner.fit)
    fold = _folds(labels, len(embedding), folds)
    right, told = [], []
    for k in range(folds):
        seen = torch.cat([labels.left[fold == k], labels.right[fold == k]])
        fresh = ~(torch.isin(labels.left, seen) | torch.isin(labels.right, seen))
        learn(embedding, _take(labels, fresh), reference)
        test = _take(labels, (fold == k) & (labels.answer <= RIGHT))
        left, other = learner.forward(embedding[test.left]), learner.forward(embedding[test.right])
        right.append((left.mean(1) > other.mean(1)) == (test.answer == LEFT))
        told.append(_decided_likelihood(left, other, test.answer))
    return {
        "held_out_accuracy": float(torch.cat(right).float().mean()),
        "held_out_log_loss": -float(torch.cat(told).mean()),
    }


def _folds(labels: Labels, rows: int, folds: int) -> Tensor:
    """Which fold each label is in, whatever the order of labels: neighbours in the list of pairs share worlds."""
    first, second = torch.minimum(labels.left, labels.right), torch.maximum(labels.left, labels.right)
    place = torch.empty_like(first)
    place[torch.argsort(first * rows + second, stable=True)] = torch.arange(len(first))
    return place * folds // max(len(first), 1)


def _decided_likelihood(left: Tensor, right: Tensor, answer: Tensor) -> Tensor:
    """Log-probability (P,) of the better side, given that one was called better, averaged over members."""
    sides = torch.stack([torch.full_like(answer, LEFT), torch.full_like(answer, RIGHT)])
    both = torch.stack([log_likelihood(left, right, side) for side in sides]).logsumexp(2)  # (2, P)
    both = both - math.log(left.shape[1])
    return both.gather(0, answer[None])[0] - both.logsumexp(0)


def _take(labels: Labels, rows: Tensor) -> Labels:
    return Labels(labels.left[rows], labels.right[rows], labels.answer[rows], labels.labeler[rows])
