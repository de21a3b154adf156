"""Pairs are worth asking about, never repeated, never of the dead, and honest about how they were drawn."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from pipeline.select import BEST, SHARES, WARM_UP, Choice, choose, mutual_information

WORLDS = 120
ASKED = list(combinations(range(8), 2))[:WARM_UP]


@pytest.fixture
def eligible() -> np.ndarray:
    return np.random.default_rng(0).random(WORLDS) < 0.6


@pytest.fixture
def reward() -> np.ndarray:
    """Members that agree on half of the worlds and are unsure about the others."""
    draw = np.random.default_rng(1)
    unsure = np.where(np.arange(WORLDS) % 2, 0.1, 1.0)[:, None]
    return draw.normal(size=(WORLDS, 1)) + unsure * draw.normal(size=(WORLDS, 32))


def pairs(choices: list[Choice]) -> list[tuple[int, int]]:
    return [(min(c.left, c.right), max(c.left, c.right)) for c in choices]


def test_the_first_pairs_are_random_and_equally_likely(eligible: np.ndarray, reward: np.ndarray) -> None:
    first = choose(WARM_UP, eligible=eligible, reward=reward, seed=0)
    assert {choice.how for choice in first} == {"random"}
    alive = int(eligible.sum())
    assert first[0].probability == pytest.approx(1 / (alive * (alive - 1) / 2))


def test_a_corpse_is_never_offered_and_no_pair_twice(eligible: np.ndarray, reward: np.ndarray) -> None:
    told = np.where(eligible[:, None], reward, np.nan)
    answered: list[tuple[int, int]] = []
    for seed in range(8):
        answered += pairs(choose(25, eligible=eligible, reward=told, answered=answered, seed=seed))
    assert eligible[np.array(answered)].all()
    assert len(set(answered)) == len(answered) == 200


def test_pairs_run_out(reward: np.ndarray) -> None:
    eligible = np.zeros(WORLDS, bool)
    assert choose(3, eligible=eligible, reward=reward, seed=0) == []
    eligible[:5] = True
    everything = choose(99, eligible=eligible, reward=reward, seed=0)
    assert sorted(pairs(everything)) == list(combinations(range(5), 2))
    some = [(1, 0), (2, 4)]
    rest = choose(99, eligible=eligible, reward=reward, answered=some[:1], pending=some[1:], seed=0)
    assert sorted([*pairs(rest), (0, 1), (2, 4)]) == list(combinations(range(5), 2))


def test_two_worlds_suffice(reward: np.ndarray) -> None:
    eligible = np.zeros(WORLDS, bool)
    eligible[[20, 30]] = True
    (only,) = choose(2, eligible=eligible, reward=reward, answered=ASKED, seed=0)
    assert {only.left, only.right} == {20, 30}
    assert only.probability == pytest.approx(1)


def test_worlds_that_labelers_hold_are_left_alone_by_the_rules(eligible: np.ndarray, reward: np.ndarray) -> None:
    held = pairs(choose(6, eligible=eligible, reward=reward, answered=ASKED, seed=1))
    more = choose(15, eligible=eligible, reward=reward, answered=ASKED, pending=held, seed=2)
    busy = {row for pair in held for row in pair}
    clever = [choice for choice in more if choice.how != "random"]
    assert clever
    rows = [row for choice in clever for row in (choice.left, choice.right)]
    assert busy.isdisjoint(rows)
    assert len(set(rows)) == len(rows)


@pytest.fixture(scope="module")
def drawn() -> list[Choice]:
    """Many first pairs of the same eight worlds."""
    reward = np.random.default_rng(3).normal(size=(8, 4))
    told = [(row, row + 1) for row in range(100, 100 + WARM_UP)]
    every = np.ones(8, bool)
    return [choose(1, eligible=every, reward=reward, answered=told, seed=seed)[0] for seed in range(2000)]


def test_rules_are_drawn_in_their_shares_and_sides_by_a_fair_coin(drawn: list[Choice]) -> None:
    count = Counter(choice.how for choice in drawn)
    assert {how: count[how] / len(drawn) for how in SHARES} == pytest.approx(SHARES, abs=0.04)
    assert np.mean([choice.left < choice.right for choice in drawn]) == pytest.approx(0.5, abs=0.04)


def test_probabilities_are_those_of_the_draw(drawn: list[Choice]) -> None:
    count = Counter(pairs(drawn))
    said = dict(zip(pairs(drawn), (choice.probability for choice in drawn), strict=True))
    for pair, probability in said.items():
        assert count[pair] / len(drawn) == pytest.approx(probability, abs=0.04)
    assert sum(said.values()) == pytest.approx(1, abs=0.01)


def test_the_same_seed_chooses_the_same(eligible: np.ndarray, reward: np.ndarray) -> None:
    one, same, other = (choose(10, eligible=eligible, reward=reward, answered=ASKED, seed=seed) for seed in (5, 5, 6))
    assert one == same != other


def test_information_is_where_members_disagree() -> None:
    """Sure members tell nothing, torn ones up to log 2; agreeing on a coin flip tells nothing either."""
    sure, torn, flip = np.full(32, 9.0), np.repeat([-30.0, 30.0], 16), np.zeros(32)
    told = mutual_information(np.stack([sure, torn, flip]))
    assert told == pytest.approx([0, np.log(2), 0], abs=1e-6)


def test_rules_ask_about_the_unsure_and_the_good(eligible: np.ndarray, reward: np.ndarray) -> None:
    drawn = [choose(1, eligible=eligible, reward=reward, answered=ASKED, seed=seed)[0] for seed in range(60)]
    learn = [row for c in drawn if c.how == "learn" for row in (c.left, c.right)]
    assert np.mean(np.array(learn) % 2 == 0) > 0.9
    best = [max(reward[c.left].mean(), reward[c.right].mean()) for c in drawn if c.how == "duel"]
    top = np.sort(reward.mean(1)[eligible])[-BEST]
    assert np.mean(np.array(best) >= top) > 0.9


def test_rules_choose_among_what_is_ready_and_chance_among_all(eligible: np.ndarray, reward: np.ndarray) -> None:
    ready = np.arange(WORLDS) < 70
    drawn = [
        choose(1, eligible=eligible, reward=reward, answered=ASKED, seed=seed, ready=ready)[0] for seed in range(80)
    ]
    rows = {how: np.array([(c.left, c.right) for c in drawn if (c.how == "random") == how]) for how in (True, False)}
    assert len(rows[False]) > 40
    assert ready[rows[False]].all()
    assert not ready[rows[True]].all()
    assert eligible[np.concatenate([rows[True], rows[False]])].all()


def test_random_pairs_that_were_drawn_before_are_taken_in_their_order(eligible: np.ndarray, reward: np.ndarray) -> None:
    ahead = pairs(choose(6, eligible=eligible, reward=None, seed=7))
    taken = ahead[2]
    told = [*ASKED, taken]
    chosen = choose(50, eligible=eligible, reward=reward, answered=told, seed=8, ready=eligible, drawn=ahead)
    assert pairs([c for c in chosen if c.how == "random"]) == [pair for pair in ahead if pair != taken]
    assert all(0 < c.probability <= 1 for c in chosen)
    assert choose(3, eligible=eligible, reward=None, seed=9, drawn=[]) == []
