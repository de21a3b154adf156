"""What is established is true, at any time at which somebody looks, and found without needless questions."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, logit

from pipeline.standing import Bets, Goal

CONSISTENT = float(logit(0.87))
"""How far apart two worlds are that a person orders the same way 87 times in 100."""
Pair = tuple[int, int]


def play(
    goal: Goal, score: np.ndarray, seed: int, most: int, ask: Callable[..., Pair] | None = None
) -> tuple[int, Bets]:
    """Answers until something was established, looked at after each, or until there were `most`; and the bets then."""
    draw = np.random.default_rng(seed)
    bets = Bets(goal, draw.normal(size=len(score)))
    for asked in range(most):
        if bets.established:
            return asked, bets
        one, other = ask(draw) if ask else bets.ask(1)[0]
        won, lost = (one, other) if draw.random() < expit(score[one] - score[other]) else (other, one)
        bets.add(won, lost)
    return most, bets


def wrong(goal: Goal, score: np.ndarray, games: int, most: int) -> float:
    """Share of contests that establish what is not so."""
    ends = [play(goal, score, seed, most)[1] for seed in range(games)]
    truth = np.argsort(-score, kind="stable")[: 1 if goal == "best" else None]
    return float(np.mean([end.established and (end.standing().order[: len(truth)] != truth).any() for end in ends]))


@pytest.mark.parametrize(
    ("goal", "score"),
    [
        ("order", CONSISTENT * np.arange(4)),
        ("order", 0.1 * np.arange(4)),
        ("order", np.array([0.0, CONSISTENT, CONSISTENT + 0.02, 2 * CONSISTENT])),
        ("best", CONSISTENT / 2 * np.arange(8)),
        ("best", np.array([0, 0, 0, 0, 0, 0, 1.9, 2.0])),
    ],
)
def test_hardly_ever_is_something_established_that_is_not_so(goal: Goal, score: np.ndarray) -> None:
    assert wrong(goal, score, games=100, most=150) < 0.05


def test_nothing_is_established_among_equals() -> None:
    ends = [play(goal, np.zeros(4), seed, 200)[1].established for goal in ("order", "best") for seed in range(50)]
    assert np.mean(ends) < 0.05


def test_an_order_of_four_takes_some_fifty_answers_and_the_best_of_eight_a_hundred() -> None:
    """At 87 % consistency between neighbors; 50 is what Wald's bound gives: 3 pairs x log 20 / .307 nats, and doubt."""
    order = [play("order", CONSISTENT * np.arange(4), seed, 300)[0] for seed in range(60)]
    best = [play("best", CONSISTENT / 2 * np.arange(8), seed, 400)[0] for seed in range(40)]
    assert 30 < np.median(order) < 60
    assert 60 < np.median(best) < 130
    told = Bets("order", np.zeros(4)).standing().to_go
    assert np.median(order) / 2 < told < 2 * np.median(order)


def test_asking_what_is_open_takes_half_the_answers_of_asking_at_random() -> None:
    score = CONSISTENT / 2 * np.arange(6)

    def anything(draw: np.random.Generator) -> Pair:
        one, other = draw.permutation(6)[:2].tolist()
        return one, other

    chosen, random = ([play("best", score, seed, 600, ask)[0] for seed in range(30)] for ask in (None, anything))
    assert np.mean(chosen) < 0.6 * np.mean(random)


def test_what_was_believed_leads_until_answers_say_otherwise() -> None:
    bets = Bets("order", [0.0, 3.0, 1.0])
    assert bets.standing().order.tolist() == [1, 2, 0]
    assert not bets.standing().settled.any()
    for _ in range(6):
        bets.add(0, 1)
    assert bets.standing().order.tolist().index(0) < bets.standing().order.tolist().index(1)


def test_places_settle_one_by_one() -> None:
    bets = Bets.after("order", [0.0, 0.0, 0.0], [(2, 0), (2, 1)] * 12)
    standing = bets.standing()
    assert standing.order[0] == 2
    assert standing.settled.tolist() == [True, False, False]
    assert {frozenset(pair) for pair in bets.ask(4)} == {frozenset((0, 1))}  # all that is open
    bets = Bets.after("best", [0.0, 0.0, 0.0], [(2, 0)] * 12)
    assert bets.standing().settled.tolist() == [False, False, True]
    assert bets.standing().order[2] == 0
    assert {frozenset(pair) for pair in bets.ask(3)} == {frozenset((1, 2))}


def test_questions_ahead_of_their_answers_are_spread() -> None:
    pairs = [frozenset(pair) for pair in Bets("order", np.zeros(4)).ask(6)]
    assert len(set(pairs)) == 3  # the neighbors of what leads, in turn
    assert len(set(pairs[:3])) == 3
    held = Bets("order", np.zeros(4)).ask(1)
    assert Bets("order", np.zeros(4)).ask(1, held) != held


def test_names_do_not_matter() -> None:
    draw = np.random.default_rng(5)
    answers = [tuple(draw.permutation(4)[:2].tolist()) for _ in range(40)]
    renamed = np.array([2, 0, 3, 1])
    one = Bets.after("order", np.zeros(4), answers).standing()
    other = Bets.after("order", np.zeros(4), [(int(renamed[a]), int(renamed[b])) for a, b in answers]).standing()
    assert sorted(one.evidence) == pytest.approx(sorted(other.evidence))
    assert renamed[one.order].tolist() == other.order.tolist() or one.evidence.min() < 0.5


@pytest.mark.parametrize(("goal", "count"), [("order", 1), ("order", 6), ("best", 13)])
def test_too_few_and_too_many_worlds_are_refused(goal: Goal, count: int) -> None:
    with pytest.raises(ValueError, match="a contest has 2 to"):
        Bets(goal, np.zeros(count))
