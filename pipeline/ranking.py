"""The labelled worlds in order, by people's answers alone, with how sure that order is.

Scores are those of Rao and Kupper [1], who extended Bradley and Terry [2] by ties:

    P(i beats j) = s(d - margin),  P(tie) = 1 - s(d - margin) - s(-d - margin),  d = score_i - score_j,  s logistic

Most worlds are compared only once or twice, and some never lost, so a Gaussian prior keeps scores finite. Intervals are
Laplace's: the curvature of the posterior at its top. Only differences of scores mean anything, so a score is a world's
lead over the mean of all, and places follow from the intervals of differences [3].

[1] P. Rao, L. Kupper. Ties in paired-comparison experiments, JASA 62, 1967.
[2] R. Bradley, M. Terry. Rank analysis of incomplete block designs, Biometrika 39, 1952.
[3] W.-L. Chiang et al. Chatbot Arena: an open platform for evaluating LLMs by human preference, 2024.

Shapes: N worlds, P answers.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, ndtri

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """Scores of N worlds, in logits: one more is three answers out of four.

    Attributes:
        score: (N,), of mean 0.
        low: (N,) lower end of each score's interval.
        high: (N,) upper end.
        best: (N,) the best place, from 1, that the answers leave open.
        worst: (N,) the worst one.
        margin: How much better a world must be to be called better, half the time.
        covariance: (N, N) of the scores.
    """

    score: Array
    low: Array
    high: Array
    best: Rows
    worst: Rows
    margin: float
    covariance: Array

    def order(self) -> Rows:
        """Rows from the best to the worst."""
        return np.argsort(-self.score, kind="stable")


def rank(left: Rows, right: Rows, outcome: Array, count: int, *, prior: float = 2.0, level: float = 0.95) -> Ranking:
    """Rank worlds by answers.

    Args:
        left: (P,) rows of the worlds shown left.
        right: (P,) rows shown right.
        outcome: (P,) 1 where left is better, 0 where right is, 0.5 where neither.
        count: N.
        prior: Standard deviation of scores before any answer.
        level: Probability that an interval holds.

    Raises:
        ValueError: An outcome is none of the three, a world is compared with itself, or a row is not in [0, N).
    """
    left, right, outcome = np.asarray(left, np.int64), np.asarray(right, np.int64), np.asarray(outcome, np.float64)
    _check(left, right, outcome, count)
    score, margin = _top(left, right, outcome, count, prior)
    covariance = _covariance(left, right, outcome, score, margin, prior)
    half = ndtri((1 + level) / 2) * np.sqrt(covariance.diagonal())
    best, worst = _places(score, covariance, level)
    return Ranking(score, score - half, score + half, best, worst, margin, covariance)


def _check(left: Rows, right: Rows, outcome: Array, count: int) -> None:
    if not np.isin(outcome, (0, 0.5, 1)).all():
        raise ValueError(f"outcomes are {np.unique(outcome)}, expected 0, 0.5 and 1")
    if (left == right).any():
        raise ValueError("a world is compared with itself")
    rows = np.concatenate([left, right])
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise ValueError(f"rows reach from {rows.min()} to {rows.max()}, expected 0 to {count - 1}")


def _top(left: Rows, right: Rows, outcome: Array, count: int, prior: float) -> tuple[Array, float]:
    """The most likely scores (N,) and margin. The margin is 0 where nobody ever answered with a tie."""
    tie = outcome == 0.5
    # A tie is as if both had won: its probability is (e^(2 margin) - 1) s(d - margin) s(-d - margin).
    won, lost = (outcome > 0).astype(np.float64), (outcome < 1).astype(np.float64)

    def loss(x: Array) -> tuple[float, Array]:
        score, margin = x[:-1], np.exp(x[-1]) if tie.any() else 0.0
        d = score[left] - score[right]
        value = won @ log_expit(d - margin) + lost @ log_expit(-d - margin) - (score @ score) / (2 * prior**2)
        up, down = won * expit(margin - d), lost * expit(margin + d)
        slope = np.bincount(left, up - down, count) - np.bincount(right, up - down, count) - score / prior**2
        if not tie.any():
            return -value, np.append(-slope, 0.0)
        value += tie.sum() * np.log(np.expm1(2 * margin))
        steep = 2 * tie.sum() / -np.expm1(-2 * margin) - up.sum() - down.sum()
        return -value, np.append(-slope, -steep * margin)

    found = minimize(
        loss,
        np.append(np.zeros(count), -1.0),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-8, "ftol": 0, "maxiter": 1000},
    )
    return found.x[:-1], float(np.exp(found.x[-1])) if tie.any() else 0.0


def _covariance(left: Rows, right: Rows, outcome: Array, score: Array, margin: float, prior: float) -> Array:
    """Of the scores (N, N), as leads over their mean."""
    d = score[left] - score[right]
    bend = (outcome > 0) * _bend(d - margin) + (outcome < 1) * _bend(d + margin)
    information = np.eye(len(score)) / prior**2
    for sign, i, j in ((1, left, left), (1, right, right), (-1, left, right), (-1, right, left)):
        np.add.at(information, (i, j), sign * bend)
    covariance = np.linalg.inv(information)
    lead = covariance - covariance.mean(0)
    return lead - lead.mean(1, keepdims=True)


def _bend(d: Array) -> Array:
    return expit(d) * expit(-d)


def _places(score: Array, covariance: Array, level: float) -> tuple[Rows, Rows]:
    """The best and the worst place (N,) of each world that the answers leave open.

    A world is surely behind another if the interval of their difference says so, at a level that allows for its many
    rivals (Bonferroni).
    """
    variance = covariance.diagonal()
    spread = np.sqrt(np.maximum(variance[:, None] + variance[None] - 2 * covariance, 0))
    sure = ndtri(1 - (1 - level) / 2 / max(len(score) - 1, 1)) * spread
    behind = score[None] - score[:, None] > sure
    np.fill_diagonal(behind, False)
    return 1 + behind.sum(1), len(score) - behind.sum(0)
