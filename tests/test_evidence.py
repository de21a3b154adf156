"""Evidence keeps its promise under peeking, and is as strong as theory says."""

import math

import numpy as np
import pytest

from pipeline import evidence

RUNS, LOOKS = 2000, 1000


def streams(chance: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """How often each of two sides has won (RUNS, LOOKS) after each answer."""
    wins = (np.random.default_rng(seed).random((RUNS, LOOKS)) < chance).cumsum(1).astype(float)
    return wins, np.arange(1, LOOKS + 1) - wins


def test_bets_are_fair_where_nothing_is_to_be_found() -> None:
    """The money is a martingale: what comes of it is on average what it is now, whatever came before."""
    for won, lost in ((0, 0), (3, 1), (1, 7), (40, 40)):
        after = [math.exp(evidence.winner(*counts)) for counts in ((won + 1, lost), (won, lost + 1))]
        assert np.mean(after) == pytest.approx(math.exp(evidence.winner(won, lost)))
        for bar in (0.5, 0.9):
            after = [math.exp(evidence.above(*counts, bar)) for counts in ((won + 1, lost), (won, lost + 1))]
            assert bar * after[0] + (1 - bar) * after[1] == pytest.approx(math.exp(evidence.above(won, lost, bar)))
            assert after[0] >= after[1]  # a lower chance than the bar only costs
        staked = evidence.stake(won, lost)
        assert (2 * staked + 2 * (1 - staked)) / 2 == pytest.approx(1)


def test_both_directions_together_are_the_bet_on_either() -> None:
    both = np.logaddexp(evidence.above(30, 12, 0.5), evidence.above(12, 30, 0.5)) - math.log(2)
    assert both == pytest.approx(evidence.winner(30, 12))
    assert math.exp(evidence.winner(1, 0)) == pytest.approx(1)
    assert math.exp(evidence.winner(5, 0)) == pytest.approx(2**5 / 6)  # B(6, 1) = 1/6


def test_peeking_fools_an_interval_but_not_the_evidence() -> None:
    won, lost = streams(0.5)
    looks = won + lost
    share = won / looks
    outside = np.abs(share - 0.5) > 1.96 * np.sqrt(share * (1 - share) / looks)
    assert outside[:, 9:].any(1).mean() > 0.4  # Wald's 95 % interval, looked at after each answer from the tenth on
    assert (evidence.winner(won, lost) >= evidence.PROOF).any(1).mean() < 0.05


def test_no_share_passes_a_bar_that_it_does_not_exceed() -> None:
    for bar, chance in ((0.9, 0.9), (0.9, 0.85), (0.5, 0.5)):
        assert (evidence.above(*streams(chance), bar) >= evidence.PROOF).any(1).mean() < 0.05


@pytest.mark.parametrize(("chance", "fixed"), [(0.6, 194), (0.7, 47), (0.8, 19), (0.9, 9)])
def test_a_better_side_is_found_about_as_soon_as_by_the_best_fixed_plan(chance: float, fixed: int) -> None:
    """`fixed` answers give a two-sided test at 5 % a power of 80 %, by the usual normal approximation."""
    found = evidence.winner(*streams(chance)) >= evidence.PROOF
    assert found.any(1).mean() > 0.99
    assert np.median(found.argmax(1) + 1) < 1.15 * fixed + 3


def test_evidence_grows_as_fast_as_information_theory_says() -> None:
    """By the relative entropy per answer (Kelly): the price of not knowing the chance grows with the logarithm only."""
    won = np.arange(200) % 4 > 0
    money = math.fsum(
        math.log(2 * (p if one else 1 - p))
        for n, one in enumerate(won)
        for p in [evidence.stake(int(won[:n].sum()), int(n - won[:n].sum()))]
    )
    known = 200 * evidence.growth(0.75)
    assert known == pytest.approx(200 * (math.log(2) - 0.562335), abs=1e-3)  # nats of entropy of a chance of 3/4
    assert known - 1.5 * math.log(200) < money < known


def test_money_on_what_is_false_is_lost_slowly() -> None:
    money, won = 0.0, 0
    for n in range(500):
        money += math.log(2 * (1 - evidence.stake(won, n - won)))
    assert money == 0.0


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    """Values of R's binom.test(10, 20) and of the rule of three, exactly 1 - 0.025^(1/n)."""
    assert evidence.interval(10, 20) == pytest.approx((0.2719578, 0.7280422), abs=1e-6)
    assert evidence.interval(0, 50) == pytest.approx((0.0, 1 - 0.025 ** (1 / 50)))
    low, high = evidence.interval(50, 50)
    assert (1 - high, 1 - low) == pytest.approx(evidence.interval(0, 50))


def test_the_interval_holds_at_least_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    for share in (0.05, 0.5, 0.9):
        held = [low <= share <= high for low, high in (evidence.interval(k, 50) for k in draw.binomial(50, share, 400))]
        assert np.mean(held) > 0.93
