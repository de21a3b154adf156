"""Your own program, in any language: it gets parameters and a seed, and leaves a film, pictures or one picture.

A text file says how to start it and what may be varied:

    command = ["perl", "ripples.pl", "{waves}", "{seed}"]
    output = "*.ppm"

    [[params]]
    name = "waves"
    low = 1
    high = 9
    doc = "more ripples, closer together"

`alife new NAME --sim ./ripples.toml` writes all of it into the profile, which then needs the file no more. In the
command, {waves} and {seed} stand for their values, {python} for the Python that runs this, and words that name files
beside the text file for their full paths. The program runs in an empty folder, where `params.json` says the same:
{"params": {"waves": 3.1}, "seed": 7}. What it leaves there under the name `output` is its world:

    "film.mp4", "film.gif", …    a film in any format that ffmpeg reads
    "*.png", "frames/*.ppm", …   pictures, one per frame, in the order of their names
    "film.npy"                   an array of frames, uint8 (T, H, W) or (T, H, W, 3)
    "world.png", "world.ppm", …  one picture: the world does not move, and is never called frozen

Without a description of yours it runs `_ripples.py`, an example. The same parameters and seed must make the same
picture. A program that crashes, hangs, leaves nothing or takes too much costs that one world, which is recorded with
its last words; whatever it started is ended with it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, ClassVar

import torch
from torch import Tensor

from sims import STATUSES, Param, Plan, Rollouts, Simulation, Space
from sims._program import Decode, ProgramError, command_line, fit, frames, is_picture, scaled
from sims._torch import ALIVE, DEAD, FLAT, FROZEN, STILL, change, contrast

FAILED = STATUSES.index("failed")
OWN = ("seed", "python")
"""What stands in braces in a command besides parameters."""

EXAMPLE = ("{python}", str(Path(__file__).with_name("_ripples.py")))
RIPPLES = (
    Param("stones", 1, 7, doc="how many stones fall: more make richer patterns of crossing waves"),
    Param("length", 0.04, 0.3, scale="log", unit="worlds", doc="longer waves, coarser patterns"),
    Param("speed", 0.1, 1, scale="log", unit="worlds/film", doc="waves and stones move faster"),
    Param("damping", 0.3, 8, scale="log", unit="1/world", doc="waves stay nearer to where they come from"),
)


@dataclass(frozen=True, kw_only=True)
class External(Simulation):
    """A program that makes one world at a time.

    Attributes:
        command: The program and its arguments.
        output: The file that it leaves, or a pattern of files, in the folder in which it was started.
        params: What may be varied.
        revision: To be raised when the program has changed: its old worlds are then another experiment.
        seconds: Longest time that a world may take.
        memory_mb: Most memory that it may take, all its processes together.
        output_mb: Most that it may write, what it says included.
        decode: Reads videos and pictures; handed in by whoever can.
    """

    version: ClassVar[int] = 1

    command: tuple[str, ...] = EXAMPLE
    output: str = "film.npy"
    params: tuple[Param, ...] = RIPPLES
    revision: int = 1
    seconds: float = 10.0
    memory_mb: float = 2000.0
    output_mb: float = 200.0
    decode: Decode | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what could never run.

        Raises:
            ValueError: With what is allowed.
        """
        if not self.command or not self.params:
            raise ValueError("command needs a program, and params at least one parameter")
        if PurePath(self.output).is_absolute() or ".." in PurePath(self.output).parts or not self.output:
            raise ValueError(f'output is "{self.output}", expected a name in the folder in which the program starts')
        for name in ("seconds", "memory_mb", "output_mb"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0, and a finite number")
        if taken := {param.name for param in self.params} & set(OWN):
            raise ValueError(f"params: {taken.pop()} means something else already")
        _ = self.space

    @property
    def space(self) -> Space:
        """The parameters that were declared."""
        return Space(*self.params)

    def simulate(self, unit: Tensor, seeds: Tensor, plan: Plan) -> Rollouts:
        """Run the program once per row; see `Simulation.simulate`. A row whose program fails has its cause in `errors`.

        Clips of single pictures have one frame; their films show it all the time.
        """
        params = self.space.decode(unit)
        made = Rollouts(
            status=torch.full((len(unit),), FAILED),
            clip=torch.zeros(len(unit), self._moments(plan), *2 * [plan.clip_size], 3, dtype=torch.uint8),
            film=torch.zeros(len(unit), plan.film_frames, *2 * [plan.film_size], 3, dtype=torch.uint8)
            if plan.film_frames
            else None,
        )
        errors = []
        for row, seed in enumerate(seeds.tolist()):
            told = {"params": {name: values[row].tolist() for name, values in params.items()}, "seed": seed}
            errors.append(self._world(made, row, told))
        film = None if made.film is None else made.film.to(unit.device)
        return Rollouts(made.status.to(unit.device), made.clip.to(unit.device), film, tuple(errors))

    def _moments(self, plan: Plan) -> int:
        return 1 if is_picture(self.output) else plan.clip_frames

    def _world(self, made: Rollouts, row: int, told: dict[str, Any]) -> str:
        """Make one world, and put it into its row; why it failed, "" if it did not."""
        bounds = {"seconds": self.seconds, "memory_mb": self.memory_mb, "output_mb": self.output_mb}
        try:
            shown = frames(command_line(self.command, told), told, self.output, self.decode, bounds)
        except ProgramError as error:
            return str(error)
        clip = made.clip[row] = fit(shown, *made.clip.shape[1:3])
        if made.film is not None:
            made.film[row] = fit(shown, *made.film.shape[1:3])
        made.status[row] = _judge(scaled(shown[-1:], clip.shape[1]), clip)
        return ""


def _judge(last: Tensor, clip: Tensor) -> int:
    """Dead if the last picture (1, h, w, 3) is flat, frozen if nothing changes at the end of the clip (T, h, w, 3)."""
    if contrast(last.float()) < FLAT:
        return DEAD
    tail = clip[None, -max(2, len(clip) // 8) :].float()
    return FROZEN if len(clip) > 1 and change(tail) <= STILL else ALIVE


def described(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `External` that a text file describes: words that name files beside it become full paths."""
    beside = path.resolve().parent
    words = said.get("command")
    if not isinstance(words, list):
        return dict(said)
    found = [str(beside / word) if isinstance(word, str) and (beside / word).is_file() else word for word in words]
    return {**said, "command": found}
