"""Scores of compared worlds are those that the literature computes, and their intervals hold."""

import numpy as np
import pytest
from scipy.special import expit

from pipeline.ranking import rank


def answers(wins: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers from a table of wins of the row over the column, the winner shown left."""
    pairs = [(i, j) for i, row in enumerate(wins) for j, count in enumerate(row) for _ in range(count)]
    left, right = np.array(pairs).T
    return left, right, np.ones(len(left))


def test_the_worked_example_of_bradley_and_terry() -> None:
    """The table of 21 games among A, B, C, D in Wikipedia, "Bradley–Terry model", section "Worked example"."""
    table = [[0, 2, 0, 1], [3, 0, 5, 0], [0, 3, 0, 1], [4, 0, 3, 0]]
    found = rank(*answers(table), 4, prior=1e3)
    assert np.exp(found.score) == pytest.approx([0.640, 1.043, 0.660, 2.270], abs=1e-3)
    assert found.order().tolist() == [3, 1, 2, 0]


def test_the_baseball_season_of_agresti() -> None:
    """A. Agresti, Categorical Data Analysis, 2nd ed., 2002, tables 10.10 and 10.11: seven teams, 13 games per pair.

    Wins of the row over the column: Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore. Estimates are
    published to two digits; standard errors are those of the R package BradleyTerry2 for the same data.
    """
    table = [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ]
    found = rank(*answers(table), 7, prior=1e3)
    lead = found.score[:6] - found.score[6]
    assert lead == pytest.approx([1.58, 1.44, 1.29, 1.25, 1.11, 0.68], abs=0.006)
    own = found.covariance.diagonal()
    error = np.sqrt(own[:6] + own[6] - 2 * found.covariance[:6, 6])
    assert error == pytest.approx([0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319], abs=1e-4)


def test_two_worlds_with_ties_are_fitted_exactly() -> None:
    """With two worlds Rao and Kupper's model has as many parameters as outcomes, so it repeats their frequencies."""
    outcome = np.repeat([1.0, 0.5, 0.0], [50, 20, 30])
    zeros = np.zeros(100, np.int64)
    found = rank(zeros, zeros + 1, outcome, 2, prior=1e3)
    d = found.score[0] - found.score[1]
    assert expit(d - found.margin) == pytest.approx(0.5, abs=1e-4)
    assert expit(-d - found.margin) == pytest.approx(0.3, abs=1e-4)


def games(score: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    left = draw.integers(len(score), size=count)
    right = (left + draw.integers(1, len(score), size=count)) % len(score)
    return left, right, (draw.random(count) < expit(score[left] - score[right])).astype(float)


def test_intervals_agree_with_the_bootstrap() -> None:
    left, right, outcome = games(np.array([-1.0, -0.3, 0.0, 0.4, 0.9]), 600, seed=0)
    found = rank(left, right, outcome, 5)
    draw = np.random.default_rng(1)
    again = [draw.integers(600, size=600) for _ in range(200)]
    scores = np.array([rank(left[rows], right[rows], outcome[rows], 5).score for rows in again])
    assert np.sqrt(found.covariance.diagonal()) == pytest.approx(scores.std(0), rel=0.2)
    contrast = found.covariance[0, 0] + found.covariance[4, 4] - 2 * found.covariance[0, 4]
    assert np.sqrt(contrast) == pytest.approx((scores[:, 0] - scores[:, 4]).std(), rel=0.2)


def test_intervals_hold_as_often_as_they_say() -> None:
    true = np.linspace(-1, 1, 8)
    found = [rank(*games(true, 200, seed), 8) for seed in range(60)]
    held = np.mean([(each.low < true) & (true < each.high) for each in found])
    assert held > 0.92


def test_sides_do_not_matter_and_scores_have_mean_zero() -> None:
    left, right, outcome = games(np.array([-1.0, 0.0, 0.2, 1.0]), 60, seed=3)
    outcome[::7] = 0.5
    one, other = rank(left, right, outcome, 4), rank(right, left, 1 - outcome, 4)
    assert one.score == pytest.approx(other.score, abs=1e-5)
    assert one.score.sum() == pytest.approx(0, abs=1e-5)


def test_places_leave_open_what_the_answers_leave_open() -> None:
    left, right = np.array([0] * 60 + [1]), np.array([1] * 60 + [2])
    found = rank(left, right, np.ones(61), 3)
    assert found.best.tolist() == [1, 2, 2]
    assert found.worst.tolist() == [1, 3, 3]
    nothing = rank(np.empty(0, int), np.empty(0, int), np.empty(0), 3)
    assert nothing.best.tolist() == [1, 1, 1]
    assert nothing.worst.tolist() == [3, 3, 3]


@pytest.mark.parametrize("outcome", [0.3, 2.0, np.nan])
def test_an_answer_that_is_none_is_refused(outcome: float) -> None:
    with pytest.raises(ValueError, match="outcomes"):
        rank(np.array([0]), np.array([1]), np.array([outcome]), 2)


def test_rows_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="itself"):
        rank(np.array([1]), np.array([1]), np.ones(1), 2)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        rank(np.array([0]), np.array([2]), np.ones(1), 2)
