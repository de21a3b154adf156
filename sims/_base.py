"""What a simulation is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from torch import Tensor

from sims._space import Space

Status: TypeAlias = Literal["alive", "dead", "exploded", "frozen", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Plan:
    """What to film of a rollout. Frame t of T shows the state after `round(t * steps / (T - 1))` steps.

    Attributes:
        clip_frames: T of the clip, what programs see.
        clip_size: Side of a clip's frames, in pixels.
        film_frames: T of the film, what people see; 0 films nothing.
        film_size: Side of a film's frames, in pixels; a multiple of 16, for the codec's sake.
    """

    clip_frames: int = 32
    clip_size: int = 64
    film_frames: int = 0
    film_size: int = 256


@dataclass(frozen=True)
class Rollouts:
    """B simulated worlds.

    Attributes:
        status: (B,) int64, indices into `STATUSES`.
        clip: (B, T, h, w, 3) uint8; black from the frame on where a dead world was no longer simulated. A family of
            pictures that never move has T = 1 instead of what the plan asks for.
        film: (B, T, H, W, 3) uint8, or None where the plan asked for none.
        errors: B causes of failure, "" where there is none; () where nothing failed.
    """

    status: Tensor
    clip: Tensor
    film: Tensor | None
    errors: tuple[str, ...] = ()


class Simulation(ABC):
    """A family of worlds, indexed by parameters.

    Subclasses are frozen dataclasses: their fields are the hyper-parameters and they hold nothing else, so a simulation
    is its own configuration, pickles, and equality means the same experiment. `check_simulation` tests the contract.

    Attributes:
        version: Raised whenever behaviour changes.
    """

    version: ClassVar[int]

    @property
    @abstractmethod
    def space(self) -> Space:
        """The parameters that tell the worlds of this family apart."""

    @abstractmethod
    def simulate(self, unit: Tensor, seeds: Tensor, plan: Plan) -> Rollouts:
        """Simulate and film B worlds.

        Args:
            unit: (B, D) float32 in [0, 1], decoded by `space`.
            seeds: (B,) int64; the only source of randomness.
            plan: What to film.
        """
