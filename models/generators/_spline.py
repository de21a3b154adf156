"""A normalising flow on the unit cube: coupling layers of rational-quadratic splines [1].

Each layer bends half of the coordinates by monotone splines of [0, 1] onto itself, which the other half chooses. What
comes out is uniform, so before it has learned anything a flow is the prior, and never leaves the cube.

[1] C. Durkan, A. Bekasov, I. Murray, G. Papamakarios. Neural Spline Flows. 2019.

Shapes: N points, D parameters, d of them bent by a layer, K bins of a spline.
"""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, softplus

BINS = 8
HIDDEN = 64
LEAST = 1e-3
"""Smallest width, height and slope: splines stay invertible in float32."""

LEVEL = math.log(math.expm1(1 - LEAST))
"""What `softplus` makes a slope of one."""


class Knots(NamedTuple):
    """The spline of each coordinate: where bins begin (N, d, K+1), how high (N, d, K+1), and the slopes there."""

    x: Tensor
    y: Tensor
    slope: Tensor


class Flow(nn.Module):
    """A density on the unit cube that can be drawn from.

    Args:
        dim: D.
        layers: Couplings, an even number: half of the coordinates are bent by the other half, then the other way round.
        draw: Of first weights, and of which coordinates go together.
    """

    def __init__(self, dim: int, layers: int, draw: torch.Generator) -> None:
        super().__init__()
        pairs = [torch.randperm(dim, generator=draw) for _ in range(layers // 2)]
        turned = [order.roll(dim // 2) for order in pairs]
        orders = [order for both in zip(pairs, turned, strict=True) for order in both]
        self.layers = nn.ModuleList([_Coupling(order, draw) for order in orders])

    def log_prob(self, unit: Tensor) -> Tensor:
        """The log density (N,) of points (N, D), in nats; 0 everywhere is the prior."""
        return self.flatten(unit)[1]

    def flatten(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Where points (N, D) of this density lie in the uniform one, and the log determinants (N,) of the way."""
        total = torch.zeros(len(unit), dtype=unit.dtype, device=unit.device)
        for layer in self.layers:
            unit, stretch = layer(unit)
            total = total + stretch
        return unit, total

    def sample(self, uniform: Tensor) -> Tensor:
        """The inverse of `flatten`: points of this density, (N, D), from uniform ones."""
        for layer in reversed(self.layers):
            uniform = cast(_Coupling, layer).invert(uniform)
        return uniform


class _Linear(nn.Module):
    """Like torch's, but drawn from a stream of its own, and content without any input."""

    def __init__(self, inputs: int, outputs: int, draw: torch.Generator, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, generator=draw) * scale / max(inputs, 1) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Coupling(nn.Module):
    """Bends the second half of an order of coordinates, as the first half says."""

    still: Tensor
    bent: Tensor

    def __init__(self, order: Tensor, draw: torch.Generator) -> None:
        super().__init__()
        still, bent = order[: len(order) // 2], order[len(order) // 2 :]
        self.register_buffer("still", still.clone())
        self.register_buffer("bent", bent.clone())
        first, second = _Linear(len(still), HIDDEN, draw), _Linear(HIDDEN, HIDDEN, draw)
        last = _Linear(HIDDEN, len(bent) * (3 * BINS + 1), draw, scale=0.0)  # all splines are straight at first
        self.net = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Points (N, D) on their way to the uniform density, and the log determinants (N,)."""
        y, slope = bend(unit[:, self.bent], self._knots(unit))
        return unit.index_copy(1, self.bent, y), slope.sum(1)

    def invert(self, unit: Tensor) -> Tensor:
        """The way back."""
        return unit.index_copy(1, self.bent, unbend(unit[:, self.bent], self._knots(unit)))

    def _knots(self, unit: Tensor) -> Knots:
        raw = self.net(2 * unit[:, self.still] - 1).unflatten(1, (len(self.bent), -1))
        width, height, slope = raw.split((BINS, BINS, BINS + 1), 2)
        return Knots(_edges(width), _edges(height), LEAST + softplus(slope + LEVEL))


def _edges(raw: Tensor) -> Tensor:
    """Bounds (N, d, K+1) of bins of [0, 1], none of them narrower than `LEAST`."""
    share = LEAST + (1 - BINS * LEAST) * raw.softmax(2)
    return pad(pad(share.cumsum(2)[..., :-1], (1, 0)), (0, 1), value=1.0)


def bend(x: Tensor, knots: Knots) -> tuple[Tensor, Tensor]:
    """Where splines take x (N, d), and the logarithm of their slope there: equations 4 and 5 of [1]."""
    left, width, low, height, before, after = _bin(knots, knots.x, x)
    mean = height / width
    t = ((x - left) / width).clamp(0, 1)
    rest = t * (1 - t)
    below = mean + (before + after - 2 * mean) * rest
    y = low + height * (mean * t**2 + before * rest) / below
    steep = mean**2 * (after * t**2 + 2 * mean * rest + before * (1 - t) ** 2)
    return y.clamp(0, 1), steep.log() - 2 * below.log()


def unbend(y: Tensor, knots: Knots) -> Tensor:
    """The inverse of `bend`: the root in [0, 1] of a quadratic equation, 6 to 8 of [1]."""
    left, width, low, height, before, after = _bin(knots, knots.y, y)
    mean, up = height / width, y - low
    extra = up * (before + after - 2 * mean)
    a, b, c = height * (mean - before) + extra, height * before - extra, -mean * up
    t = 2 * c / (-b - (b**2 - 4 * a * c).clamp_min(0).sqrt())
    return (left + t * width).clamp(0, 1)


def _bin(knots: Knots, edges: Tensor, at: Tensor) -> tuple[Tensor, ...]:
    """Of the bin that each number (N, d) falls in: left end, width, low end, height, and the slopes at both ends."""
    k = (at[..., None] >= edges[..., 1:-1]).sum(2, keepdim=True)
    x, y, slope = (torch.stack([each.gather(2, k), each.gather(2, k + 1)])[..., 0] for each in knots)
    return x[0], x[1] - x[0], y[0], y[1] - y[0], slope[0], slope[1]
