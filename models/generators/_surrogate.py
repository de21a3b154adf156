"""What reward a point of the unit cube earns on average over starts: Gaussian process regression from few points.

Textbook: C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning, 2006 (algorithm 2.1, section 5.4).

Shapes: N told points, Q asked points, D parameters.
"""

import math

import torch
from torch import Tensor

from models.generators._archive import stream

LARGEST = 2000
"""Points beyond which a random part of them is told: the cost grows with the cube."""

TUNED_ON = 400
"""Points on which the kernel is tuned."""

STEPS, RATE = 40, 0.1
"""Of Adam on the log of the kernel's settings."""


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
        keep = torch.randperm(len(unit), generator=stream(seed))
        unit, value = unit[keep[:LARGEST]].double(), value[keep[:LARGEST]].double()
        self.mean, self.scale = value.mean(), value.std(correction=0).clamp_min(1e-9)
        target = (value - self.mean) / self.scale
        self.setting = _tune(unit[:TUNED_ON], target[:TUNED_ON])
        self.unit = unit
        factor = torch.linalg.cholesky(_covariance(unit, self.setting))
        self.weight = torch.cholesky_solve(target[:, None], factor)[:, 0]

    def __call__(self, unit: Tensor) -> Tensor:
        """The expected value (Q,) of points (Q, D)."""
        kernel = _kernel(unit.double(), self.unit, self.setting)
        return (kernel @ self.weight * self.scale + self.mean).float()


def _kernel(a: Tensor, b: Tensor, setting: Tensor) -> Tensor:
    """Matérn 5/2 (N, Q); `setting` is the log of D inverse lengths, then of the amplitude, then of the noise."""
    near = setting[:-2].exp()
    distance = math.sqrt(5) * ((a * near)[:, None] - (b * near)[None]).square().sum(-1).clamp_min(1e-18).sqrt()
    return setting[-2].exp() * (1 + distance + distance.square() / 3) * torch.exp(-distance)


def _covariance(unit: Tensor, setting: Tensor) -> Tensor:
    noise = setting[-1].exp() + 1e-5
    return _kernel(unit, unit, setting) + noise * torch.eye(len(unit), dtype=unit.dtype)


def _tune(unit: Tensor, target: Tensor) -> Tensor:
    """The settings (D + 2,) that make the targets likely, under a prior that keeps them sane where data are few."""
    D = unit.shape[1]
    usual = torch.cat([torch.full((D,), -0.5 * math.log(D / 2)), torch.tensor([0.0, -1.0])]).double()
    setting = usual.clone().requires_grad_()
    optimizer = torch.optim.Adam([setting], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        factor = torch.linalg.cholesky(_covariance(unit, setting))
        fit = torch.cholesky_solve(target[:, None], factor)[:, 0] @ target / 2 + factor.diagonal().log().sum()
        loss = fit + (setting - usual).square().sum() / 2
        loss.backward()
        optimizer.step()
    return setting.detach()
