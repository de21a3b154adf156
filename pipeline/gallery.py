"""Looking at many random worlds at once: a contact sheet, and a film in which those that live play together."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pipeline import film
from sims import STATUSES, Plan, Simulation

MOMENTS, SIDE = 5, 96
"""Pictures of a world on the sheet, from its start to its end, and their pixels."""

TOGETHER, FILM_SIDE = 16, 128
"""Worlds in the film at most, and their pixels."""

CHUNK = 32
"""Worlds simulated at a time."""

MARGIN, GAP, TEXT = 20, 3, 15
"""Pixels around a world on the sheet, between its moments, and of a letter."""

GROUND, WORDS = (13, 13, 17), (222, 222, 228)
INK = {
    "alive": (120, 220, 160),
    "dead": (128, 128, 140),
    "exploded": (240, 160, 80),
    "frozen": (120, 180, 240),
    "failed": (240, 100, 110),
}

Step = Callable[[int], None]
"""Told how many more worlds have been simulated."""


@dataclass(frozen=True)
class Worlds:
    """B random worlds of a simulation, and what became of them.

    Attributes:
        unit: (B, D) float32, from a uniform prior.
        seeds: (B,) int64.
        status: B statuses.
        moments: (B, T, SIDE, SIDE, 3) uint8, T = MOMENTS, or 1 where all the simulation makes is single pictures.
        errors: B causes of failure, "" where the simulation did not fail.
    """

    unit: Tensor
    seeds: Tensor
    status: list[str]
    moments: np.ndarray
    errors: list[str]

    @property
    def alive(self) -> list[int]:
        """The rows that live."""
        return [row for row, status in enumerate(self.status) if status == "alive"]

    def shares(self) -> str:
        """How many have each status, most common first, in words."""
        counts = Counter(self.status).most_common()
        return ", ".join(f"{count / len(self.status):.0%} {status}" for status, count in counts)

    def causes(self) -> list[str]:
        """Why worlds failed, each cause once, with how many it concerns."""
        counts = Counter(error for error in self.errors if error).most_common()
        return [f"{count} failed: {error}" for error, count in counts]


def look(sim: Simulation, n: int, seed: int, done: Step = lambda _: None) -> Worlds:
    """Simulate n random worlds; the same ones for the same seed."""
    unit = torch.rand(n, sim.space.dim, generator=torch.Generator().manual_seed(seed))
    seeds = torch.arange(n)
    parts = list(_chunks(sim, unit, seeds, Plan(film_frames=MOMENTS, film_size=SIDE), done))
    moments = np.concatenate([frames for _, frames, _ in parts])
    if (moments == moments[:, :1]).all():
        moments = moments[:, :1]
    return Worlds(unit, seeds, _flat(part[0] for part in parts), moments, _flat(part[2] for part in parts))


def play(sim: Simulation, worlds: Worlds, done: Step = lambda _: None) -> bytes:
    """The mp4 of the first living worlds side by side, at most TOGETHER; there must be one."""
    rows = worlds.alive[:TOGETHER]
    return film.encode(_side_by_side(films(sim, worlds.unit[rows], worlds.seeds[rows], done)))


def films(sim: Simulation, unit: Tensor, seeds: Tensor, done: Step = lambda _: None) -> np.ndarray:
    """Films (B, T, FILM_SIDE, FILM_SIDE, 3) uint8 of some worlds."""
    plan = Plan(film_frames=film.FRAMES, film_size=FILM_SIDE)
    return np.concatenate([frames for _, frames, _ in _chunks(sim, unit, seeds, plan, done)])


def versus(boards: Mapping[str, np.ndarray]) -> bytes:
    """The mp4 in which equally many films (B, T, s, s, 3) of several makers play, next to each other, under titles."""
    return film.encode(np.concatenate([_titled(title, _side_by_side(made)) for title, made in boards.items()], 2))


def sheet(title: str, worlds: Worlds, *, alive_only: bool = False) -> Image.Image:
    """A picture of the worlds, each as a strip of moments under its number and status."""
    rows = worlds.alive if alive_only else range(len(worlds.status))
    frames = worlds.moments.shape[1]
    width, height = frames * (SIDE + GAP) - GAP + MARGIN, SIDE + TEXT + MARGIN
    columns = max(1, round((len(rows) * height / width) ** 0.5))
    head = MARGIN + 2 * TEXT
    size = (MARGIN + columns * width, head + max(1, -(-len(rows) // columns)) * height + MARGIN // 2)
    picture = Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, MARGIN // 2 + 2), title, WORDS, ImageFont.load_default(TEXT + 3))
    for i, row in enumerate(rows):
        x, y = MARGIN + i % columns * width, head + i // columns * height
        pen.text((x, y), f"{row}  {worlds.status[row]}", INK[worlds.status[row]], ImageFont.load_default(TEXT))
        for moment, frame in enumerate(worlds.moments[row]):
            picture.paste(Image.fromarray(frame), (x + moment * (SIDE + GAP), y + TEXT + 4))
    return picture


def _side_by_side(films: np.ndarray) -> np.ndarray:
    """Films (B, T, s, s, 3) as one, (T, H, W, 3), on dark ground; H and W are multiples of 16."""
    number, frames, side = films.shape[:3]
    columns = int(np.ceil(number**0.5))
    gap = 8
    down, across = (-(-(cells * (side + gap) + gap) // 16) * 16 for cells in (-(-number // columns), columns))
    top, left = ((whole - (whole - gap) // (side + gap) * (side + gap) + gap) // 2 for whole in (down, across))
    whole = np.tile(np.array(GROUND, np.uint8), (frames, down, across, 1))
    for i, one in enumerate(films):
        y, x = top + i // columns * (side + gap), left + i % columns * (side + gap)
        whole[:, y : y + side, x : x + side] = one
    return whole


def _titled(title: str, frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) under a line of text."""
    head = Image.new("RGB", (frames.shape[2], 2 * 16), GROUND)
    ImageDraw.Draw(head).text((MARGIN // 2, 8), title, WORDS, ImageFont.load_default(TEXT))
    return np.concatenate([np.tile(np.asarray(head), (len(frames), 1, 1, 1)), frames], 1)


Part = tuple[list[str], np.ndarray, list[str]]
"""Statuses, frames (B, T, s, s, 3) and causes of failure of some worlds."""


def _chunks(sim: Simulation, unit: Tensor, seeds: Tensor, plan: Plan, done: Step) -> Iterable[Part]:
    for some, starts in zip(unit.split(CHUNK), seeds.split(CHUNK), strict=True):
        yield _film(sim, some, starts, plan)
        done(len(some))


def _film(sim: Simulation, unit: Tensor, seeds: Tensor, plan: Plan) -> Part:
    """Simulate some worlds. One that makes the simulation raise fails alone."""
    try:
        made = sim.simulate(unit.clone(), seeds.clone(), plan)
        frames = made.clip if made.film is None else made.film
        errors = list(made.errors) or [""] * len(unit)
        return [STATUSES[i] for i in made.status.tolist()], _fitted(frames, len(unit), plan), errors
    except Exception as error:  # Whatever a stranger's simulation raises: its cause is told with the world.
        if len(unit) == 1:
            black = np.zeros((1, plan.film_frames, plan.film_size, plan.film_size, 3), np.uint8)
            return ["failed"], black, [f"{type(error).__name__}: {error}"]
    parts = [_film(sim, unit[i : i + 1], seeds[i : i + 1], plan) for i in range(len(unit))]
    return _flat(part[0] for part in parts), np.concatenate([part[1] for part in parts]), _flat(p[2] for p in parts)


def _fitted(frames: Tensor, n: int, plan: Plan) -> np.ndarray:
    """Frames as the plan wants them, from a simulation that makes fewer, such as one, or of another size."""
    if frames.dtype != torch.uint8 or frames.ndim != 5 or len(frames) != n or frames.shape[-1] != 3:
        raise ValueError(f"frames are {frames.dtype} {tuple(frames.shape)}, expected torch.uint8 ({n}, T, H, W, 3)")
    chosen = torch.linspace(0, frames.shape[1] - 1, plan.film_frames).round().long()
    down, across = (torch.arange(plan.film_size) * side // plan.film_size for side in frames.shape[2:4])
    return frames.cpu()[:, chosen][:, :, down][:, :, :, across].numpy()


def _flat(lists: Iterable[Sequence[str]]) -> list[str]:
    return [one for each in lists for one in each]
