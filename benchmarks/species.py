"""Run known creatures of Lenia again, and compare them with their records: python -m benchmarks.species FILE.

FILE is JSON: {"species": [...]}, each with `code`, `name`, `params` (R, T, m, s, b: heights of the rings as in "1,1/3",
kn: 1 polynomial, 2 exponential, 3 step, 4 life, gn: 1 polynomial, 2 gaussian, 3 step), `cells` (rows of numbers from 0
to 1, put in the middle of a torus), `world` (side of the torus), `steps`, and what was recorded: `status`, `mass_mean`
(mean sum of the cells from half time on), `speed` (net way of the center of mass from half time on, cells per step).

Survival must be the same, mass within 1 %, speed within 3 % or 0.01 cells per step, whichever is more. Of those not
recorded as alive, only survival is compared. Exits 1 if any differs, 2 if FILE cannot be used.

All in double precision: some creatures are chaotic, and single precision sends them elsewhere within a thousand steps.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, get_args

import pydantic
import torch
from torch import Tensor

from sims.lenia import Core, Growth, Lenia, Rule

MASS, SPEED, SLOW = 0.01, 0.03, 0.01
"""What is tolerated: shares of the recorded mass and speed, and cells per step."""

TOGETHER = 2
"""Creatures that are run at a time."""

Number = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
Least = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
Cell = Annotated[float, pydantic.Field(ge=0, le=1)]
Fate = Literal["alive", "dead", "exploded"]


@dataclass(frozen=True)
class Numbers:
    """A creature's rule, in the letters of the literature."""

    R: Number
    T: Number
    b: str
    m: Number
    s: Number
    kn: Literal[1, 2, 3, 4]
    gn: Literal[1, 2, 3]

    def __post_init__(self) -> None:
        try:
            loud = min(self.heights) >= 0 < max(self.heights)
        except (ValueError, ZeroDivisionError):
            loud = False
        if not loud:
            raise ValueError(f"b is {self.b!r}: expected heights such as '1,1/3', not all of them 0")

    @property
    def heights(self) -> list[float]:
        """One for each ring, inner to outer."""
        return [float(Fraction(part)) for part in self.b.split(",")]


@dataclass(frozen=True)
class Creature:
    """One of the species of a file; what is needed of it."""

    code: str
    name: str
    params: Numbers
    cells: Annotated[list[list[Cell]], pydantic.Field(min_length=1)]
    world: Annotated[int, pydantic.Field(ge=4)]
    steps: Annotated[int, pydantic.Field(ge=2)]
    status: Fate
    mass_mean: Least
    speed: Least

    def __post_init__(self) -> None:
        sides = {len(row) for row in self.cells}
        if len(sides) > 1:
            raise ValueError("the rows of cells are not equally long")
        if max(len(self.cells), *sides) > self.world:
            raise ValueError(f"the cells do not fit into a world of {self.world} x {self.world}")

    @property
    def kind(self) -> tuple[int, int, int, int]:
        """Creatures of one kind can be run together."""
        return self.world, self.steps, self.params.kn, self.params.gn


@dataclass(frozen=True)
class Species:
    """All of a file."""

    species: Annotated[list[Creature], pydantic.Field(min_length=1)]


@dataclass(frozen=True)
class Life:
    """What became of a creature: mean mass, and speed in cells per step."""

    fate: Fate
    mass: float
    speed: float


def main(args: Sequence[str] | None = None) -> int:
    """Print a line for each creature; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", type=Path)
    path = parser.parse_args(args).file
    try:
        creatures = read(path)
    except (OSError, ValueError) as error:
        parser.error(f"{path}: {_reason(error)}")
    torch.set_num_threads(1)  # On a busy machine, threads that wait for each other take minutes.
    agreeing = 0
    for batch in batches(creatures):
        for creature, life in zip(batch, replay(batch), strict=True):
            said = differences(creature, life)
            agreeing += not said
            print(_line(creature, life, said), flush=True)
    print(f"{agreeing} of {len(creatures)} agree")
    return int(agreeing < len(creatures))


def read(path: Path) -> list[Creature]:
    """The creatures of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what the text at the top says.
    """
    return pydantic.TypeAdapter(Species).validate_python(json.loads(path.read_text())).species


def batches(creatures: Sequence[Creature]) -> Iterator[list[Creature]]:
    """Creatures of one kind, and so few that their worlds fit into a processor's cache."""
    for _, group in groupby(sorted(creatures, key=lambda one: one.kind), lambda one: one.kind):
        alike = list(group)
        yield from (alike[first : first + TOGETHER] for first in range(0, len(alike), TOGETHER))


