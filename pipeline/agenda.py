"""Which pair comes next: chosen when somebody is ready to look, among worlds whose films were made ahead of time.

So the newest answers decide what is asked next, and films are there at once. Random pairs need no knowledge: they are
drawn ahead and filmed, and shown in that order, whence they stay an even sample of all worlds, filmed or not.
"""

import functools
import math
import secrets
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline import contest, duel, loop, select
from pipeline.profile import Profile
from pipeline.rewards import rewards
from pipeline.rows import FilmTable, LabelTable

DRAWN = 7
"""Random pairs drawn ahead while there are no others: enough to outlast a fast hand."""
DRAWN_LATER = 2
"""The same once most pairs are chosen."""
PLANNED = 8
"""Pairs whose worlds are filmed because they would be chosen now: some will be when their films are there."""
PER_LABEL = 3
"""Films made for each label. Fewer leave less to choose from; each costs a fifth of a second of CPU."""
DULL = 2
"""Answers *neither* or *skip* after which no rule but chance shows a world again."""
REST = 5.0
"""How many times as long as planning took no plan is made anew: fifty people answer faster than planning pays. The
same where choosing did not find a pair for everybody."""

Keys: TypeAlias = Collection[frozenset[str]]


@dataclass(frozen=True)
class Pair:
    """Two worlds worth comparing.

    Attributes:
        left: A rollout's id.
        right: Another's.
        how: The rule that chose them, see `select`; "ready" where there was nothing else to show.
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
    """The next pairs of a profile. Safe for threads.

    Args:
        profile: Whose worlds are compared.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._drawn: list[Pair] = []
        self._planned: list[str] = []
        self._planned_for: tuple[object, ...] = (None,)
        self._rest_until = -math.inf
        self._judged = False
        self._reserve: list[Pair] = []
        self._spare: list[Pair] = []
        self._spare_until = -math.inf
        self._asked: set[str] = set()
        self._start = loop.answers_given(profile)
        self._seen: FilmTable | None = None
        self._films: dict[str, Shown] = {}
        self._hopeless: set[str] = set()
        self._lock = threading.Lock()
        self._choosing = threading.Lock()

    # -- pairs --------------------------------------------------------------------------------------------------------

    def take(self, count: int, held: Keys, others: int = 0) -> list[Pair]:
        """Up to `count` pairs whose films exist, chosen by the newest Rewardor, or by what runs of contest and duel.

        Called by one thread at a time, or two people may get the same pair.

        Args:
            count: How many.
            held: Pairs that people hold: they, and if possible their worlds, are left alone.
            others: How many other people will soon ask, too. A pair is chosen for each of them along with these, as
                choosing one costs as much as choosing many; a new Rewardor chooses anew.
        """
        if count < 1:
            return []
        self.look()
        for asking in (contest, duel):
            wished = asking.next_pairs(self._profile, count, held) or []
            versions, films = _versions(self._profile), self._films.keys()
            if ready := [Pair(a, b, asking.KIND, 1.0, *versions) for a, b in wished if films >= {a, b}]:
                return ready
        return self._take_reserved(count, held) or self._choose(count, held, others)

    def _choose(self, count: int, held: Keys, others: int) -> list[Pair]:
        """Choose pairs now, and those in reserve."""
        busy = _worlds(held)
        start, view = time.monotonic(), _View(self._profile, self._hopeless)
        filmed, idle = view.among(self._films.keys()), ~view.among(busy)
        with self._lock:
            drawn = [pair.key for pair in self._drawn if pair.key <= self._films.keys()]
        fresh = [key for key in drawn if not key & busy]
        chosen = view.choose(count + others, held, ready=filmed & ~view.dull, drawn=fresh)
        pairs = (
            chosen[:count]
            # films are late, or all are with somebody: whatever there is, at best worlds that nobody looks at
            or view.choose_any(1, held, filmed & idle)
            or view.choose(count, held, ready=filmed, drawn=drawn)
            or view.choose_any(1, held, filmed)
        )
        shown = {pair.key for pair in [*chosen, *pairs]}
        left = filmed & idle & ~view.dull & ~view.among(_worlds(shown))
        taken = [*held, *drawn, *shown]
        spare = view.choose_any(others, taken, left) or view.choose_any(others, taken, filmed)
        with self._lock:
            self._drawn = [pair for pair in self._drawn if pair.key not in shown]
            self._reserve, self._spare = chosen[count:], spare
            short, now = len(chosen) < count + others, time.monotonic()
            self._spare_until = now + REST * (now - start) if short else -math.inf
        return pairs

    def _take_reserved(self, count: int, held: Keys) -> list[Pair]:
        """Pairs that were chosen along with others.

        None, all given up, where these are too few or too old. Where there were too few to choose from, and would be
        again, what was left over, as long as choosing anew does not pay.
        """
        versions, busy = _versions(self._profile), _worlds(held)
        gone = busy | self._hopeless
        with self._lock:
            good = [p for p in self._reserve if (p.rewardor, p.generator) == versions and not p.key & gone]
            spare = [pair for pair in self._spare if pair.key not in held and not pair.key & self._hopeless]
            spare.sort(key=lambda pair: bool(pair.key & busy))
            there = good + spare if time.monotonic() < self._spare_until else good
            taken = there[:count] if len(there) >= count else []
            self._return([pair for pair in self._reserve if pair not in good or not taken])
            self._reserve = [pair for pair in good if taken and pair not in taken]
            self._spare = [pair for pair in spare if taken and pair not in taken]
        return taken

    def put_back(self, pairs: Sequence[Pair]) -> None:
        """Pairs that nobody answered. Random ones are shown next: an even sample leaves out none of them."""
        with self._lock:
            self._return(pairs)

    def _return(self, pairs: Sequence[Pair]) -> None:
        self._drawn[:0] = [pair for pair in pairs if pair.how == "random" and not pair.key & self._hopeless]

    def ready(self) -> int:
        """How many pairs could be shown at once, without showing a world twice."""
        self.look()
        return len(self._films.keys() - self._hopeless) // 2

    def knows(self, labels: int) -> bool:
        """Whether a pair chosen now would be chosen by a Rewardor that knows so many labels, or by none at all."""
        return labels < select.WARM_UP or labels <= self.known

    @property
    def known(self) -> int:
        """How many labels the newest Rewardor knows."""
        newest = loop.newest(self._profile, "rewardor")
        return newest.snapshot["labels"] if newest else 0

    # -- films --------------------------------------------------------------------------------------------------------

    def film(self, rollout: str) -> Shown:
        """The film of a world that was shown."""
        if rollout not in self._films:
            self.look()
        return self._films[rollout]

    def look(self) -> None:
        """See which films there are."""
        films = self._profile.films()
        if films is not self._seen:
            rows = zip(films.rollout.tolist(), films.file.tolist(), films.source.tolist(), strict=True)
            self._films = {rollout: Shown(file, source) for rollout, file, source in rows}
            self._seen = films

    def wanted(self) -> list[str]:
        """Worlds whose films are missing, most urgent first."""
        with self._lock:
            drawn = dict.fromkeys(world for pair in self._drawn for world in (pair.left, pair.right))
            missing = [world for world in drawn if world not in self._films]
            made = len(self._asked & self._films.keys())
            room = PER_LABEL * (PLANNED + loop.answers_given(self._profile) - self._start) - made
            planned = [world for world in self._planned if world not in self._films and world not in drawn]
            self._asked.update(planned[: max(room, 0)])
            urgent = [world for world in duel.wanted(self._profile) if world not in {*self._films, *self._hopeless}]
            return list(dict.fromkeys(urgent + missing + planned[: max(room, 0)]))

    def drop(self, worlds: Iterable[str]) -> None:
        """Forget worlds of which no film can be made."""
        with self._lock:
            self._hopeless.update(worlds)
            self._drawn = [pair for pair in self._drawn if not pair.key & self._hopeless]
            self._planned = [world for world in self._planned if world not in self._hopeless]

    def refresh(self, held: Keys) -> None:
        """Look at the files, draw random pairs, and plan which worlds to film for the others. May take a moment.

        Args:
            held: Pairs that people hold: not to be drawn again.
        """
        with self._choosing:
            self.look()
            seen = (self._profile.rollouts(), len(self._profile.label_events().id), _versions(self._profile))
            with self._lock:
                drawn = len(self._drawn)
            ahead = self._ahead_for(len(held))
            news = seen[0] is not self._planned_for[0] or seen[1:] != self._planned_for[1:]
            start = time.monotonic()
            resting = start < self._rest_until and self._judged  # while all pairs are random, all are needed
            if not resting and (news or drawn < ahead):
                self._renew(_View(self._profile, self._hopeless), held)
                self._planned_for = seen
                self._rest_until = start + (1 + REST) * (time.monotonic() - start)

    def _renew(self, view: "_View", held: Keys) -> None:
        """Draw random pairs and plan films, by what is known now."""
        self._judged = view.judged
        with self._lock:  # some were shown, given up, and answered all the same
            self._drawn = [pair for pair in self._drawn if view.has(pair) and not view.has_answer(pair)]
            drawn = [pair.key for pair in self._drawn]
        fresh = view.draw(self._ahead_for(len(held)) - len(drawn), [*held, *drawn])
        planned = view.plan([*held, *drawn]) if view.judged else []
        with self._lock:
            self._drawn += fresh
            self._planned = planned

    def _ahead_for(self, held: int) -> int:
        """Random pairs to draw ahead while people hold so many pairs: a crowd is shown its share of them, too."""
        return DRAWN_LATER + held // 10 if self._judged else DRAWN


