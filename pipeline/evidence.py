"""Evidence from answers that may be looked at after each of them.

A 95 % interval that is looked at again and again, until it says what one hopes for, is wrong far more often than once
in twenty. An e-value is not: it is the money of somebody who started with 1 and bet against a hypothesis, at odds that
were fair or worse if that hypothesis were true. Then it reaches 20 with a chance of at most 1 in 20, ever, however
often one looks and whenever one stops (Ville's inequality [1, 2]). What is asked next may depend on all answers so far.

Money is counted in nats: its logarithm. Nobody bets on an answer without a winner, so ties leave it as it is.

[1] J. Ville. Étude critique de la notion de collectif, 1939.
[2] G. Shafer. Testing by betting, Journal of the Royal Statistical Society A 184, 2021.
[3] C. Clopper, E. Pearson. The use of confidence or fiducial limits illustrated in the case of the binomial, 1934.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln

Numbers: TypeAlias = float | NDArray[np.float64]

PROOF = math.log(20)
"""Evidence that establishes something, in nats: twenty to one."""


def winner(won: Numbers, lost: Numbers) -> Numbers:
    """Evidence that one of two sides wins more often than the other, whichever leads.

    The bet is spread evenly over all chances p of winning: 2^n times the integral of p^won (1 - p)^lost.
    """
    return (won + lost) * math.log(2) + betaln(won + 1, lost + 1)


def above(won: Numbers, lost: Numbers, bar: float) -> Numbers:
    """Evidence that the chance of winning exceeds `bar`, in (0, 1): the bet is spread evenly over chances that do."""
    with np.errstate(divide="ignore"):  # hardly anything above the bar: all is lost, and its logarithm is -inf
        share = np.log(betainc(lost + 1, won + 1, 1 - bar))
    return betaln(won + 1, lost + 1) + share - won * math.log(bar) - (lost + 1) * math.log1p(-bar)


def stake(won: float, lost: float) -> float:
    """The chance of another win that somebody bets on who knows these wins, and doubts a draw: never below a half.

    Laplace's rule. Whoever bets `stake` multiplies the money by 2 stake after a win, by 2 (1 - stake) after a loss.
    Money on a hypothesis that the answers contradict is lost slowly, as nothing is staked on it. So one may bet on many
    hypotheses at once and multiply, where the bets of `above` would ruin each other.
    """
    return max(0.5, (won + 1) / (won + lost + 2))


def growth(chance: float) -> float:
    """Nats that evidence is expected to gain from one answer, by whoever knows this chance of winning."""
    return math.log(2) + sum(p * math.log(p) for p in (chance, 1 - chance) if p > 0)


def interval(count: int, among: int, level: float = 0.95) -> tuple[float, float]:
    """Where the share lies of which `count` among `among` is a sample: Clopper and Pearson's interval [3].

    It holds at least as often as `level` says if one looks once.
    """
    tail = (1 - level) / 2
    low = float(betaincinv(count, among - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, among - count, 1 - tail)) if count < among else 1.0
    return low, high
