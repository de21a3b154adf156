"""People who answer, made up: mostly right where the difference is large, and wrong in the ways that people are.

A `Teacher` is one person, a `Panel` several who take turns; `make_panel` knows some by name. Utilities come from an
oracle. What a teacher answers depends on its seed, the pair and how many questions it has answered, on nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from models import Answer

Array: TypeAlias = NDArray[np.float64]
Preference: TypeAlias = Callable[[Array, Array], Array]
"""How much better left (P, k) is than right (P, k), (P,): see `oracles.Oracle`."""

TIRING = 100
"""Answers after which a person is two thirds as tired as it will ever be."""

PEOPLE: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "human": ({},),
    "flips": ({"flip": 0.1},),
    "ties": ({"ties": 0.25, "skips": 0.1},),
    "sided": ({"side": 1.0},),
    "tired": ({"fatigue": 0.25},),
    "lapses": ({"lapse": 0.2},),
    "panel": ({"consistency": 0.95}, {}, {"consistency": 0.75}),
    "adversary": ({}, {}, {}, {"flip": 1.0}),
}
"""What `make_panel` knows by name: for each person of a panel, how it differs from the defaults of `calibrated`."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """Turns utilities into the answers of one person.

    In this order, as in [1]: a pair of dull worlds is skipped; a pair of like ones is a tie; else the better world wins
    with probability sigmoid(beta * difference), the difference in standard deviations [2]; then mistakes turn some
    answers around. The noise of a pair belongs to the pair and the seed, so but for `side` and `fatigue` answers depend
    neither on the order of questions nor on which world was shown left.

    [1] K. Lee et al. B-Pref: benchmarking preference-based reinforcement learning, 2021. Thresholds here are quantiles
        of the prior and set once; its published code scales them twice.
    [2] R. Bradley and M. Terry. Rank analysis of incomplete block designs, Biometrika 39, 1952.

    Attributes:
        center: (k,) mean of each column of the utilities of alive prior worlds.
        scale: (k,) their standard deviations.
        beta: How well differences are seen.
        same: Differences below this, in standard deviations, are ties.
        dull: Where both utilities are below this, in standard deviations, the pair is skipped.
        flip: Probability that the answer is turned around, however clear the pair.
        side: How far ahead the world on the left is for being there, in logits.
        fatigue: How much `flip` rises in the long run: after n answers by fatigue * (1 - exp(-n / TIRING)).
        lapse: Share of pairs, none of them skipped or tied, that are answered without having looked: all but `side`
            is then forgotten.
        preference: Of an oracle whose preferences are not differences of utilities.
        seed: Fixes the noise.
    """

    center: Array
    scale: Array
    beta: float
    same: float = 0.0
    dull: float = -np.inf
    flip: float = 0.0
    side: float = 0.0
    fatigue: float = 0.0
    lapse: float = 0.0
    preference: Preference | None = None
    seed: int = 0

    @classmethod
    def calibrated(
        cls,
        prior: NDArray[np.floating],
        *,
        seed: int = 0,
        consistency: float = 0.87,
        ties: float = 0.1,
        skips: float = 0.03,
        flip: float = 0.0,
        side: float = 0.0,
        fatigue: float = 0.0,
        lapse: float = 0.0,
        preference: Preference | None = None,
    ) -> "Teacher":
        """A teacher with the given rates on random pairs of alive prior worlds.

        Args:
            prior: Their utilities, (N,) or (N, k), at least 2 different ones in each column.
            seed: Fixes the noise.
            consistency: Share of pairs that are no ties in which the better world wins, before all that follows.
            ties: Share of pairs that are ties.
            skips: Share of pairs that are skipped because both worlds are dull.
            flip: See the class, also for what follows.
            side: In logits.
            fatigue: In the long run.
            lapse: Of the pairs that are neither skipped nor tied.
            preference: Of the oracle, if it has one.

        Raises:
            ValueError: The utilities are all the same, or a rate is impossible.
        """
        if not (0.5 <= consistency < 1 and min(ties, skips) >= 0 and ties + skips < 1):
            raise ValueError(f"rates out of range: {consistency=} {ties=} {skips=}")
        if not (min(flip, fatigue) >= 0 and flip + fatigue <= 1 and 0 <= lapse <= 1):
            raise ValueError(f"rates out of range: {flip=} {fatigue=} {lapse=}")
        utility = _columns(prior)
        center, scale = utility.mean(0), utility.std(0)
        if not (scale > 0).all():
            raise ValueError("the prior's utilities are all the same: nothing to have a taste about")
        seen = (utility - center) / scale
        left, right = np.random.default_rng(0).integers(len(seen), size=(2, 20_000))
        # A share of pairs has both worlds below the quantile whose square it is.
        dull = float(np.quantile(seen[:, 0], np.sqrt(skips))) if skips else -np.inf
        shown = (left != right) & (np.maximum(seen[left, 0], seen[right, 0]) >= dull)
        gap = np.abs(_difference(preference, seen[left], seen[right]))[shown]
        same = float(np.quantile(gap, ties / (1 - skips))) if ties else 0.0
        beta = _steepness(gap[gap > same], consistency)
        return cls(center, scale, beta, same, dull, flip, side, fatigue, lapse, preference, seed)

    def answer(self, left: ArrayLike, right: ArrayLike, left_id: str, right_id: str, asked: int = 0) -> Answer:
        """The answer to one pair.

        Args:
            left: Utility of the world shown left, a number or all (k,) columns.
            right: Of the other one.
            left_id: Name of the world shown left.
            right_id: Of the other one.
            asked: How many questions this person has answered before.
        """
        a, b = ((np.atleast_1d(one) - self.center) / self.scale for one in (left, right))
        if max(a[0], b[0]) < self.dull:
            return "skip"
        difference = float(_difference(self.preference, a[None], b[None])[0])
        if abs(difference) < self.same:
            return "tie"
        names, turned = sorted((left_id, right_id)), left_id > right_id
        (luck, slip), (attention, _) = self._draws(*names), self._draws(*names, "attention")
        logit = self.side + (self.beta * difference if attention >= self.lapse else 0.0)
        ahead = luck < _sigmoid(-logit if turned else logit)  # whether the first by name is
        mistaken = slip < self.flip + self.fatigue * (1 - np.exp(-asked / TIRING))
        return "left" if ahead ^ mistaken ^ turned else "right"

    def _draws(self, *words: str) -> tuple[float, float]:
        """Two uniform draws in [0, 1) that belong to the words and the seed."""
        digest = blake2b("/".join((str(self.seed), *words)).encode(), digest_size=16).digest()
        first, second = (int.from_bytes(half, "little") / 2**64 for half in (digest[:8], digest[8:]))
        return first, second


@dataclass(frozen=True)
class Panel:
    """People who take turns.

    Attributes:
        people: One or more, in the order in which they answer; a person's place is its labeler id.
    """

    people: tuple[Teacher, ...]

    def answer(
        self, left: ArrayLike, right: ArrayLike, left_id: str, right_id: str, asked: int = 0
    ) -> tuple[Answer, int]:
        """The answer to one pair and who gave it; as `Teacher.answer`, with `asked` counting what all have answered."""
        rounds, who = divmod(asked, len(self.people))
        return self.people[who].answer(left, right, left_id, right_id, rounds), who


def make_panel(name: str, prior: NDArray[np.floating], *, seed: int = 0, preference: Preference | None = None) -> Panel:
    """The people of that name in `PEOPLE`; "human" is one `Teacher.calibrated` with all its defaults.

    Args:
        name: In `PEOPLE`.
        prior: Utilities of alive prior worlds, (N,) or (N, k).
        seed: Fixes the noise of all of them; each has its own.
        preference: Of the oracle, if it has one.

    Raises:
        ValueError: There are no such people, or the utilities are all the same.
    """
    if name not in PEOPLE:
        raise ValueError(f'unknown teachers "{name}"; there are: {", ".join(PEOPLE)}')
    seeds = (seed + 1_000_003 * place for place in range(len(PEOPLE[name])))
    return Panel(
        tuple(
            Teacher.calibrated(prior, seed=own, preference=preference, **person)
            for own, person in zip(seeds, PEOPLE[name], strict=True)
        )
    )


def _columns(utility: NDArray[np.floating]) -> Array:
    """Utilities (N,) or (N, k) as (N, k)."""
    return np.asarray(utility, np.float64).reshape(len(utility), -1)


def _difference(preference: Preference | None, left: Array, right: Array) -> Array:
    """How much better the left ones of standardised columns (P, k) are, (P,)."""
    return left[:, 0] - right[:, 0] if preference is None else preference(left, right)


def _steepness(gap: Array, consistency: float) -> float:
    """The beta at which the better of two worlds wins that share of pairs, given by how far they differ (P,)."""

    def excess(beta: float) -> float:
        return float(_sigmoid(beta * gap).mean()) - consistency

    return float(brentq(excess, 0, 1e4)) if excess(1e4) > 0 else 1e4


def _sigmoid(logit: ArrayLike) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -500, 500))))
