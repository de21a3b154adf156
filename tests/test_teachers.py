"""Teachers err, tie, skip, tire and lean to one side as often as they say, and their noise belongs to the pair."""

from collections import Counter
from math import log, sqrt
from typing import Any

import numpy as np
import pytest

from models import Answer
from pipeline.teachers import PEOPLE, TIRING, Array, Panel, Teacher, make_panel

PRIOR = np.random.default_rng(4).gamma(2, size=2000) * 7 + 100
COUNT = 4000
MIRRORED = {"left": "right", "right": "left", "tie": "tie", "skip": "skip"}
SURE: dict[str, Any] = {"ties": 0.0, "skips": 0.0, "consistency": 0.999}


def pairs(count: int = COUNT) -> list[tuple[int, int]]:
    """Random pairs of different prior worlds."""
    drawn = np.random.default_rng(5).integers(len(PRIOR), size=(count, 2)).tolist()
    return [(left, right) for left, right in drawn if left != right]


def ask(teacher: Teacher, asked: int = 0, count: int = COUNT) -> list[tuple[float, Answer]]:
    """Utility differences of random pairs, in standard deviations, and the answers."""
    told = [(a, b, teacher.answer(PRIOR[a], PRIOR[b], f"w{a}", f"w{b}", asked)) for a, b in pairs(count)]
    return [((PRIOR[a] - PRIOR[b]) / PRIOR.std(), answer) for a, b, answer in told]


def consistent(told: list[tuple[float, Answer]]) -> float:
    """Share of the decisive answers that name the better world."""
    return float(np.mean([(gap > 0) == (answer == "left") for gap, answer in told if answer in ("left", "right")]))


def within(share: float, count: int = COUNT) -> float:
    """Four standard errors of a share."""
    return 4 * sqrt(share * (1 - share) / count)


# -- one person -------------------------------------------------------------------------------------------------------


def test_the_default_answers_87_of_100_clear_pairs_right() -> None:
    assert consistent(ask(Teacher.calibrated(PRIOR))) == pytest.approx(0.87, abs=within(0.87, 3500))


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_rates_of_ties_and_skips_are_those_asked_for_and_not_their_squares(rate: float) -> None:
    teacher = Teacher.calibrated(PRIOR, consistency=0.75, ties=rate, skips=rate)
    told = ask(teacher)
    count = Counter(answer for _, answer in told)
    assert count["tie"] / len(told) == pytest.approx(rate, abs=within(rate) + 0.01)
    assert count["skip"] / len(told) == pytest.approx(rate, abs=within(rate) + 0.01)
    assert consistent(told) == pytest.approx(0.75, abs=within(0.75, 1500))


@pytest.mark.parametrize("flip", [0.1, 0.3, 1.0])
def test_flips_come_on_top(flip: float) -> None:
    share = 0.87 * (1 - flip) + 0.13 * flip
    assert consistent(ask(Teacher.calibrated(PRIOR, flip=flip))) == pytest.approx(share, abs=within(share, 3500))


def test_only_the_dull_are_skipped_and_only_the_close_tie() -> None:
    teacher = Teacher.calibrated(PRIOR)
    low, high = PRIOR.min(), PRIOR.max()
    assert teacher.answer(low, low, "a", "b") == "skip"
    assert teacher.answer(high, high, "a", "b") == "tie"
    assert teacher.answer(high, low, "a", "b") == "left"


def test_mistakes_and_lapses_turn_no_tie_or_skip_into_anything_else() -> None:
    plain, wild = ask(Teacher.calibrated(PRIOR)), ask(Teacher.calibrated(PRIOR, flip=0.4, lapse=0.4, side=1))
    assert [one in ("tie", "skip") for _, one in plain] == [one in ("tie", "skip") for _, one in wild]


def test_the_left_one_of_two_equal_worlds_is_ahead_by_its_side() -> None:
    teacher = Teacher.calibrated(PRIOR, **SURE, side=1.0)
    told = [teacher.answer(PRIOR[0], PRIOR[0], f"a{i}", f"b{i}") for i in range(COUNT)]
    turned = [teacher.answer(PRIOR[0], PRIOR[0], f"b{i}", f"a{i}") for i in range(COUNT)]
    share = 1 / (1 + np.exp(-1.0))
    for answers in (told, turned):
        assert Counter(answers)["left"] / COUNT == pytest.approx(share, abs=within(share))


def test_a_side_never_decides_a_pair_that_is_clear() -> None:
    teacher = Teacher.calibrated(PRIOR, side=1.0)
    answers = [teacher.answer(PRIOR.min(), PRIOR.max() * 2, f"a{i}", f"b{i}") for i in range(300)]
    assert set(answers) == {"right"}


def test_lapses_are_coins() -> None:
    share = 0.8 * 0.999 + 0.2 * 0.5
    assert consistent(ask(Teacher.calibrated(PRIOR, **SURE, lapse=0.2))) == pytest.approx(share, abs=within(share))


@pytest.mark.parametrize("asked", [0, 100, 1000])
def test_a_tired_person_errs_more_and_more(asked: int) -> None:
    error = 0.05 + 0.3 * (1 - np.exp(-asked / TIRING))
    share = 0.999 * (1 - error) + 0.001 * error
    told = ask(Teacher.calibrated(PRIOR, **SURE, flip=0.05, fatigue=0.3), asked)
    assert consistent(told) == pytest.approx(share, abs=within(share))


