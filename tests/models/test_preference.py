import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models import ANSWERS
from models.preference import LEFT, NEITHER, NOISE, RIGHT, SKIP, TIE, better, log_likelihood, probability, tie

rewards = st.floats(-1e4, 1e4)
margins = st.floats(0.01, 3)
noises = st.floats(0, 0.9)


def told(left: float, right: float, answer: int, **settings: float) -> float:
    row = torch.tensor([left], dtype=torch.float64), torch.tensor([right], dtype=torch.float64)
    return float(log_likelihood(*row, torch.tensor([answer]), **settings))


@given(rewards, rewards, margins, noises)
def test_left_right_and_tie_are_all_that_can_be_said(left, right, margin, noise):
    total = sum(math.exp(told(left, right, answer, margin=margin, noise=noise)) for answer in (LEFT, RIGHT, TIE))
    assert total == pytest.approx(1, abs=1e-9)


@given(st.floats(-30, 30), margins)
def test_without_noise_it_is_rao_and_kuppers_formula(difference, margin):
    theta, ratio = math.exp(margin), math.exp(difference)
    left, right = ratio / (ratio + theta), 1 / (1 + theta * ratio)
    both = (theta**2 - 1) * ratio / ((ratio + theta) * (1 + theta * ratio))
    for answer, p in ((LEFT, left), (RIGHT, right), (TIE, both)):
        assert told(difference, 0, answer, margin=margin, noise=0) == pytest.approx(math.log(p), rel=1e-9, abs=1e-9)


@given(rewards, rewards, st.floats(-100, 100))
def test_swapping_sides_and_answer_changes_nothing(left, right, median):
    for answer, turned in ((LEFT, RIGHT), (RIGHT, LEFT), (TIE, TIE), (NEITHER, NEITHER), (SKIP, SKIP)):
        here, there = told(left, right, answer, median=median), told(right, left, turned, median=median)
        assert here == pytest.approx(there, rel=1e-12)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-1e3, 1e3))
def test_only_differences_count(left, right, shift):
    for answer in range(len(ANSWERS)):
        here, there = told(left, right, answer), told(left + shift, right + shift, answer, median=shift)
        assert here == pytest.approx(there, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("noise", [0.0, NOISE])
def test_finite_with_finite_slopes_however_far_apart(dtype, noise):
    ends = torch.tensor([-1e4, -100, -1, 0, 1, 100, 1e4], dtype=dtype)
    left, right = (side.clone().requires_grad_() for side in torch.cartesian_prod(ends, ends).T)
    for answer in range(len(ANSWERS)):
        value = log_likelihood(left, right, torch.full((len(left),), answer), noise=noise)
        slopes = torch.autograd.grad(value.sum(), (left, right), allow_unused=True)
        assert value.isfinite().all()
        assert all(slope is None or slope.isfinite().all() for slope in slopes)


def test_neither_is_a_tie_below_the_median():
    tied = told(0.3, -0.2, TIE)
    below = sum(math.log(1 / (1 + math.exp(reward - 0.1))) for reward in (0.3, -0.2))
    assert told(0.3, -0.2, NEITHER, median=0.1) == pytest.approx(tied + below, rel=1e-6)


def test_skip_says_nothing():
    assert told(3, -8, SKIP) == 0


def test_one_random_answer_costs_a_bounded_amount():
    assert told(-1e3, 1e3, LEFT, noise=0.1) == pytest.approx(math.log(0.05), abs=1e-6)


def test_members_are_judged_one_by_one():
    left, right = torch.randn(7, 3), torch.randn(7, 3)
    answer = torch.arange(7) % len(ANSWERS)
    together = log_likelihood(left, right, answer)
    assert together.shape == (7, 3)
    for m in range(3):
        assert torch.equal(together[:, m], log_likelihood(left[:, m], right[:, m], answer))


@pytest.mark.parametrize("margin", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_slopes_and_bends_are_derivatives(margin, noise):
    x = torch.linspace(-12, 12, 97, dtype=torch.float64, requires_grad=True)
    for curve in (better(x, margin, noise), tie(x, margin)):
        assert_derivative(curve.value, x, curve.slope)
        assert_derivative(curve.slope, x, curve.bend)


def assert_derivative(y: Tensor, x: Tensor, expected: Tensor) -> None:
    (slope,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    torch.testing.assert_close(slope, expected.detach(), rtol=1e-7, atol=1e-9)


@given(st.floats(-30, 30), st.floats(-30, 30), margins, noises)
def test_the_chance_of_a_side_is_that_among_decided_answers(left, right, margin, noise):
    one, other = (math.exp(told(left, right, side, margin=margin, noise=noise)) for side in (LEFT, RIGHT))
    pair = torch.tensor([[left]], dtype=torch.float64), torch.tensor([[right]], dtype=torch.float64)
    chance = float(probability(*pair, margin=margin, noise=noise))
    assert chance == pytest.approx(one / (one + other), rel=1e-6, abs=1e-12)
    assert chance == pytest.approx(1 - float(probability(*pair[::-1], margin=margin, noise=noise)), abs=1e-9)


def test_members_that_disagree_make_chances_even():
    sure, unsure = torch.tensor([[2.0, 2.0]]), torch.tensor([[6.0, -2.0]])
    zero = torch.zeros(1, 2)
    assert 0.5 < float(probability(unsure, zero)) < float(probability(sure, zero))
    assert float(probability(zero, zero)) == 0.5
