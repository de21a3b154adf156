"""What the page needs of whoever runs a profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pipeline.desk import Desk
from pipeline.profile import Profile
from pipeline.root import Root

Role = Literal["rewardor", "generator"]
State = Literal["off", "starting", "idle", "working", "paused", "lost"]
Order = Literal["best", "random"]


@dataclass(frozen=True)
class Activity:
    """What is going on now. Everything here is for people: nothing decides by it.

    Attributes:
        worlds: Worlds simulated so far.
        target: Worlds that the labels so far pay for.
        rolling: Worlds being simulated now.
        filming: Films being made now.
        waiting: Labels that the newest Rewardor has not seen.
        rewardor: Its newest version, -1 before the first.
        generator: Its newest version, -1 before the first.
        ray: Whether Ray is there.
        rewardor_state: What the Rewardor's training does.
        generator_state: What the Generator's training does.
        problems: Sentences about what goes wrong now, newest first, fit to be shown.
    """

    worlds: int = 0
    target: int = 0
    rolling: int = 0
    filming: int = 0
    waiting: int = 0
    rewardor: int = -1
    generator: int = -1
    ray: State = "off"
    rewardor_state: State = "off"
    generator_state: State = "off"
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class World:
    """A world that was filmed.

    Attributes:
        rollout: Its id.
        file: Its film.
        score: What the newest Rewardor thinks of it; NaN before the first.
        params: Its parameters by column, in physical units.
        seed: Its start.
    """

    rollout: str
    file: str
    score: float
    params: dict[str, float]
    seed: int


@dataclass(frozen=True)
class Browsed:
    """Fresh worlds, as far as they are ready.

    Attributes:
        worlds: In the order in which they should be shown.
        wanted: How many were asked for; 0 if nobody asked yet.
        working: Whether more will come.
        error: A sentence that says why none come, or "".
    """

    worlds: Sequence[World] = field(default_factory=tuple)
    wanted: int = 0
    working: bool = False
    error: str = ""


class Studio(Protocol):
    """The running whole, seen from the page. All methods return at once and may be called from any thread."""

    @property
    def root(self) -> Root:
        """Where all profiles are."""

    @property
    def profile(self) -> Profile:
        """The profile that runs."""

    @property
    def desk(self) -> Desk:
        """Its desk."""

    def open(self, name: str) -> None:
        """Run another profile from now on.

        Raises:
            ValueError: There is none of that name, or somebody else runs it; the message is fit to be shown.
        """

    def create(self, name: str, sim: str, rewardor: str, generator: str) -> None:
        """Make a profile and run it from now on.

        Raises:
            ValueError: The name is taken or malformed, or a part does not exist; the message is fit to be shown.
        """

    def activity(self) -> Activity:
        """What is going on now."""

    def browse(self, count: int, order: Order) -> None:
        """Ask for fresh worlds of the profile's newest Generator; whatever was asked for before is forgotten."""

    def browsed(self) -> Browsed:
        """The answer to the last `browse`, as far as it is there."""

    def worlds(self, rollouts: Sequence[str]) -> list[World]:
        """Those of these worlds that were filmed, scored by the newest Rewardor; in any order."""

    def save(self, rollout: str) -> None:
        """Keep a world with its film and its parameters, in `profile.saved()`.

        Raises:
            ValueError: There is no film of such a world; the message is fit to be shown.
        """
