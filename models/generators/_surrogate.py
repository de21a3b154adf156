"""What a point of the unit cube earns on average over starts: Gaussian process regression from few, noisy points.

After C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning, 2006: algorithm 2.1 and section 5.4.

Shapes: N told points, Q asked points, D parameters.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from models.generators._archive import stream

LARGEST = 2000
"""Points beyond which a random part of them is told: the cost grows with the cube."""

TUNED_ON = 500
"""Points on which the kernel is tuned."""

TRIES = 30
"""Evaluations of the evidence while tuning."""

JITTER = 1e-5


class Surrogate:
    """A Gaussian process with one length scale per parameter (Matérn 5/2).

    A parameter that does not matter gets a long scale. What differs between starts of the same parameters is noise to
    it: the mean is what a world earns with a fresh seed, not what it happened to earn.

    Args:
        unit: (N, D) in [0, 1].
        value: (N,) what they earned.
        seed: Fixes which points are used where there are too many.
    """

    def __init__(self, unit: Tensor, value: Tensor, *, seed: int) -> None:
        keep = torch.randperm(len(unit), generator=stream(seed))[:LARGEST]
        self.unit, value = unit[keep].double(), value[keep].double()
        self.mean, self.scale = value.mean(), value.std(correction=0).clamp_min(1e-9)
        target = (value - self.mean) / self.scale
        self.setting = _tune(self.unit[:TUNED_ON], target[:TUNED_ON])
        self.weight = torch.cholesky_solve(target[:, None], _factor(self.unit, self.setting))[:, 0]

    def __call__(self, unit: Tensor) -> Tensor:
        """The expected value (Q,) of points (Q, D)."""
        kernel = _matern(_distance(unit.double(), self.unit, self.setting), self.setting)
        return (kernel @ self.weight * self.scale + self.mean).float()


def _distance(a: Tensor, b: Tensor, setting: Tensor) -> Tensor:
    """√5 times the distances (N, Q) in length scales; `setting` is the log of D inverse scales, amplitude and noise."""
    near = setting[:-2].exp()
    return math.sqrt(5) * torch.cdist(a * near, b * near)


def _matern(distance: Tensor, setting: Tensor) -> Tensor:
    return setting[-2].exp() * (1 + distance + distance.square() / 3) * torch.exp(-distance)


def _factor(unit: Tensor, setting: Tensor) -> Tensor:
    """The Cholesky factor (N, N) of the covariance of what is told."""
    covariance = _matern(_distance(unit, unit, setting), setting)
    covariance.diagonal().add_(setting[-1].exp() + JITTER)
    return torch.linalg.cholesky(covariance)


def _tune(unit: Tensor, target: Tensor) -> Tensor:
    """The settings (D + 2,) that make the targets likely, under a prior that keeps them sane where points are few."""
    D = unit.shape[1]
    usual = torch.tensor([-0.5 * math.log(D / 2)] * D + [0.0, -1.0], dtype=torch.float64)

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        setting = torch.from_numpy(x)
        value, slope = _surprise(unit, target, setting)
        away = setting - usual
        return value + float(away @ away) / 2, (slope + away).numpy()

    bounds = [(float(center) - 4, float(center) + 4) for center in usual]
    found = minimize(loss, usual.numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxfun": TRIES})
    return torch.from_numpy(found.x)


def _surprise(unit: Tensor, target: Tensor, setting: Tensor) -> tuple[float, Tensor]:
    """Minus the log evidence, and its gradient (D + 2,) by their equation 5.9."""
    factor = _factor(unit, setting)
    weight = torch.cholesky_solve(target[:, None], factor)[:, 0]
    value = float(target @ weight / 2 + factor.diagonal().log().sum())
    blame = torch.cholesky_inverse(factor) - weight[:, None] * weight  # (N, N), twice the slope by covariances
    distance = _distance(unit, unit, setting)
    amplitude = (blame * _matern(distance, setting)).sum() / 2
    noise = blame.diagonal().sum() * setting[-1].exp() / 2
    # The kernel falls by 5/6 (1 + d) e^-d per squared distance; a pair's share of that is (u_a - u_b)^2 / length^2.
    pull = blame * (1 + distance) * torch.exp(-distance) * setting[-2].exp() * (-5 / 3)
    lengths = setting[:-2].mul(2).exp() * (unit.square().T @ pull.sum(1) - ((pull @ unit) * unit).sum(0))
    return value, torch.cat([lengths, amplitude[None], noise[None]])
