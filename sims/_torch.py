"""Simulations written as pure, batched torch functions, and the driver that runs and films them."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

from sims._base import STATUSES, Plan, Rollouts, Simulation
from sims._space import Params

Tree: TypeAlias = Tensor | dict[str, Tensor]
"""A tensor, or a flat dict of tensors, whose first axis is B."""

State = TypeVar("State", bound=Tree)
Rule = TypeVar("Rule", bound=Tree)
AnyTree = TypeVar("AnyTree", bound=Tree)

ALIVE, DEAD, EXPLODED, FROZEN = (STATUSES.index(status) for status in ("alive", "dead", "exploded", "frozen"))

CHECKPOINTS = (0.1, 0.2, 0.35, 0.6)
"""When dead worlds leave, as fractions of the rollout: most deaths are early."""

STILL = 0.02
"""Mean change between two frames of a clip, in levels of 255, below which nobody sees a change."""

FLAT = 1.0
"""Standard deviation over the pixels of a frame, in levels of 255, below which nobody sees a thing."""


class TorchSimulation(Simulation, Generic[State, Rule]):
    """A simulation as five pure methods that follow the device of their arguments.

    State and rule are tensors, or flat dicts of tensors, with first axis B. Rows never mix, so the driver picks and
    joins them: `step` always sees exactly `width` rows, because FFTs round differently at other batch sizes and chaos
    amplifies it. A row's result therefore depends on nothing but its parameters and its seed.

    Attributes:
        steps: Steps in a rollout.
    """

    steps: int

    def __post_init__(self) -> None:
        """Refuse impossible numbers: whole ones among the settings count steps, cells, particles.

        A simulation of which some may be negative has a `__post_init__` of its own.

        Raises:
            ValueError: One is negative, or there are no steps.
        """
        self._check_steps()
        for name, value in vars(self).items():
            if type(value) is int and value < 0:
                raise ValueError(f"{name} is {value}, expected at least 0")

    def _check_steps(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, expected at least 1")

    @abstractmethod
    def rule(self, params: Params) -> Rule:
        """What stays constant during a rollout."""

    @abstractmethod
    def start(self, rule: Rule, seeds: Tensor) -> State:
        """The first state of each row, from `seeds` (B,) int64 and nothing else."""

    @abstractmethod
    def step(self, state: State, rule: Rule) -> State:
        """The next state, in new tensors."""

    @abstractmethod
    def draw(self, state: State, size: int) -> Tensor:
        """Frames, (B, size, size, 3) uint8."""

    def status(self, state: State, rule: Rule) -> Tensor:
        """Indices into `STATUSES`, (B,) int64, asked at checkpoints and at the end.

        By default every world lives. The driver then judges what is called alive: numbers that are not finite are an
        explosion, one flat picture is dead, no change is frozen.
        """
        del rule
        leaf = _leaves(state)[0]
        return torch.full((len(leaf),), ALIVE, device=leaf.device)

    def width(self, device: torch.device) -> int:
        """Rows per step; on CPU what fits the L2 cache."""
        return 16 if device.type == "cpu" else 256

    @torch.no_grad()
    def simulate(self, unit: Tensor, seeds: Tensor, plan: Plan) -> Rollouts:
        """Simulate and film B worlds; see `Simulation.simulate`.

        All states and frames are held in memory (a clip takes 0.4 MB, a film of 96 frames 19 MB), so callers split
        large B, and film few worlds at a time.

        Raises:
            ValueError: `unit` is not (B, D) in [0, 1], `seeds` is not (B,), or a rollout has no steps.
        """
        self._check_steps()
        if seeds.shape != unit.shape[:1]:
            raise ValueError(f"seeds has shape {tuple(seeds.shape)}, expected one per row of unit {tuple(unit.shape)}")
        self.space.decode(unit)  # Refuse before any work; the rows below are decoded at constant width.
        take = _Take(self, unit, seeds, plan)
        for first, last in _spans(self.steps):
            running = take.running()
            if not len(running):
                break
            for rows in running.split(take.width):
                take.run(rows, first, last)
            take.judge(last)
        return Rollouts(take.verdict, take.clip, take.film)


class _Take:
    """B worlds on their way, and what has been filmed of them."""

    def __init__(self, sim: TorchSimulation[Any, Any], unit: Tensor, seeds: Tensor, plan: Plan) -> None:
        device, n = unit.device, len(unit)
        self.sim, self.width, self.plan = sim, sim.width(device), plan
        self.clip_times = _times(plan.clip_frames, sim.steps)
        self.film_times = _times(plan.film_frames, sim.steps)
        self.clip = torch.zeros(n, plan.clip_frames, *2 * [plan.clip_size], 3, dtype=torch.uint8, device=device)
        self.film = self.clip.new_zeros(n, plan.film_frames, *2 * [plan.film_size], 3) if plan.film_frames else None
        self.verdict = torch.full((n,), ALIVE, device=device)
        if not n:
            return
        rules, states = zip(*[self._begin(unit[rows], seeds[rows]) for rows in self._batches()], strict=True)
        self.rule, self.state = _join(rules, n), _join(states, n)

    def _batches(self) -> list[Tensor]:
        rows = torch.arange(len(self.verdict), device=self.verdict.device)
        return [self._full(batch) for batch in rows.split(self.width)]

    def _full(self, rows: Tensor) -> Tensor:
        """The rows, with the last repeated up to the constant width."""
        return torch.cat([rows, rows[-1:].expand(self.width - len(rows))])

    def _begin(self, unit: Tensor, seeds: Tensor) -> tuple[Tree, Tree]:
        rule = self.sim.rule(self.sim.space.decode(unit))
        return rule, self.sim.start(rule, seeds)

    def running(self) -> Tensor:
        """Rows that are still worth simulating."""
        return (self.verdict == ALIVE).nonzero()[:, 0]

    def run(self, rows: Tensor, first: int, last: int) -> None:
        """Take at most `width` rows from step `first` to step `last`, filming."""
        full = self._full(rows)
        rule, state = _pick(self.rule, full), _pick(self.state, full)
        for now in range(first, last + 1):
            if now > first:
                state = self.sim.step(state, rule)
            if now > first or now == 0:
                self._shoot(rows, state, now)
        _put(self.state, rows, state)
        verdict = self.sim.status(state, rule)
        self.verdict[rows] = torch.where((verdict == ALIVE) & ~_finite(state), EXPLODED, verdict)[: len(rows)]
        self._hold(rows[self.verdict[rows] == FROZEN], last)

    def _shoot(self, rows: Tensor, state: Tree, now: int) -> None:
        for frame in self.clip_times.get(now, ()):
            self.clip[rows, frame] = self.sim.draw(state, self.plan.clip_size)[: len(rows)]
        for frame in self.film_times.get(now, ()):
            assert self.film is not None
            for i, row in enumerate(rows.tolist()):  # One at a time: padding is not drawn, and memory stays small.
                self.film[row, frame] = self.sim.draw(_pick(state, slice(i, i + 1)), self.plan.film_size)[0]

    def judge(self, now: int) -> None:
        """Stop the worlds in whose pictures nothing is to be seen, or nothing changes any more."""
        shot = [frames[0] for time, frames in self.clip_times.items() if time <= now]
        running, recent = self.running(), max(2, self.plan.clip_frames // 8)
        if not len(running) or len(shot) < recent:
            return
        for rows in running.split(self.width):  # All at once would leave the cache.
            tail = self.clip[rows[:, None], torch.tensor(shot[-recent:])].float()  # (B, recent, h, w, 3)
            flat = contrast(tail[:, -1]) < FLAT
            still = change(tail) <= (STILL if now == self.sim.steps else 0)
            self.verdict[rows[still]] = FROZEN
            self.verdict[rows[flat]] = DEAD
            self._hold(rows[still], now)

    def _hold(self, rows: Tensor, now: int) -> None:
        """Fill the films of frozen worlds with the picture they froze in."""
        for film, times in ((self.clip, self.clip_times), (self.film, self.film_times)):
            shot = [frame for time, frames in times.items() if time <= now for frame in frames]
            if film is not None:
                film[rows, shot[-1] + 1 :] = film[rows, shot[-1], None]


def contrast(frames: Tensor) -> Tensor:
    """Standard deviation over the pixels of frames (B, h, w, 3) float, in the color in which it is largest: (B,)."""
    return frames.flatten(1, 2).std(1).amax(1)


def change(films: Tensor) -> Tensor:
    """Mean change between two neighboring frames of films (B, T, h, w, 3) float, where it is largest: (B,)."""
    return films.diff(dim=1).abs().flatten(2).mean(2).amax(1)


def noise(seeds: Tensor, *shape: int) -> Tensor:
    """Normal numbers (B, *shape): a row depends on its own seed only, and is the same on any device."""
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    return torch.stack(rows).to(seeds.device)


def uniform(seeds: Tensor, *shape: int) -> Tensor:
    """Numbers in [0, 1), (B, *shape), in the same way."""
    rows = [torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    return torch.stack(rows).to(seeds.device)


def _times(frames: int, steps: int) -> dict[int, list[int]]:
    """The frames to take after each number of steps."""
    times: dict[int, list[int]] = {}
    for frame in range(frames):
        times.setdefault(round(frame * steps / max(1, frames - 1)), []).append(frame)
    return times


def _spans(steps: int) -> Iterator[tuple[int, int]]:
    """(first, last) step between neighbouring checkpoints."""
    ends = sorted({0, steps, *(round(part * steps) for part in CHECKPOINTS)})
    return pairwise(ends)


def _leaves(tree: Tree) -> list[Tensor]:
    return list(tree.values()) if isinstance(tree, dict) else [tree]


def _finite(tree: Tree) -> Tensor:
    """Whether all numbers of each row are finite, (B,)."""
    return torch.stack([leaf.isfinite().reshape(len(leaf), -1).all(1) for leaf in _leaves(tree)]).all(0)


def _pick(tree: AnyTree, rows: Tensor | slice) -> AnyTree:
    return {name: leaf[rows] for name, leaf in tree.items()} if isinstance(tree, dict) else tree[rows]  # type: ignore


def _put(tree: Tree, rows: Tensor, part: Tree) -> None:
    for leaf, new in zip(_leaves(tree), _leaves(part), strict=True):
        leaf[rows] = new[: len(rows)]


def _join(trees: tuple[AnyTree, ...], n: int) -> AnyTree:
    """One tree of the first n rows."""
    if isinstance(trees[0], dict):
        return {name: torch.cat([tree[name] for tree in trees])[:n] for name in trees[0]}  # type: ignore
    return torch.cat(trees)[:n]  # type: ignore