def test_answers_depend_on_the_pair_and_the_seed_alone() -> None:
    teacher, other = (Teacher.calibrated(PRIOR, seed=seed, ties=0, skips=0, flip=0.1, lapse=0.1) for seed in (0, 1))
    shown = [(PRIOR[i], PRIOR[i + 1], f"w{i}", f"w{i + 1}") for i in range(300)]
    answers = [teacher.answer(*pair) for pair in shown]
    assert answers == [teacher.answer(*pair) for pair in shown]
    assert answers == [MIRRORED[teacher.answer(b, a, second, first)] for a, b, first, second in shown]
    assert answers != [other.answer(*pair) for pair in shown]


def test_who_makes_more_mistakes_makes_the_same_ones_too() -> None:
    """The noise of a pair is one draw, so teachers of different reliability are compared on the same luck."""
    few, many = (ask(Teacher.calibrated(PRIOR, **SURE, flip=flip)) for flip in (0.1, 0.3))
    wrong = [[(gap > 0) != (answer == "left") for gap, answer in told] for told in (few, many)]
    assert all(later or not earlier for earlier, later in zip(*wrong, strict=True))


def test_impossible_people_are_refused() -> None:
    with pytest.raises(ValueError, match="all the same"):
        Teacher.calibrated(np.ones(9))
    for rates in ({"consistency": 1.2}, {"ties": 0.6, "skips": 0.5}, {"flip": 0.8, "fatigue": 0.3}, {"lapse": -0.1}):
        with pytest.raises(ValueError, match="rates"):
            Teacher.calibrated(PRIOR, **rates)


# -- preferences that are not differences -----------------------------------------------------------------------------


def cyclic(left: Array, right: Array) -> Array:
    return left[:, 1] * right[:, 2] - right[:, 1] * left[:, 2]


def test_a_preference_decides_where_there_is_one_and_is_calibrated_like_utilities() -> None:
    looks = np.random.default_rng(6).normal(size=(500, 3)) * (1, 20, 0.3) + (5, -100, 2)
    teacher = Teacher.calibrated(looks, preference=cyclic, skips=0)
    z = (looks - looks.mean(0)) / looks.std(0)
    drawn = np.random.default_rng(7).integers(500, size=(COUNT, 2))
    told = [teacher.answer(looks[a], looks[b], f"w{a}", f"w{b}") for a, b in drawn]
    gap = cyclic(z[drawn[:, 0]], z[drawn[:, 1]])
    assert consistent(list(zip(gap.tolist(), told, strict=True))) == pytest.approx(0.87, abs=within(0.87))
    assert Counter(told)["tie"] / COUNT == pytest.approx(0.1, abs=within(0.1) + 0.01)


# -- several people ---------------------------------------------------------------------------------------------------


def test_a_human_is_the_default_teacher() -> None:
    panel, teacher = make_panel("human", PRIOR, seed=3), Teacher.calibrated(PRIOR, seed=3)
    for number, (a, b) in enumerate(pairs(300)):
        shown = PRIOR[a], PRIOR[b], f"w{a}", f"w{b}"
        assert panel.answer(*shown, number) == (teacher.answer(*shown), 0)


def test_people_take_turns_and_tire_by_their_own_answers_only() -> None:
    tired, fresh = Teacher.calibrated(PRIOR, **SURE, fatigue=1.0), Teacher.calibrated(PRIOR, **SURE)
    panel = Panel((tired, fresh))
    for number, (a, b) in enumerate(pairs(300)):
        shown = PRIOR[a], PRIOR[b], f"w{a}", f"w{b}"
        answer, who = panel.answer(*shown, number)
        assert who == number % 2
        assert answer == panel.people[who].answer(*shown, number // 2)


@pytest.mark.parametrize("name", PEOPLE)
def test_people_with_a_name_repeat_themselves_and_are_persons_of_their_own(name: str) -> None:
    shown = [(PRIOR[a], PRIOR[b], f"w{a}", f"w{b}", number) for number, (a, b) in enumerate(pairs(200))]
    panel, again = make_panel(name, PRIOR, seed=2), make_panel(name, PRIOR, seed=2)
    assert [panel.answer(*one) for one in shown] == [again.answer(*one) for one in shown]
    assert len({person.seed for person in panel.people}) == len(panel.people)


def shares(name: str) -> list[float]:
    """How consistent each person of a panel is."""
    return [consistent(ask(person)) for person in make_panel(name, PRIOR).people]


def test_a_panel_is_of_different_reliability() -> None:
    assert shares("panel") == pytest.approx([0.95, 0.87, 0.75], abs=within(0.75, 3500))


def test_an_adversary_answers_the_opposite_of_what_is_better() -> None:
    assert shares("adversary") == pytest.approx([0.87, 0.87, 0.87, 0.13], abs=within(0.87, 3500))


def test_mistakes_are_those_of_a_likelihood_with_noise() -> None:
    """Log-odds of an answer given the difference are what the likelihood's formula says: flips bound them."""
    teacher = Teacher.calibrated(PRIOR, ties=0, skips=0, flip=0.1)
    far = PRIOR.mean() + 9 * PRIOR.std()
    won = np.mean([teacher.answer(far, PRIOR.mean(), f"a{i}", f"b{i}") == "left" for i in range(COUNT)])
    assert log(won / (1 - won)) == pytest.approx(log(0.9 / 0.1), abs=4 / sqrt(COUNT * 0.09))


def test_people_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="there are: human, flips"):
        make_panel("humans", PRIOR)
