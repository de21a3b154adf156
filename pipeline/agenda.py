"""Which pairs come next: chosen ahead of time, so that their films are there when somebody is ready to look."""

import secrets
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import loop, select
from pipeline.profile import Profile
from pipeline.rewards import rewards
from pipeline.rows import FilmTable

AHEAD = 7
"""Pairs that are chosen in advance. More would outlast a fast hand, fewer are chosen by a fresher Rewardor."""


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
        self._seen: FilmTable | None = None
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
            with self._lock:
                missing, ready = AHEAD - len(self._pairs), any(map(self._ready, self._pairs))
                pending = {pair.key for pair in self._pairs} | set(outstanding)
            if not ready and len(self._films) > 1:  # somebody may be waiting: films that exist come first
                self._add(self._choose(1, pending, filmed=True))
            if missing > 0:
                self._add(self._choose(missing, pending))

    def look(self) -> None:
        """See which films there are."""
        films = self._profile.films()
        if films is not self._seen:
            rows = zip(films.rollout.tolist(), films.file.tolist(), films.source.tolist(), strict=True)
            self._films = {rollout: Shown(file, source) for rollout, file, source in rows}
            self._seen = films

    def _ready(self, pair: Pair) -> bool:
        return pair.key <= self._films.keys()

    def _add(self, pairs: Iterable[Pair]) -> None:
        with self._lock:
            known = {pair.key for pair in self._pairs}
            self._pairs += [pair for pair in pairs if pair.key not in known]

    def _choose(self, count: int, pending: Collection[frozenset[str]], *, filmed: bool = False) -> list[Pair]:
        versions = _versions(self._profile)
        rollouts, labels = self._profile.rollouts(), self._profile.labels()
        ids = rollouts.id.tolist()
        rows = {rollout: row for row, rollout in enumerate(ids)}
        shut = self._hopeless if not filmed else self._hopeless | (rows.keys() - self._films.keys())
        eligible = (rollouts.status == "alive") & ~np.isin(rollouts.id.astype(str), list(shut))
        reward = rewards(self._profile, rollouts.id)  # (B, M)
        if reward.shape[1]:
            eligible &= np.isfinite(reward).all(1)
        answered = zip(labels.left.tolist(), labels.right.tolist(), strict=True)
        chosen = select.choose(
            count,
            eligible=eligible,
            reward=reward if reward.shape[1] else None,
            answered=[(rows[a], rows[b]) for a, b in answered if a in rows and b in rows],
            pending=[tuple(rows[world] for world in pair) for pair in pending if pair <= rows.keys()],
            seed=secrets.randbits(63),
        )
        return [Pair(ids[each.left], ids[each.right], each.how, each.probability, *versions) for each in chosen]


def _versions(profile: Profile) -> tuple[int, int]:
    """Newest versions of Rewardor and Generator, -1 where there is none."""
    newest = [loop.newest(profile, role) for role in ("rewardor", "generator")]
    rewardor, generator = [manifest.number if manifest else -1 for manifest in newest]
    return rewardor, generator
