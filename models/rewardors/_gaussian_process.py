"""The Laplace approximation of a Gaussian process that is seen through answers [1].

The function is never observed: each of m answers depends on one difference of its values. So all happens on the (m, m)
kernel of these differences, small whatever the number of worlds.

[1] C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning, 2006, sections 3.4 and 5.5.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.preference import Curve
from models.rewardors._answers import Told

STEPS = 100
TOLERANCE = 1e-9
"""Of the gradient of the log-posterior at the mode."""

ROUGH = 1e-4
"""The same while amplitudes are learned: the evidence takes one more step, which squares what is left."""

TOTAL = math.log(3.5), 1.0
"""Of the logarithm of the summed amplitudes, prior mean and deviation: random pairs then differ by 1.9 logits."""

SHARE = 1.5
"""Deviation of the logarithm of one amplitude around an equal share."""

BOUNDS = -9.0, 5.0
"""Of log-amplitudes: a line search must not try a kernel that drowns in its own rounding errors."""

EVALUATIONS = 40


@dataclass(frozen=True)
class Mode:
    """The most probable differences given the answers, and the curvature there.

    Attributes:
        f: (m,).
        dual: (m,), such that f = kernel @ dual.
        root: (m,), square roots of the curvature W of the likelihood.
        factor: (m, m), lower Cholesky factor of 1 + W^1/2 K W^1/2.
        evidence: Log-probability of all answers, in Laplace's approximation.
    """

    f: Tensor
    dual: Tensor
    root: Tensor
    factor: Tensor
    evidence: float

    def explain(self, x: Tensor) -> Tensor:
        """(K + 1/W)^-1 x, for x (m, n)."""
        return self.root[:, None] * torch.cholesky_solve(self.root[:, None] * x, self.factor)


def find_mode(kernel: Tensor, told: Told, start: Tensor | None = None, tolerance: float = TOLERANCE) -> Mode:
    """The mode, by damped Newton steps from `start`, a `dual` (default: zeros).

    That some answers are random makes the likelihood convex far out, where Newton would run away: negative curvature
    counts as none, and a step is halved until the posterior rises.
    """
    dual = kernel.new_zeros(len(kernel)) if start is None else start
    f, curve, height = _climb(kernel, told, dual)
    for _ in range(STEPS):
        if not len(dual) or float((curve.slope - dual).abs().max()) < tolerance:
            break
        root, factor = _curvature(kernel, curve)
        full = root**2 * f + curve.slope
        step = full - root * _solve(factor, root * (kernel @ full)) - dual
        before = height
        for halved in range(20):
            trial = dual + step / 2**halved
            f, curve, height = _climb(kernel, told, trial)
            if height >= before - 1e-12 * abs(before):
                break
        dual = trial
    root, factor = _curvature(kernel, curve)
    return Mode(f, dual, root, factor, height - float(factor.diagonal().log().sum()))


def _climb(kernel: Tensor, told: Told, dual: Tensor) -> tuple[Tensor, Curve, float]:
    f = kernel @ dual
    curve = told.curve(f)
    return f, curve, float(curve.value.sum() - dual @ f / 2)


def _curvature(kernel: Tensor, curve: Curve) -> tuple[Tensor, Tensor]:
    root = (-curve.bend).clamp_min(0).sqrt()
    return root, torch.linalg.cholesky(_add_one(root[:, None] * kernel * root))


def _add_one(matrix: Tensor) -> Tensor:
    return matrix + torch.eye(len(matrix), dtype=matrix.dtype)


def _solve(factor: Tensor, x: Tensor) -> Tensor:
    return torch.cholesky_solve(x[:, None], factor)[:, 0]


def learn_amplitudes(kernels: Tensor, told: Told) -> Tensor:
    """Amplitudes (J,) of a sum of kernels (J, m, m), scaled alike, that maximise evidence times prior."""
    equal = TOTAL[0] - math.log(len(kernels))
    start = [kernels.new_zeros(kernels.shape[1])]

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.tensor(logs, requires_grad=True)
        unlikely = ((x.logsumexp(0) - TOTAL[0]) / TOTAL[1]) ** 2 + (((x - equal) / SHARE) ** 2).sum()
        evidence, start[0] = _evidence(torch.tensordot(x.exp(), kernels, 1), told, start[0])
        value = unlikely / 2 - evidence
        (slope,) = torch.autograd.grad(value, x)
        return float(value.detach()), slope.numpy()

    at = np.full(len(kernels), equal)
    options = {"maxfun": EVALUATIONS, "ftol": 1e-9, "gtol": 0.05}  # nats: less is nothing
    found = minimize(loss, at, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(at), options=options)
    return torch.from_numpy(found.x).exp()


def _evidence(kernel: Tensor, told: Told, start: Tensor) -> tuple[Tensor, Tensor]:
    """The evidence, differentiable in the kernel, and the dual of the mode.

    The mode is found without gradients. One more Newton step from there hardly moves it, but makes its first derivative
    right, for the derivative of a Newton step in its own starting point vanishes at the mode.
    """
    mode = find_mode(kernel.detach(), told, start, ROUGH)
    curve = told.curve(mode.f)
    weight = -curve.bend
    dual = torch.linalg.solve(_add_one(weight[:, None] * kernel), weight * mode.f + curve.slope)
    f = kernel @ dual
    curve = told.curve(f)
    root = (-curve.bend).clamp_min(1e-12).sqrt()
    factor = torch.linalg.cholesky(_add_one(root[:, None] * kernel * root))
    return curve.value.sum() - dual @ f / 2 - factor.diagonal().log().sum(), mode.dual
