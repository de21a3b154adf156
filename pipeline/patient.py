"""A profile that is looked at, and what was found in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.config import Config
from pipeline.profile import Profile
from pipeline.root import Root

Step: TypeAlias = Callable[[int], None]
"""Told how many more files were looked at."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        file: Where, inside the profile.
        what: What is wrong.
        means: What follows from it, above all whether something is lost.
        damage: Whether something is damaged or missing; else it is only worth knowing.
        movable: The files that `repair` moves, in this order.
    """

    file: str
    what: str
    means: str
    damage: bool = True
    movable: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line."""
        return f"{self.file}: {self.what}; {self.means}"


class Patient(Profile):
    """A profile that is looked at: what is damaged is noted, and stays where it is."""

    def __init__(self, root: Root, name: str, config: Config) -> None:
        super().__init__(root, name, config)
        self.damaged: set[str] = set()

    def quarantine(self, key: str, reason: str) -> None:
        """Note a damaged file."""
        self._unreadable[key] = reason
        self.damaged.add(key)

    @property
    def unreadable(self) -> dict[str, str]:
        """What could not be read so far, and why."""
        return self._unreadable
