"""Two kernels for each family of features: a smooth one and a linear one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

LENGTHS = (1.0,)
"""Of the radial kernels, in median distances between reference worlds. More of them did not help."""

EACH = len(LENGTHS) + 1
NEVER = 1e30
CLIP = 3.0
"""Features further out than this many standard deviations are brought in: they are outliers, not information."""


@dataclass(frozen=True)
class Kernels:
    """J kernels on embeddings, each scaled so that f(a) - f(b) has variance 1 on average over reference worlds a, b.

    Attributes:
        shift: (F,) means of the features of the reference worlds.
        scale: (F,) their standard deviations; `NEVER` for features that never change: these become zero.
        distance: (families,) median distance between reference worlds.
        unit: (J,) what the scaling divides by.
        families: Where each family's features are.
    """

    shift: Tensor
    scale: Tensor
    distance: Tensor
    unit: Tensor
    families: Sequence[slice]

    @classmethod
    def learn(cls, reference: Tensor, families: Sequence[slice]) -> "Kernels":
        """The kernels of reference worlds (n, F), n >= 1."""
        shift, scale = reference.mean(0), reference.std(0, correction=0)
        scale = torch.where(scale > 1e-6, scale, NEVER)  # finite, since a version holds finite weights only
        one = torch.ones(len(families), dtype=reference.dtype)
        raw = cls(shift, scale, one, one.repeat_interleave(EACH), families)
        z = raw.normalize(reference)
        apart = [torch.pdist(z[:, family]) for family in families]
        distance = torch.stack([d.median() if len(d) else d.new_ones(()) for d in apart])
        distance = torch.where(distance > 1e-6, distance, 1.0)
        raw = cls(shift, scale, distance, raw.unit, families)
        unit = torch.stack([2 * (k.diagonal().mean() - k.mean()) for k in raw.each(z, z)])
        return cls(shift, scale, distance, torch.where(unit > 1e-9, unit, 1.0), families)

    def normalize(self, embedding: Tensor) -> Tensor:
        """Features (n, F) float64 in standard deviations of the reference."""
        return ((embedding.to(self.shift) - self.shift) / self.scale).clamp(-CLIP, CLIP)

    def each(self, a: Tensor, b: Tensor) -> Iterator[Tensor]:
        """J times the kernel (n, m) of normalised a (n, F) and b (m, F)."""
        for g, family in enumerate(self.families):
            x, y = a[:, family] / self.distance[g], b[:, family] / self.distance[g]
            inner = x @ y.T
            square = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * inner
            for j, length in enumerate(LENGTHS):
                yield torch.exp(square * (-0.5 / length**2)) / self.unit[g * EACH + j]
            yield inner / self.unit[g * EACH + EACH - 1]

    def mix(self, a: Tensor, b: Tensor, amplitude: Tensor) -> Tensor:
        """The kernels (n, m) added up, with an amplitude (J,) each."""
        total = a.new_zeros(len(a), len(b))
        for weight, kernel in zip(amplitude.tolist(), self.each(a, b), strict=True):
            total.add_(kernel, alpha=weight)
        return total

    def state(self) -> dict[str, Tensor]:
        """The four tensors."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "families"}
