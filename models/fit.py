"""The steps that Train jobs, Tune, tests and benchmarks share."""

import copy

import torch
from torch import Tensor

from models import Archive, Labels, Rewardor
from models.preference import LEFT, NEITHER, RIGHT, log_likelihood

FOLDS = 5
FEWEST = 10
FLOOR = 0.02


def fit_rewardor(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, *, folds: int = FOLDS
) -> dict[str, float]:
    """Fit in place; returns the Rewardor's metrics, and from 10 decided labels on `held_out_accuracy` and `held_out_log_loss`.

    Each label is predicted by a copy that saw no label about either of its two worlds. Copies keep the settings that the
    fit chose (`refit`, where a Rewardor has it), so only those have seen it.
    """
    metrics = rewardor.fit(embedding, labels, reference)
    decided = (labels.answer == LEFT) | (labels.answer == RIGHT)
    if folds < 2 or int(decided.sum()) < FEWEST:
        return metrics
    return metrics | _held_out(rewardor, embedding, labels, reference, decided, folds)


def _held_out(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, decided: Tensor, folds: int
) -> dict[str, float]:
    right, lost = 0.0, 0.0
    fold = torch.arange(len(labels.left)) % folds
    for k in range(folds):
        test = (fold == k) & decided
        seen = torch.cat([labels.left[fold == k], labels.right[fold == k]])
        train = ~(torch.isin(labels.left, seen) | torch.isin(labels.right, seen))
        learner = copy.deepcopy(rewardor)
        getattr(learner, "refit", learner.fit)(embedding, _take(labels, train), reference)
        left, other = learner.forward(embedding[labels.left[test]]), learner.forward(embedding[labels.right[test]])
        answer = labels.answer[test]
        gap = left.mean(1) - other.mean(1)
        right += float(((gap > 0) == (answer == LEFT)).sum())
        told = log_likelihood(left, other, answer).logsumexp(1) - torch.tensor(left.shape[1]).log()
        lost -= float(told.sum())
    count = int(decided.sum())
    return {"held_out_accuracy": right / count, "held_out_log_loss": lost / count}


def _take(labels: Labels, rows: Tensor) -> Labels:
    return Labels(labels.left[rows], labels.right[rows], labels.answer[rows], labels.labeler[rows])


def archive(rewardor: Rewardor, unit: Tensor, alive: Tensor, embedding: Tensor) -> Archive:
    """Everything rolled out, scored; what is not alive gets the floor, the 2nd percentile of the alive scores."""
    score = torch.zeros(len(unit))
    if alive.any():
        score[alive] = rewardor.score(embedding[alive])
        score[~alive] = score[alive].quantile(FLOOR)
    return Archive(unit=unit, alive=alive, score=score, embedding=embedding)
