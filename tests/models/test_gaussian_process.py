import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from torch import Tensor

from models.preference import MARGIN
from models.rewardors._answers import Told
from models.rewardors._gaussian_process import _evidence, find_mode, learn_amplitudes


def covariance(m: int, scale: float = 3.0, seed: int = 0) -> Tensor:
    root = torch.randn(m, m + 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return scale * root @ root.T / m


def answers(m: int, noise: float = 0.2, seed: int = 0) -> Told:
    draw = torch.Generator().manual_seed(seed)
    sign = torch.randint(-1, 2, (m,), generator=draw).double()
    return Told(sign, torch.full((m,), MARGIN, dtype=torch.float64), torch.full((m,), noise, dtype=torch.float64))


@pytest.mark.parametrize("m", [1, 30])
@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_at_the_mode_the_posterior_is_flat(m, noise, scale):
    kernel, told = covariance(m, scale), answers(m, noise)
    mode = find_mode(kernel, told)
    f = mode.f.clone().requires_grad_()
    (told.curve(f).value.sum() - f @ torch.linalg.solve(kernel, f) / 2).backward()
    assert f.grad.abs().max() < 1e-6
    torch.testing.assert_close(kernel @ mode.dual, mode.f)


def test_a_mode_is_found_from_a_bad_start_and_with_repeated_questions():
    kernel, told = covariance(4, 30), answers(4, 0)
    rows = torch.tensor([0, 1, 2, 3, 0, 0, 1])
    kernel, told = kernel[rows][:, rows], told[rows]  # singular: the same question several times
    near, far = find_mode(kernel, told), find_mode(kernel, told, torch.full((7,), 50.0, dtype=torch.float64))
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
    mode = find_mode(kernel, told)
    laplace = kernel - kernel @ mode.explain(kernel)
    assert mode.evidence == pytest.approx(float(evidence), abs=0.1)
    torch.testing.assert_close(laplace, exact, rtol=0.2, atol=0.02)


def test_the_gradient_of_the_evidence_is_that_of_finite_differences():
    kernels = torch.stack([covariance(12, seed=seed) for seed in range(3)])
    told, start = answers(12), torch.zeros(12, dtype=torch.float64)

    def evidence(logs: np.ndarray) -> float:
        return find_mode(torch.tensordot(torch.tensor(logs).exp(), kernels, 1), told).evidence

    x = torch.tensor([-2.0, 0.3, -1.0], dtype=torch.float64, requires_grad=True)
    value, _ = _evidence(torch.tensordot(x.exp(), kernels, 1), told, start)
    value.backward()
    assert float(value.detach()) == pytest.approx(evidence(x.detach().numpy()), abs=1e-6)
    np.testing.assert_allclose(x.grad, approx_fprime(x.detach().numpy(), evidence, 1e-6), atol=1e-4)


def test_the_kernel_that_explains_the_answers_gets_the_weight():
    draw = torch.Generator().manual_seed(0)
    right, wrong = torch.randn(2, 120, 3, generator=draw, dtype=torch.float64).unbind()
    sign = (right @ torch.tensor([2.0, -1, 1], dtype=torch.float64)).sign()
    told = Told(sign, torch.full_like(sign, MARGIN), torch.full_like(sign, 0.1))
    amplitude = learn_amplitudes(torch.stack([wrong @ wrong.T / 3, right @ right.T / 3]), told)
    assert amplitude[1] > 10 * amplitude[0]


def test_contradictions_cancel_and_ties_pull_together():
    one = torch.ones(1, 1, dtype=torch.float64)
    up, down, tied = (Told(torch.tensor([s], dtype=torch.float64), one[0] * MARGIN, one[0] * 0) for s in (1, -1, 0))
    assert float(find_mode(4 * one, up).f) == pytest.approx(-float(find_mode(4 * one, down).f)) != 0
    assert float(find_mode(4 * one, tied).f) == 0
    both = Told(torch.tensor([1.0, -1.0]).double(), torch.full((2,), MARGIN).double(), torch.zeros(2).double())
    assert find_mode(4 * one.expand(2, 2), both).f.abs().max() < 1e-9
    variances = [4 - 16 * float(find_mode(4 * one, told).explain(one)) for told in (up, tied)]
    assert variances[1] < variances[0] < 4


def test_nothing_told_is_nothing_learned():
    empty = torch.zeros(0, dtype=torch.float64)
    assert find_mode(empty.reshape(0, 0), Told(empty, empty, empty)).evidence == 0
