"""The Laplace approximation of a Gaussian process that is seen through answers [1].

A function f is never observed: m answers each tell something about one linear functional of it, such as the difference
f(left) - f(right). So everything here happens on the (m, m) kernel of these functionals, small whatever the number of worlds.

[1] C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning, 2006, sections 3.4 and 5.5.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.preference import Curve, better, tie

STEPS = 100
TOLERANCE = 1e-9
BOUNDS = (-9.0, 5.0)
"""Of log-amplitudes: a line search must not try a kernel that drowns in its own rounding errors."""


@dataclass(frozen=True)
class Told:
    """What m answers say of m numbers.

    Attributes:
        sign: (m,) float64; 1 or -1: better than the margin upwards or downwards, 0: a tie.
        margin: (m,).
        noise: (m,) share of answers given at random.
        tie: The margin of ties.
    """

    sign: Tensor
    margin: Tensor
    noise: Tensor
    tie: float

    def curve(self, f: Tensor) -> Curve:
        """Log-likelihoods (m,) of the numbers f, and their derivatives."""
        one, both = better(self.sign * f, self.margin, self.noise), tie(f, self.tie)
        tied = self.sign == 0
        return Curve(
            torch.where(tied, both.value, one.value),
            torch.where(tied, both.slope, self.sign * one.slope),
            torch.where(tied, both.bend, one.bend),
        )


@dataclass(frozen=True)
class Mode:
    """The most probable numbers given what was told, and the curvature there.

    Attributes:
        f: (m,).
        dual: (m,), such that f = kernel @ dual.
        root: (m,), square roots of the curvature W of the likelihood.
        factor: (m, m), lower Cholesky factor of 1 + W^1/2 K W^1/2.
        evidence: Log-probability of all answers under the Laplace approximation.
    """

    f: Tensor
    dual: Tensor
    root: Tensor
    factor: Tensor
    evidence: float

    def explain(self, x: Tensor) -> Tensor:
        """(K + 1/W)^-1 x for x (m, n)."""
        return self.root[:, None] * torch.cholesky_solve(self.root[:, None] * x, self.factor)


def find_mode(kernel: Tensor, told: Told, start: Tensor | None = None) -> Mode:
    """The mode by damped Newton steps from `start`, a `dual` (default: zeros).

    Random answers make the likelihood convex far out, where a Newton step would run away: negative curvature counts as
    none, and a step is halved until the posterior rises.
    """
    dual = kernel.new_zeros(len(kernel)) if start is None else start
    f = kernel @ dual
    curve = told.curve(f)
    height = float(curve.value.sum() - dual @ f / 2)
    for _ in range(STEPS):
        if not len(dual) or float((curve.slope - dual).abs().max()) < TOLERANCE:
            break
        root, factor = _curvature(kernel, curve)
        full = root**2 * f + curve.slope
        full = full - root * _solve(factor, root * (kernel @ full))
        step, size = full - dual, 1.0
        while size > 1e-6:
            trial = dual + size * step
            f = kernel @ trial
            curve = told.curve(f)
            risen = float(curve.value.sum() - trial @ f / 2)
            if risen > height - 1e-12 * abs(height):
                break
            size /= 2
        dual, height = trial, risen
    root, factor = _curvature(kernel, curve)
    return Mode(f, dual, root, factor, height - float(factor.diagonal().log().sum()))


def _solve(factor: Tensor, x: Tensor) -> Tensor:
    return torch.cholesky_solve(x[:, None], factor)[:, 0]


def _curvature(kernel: Tensor, curve: Curve) -> tuple[Tensor, Tensor]:
    root = (-curve.bend).clamp_min(0).sqrt()
    b = root[:, None] * kernel * root
    b.diagonal().add_(1)
    return root, torch.linalg.cholesky(b)


def learn_amplitudes(kernels: Tensor, told: Told, prior: tuple[float, float, float], *, evaluations: int = 40) -> Tensor:
    """Amplitudes (J,) of the sum of kernels (J, m, m) that maximise evidence times prior.

    Args:
        kernels: Scaled alike, so that amplitudes compare.
        told: The answers.
        prior: Log of the median sum of all amplitudes, its standard deviation, and that of each share around an equal one.
        evaluations: At most this many of the evidence.
    """
    middle, spread, share = prior
    equal = middle - math.log(len(kernels))
    start = [torch.zeros_like(kernels[0, 0])]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.tensor(theta, requires_grad=True)
        kernel = torch.tensordot(x.exp(), kernels, 1)
        evidence = _evidence(kernel, told, start)
        total = (x.logsumexp(0) - middle) / spread
        value = (total**2 + (((x - equal) / share) ** 2).sum()) / 2 - evidence
        value.backward()
        return float(value), x.grad.numpy()

    at = np.full(len(kernels), equal)
    options = {"maxfun": evaluations, "maxiter": evaluations}
    found = minimize(loss, at, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(at), options=options)
    return torch.from_numpy(found.x).exp()


def _evidence(kernel: Tensor, told: Told, start: list[Tensor]) -> Tensor:
    """The evidence, differentiable in the kernel. The mode is found without gradients; one more Newton step from there
    changes nothing but carries the first derivative of the mode."""
    mode = find_mode(kernel.detach(), told, start[0])
    start[0] = mode.dual
    curve = told.curve(mode.f)
    weight = -curve.bend
    right = weight * mode.f + curve.slope
    system = torch.eye(len(kernel), dtype=kernel.dtype) + weight[:, None] * kernel
    dual = torch.linalg.solve(system, right)
    f = kernel @ dual
    curve = told.curve(f)
    weight = (-curve.bend).clamp_min(1e-12)
    root = weight.sqrt()
    factor = torch.linalg.cholesky(torch.eye(len(kernel), dtype=kernel.dtype) + root[:, None] * kernel * root)
    return curve.value.sum() - dual @ f / 2 - factor.diagonal().log().sum()
