"""The seam between science and execution: the question travels to the clip, never the clip to the question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pipeline.film import FRAMES, SIZE, Film
from pipeline.film import film as encoded
from sims import STATUSES, Plan, Rollouts, Simulation

Ask: TypeAlias = Mapping[str, Callable[[Tensor], Tensor]]
"""Questions by name, each from clips (B, T, H, W, 3) uint8 to numbers (B, k)."""

HERE = torch.device("cpu")

CLIPS, FILMS, ASKED = 128, 4, 32
"""Worlds simulated at a time without and with films, and asked about at a time: 50, 80 and 50 MB of frames."""


@dataclass(frozen=True)
class Rolled:
    """What is left of B worlds when their clips are gone.

    Attributes:
        status: B statuses.
        source: B hashes of the clips' frames; "" where the simulation failed.
        answers: By name of the question, (B, k) float32; NaN where the world is not alive.
        films: B encoded films; None where none was asked for, or the world is not alive.
        errors: B causes of failure; "" where the simulation did not fail.
    """

    status: list[str]
    source: list[str]
    answers: dict[str, np.ndarray]
    films: list[Film | None]
    errors: list[str]


class Roll(Protocol):
    """Something that simulates worlds and answers questions about them."""

    def __call__(self, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
        """Simulate B worlds.

        Args:
            unit: (B, D) float32 in [0, 1].
            seeds: (B,) int64.
            ask: Questions about the clips of alive worlds.
            film: Whether people will see these worlds.
        """


def roll_here(sim: Simulation) -> Roll:
    """Roll out in this process. A world that makes the simulation raise or return nonsense fails alone."""
    return partial(_roll_all, sim)


def _roll_all(sim: Simulation, unit: np.ndarray, seeds: np.ndarray, ask: Ask, film: bool = False) -> Rolled:
    unit, seeds = np.asarray(unit, np.float32), np.asarray(seeds, np.int64)
    step = FILMS if film else CLIPS
    plan = Plan(film_frames=FRAMES if film else 0, film_size=SIZE)
    starts = range(0, max(1, len(unit)), step)  # No worlds are one empty part, so that answers keep their shape.
    parts = [_roll(sim, unit[i : i + step], seeds[i : i + step], ask, plan) for i in starts]
    return join(parts, ask)


def _roll(sim: Simulation, unit: np.ndarray, seeds: np.ndarray, ask: Ask, plan: Plan) -> Rolled:
    try:
        made = sim.simulate(torch.tensor(unit), torch.tensor(seeds), plan)
        _refuse_nonsense(made, len(unit), plan)
    except Exception as error:  # Whatever a stranger's simulation raises: its cause is kept with the world.
        if len(unit) == 1:
            return failure(f"{type(error).__name__}: {error}")
        rows = [slice(i, i + 1) for i in range(len(unit))]
        return join([_roll(sim, unit[row], seeds[row], ask, plan) for row in rows], ask)
    return _answer(made, ask)


def _refuse_nonsense(made: object, n: int, plan: Plan) -> None:
    if not isinstance(made, Rollouts):
        raise TypeError(f"simulate returned {type(made).__name__}, expected Rollouts")
    frames = 1 if isinstance(made.clip, Tensor) and made.clip.shape[1:2] == (1,) else plan.clip_frames
    expected = {"status": (n,), "clip": (n, frames, plan.clip_size, plan.clip_size, 3)}
    if plan.film_frames:
        expected["film"] = (n, plan.film_frames, plan.film_size, plan.film_size, 3)
    for name, shape in expected.items():
        got, dtype = getattr(made, name), torch.int64 if name == "status" else torch.uint8
        if not isinstance(got, Tensor):
            raise ValueError(f"{name} is {type(got).__name__}, expected a tensor {shape}")
        if tuple(got.shape) != shape or got.dtype != dtype:
            raise ValueError(f"{name} is {got.dtype} {tuple(got.shape)}, expected {dtype} {shape}")
        if got.device != HERE:
            raise ValueError(f"{name} is on {got.device}, expected {HERE}, where its parameters are")
    if not bool(((made.status >= 0) & (made.status < len(STATUSES))).all()):
        raise ValueError(f"status is {made.status.tolist()}, expected indices into {STATUSES}")
    if len(made.errors) not in (0, n):
        raise ValueError(f"errors are {len(made.errors)}, expected {n}, one per world")


def _answer(made: Rollouts, ask: Ask) -> Rolled:
    status = [STATUSES[i] for i in made.status.tolist()]
    alive = np.flatnonzero([one == "alive" for one in status])
    answers = {}
    for name, question in ask.items():
        if len(alive):
            values = torch.cat([question(made.clip[rows]) for rows in torch.tensor(alive).split(ASKED)])
            answers[name] = np.full((len(status), *values.shape[1:]), np.nan, np.float32)
            answers[name][alive] = values.float().cpu().numpy()
    films: list[Film | None] = [None] * len(status)
    if made.film is not None:
        films = [encoded(made.film[row].numpy()) if one == "alive" else None for row, one in enumerate(status)]
    sources = ["" if one == "failed" else source(clip.numpy()) for clip, one in zip(made.clip, status, strict=True)]
    return Rolled(status, sources, answers, films, list(made.errors) or [""] * len(status))


def source(clip: np.ndarray) -> str:
    """The hash by which the frames (T, H, W, 3) uint8 are known wherever they were seen: 16 hexadecimal digits."""
    return blake2b(np.ascontiguousarray(clip).data, digest_size=8).hexdigest()


def failure(cause: str) -> Rolled:
    """One world that could not be simulated."""
    return Rolled(["failed"], [""], {}, [None], [cause])


def join(parts: list[Rolled], ask: Ask) -> Rolled:
    """The worlds of all parts, in order."""
    return Rolled(
        status=[one for part in parts for one in part.status],
        source=[one for part in parts for one in part.source],
        answers={name: _stack(name, question, parts) for name, question in ask.items()},
        films=[one for part in parts for one in part.films],
        errors=[one for part in parts for one in part.errors],
    )


def _stack(name: str, question: Callable[[Tensor], Tensor], parts: list[Rolled]) -> np.ndarray:
    """The parts' answers below each other, NaN for parts in which nothing lives."""
    known = [part.answers[name].shape[1:] for part in parts if name in part.answers]
    shape = known[0] if known else _form(question)
    empty = [np.full((len(part.status), *shape), np.nan, np.float32) for part in parts]
    return np.concatenate([part.answers.get(name, nan) for part, nan in zip(parts, empty, strict=True)])


def _form(question: Callable[[Tensor], Tensor]) -> tuple[int, ...]:
    """What an answer about one clip looks like, found by asking about a black one."""
    return tuple(
        question(torch.zeros(1, Plan.clip_frames, Plan.clip_size, Plan.clip_size, 3, dtype=torch.uint8)).shape[1:]
    )
