"""The steps that Train jobs, Tune, tests and benchmarks share."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from models import Archive, Labels, Rewardor
from models.preference import LEFT, RIGHT, probability

FOLDS = 5
FEWEST = 10
"""Decided labels below which a held-out share of them says nothing."""

HELD_OUT = ("held_out_accuracy", "held_out_log_loss", "held_out_calibration_error", "held_out_labels", "sharpness")
"""Metrics that only `fit_rewardor` makes; `held_out_labels` is how many labels there were then."""

FLOOR = 0.02
BINS = 10

SHARPNESS = 0.5
"""Deviation of the logarithm of the factor that makes chances come true."""


def fit_rewardor(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, *, folds: int = FOLDS
) -> dict[str, float]:
    """Fit in place; returns the Rewardor's metrics, how many labels there are, and how well it predicts unseen ones.

    `held_out_accuracy`, `held_out_log_loss` (in nats; a coin flip has 0.69) and `held_out_calibration_error` (see
    `calibration_error`) are over decided labels, left or right, and left out with fewer than ten of them. Each label is
    predicted by a copy that was fitted without its fold and without every other label on a world of that fold: where
    the same worlds are shown again and again this leaves little to learn from, and the numbers are pessimistic. Copies
    keep the settings that the whole fit chose, where a Rewardor's `refit` does; so only those have seen what is held
    out. These predictions also say how much sharper rewards should be for chances made from them to come true.

    Args:
        rewardor: Fitted in place.
        embedding: (B, F).
        labels: P labels on rows of `embedding`.
        reference: (B,) bool.
        folds: Parts that labels are held out in; below 2 nothing is held out.
    """
    metrics = rewardor.fit(embedding, labels, reference) | _count(labels)
    if folds < 2 or metrics["decided"] < FEWEST:
        return metrics
    left, right, test = _hold_out(rewardor, embedding, labels, reference, folds)
    factor = rewardor.sharpen(_sharpness(left, right, test))
    return (
        metrics
        | _judge(factor * left, factor * right, test)
        | {
            "sharpness": factor,
            "held_out_labels": metrics["labels"],
        }
    )


def refit_rewardor(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, last: Mapping[str, float]
) -> dict[str, float]:
    """`Rewardor.refit`, as after each answer; what `fit_rewardor` held out is kept of its metrics, the last known."""
    kept = {name: value for name, value in last.items() if name in HELD_OUT}
    return kept | rewardor.refit(embedding, labels, reference) | _count(labels)


def _count(labels: Labels) -> dict[str, float]:
    return {"labels": float(len(labels.answer)), "decided": float((labels.answer <= RIGHT).sum())}


def archive(rewardor: Rewardor, unit: Tensor, alive: Tensor, embedding: Tensor) -> Archive:
    """Everything rolled out so far, scored.

    What is not alive gets the floor, the 2nd percentile of the alive scores: the Generator learns to avoid death, and
    a score far below all others would be all that it learns.

    Args:
        rewardor: Already fitted.
        unit: (B, D).
        alive: (B,) bool.
        embedding: (B, F); a world that has none that is finite counts as not alive.
    """
    alive = alive & embedding.isfinite().all(1)
    score = torch.zeros(len(unit))
    if alive.any():
        score[alive] = rewardor.score(embedding[alive])
        score[~alive] = score[alive].quantile(FLOOR)
    return Archive(unit=unit, alive=alive, score=score, embedding=embedding)


def calibration_error(chance: Tensor, happened: Tensor, bins: int = BINS) -> float:
    """How far predicted chances (N,) are from how often it (N,) bool happened, in bins with equally many of them [1].

    The mean over bins of the difference of both means. Small samples keep it above zero: 100 predictions of 87 % that
    are all right give about .08.

    [1] K. Nguyen, B. O'Connor, Posterior calibration and exploratory analysis for NLP models, EMNLP 2015.
    """
    off = (chance - happened.to(chance))[torch.argsort(chance, stable=True)]
    return float(sum(part.sum().abs() for part in off.tensor_split(bins)) / max(len(off), 1))


def _hold_out(
    rewardor: Rewardor, embedding: Tensor, labels: Labels, reference: Tensor, folds: int
) -> tuple[Tensor, Tensor, Labels]:
    """Rewards (P', M) of both worlds of the decided labels, each by a copy without them, and these labels."""
    learner = copy.deepcopy(rewardor)
    fold = _folds(labels, len(embedding), folds)
    left, right, asked = [], [], []
    for k in range(folds):
        seen = torch.cat([labels.left[fold == k], labels.right[fold == k]])
        fresh = ~(torch.isin(labels.left, seen) | torch.isin(labels.right, seen))
        learner.refit(embedding, take(labels, fresh), reference)
        test = (fold == k) & (labels.answer <= RIGHT)
        left.append(learner.forward(embedding[labels.left[test]]))
        right.append(learner.forward(embedding[labels.right[test]]))
        asked.append(torch.nonzero(test)[:, 0])
    return torch.cat(left), torch.cat(right), take(labels, torch.cat(asked))


def _judge(left: Tensor, right: Tensor, labels: Labels) -> dict[str, float]:
    """How well rewards (P, M) predict decided labels."""
    chance, won = probability(left, right), labels.answer == LEFT
    side = chance > 0.5
    told = torch.where(won, chance, 1 - chance)
    return {
        "held_out_accuracy": float(((left.mean(1) > right.mean(1)) == won).float().mean()),
        "held_out_log_loss": -float(told.clamp_min(1e-12).log().mean()),
        "held_out_calibration_error": calibration_error(torch.where(side, chance, 1 - chance), side == won),
    }


def _sharpness(left: Tensor, right: Tensor, labels: Labels) -> float:
    """The factor on rewards (P, M) that makes decided labels most probable, times a log-normal prior around 1.

    Whoever is predicted worse than by a coin answers the opposite of the others; of how sure these are it says nothing.
    """
    won = labels.answer == LEFT
    hit = ((left.mean(1) > right.mean(1)) == won).float()
    hits = torch.zeros(int(labels.labeler.max()) + 1, 2, device=hit.device)
    hits.index_add_(0, labels.labeler, torch.stack([hit, 1 - hit], 1))
    heard = (hits[:, 0] >= hits[:, 1])[labels.labeler]
    logs = torch.linspace(-3 * SHARPNESS, 3 * SHARPNESS, 61)

    def height(log: Tensor) -> Tensor:
        chance = probability(log.exp() * left[heard], log.exp() * right[heard])
        told = torch.where(won[heard], chance, 1 - chance)
        return told.clamp_min(1e-12).log().sum().cpu() - (log / SHARPNESS) ** 2 / 2

    return float(logs[torch.stack([height(log) for log in logs]).argmax()].exp())


def _folds(labels: Labels, rows: int, folds: int) -> Tensor:
    """Which fold each label is in, whatever the order of labels: neighbours in the list of pairs share worlds."""
    first, second = torch.minimum(labels.left, labels.right), torch.maximum(labels.left, labels.right)
    place = torch.empty_like(first)
    place[torch.argsort(first * rows + second, stable=True)] = torch.arange(len(first), device=first.device)
    return place * folds // max(len(first), 1)


def first(labels: Labels, count: int) -> Labels:
    """The first labels of all."""
    return take(labels, torch.arange(len(labels.answer), device=labels.answer.device) < count)


def take(labels: Labels, rows: Tensor) -> Labels:
    """Some labels: those where a (P,) bool is true, or in rows that are numbered."""
    return Labels(labels.left[rows], labels.right[rows], labels.answer[rows], labels.labeler[rows])
