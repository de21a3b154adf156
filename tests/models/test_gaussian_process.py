import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from torch import Tensor

from models.preference import MARGIN
from models.rewardors._answers import Told
from models.rewardors._gaussian_process import Dual, Mode, Weights, _evidence, find_mode, learn


def covariance(m: int, scale: float = 3.0, seed: int = 0) -> Tensor:
    root = torch.randn(m, m + 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return scale * root @ root.T / m


def say(sign: Tensor, noise: float = 0.0) -> Told:
    """Answers of people who are as reliable as can be, with no side in favor."""
    one = torch.ones_like(sign)
    return Told(sign, MARGIN * one, noise * one, one, 0 * one)


def answers(m: int, noise: float = 0.2, seed: int = 0) -> Told:
    draw = torch.Generator().manual_seed(seed)
    return say(torch.randint(-1, 2, (m,), generator=draw).double(), noise)


def mode_of(kernel: Tensor, told: Told, start: Tensor | None = None) -> Mode:
    return find_mode(Dual(kernel), told, kernel.new_zeros(len(kernel)) if start is None else start)


@pytest.mark.parametrize("m", [1, 30])
@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_at_the_mode_the_posterior_is_flat(m, noise, scale):
    kernel, told = covariance(m, scale), answers(m, noise)
    mode = mode_of(kernel, told)
    f = mode.f.clone().requires_grad_()
    (told.curve(f).value.sum() - f @ torch.linalg.solve(kernel, f) / 2).backward()
    assert f.grad.abs().max() < 1e-6
    torch.testing.assert_close(kernel @ mode.x, mode.f)


def test_a_mode_is_found_from_a_bad_start_and_with_repeated_questions():
    kernel, told = covariance(4, 30), answers(4, 0)
    rows = torch.tensor([0, 1, 2, 3, 0, 0, 1])
    kernel, told = kernel[rows][:, rows], say(told.sign[rows])  # singular: the same question several times
    near, far = mode_of(kernel, told), mode_of(kernel, told, torch.full((7,), 50.0, dtype=torch.float64))
    torch.testing.assert_close(near.f, far.f, atol=1e-6, rtol=0)


def test_evidence_and_variance_are_near_those_of_brute_force():
    kernel, told = covariance(2, 1.0), answers(2, 0.1, seed=3)
    axis = torch.linspace(-9, 9, 301, dtype=torch.float64)
    f = torch.cartesian_prod(axis, axis)
    prior = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), kernel)
    log = prior.log_prob(f) + told.curve(f).value.sum(1)
    evidence = log.logsumexp(0) + 2 * (axis[1] - axis[0]).log()
    p = (log - log.logsumexp(0)).exp()
    mean = p @ f
    exact = (f - mean).T @ (p[:, None] * (f - mean))
    mode = mode_of(kernel, told)
    laplace = variance(kernel, told, mode)
    assert mode.evidence == pytest.approx(float(evidence), abs=0.1)
    torch.testing.assert_close(laplace, exact, rtol=0.2, atol=0.02)


def test_the_gradient_of_the_evidence_is_that_of_finite_differences():
    kernels = torch.stack([covariance(12, seed=seed) for seed in range(3)])
    told, start = answers(12), torch.zeros(12, dtype=torch.float64)

    def evidence(logs: np.ndarray) -> float:
        return mode_of(torch.tensordot(torch.tensor(logs).exp(), kernels, 1), told).evidence

    x = torch.tensor([-2.0, 0.3, -1.0], dtype=torch.float64, requires_grad=True)
    value, _ = _evidence(torch.tensordot(x.exp(), kernels, 1), told, start)
    value.backward()
    assert float(value.detach()) == pytest.approx(evidence(x.detach().numpy()), abs=1e-6)
    np.testing.assert_allclose(x.grad, approx_fprime(x.detach().numpy(), evidence, 1e-6), atol=1e-4)


def test_the_kernel_that_explains_the_answers_gets_the_weight():
    draw = torch.Generator().manual_seed(0)
    right, wrong = torch.randn(2, 120, 3, generator=draw, dtype=torch.float64).unbind()
    sign = (right @ torch.tensor([2.0, -1, 1], dtype=torch.float64)).sign()
    told, nothing = say(sign, 0.1), torch.zeros(0)
    kernels = torch.stack([wrong @ wrong.T / 3, right @ right.T / 3])
    amplitude, _ = learn(kernels, lambda _: told, lambda code: code.sum(), nothing)
    assert amplitude[1] > 10 * amplitude[0]


def test_contradictions_cancel_and_ties_pull_together():
    one = torch.ones(1, 1, dtype=torch.float64)
    up, down, tied = (say(torch.tensor([s], dtype=torch.float64)) for s in (1, -1, 0))
    assert float(mode_of(4 * one, up).f) == pytest.approx(-float(mode_of(4 * one, down).f)) != 0
    assert float(mode_of(4 * one, tied).f) == 0
    both = say(torch.tensor([1.0, -1.0]).double())
    assert mode_of(4 * one.expand(2, 2), both).f.abs().max() < 1e-9
    variances = [float(variance(4 * one, told, mode_of(4 * one, told))) for told in (up, tied)]
    assert variances[1] < variances[0] < 4


def variance(kernel: Tensor, told: Told, mode: Mode) -> Tensor:
    """The covariance of the differences, by the textbook."""
    curvature = torch.diag(-told.curve(mode.f).bend)
    return torch.linalg.inv(torch.linalg.inv(kernel) + curvature)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_weights_of_a_basis_are_another_way_to_the_same_mode(noise):
    basis = torch.randn(25, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    told = answers(25, noise)
    few, many = find_mode(Weights(basis), told, torch.zeros(8).double()), mode_of(basis @ basis.T, told)
    torch.testing.assert_close(few.f, many.f, atol=1e-7, rtol=0)
    assert few.evidence == pytest.approx(many.evidence, abs=1e-7)
    drawn = basis @ torch.cholesky_inverse(few.factor) @ basis.T
    by_hand = torch.linalg.inv(torch.eye(8) + basis.T @ ((-told.curve(few.f).bend).clamp_min(0)[:, None] * basis))
    torch.testing.assert_close(drawn, basis @ by_hand @ basis.T)


def test_the_gradient_in_how_people_answer_is_that_of_finite_differences():
    kernel, sign, start = covariance(12), answers(12).sign, torch.zeros(12, dtype=torch.float64)

    def told(x: Tensor) -> Told:
        one = torch.ones(12, dtype=torch.float64)
        return Told(sign, x[0] * one, x[1] * one, x[2] * one, x[3] * one)

    at = torch.tensor([0.4, 0.1, -0.8, 0.3], dtype=torch.float64, requires_grad=True)
    value, _ = _evidence(kernel, told(at), start)
    value.backward()
    found = approx_fprime(at.detach().numpy(), lambda x: mode_of(kernel, told(torch.tensor(x))).evidence, 1e-6)
    np.testing.assert_allclose(at.grad, found, atol=1e-4)


def test_nothing_told_is_nothing_learned():
    empty = torch.zeros(0, dtype=torch.float64)
    assert mode_of(empty.reshape(0, 0), say(empty)).evidence == 0
