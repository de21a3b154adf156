"""How far the order of a few worlds is established, and which of them to compare next.

Each thing that could be true is a hypothesis: that some world is the best of N, or that N worlds have some order. Bets
are placed against all of them at once (`evidence.py`), and one whose opponents ever own twenty times what they began
with is refuted for good. When one is left, it is established. Only one is true, so this goes wrong if the true one is
refuted: in at most 1 of 20 cases, without any allowance for how many hypotheses there are. Two worlds of which neither
wins more often keep each other open.

Bets against a hypothesis are bets on the worlds that it calls worse. They are placed pair by pair and assume only that
people mean something by "better": that a world which is better wins more than half of its answers, whoever answers.

The next pair is one on which the two hypotheses that are most likely, of those that are not refuted, disagree.

Shapes: N worlds, H hypotheses, P answers with a winner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from pipeline import evidence

Goal: TypeAlias = Literal["order", "best"]
Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

MOST: dict[Goal, int] = {"order": 5, "best": 12}
"""Worlds in a contest: 5 have 120 orders."""

USUAL, DOUBT = 0.8, 8
"""How often two worlds are expected to be ordered the same way, worth so many answers: only estimates depend on it."""

LONGEST = 500
"""Answers to go beyond which nobody counts."""


@dataclass(frozen=True)
class Standing:
    """How far it is.

    Attributes:
        order: (N,) the worlds from the best to the worst, as far as is known.
        evidence: (N,) by place, in nats: that the world there belongs there. Where the best is sought, that the first
            is it, and that each of the others is not.
        to_go: About how many more answers it takes, `LONGEST` for that many or more.
    """

    order: Rows
    evidence: Array
    to_go: int

    @property
    def settled(self) -> NDArray[np.bool_]:
        """(N,) which places are established."""
        return self.evidence >= evidence.PROOF

    @property
    def established(self) -> bool:
        """Whether all are."""
        return bool(self.settled.all())


class Bets:
    """The money of those who bet against all hypotheses.

    Args:
        goal: What is sought.
        score: (N,) what is believed of the worlds before any answer: it decides who leads until answers do.

    Raises:
        ValueError: There are too few worlds, or too many.
    """

    def __init__(self, goal: Goal, score: Sequence[float] | Array) -> None:
        count = len(score)
        if not 2 <= count <= MOST[goal]:
            raise ValueError(f"{count} worlds were chosen; a contest has 2 to {MOST[goal]}")
        self.goal = goal
        self._orders = _orders(goal, np.argsort(-np.asarray(score, np.float64), kind="stable"))  # (H, N) or (N, N)
        place = np.argsort(self._orders, 1)
        self._above = place[:, :, None] < place[:, None, :]  # (H, N, N): i above j
        if goal == "best":  # nothing is claimed of the others
            self._above &= place[:, :, None] == 0
        self._wins = np.zeros((count, count))
        self._money = np.zeros(len(self._orders))
        self._most = np.zeros(len(self._orders))

    @classmethod
    def after(cls, goal: Goal, score: Sequence[float] | Array, answers: Iterable[tuple[int, int]]) -> "Bets":
        """The bets after some answers, each a row that won and one that lost."""
        bets = cls(goal, score)
        for won, lost in answers:
            bets.add(won, lost)
        return bets

    def add(self, won: int, lost: int) -> None:
        """One more answer."""
        wins, losses = self._wins[won, lost], self._wins[lost, won]
        self._gain(lost, won, np.log(2 * evidence.stake(wins, losses)))
        self._gain(won, lost, np.log(2 * (1 - evidence.stake(losses, wins))))
        self._wins[won, lost] += 1

    @property
    def established(self) -> bool:
        """Whether one hypothesis is left."""
        return bool(self._most[self._ranked()[1]] >= evidence.PROOF)

    def standing(self, decisive: float = 1.0) -> Standing:
        """How far it is now.

        Args:
            decisive: Share of answers that have a winner.
        """
        ranked = self._ranked()
        order = self._orders[ranked[0]] if self.goal == "order" else self._orders[ranked, 0]
        return Standing(order, self._evidence(order), self._to_go(decisive))

    def ask(self, count: int, pending: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
        """The next pairs: each as if those before it, and those that people hold, had gone as expected."""
        ahead = self._copy()
        for pair in pending:
            ahead._expect(*pair)
        pairs = []
        for _ in range(count):
            pair = ahead._open_pair()
            ahead._expect(*pair)
            pairs.append(pair)
        return pairs

    # -- hypotheses ---------------------------------------------------------------------------------------------------

    def _gain(self, better: int, worse: int, nats: float) -> None:
        """Pay those who bet against hypotheses in which one world is above another."""
        self._money[self._above[:, better, worse]] += nats
        self._most = np.maximum(self._most, self._money)

    def _ranked(self) -> Rows:
        """Hypotheses: those that are not refuted, the most likely first, of equal ones those that were believed."""
        # by log-likelihood: how much worse a draw explains the answers of a pair than their share, if that contradicts
        share = self._wins / np.maximum(self._wins + self._wins.T, 1e-9)
        worse = xlogy(self._wins, 2 * share) + xlogy(self._wins.T, 2 * share.T)
        misfit = np.round((self._above * np.where(share < share.T, worse, 0)).sum((1, 2)), 9)
        return np.lexsort((np.arange(len(misfit)), misfit, self._most >= evidence.PROOF))

    def _evidence(self, order: Rows) -> Array:
        """(N,) by place, against whatever else might be true of it and is least refuted."""
        if self.goal == "best":
            rivals = self._most[[int(np.flatnonzero(self._orders[:, 0] == world)[0]) for world in order]]
            return np.array([rivals[1:].min(), *rivals[1:]])
        return np.where(self._orders == order, np.inf, self._most[:, None]).min(0)

    # -- what comes next ----------------------------------------------------------------------------------------------

    def _open_pair(self) -> tuple[int, int]:
        """Two worlds next to each other in what leads, of which its strongest rival thinks the opposite."""
        first, second = self._ranked()[:2]
        leading, rival = self._orders[first], self._orders[second]
        if self.goal == "best":
            return int(leading[0]), int(rival[0])
        place = np.argsort(rival)
        return next((i, j) for i, j in pairwise(leading.tolist()) if place[i] > place[j])

    def _expect(self, one: int, other: int) -> None:
        """One more answer, as good as it is expected to be for whichever leads."""
        leading = self._orders[self._ranked()[0]].tolist()
        won, lost = sorted((one, other), key=leading.index)
        wins, losses = self._wins[won, lost], self._wins[lost, won]
        chance = (wins + USUAL * DOUBT) / (wins + losses + DOUBT)
        self._gain(lost, won, evidence.growth(max(chance, 0.51)))
        self._wins[won, lost] += chance
        self._wins[lost, won] += 1 - chance

    def _to_go(self, decisive: float) -> int:
        ahead, steps = self._copy(), 0
        while not ahead.established and steps < LONGEST:
            ahead._expect(*ahead._open_pair())
            steps += 1
        return min(round(steps / max(decisive, 0.1)), LONGEST)

    def _copy(self) -> "Bets":
        other = object.__new__(Bets)
        other.__dict__.update(self.__dict__)
        other._wins, other._money, other._most = self._wins.copy(), self._money.copy(), self._most.copy()
        return other


def _orders(goal: Goal, believed: Rows) -> Rows:
    """Each hypothesis as an order of the worlds, what is believed first; where the best is sought, each world first."""
    if goal == "order":
        return np.array(list(permutations(believed)))
    return np.array([[best, *(world for world in believed if world != best)] for best in believed])
