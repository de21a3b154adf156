"""Which pairs come next: chosen ahead of time, so that their films are there when somebody is ready to look."""

import secrets
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import checkpoint
from pipeline.profile import Profile

READY = 6
"""Pairs that should always be ready to be shown."""
AHEAD = READY + 4
"""Pairs that are chosen in advance, ready or not."""


@dataclass(frozen=True)
class Pair:
    """Two worlds worth comparing.

    Attributes:
        left: A rollout's id.
        right: Another's.
        how: The rule that chose them.
        probability: With which it did.
        rewardor: Version of the Rewardor by which it was chosen, -1 before the first.
        generator: Newest version of the Generator then, -1 before the first.
    """

    left: str
    right: str
    how: str
    probability: float
    rewardor: int
    generator: int

    @property
    def key(self) -> frozenset[str]:
        """The two worlds, whatever their sides."""
        return frozenset((self.left, self.right))


@dataclass(frozen=True)
class Shown:
    """A film: its file, and the hash of the frames that people see."""

    file: str
    source: str


class Agenda:
    """The next pairs of a profile. Safe for threads: only `refresh` takes time, and nobody waits for it.

    Args:
        profile: Whose worlds are compared.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._pairs: list[Pair] = []
        self._films: dict[str, Shown] = {}
        self._hopeless: set[str] = set()
        self._lock = threading.Lock()
        self._choosing = threading.Lock()

    def film(self, rollout: str) -> Shown:
        """The film of a world that was shown."""
        if rollout not in self._films:
            self.look()
        return self._films[rollout]

    def take(self, count: int) -> list[Pair]:
        """Up to `count` pairs whose films exist; they leave the agenda."""
        self.look()
        with self._lock:
            taken = [pair for pair in self._pairs if self._ready(pair)][: max(count, 0)]
            self._pairs = [pair for pair in self._pairs if pair not in taken]
        return taken

    def put_back(self, pairs: Sequence[Pair]) -> None:
        """Pairs that nobody answered, to be shown next."""
        with self._lock:
            self._pairs[:0] = pairs

    def ready(self) -> int:
        """How many pairs could be shown now."""
        with self._lock:
            return sum(map(self._ready, self._pairs))

    def wanted(self) -> list[str]:
        """Worlds whose films are missing, most urgent first."""
        with self._lock:
            worlds = dict.fromkeys(world for pair in self._pairs for world in (pair.left, pair.right))
            return [world for world in worlds if world not in self._films]

    def drop(self, worlds: Iterable[str]) -> None:
        """Forget worlds of which no film can be made."""
        with self._lock:
            self._hopeless.update(worlds)
            self._pairs = [pair for pair in self._pairs if not pair.key & self._hopeless]

    def refresh(self, outstanding: Collection[frozenset[str]]) -> None:
        """Look at the files, and choose pairs until `AHEAD` of them are due.

        Args:
            outstanding: Pairs that people hold: not to be chosen again.
        """
        with self._choosing:
            self.look()
            versions = _versions(self._profile)
            with self._lock:  # what a newer Rewardor would choose is better than what nobody has filmed yet
                self._pairs = [pair for pair in self._pairs if self._ready(pair) or pair.rewardor == versions[0]]
                missing = AHEAD - len(self._pairs)
                taken = {pair.key for pair in self._pairs} | set(outstanding)
            if missing > 0:
                chosen = self._choose(missing, taken | self._labelled(), versions)
                with self._lock:
                    self._pairs += chosen

    def look(self) -> None:
        """See which films there are."""
        films = self._profile.films()
        rows = zip(films.rollout.tolist(), films.file.tolist(), films.source.tolist(), strict=True)
        self._films = {rollout: Shown(file, source) for rollout, file, source in rows}

    def _ready(self, pair: Pair) -> bool:
        return pair.key <= self._films.keys()

    def _labelled(self) -> set[frozenset[str]]:
        labels = self._profile.labels()
        return {frozenset(key) for key in zip(labels.left.tolist(), labels.right.tolist(), strict=True)}

    def _choose(self, count: int, taken: set[frozenset[str]], versions: tuple[int, int]) -> list[Pair]:
        rollouts = self._profile.rollouts()
        alive = [world for world in rollouts.id[rollouts.status == "alive"].tolist() if world not in self._hopeless]
        filmed = [world for world in alive if world in self._films]
        chosen: list[Pair] = []
        rng = np.random.default_rng(secrets.randbits(64))
        for pool in (filmed, alive):
            for _ in range(4 * count if len(pool) > 1 else 0):
                left, right = rng.choice(len(pool), 2, replace=False)
                pair = Pair(pool[left], pool[right], "random", 1.0, *versions)
                if pair.key not in taken and len(chosen) < count:
                    taken.add(pair.key)
                    chosen.append(pair)
        return chosen


def _versions(profile: Profile) -> tuple[int, int]:
    """Newest versions of Rewardor and Generator, -1 where there is none."""
    newest = [checkpoint.newest(profile, role) for role in ("rewardor", "generator")]
    rewardor, generator = [manifest.number if manifest else -1 for manifest in newest]
    return rewardor, generator