def replay(creatures: Sequence[Creature]) -> list[Life]:
    """What becomes of creatures of one kind."""
    size, steps, kn, gn = creatures[0].kind
    sim = Lenia(size=size, core=get_args(Core)[kn - 1], growth=get_args(Growth)[gn - 1])
    rule, first = law(sim, creatures), torch.stack([middle(one.cells, size) for one in creatures])
    state, masses, centers = {"cells": first, "trail": first}, [], []
    for now in range(1, steps + 1):
        state = sim.step(state, rule)
        if now >= steps // 2:
            masses.append(state["cells"].sum((1, 2)))
            centers.append(center(state["cells"]))
        _show(f"{len(creatures)} on {size} x {size} cells: step {now} of {steps}", now % 50 == 0)
    way = torch.stack(centers).diff(dim=0)
    way = ((way + size / 2) % size - size / 2).sum(0)  # The shorter way around the torus, step by step.
    speed = way.norm(dim=1) / (len(centers) - 1)
    lives = zip(fates(state["cells"], first), torch.stack(masses).mean(0).tolist(), speed.tolist(), strict=True)
    return [Life(*each) for each in lives]


def law(sim: Lenia, creatures: Sequence[Creature]) -> Rule:
    """Their rules, in double precision."""

    def column(values: Iterable[float]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.float64)

    given = [one.params for one in creatures]
    most = max(len(one.heights) for one in given)
    return sim.law(
        mu=column(one.m for one in given),
        sigma=column(one.s for one in given),
        time=column(one.T for one in given),
        reach=column(one.R for one in given),
        rings=column(len(one.heights) for one in given),
        height=torch.stack([column([*one.heights, *[0] * most][:most]) for one in given]),
    )


def middle(cells: list[list[float]], size: int) -> Tensor:
    """A creature in the middle of an empty world, (size, size)."""
    world, body = torch.zeros(size, size, dtype=torch.float64), torch.tensor(cells, dtype=torch.float64)
    (height, width), (top, left) = body.shape, ((size - side) // 2 for side in body.shape)
    world[top : top + height, left : left + width] = body
    return world


def center(cells: Tensor) -> Tensor:
    """Centers of mass on the torus (B, 2), in cells: the angle of the first Fourier component of each axis."""
    size = cells.shape[-1]
    wave = torch.exp(2j * torch.pi * torch.arange(size, dtype=torch.float64) / size)
    return torch.stack([(cells.sum(axis) * wave).sum(1).angle() for axis in (2, 1)], 1) * size / (2 * torch.pi)


def fates(cells: Tensor, first: Tensor) -> list[Fate]:
    """Exploded worlds are covered by half; dead ones are empty, or have lost all but a thousandth."""
    mass, before, covered = cells.sum((1, 2)), first.sum((1, 2)), (cells > 0.1).double().mean((1, 2))
    dead, exploded = (mass < (before / 1000).clamp(min=1)).tolist(), (covered > 0.5).tolist()
    return ["dead" if died else "exploded" if burst else "alive" for died, burst in zip(dead, exploded, strict=True)]


def differences(creature: Creature, life: Life) -> list[str]:
    """What differs from the record."""
    if life.fate != creature.status:
        return [f"{life.fate}, not {creature.status}"]
    same = {
        "mass": abs(life.mass - creature.mass_mean) <= MASS * creature.mass_mean,
        "speed": abs(life.speed - creature.speed) <= max(SPEED * creature.speed, SLOW),
    }
    return [name for name, is_same in same.items() if not is_same and life.fate == "alive"]


def _line(creature: Creature, life: Life, different: list[str]) -> str:
    verdict = f"differs: {', '.join(different)}" if different else "ok"
    mass, speed = f"{life.mass:9.3f} vs {creature.mass_mean:9.3f}", f"{life.speed:.4f} vs {creature.speed:.4f}"
    return f"{creature.code:6} {creature.name:40} mass {mass}   speed {speed}   {verdict}"


def _show(progress: str, due: bool) -> None:
    """A line that the next one overwrites, for people who wait."""
    if due and sys.stderr.isatty():
        print(f"\r{progress}", end="\r", file=sys.stderr, flush=True)


def _reason(error: Exception) -> str:
    """What is wrong, and where, in one line."""
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{error.strerror}" if isinstance(error, OSError) else f"no JSON: {error}"


if __name__ == "__main__":
    sys.exit(main())
