"""The Laplace approximation of a Gaussian process that is seen through answers [1].

The function is never observed: each of m answers depends on one difference of its values. So all happens either on the
(m, m) kernel of these differences, or on the A weights of a finite basis, whichever is at hand.

[1] C. Rasmussen and C. Williams, Gaussian Processes for Machine Learning, 2006, sections 3.4 and 5.5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

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
"""The same where another step follows, which squares what is left: so does the evidence take one."""

TOTAL = 3.5
"""Of the summed amplitudes, the prior's median: random pairs then differ by 1.9 logits."""

LOOSE = 1.0
"""Deviation of the logarithm of the summed amplitudes around it."""

SHARE = 1.5
"""Deviation of the logarithm of one amplitude around an equal share."""

BOUNDS = -9.0, 5.0
"""Of log-amplitudes: a line search must not try a kernel that drowns in its own rounding errors."""

FAR = 8.0
"""The same for other numbers, in deviations of their prior."""

EVALUATIONS = 60


class Space(Protocol):
    """Coordinates x of a Gaussian process, and the m numbers f that answers depend on."""

    @property
    def size(self) -> int:
        """How many coordinates."""

    def numbers(self, x: Tensor) -> Tensor:
        """F (m,)."""

    def penalty(self, x: Tensor, f: Tensor) -> Tensor:
        """Minus the logarithm of the prior, up to a constant."""

    def uphill(self, x: Tensor, curve: Curve) -> Tensor:
        """What is zero at the mode, and only there."""

    def newton(self, f: Tensor, curve: Curve) -> tuple[Tensor, Tensor]:
        """Where Newton's step leads to, and the lower Cholesky factor of the curvature there."""


@dataclass(frozen=True)
class Dual:
    """Coordinates with f = kernel @ x, for a kernel (m, m) that may be singular."""

    kernel: Tensor

    @property
    def size(self) -> int:
        """M."""
        return len(self.kernel)

    def numbers(self, x: Tensor) -> Tensor:
        return self.kernel @ x

    def penalty(self, x: Tensor, f: Tensor) -> Tensor:
        return x @ f / 2

    def uphill(self, x: Tensor, curve: Curve) -> Tensor:
        return curve.slope - x

    def newton(self, f: Tensor, curve: Curve) -> tuple[Tensor, Tensor]:
        root = _weight(curve).sqrt()
        factor = torch.linalg.cholesky(_add_one(root[:, None] * self.kernel * root))
        full = root**2 * f + curve.slope
        return full - root * _solve(factor, root * (self.kernel @ full)), factor


@dataclass(frozen=True)
class Weights:
    """Coordinates with f = basis @ x, for a basis (m, A) whose weights are independent and of variance 1 a priori."""

    basis: Tensor

    @property
    def size(self) -> int:
        """A."""
        return self.basis.shape[1]

    def numbers(self, x: Tensor) -> Tensor:
        return self.basis @ x

    def penalty(self, x: Tensor, f: Tensor) -> Tensor:
        del f
        return x @ x / 2

    def uphill(self, x: Tensor, curve: Curve) -> Tensor:
        return self.basis.T @ curve.slope - x

    def newton(self, f: Tensor, curve: Curve) -> tuple[Tensor, Tensor]:
        weight = _weight(curve)
        factor = torch.linalg.cholesky(_add_one(self.basis.T @ (weight[:, None] * self.basis)))
        return _solve(factor, self.basis.T @ (weight * f + curve.slope)), factor


@dataclass(frozen=True)
class Mode:
    """The most probable function given the answers, and the curvature there.

    Attributes:
        x: Its coordinates.
        f: (m,) the differences that were asked about.
        factor: Lower Cholesky factor of the curvature: of 1 + W^1/2 K W^1/2 or of 1 + B^T W B, where W is that of the
            likelihood, K the kernel and B the basis. Both have the same determinant.
        evidence: Log-probability of all answers, in Laplace's approximation.
    """

    x: Tensor
    f: Tensor
    factor: Tensor
    evidence: float