class _View:
    """The worlds of a profile at one moment, and what its newest Rewardor thinks of them.

    Attributes:
        eligible: (B,) bool, which are alive, can be filmed, and were seen by the Rewardor.
        dull: (B,) bool, which people would rather not have seen.
        judged: Whether pairs are chosen by a Rewardor.
    """

    def __init__(self, profile: Profile, hopeless: Collection[str]) -> None:
        rollouts, labels = profile.rollouts(), profile.labels()
        self._ids = rollouts.id.tolist()
        self._row = {id_: row for row, id_ in enumerate(self._ids)}
        self._versions = _versions(profile)
        reward = rewards(profile, rollouts.id)  # (B, M)
        self._reward = reward if reward.shape[1] else None
        self.eligible = (rollouts.status == "alive") & ~self.among(hopeless)
        if self._reward is not None:
            self.eligible &= np.isfinite(reward).all(1)
        self._answered = self._rows_of(labels)
        self.judged = self._reward is not None and len(self._answered) >= select.WARM_UP
        self.dull = self.among(_dull(labels))

    def among(self, worlds: Collection[str]) -> NDArray[np.bool_]:
        """Which worlds (B,) bool these are."""
        there = np.zeros(len(self._ids), bool)
        there[[self._row[world] for world in worlds if world in self._row]] = True
        return there

    def has(self, pair: Pair) -> bool:
        """Whether both worlds are there: files that are damaged take some along."""
        return pair.key <= self._row.keys()

    def has_answer(self, pair: Pair) -> bool:
        """Whether a pair was answered."""
        rows = np.sort([self._row[pair.left], self._row[pair.right]])
        return bool((self._sorted == rows).all(1).any())

    @functools.cached_property
    def _sorted(self) -> NDArray[np.int64]:
        """The pairs that were answered, the smaller row first."""
        return np.sort(self._answered, axis=1)

    def choose(self, count: int, held: Keys, *, ready: NDArray[np.bool_], drawn: Keys) -> list[Pair]:
        """See `select.choose`."""
        pending, rows = self._rows(held), self._rows(drawn)
        seed = secrets.randbits(63)
        return self._select(
            count,
            eligible=self.eligible,
            reward=self._reward,
            pending=pending,
            seed=seed,
            ready=ready,
            drawn=rows,
        )

    def choose_any(self, count: int, held: Keys, among: NDArray[np.bool_]) -> list[Pair]:
        """Up to `count` pairs of these worlds, none twice: at random, but of no sample that is even."""
        pairs: list[Pair] = []
        taken: set[str] = set()
        for pair in self.draw(2 * count, held, self.eligible & among):
            if len(pairs) < count and not pair.key & taken:
                pairs.append(replace(pair, how="ready"))
                taken |= pair.key
        return pairs

    def draw(self, count: int, held: Keys, eligible: NDArray[np.bool_] | None = None) -> list[Pair]:
        """Random pairs, of all worlds that may be shown by default."""
        worlds = self.eligible if eligible is None else eligible
        seed = secrets.randbits(63)
        return self._select(count, eligible=worlds, reward=None, pending=self._rows(held), seed=seed)

    def plan(self, held: Keys) -> list[str]:
        """Worlds that would be chosen if they had films, the most wanted first."""
        pairs = self._select(
            PLANNED,
            eligible=self.eligible & ~self.dull,
            reward=self._reward,
            pending=self._rows(held),
            seed=0,  # as long as nothing changes, the plan does not either
        )
        chosen = [world for pair in pairs if pair.how != "random" for world in (pair.left, pair.right)]
        return list(dict.fromkeys(chosen))

    def _select(self, count: int, **given: Any) -> list[Pair]:
        chosen = select.choose(count, answered=self._answered, **given)
        ids = self._ids
        return [Pair(ids[each.left], ids[each.right], each.how, each.probability, *self._versions) for each in chosen]

    def _rows_of(self, labels: LabelTable) -> NDArray[np.int64]:
        """The worlds (P, 2) that were compared, as far as they are known here."""
        sides = [[self._row.get(world, -1) for world in side.tolist()] for side in (labels.left, labels.right)]
        rows = np.array(sides, np.int64).T
        return rows[(rows >= 0).all(1)]

    def _rows(self, keys: Iterable[frozenset[str]]) -> list[list[int]]:
        return [[self._row[world] for world in key] for key in keys if key <= self._row.keys()]


def _worlds(pairs: Keys) -> frozenset[str]:
    """All worlds of some pairs."""
    return frozenset[str]().union(*pairs)


def _dull(labels: LabelTable) -> list[str]:
    """Worlds that were seen in vain again and again."""
    vain = (labels.answer == "neither") | (labels.answer == "skip")
    seen = Counter([*labels.left[vain].tolist(), *labels.right[vain].tolist()])
    return [world for world, times in seen.items() if times >= DULL]


def _versions(profile: Profile) -> tuple[int, int]:
    """Newest versions of Rewardor and Generator, -1 where there is none."""
    newest = [loop.newest(profile, role) for role in ("rewardor", "generator")]
    rewardor, generator = [manifest.number if manifest else -1 for manifest in newest]
    return rewardor, generator
