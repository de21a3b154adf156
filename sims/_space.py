"""The numbers that tell the worlds of one simulation apart."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""Physical parameters by name, each (B, *shape)."""


@dataclass(frozen=True)
class Param:
    """One named parameter: a scalar, or an array of scalars that share a range.

    Attributes:
        name: The key under which a simulation reads it.
        low: Smallest value, in `unit`.
        high: Largest value, in `unit`.
        shape: Shape per rollout; `()` is a scalar.
        scale: "log" spreads the unit interval evenly over orders of magnitude.
        unit: For people: "cells", "1/step", "" if dimensionless.
        doc: What turning it up does to the picture.
    """

    name: str
    low: float
    high: float
    shape: tuple[int, ...] = ()
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be decoded.

        Raises:
            ValueError: The range is empty, or reaches zero on a log scale, or the shape holds nothing.
        """
        if any(side < 1 for side in self.shape):
            raise ValueError(f"{self.name}: shape {self.shape} holds no numbers")
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low {self.low} must be below high {self.high}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs low > 0, got {self.low}")

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)

    def decode(self, unit: Tensor) -> Tensor:
        """Physical values (B, *shape) of unit values (B, size)."""
        unit = unit.reshape(-1, *self.shape)
        if self.scale == "log":
            return self.low * (self.high / self.low) ** unit
        return self.low + (self.high - self.low) * unit

    def encode(self, value: Tensor) -> Tensor:
        """Unit values (B, size) of physical values (B, *shape)."""
        value = value.reshape(-1, self.size)
        if self.scale == "log":
            return torch.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Space:
    """The D numbers that a generator chooses, and what they mean to a simulation.

    Args:
        params: In the order of the columns of `unit`.
    """

    def __init__(self, *params: Param) -> None:
        self.params = params
        names = [param.name for param in params]
        if len(set(names)) < len(names):
            raise ValueError(f"a name appears twice in {names}")

    @property
    def dim(self) -> int:
        """D, the number of scalars."""
        return sum(param.size for param in self.params)

    @property
    def names(self) -> tuple[str, ...]:
        """D column names: "mu" for scalars, "mu[0]", "mu[1,2]" for arrays."""
        return tuple(name for param in self.params for name in _names(param))

    def decode(self, unit: Tensor) -> Params:
        """Physical parameters of points of the unit cube.

        Args:
            unit: (B, D) in [0, 1].

        Raises:
            ValueError: The shape is not (B, D), or a value is not in [0, 1]. Clamping would hide a broken generator.
        """
        if unit.ndim != 2 or unit.shape[1] != self.dim:
            raise ValueError(f"unit has shape {tuple(unit.shape)}, expected (B, {self.dim})")
        if not bool(((unit >= 0) & (unit <= 1)).all()):
            raise ValueError("unit has values outside [0, 1], or values that are not finite")
        columns = unit.split([param.size for param in self.params], dim=1)
        return {param.name: param.decode(column) for param, column in zip(self.params, columns, strict=True)}

    def encode(self, params: Params) -> Tensor:
        """The points of the unit cube that decode to `params`, (B, D)."""
        return torch.cat([param.encode(params[param.name]) for param in self.params], dim=1)


def _names(param: Param) -> list[str]:
    if not param.shape:
        return [param.name]
    indices = torch.cartesian_prod(*[torch.arange(n) for n in param.shape]).reshape(-1, len(param.shape))
    return [f"{param.name}[{','.join(map(str, index.tolist()))}]" for index in indices]