def find_mode(space: Space, told: Told, start: Tensor, tolerance: float = TOLERANCE) -> Mode:
    """The mode, by damped Newton steps from `start`.

    That some answers are random makes the likelihood convex far out, where Newton would run away: negative curvature
    counts as none, and a step is halved until the posterior rises.
    """
    x = start
    f, curve, height = _climb(space, told, x)
    for _ in range(STEPS):
        if not len(x) or float(space.uphill(x, curve).abs().max()) < tolerance:
            break
        step, before = space.newton(f, curve)[0] - x, height
        for halved in range(20):
            trial = x + step / 2**halved
            f, curve, height = _climb(space, told, trial)
            if height >= before - 1e-12 * abs(before):
                break
        x = trial
    factor = space.newton(f, curve)[1]
    return Mode(x, f, factor, height - float(factor.diagonal().log().sum()))


def _climb(space: Space, told: Told, x: Tensor) -> tuple[Tensor, Curve, float]:
    f = space.numbers(x)
    curve = told.curve(f)
    return f, curve, float(curve.value.sum() - space.penalty(x, f))


def _weight(curve: Curve) -> Tensor:
    return (-curve.bend).clamp_min(0)


def _add_one(matrix: Tensor) -> Tensor:
    return matrix + torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)


def _solve(factor: Tensor, x: Tensor) -> Tensor:
    return torch.cholesky_solve(x[:, None], factor)[:, 0]


def learn(
    kernels: Tensor,
    told: Callable[[Tensor], Told],
    surprise: Callable[[Tensor], Tensor],
    code: Tensor,
    rivals: Callable[[Tensor], Sequence[Tensor]] = lambda _: (),
    total: float = TOTAL,
    share: float = SHARE,
) -> tuple[Tensor, Tensor]:
    """What maximises evidence times prior: the amplitudes of a sum of kernels, and how answers depend on it.

    Args:
        kernels: (J, m, m), scaled alike.
        told: What was answered, given the code (n,) of how people answer.
        surprise: Minus the logarithm of a code's prior.
        code: (n,) to start from.
        rivals: Codes far from one that was found, tried too: from one that is better the search starts again.
        total: See `TOTAL`.
        share: See `SHARE`.

    Returns:
        Amplitudes (J,) and the code.
    """
    J, middle = len(kernels), math.log(total)
    equal = middle - math.log(J)
    start = [kernels.new_zeros(kernels.shape[1])]

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(point).to(kernels).requires_grad_()
        logs, manner = equal + share * x[:J], x[J:]
        unlikely = ((logs.logsumexp(0) - middle) / LOOSE) ** 2 / 2 + x[:J].square().sum() / 2 + surprise(manner)
        evidence, start[0] = _evidence(torch.tensordot(logs.exp(), kernels, 1), told(manner), start[0])
        value = unlikely - evidence
        (slope,) = torch.autograd.grad(value, x)
        return float(value.detach()), slope.cpu().numpy()

    at = torch.cat([kernels.new_zeros(J), code.to(kernels)]).cpu().numpy()
    bounds = [((BOUNDS[0] - equal) / share, (BOUNDS[1] - equal) / share)] * J + [(-FAR, FAR)] * len(code)
    options = {"maxfun": EVALUATIONS, "ftol": 1e-9, "gtol": 0.05}  # nats: less is nothing
    search = partial(minimize, loss, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    found = search(at)
    for rival in rivals(torch.from_numpy(found.x[J:])):
        start[0] = torch.zeros_like(start[0])
        point = np.concatenate([found.x[:J], rival.numpy()])
        if loss(point)[0] < found.fun:
            found = search(point)
    best = torch.from_numpy(found.x).to(kernels)
    return (equal + share * best[:J]).exp(), best[J:]


def _evidence(kernel: Tensor, told: Told, start: Tensor) -> tuple[Tensor, Tensor]:
    """The evidence, differentiable in the kernel and in how answers depend on it, and the dual of the mode.

    The mode is found without gradients. One more Newton step from there hardly moves it, but makes its first derivative
    right, for the derivative of a Newton step in its own starting point vanishes at the mode.
    """
    with torch.no_grad():
        mode = find_mode(Dual(kernel), told, start, ROUGH)
    curve = told.curve(mode.f)
    weight = -curve.bend
    dual = torch.linalg.solve(_add_one(weight[:, None] * kernel), weight * mode.f + curve.slope)
    f = kernel @ dual
    curve = told.curve(f)
    root = (-curve.bend).clamp_min(1e-12).sqrt()
    factor = torch.linalg.cholesky(_add_one(root[:, None] * kernel * root))
    return curve.value.sum() - dual @ f / 2 - factor.diagonal().log().sum(), mode.x
