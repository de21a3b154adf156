"""Which two worlds to compare next.

The first pairs are random. From then on each pair comes from one of three rules, drawn in fixed shares:

    learn     most mutual information [1] between the answer and the members: what the Rewardor needs
    duel      the favorites of two members of the ensemble [2]: finds the very best, what a Generator needs
    random    any two worlds: the honest sample on which statistics may be computed

Everything is a function of arrays and a seed. A world that is not eligible (dead, say) is never offered, and no pair
twice. The rules leave alone the worlds that are with a labeler right now: what they would tell is on its way.

[1] N. Houlsby et al. Bayesian active learning for classification and preference learning, 2011.
[2] Y. Yue, T. Joachims. Beat the mean bandit, 2011; D. Russo. Simple Bayesian algorithms for best-arm identification.

Shapes: B worlds, M members, N candidates, P pairs of candidates.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

How: TypeAlias = Literal["learn", "duel", "random"]
Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

SHARES: dict[How, float] = {"learn": 0.5, "duel": 0.3, "random": 0.2}

WARM_UP = 25
"""Random pairs before there is a Rewardor worth asking."""

BEST, NEWEST, OTHERS = 40, 60, 25
"""Candidates: the best by mean reward, the last born, and any others."""


@dataclass(frozen=True)
class Choice:
    """A pair to show.

    Attributes:
        left: Row of the world on the left.
        right: Row of the other one. Sides are random.
        how: The rule that chose the pair.
        probability: The chance, over all rules and given the candidates, that the draw took this pair.
    """

    left: int
    right: int
    how: How
    probability: float


def choose(
    n: int,
    *,
    eligible: NDArray[np.bool_],
    reward: NDArray[np.floating] | None,
    answered: Iterable[Sequence[int]] | Rows = (),
    pending: Iterable[Sequence[int]] = (),
    seed: int,
    ready: NDArray[np.bool_] | None = None,
    drawn: Iterable[Sequence[int]] | None = None,
) -> list[Choice]:
    """The next pairs; fewer than `n` where there are no more.

    Args:
        n: How many.
        eligible: (B,) bool, which worlds may be shown, in the order of their birth.
        reward: (B, M) by the newest Rewardor; rows that are not eligible may hold anything. None before the first.
        answered: Pairs of rows that have been answered, sides in any order.
        pending: Pairs that are with labelers now.
        seed: Fixes sides, rules and random draws.
        ready: (B,) bool, the worlds that can be shown at once, among which the rules choose; all that are eligible,
            where None.
        drawn: Random pairs of earlier calls, which the random rule now takes in their order instead of drawing: so
            they could be made ready, and are still an even sample of all eligible pairs. None: it draws.
    """
    draw = np.random.default_rng(seed)
    worlds, pending = np.flatnonzero(eligible), list(pending)
    taken = np.concatenate([_pairs(answered), _pairs(pending)])
    pool = _Pool(worlds, taken, drawn)
    fit = worlds if ready is None else np.flatnonzero(eligible & ready)
    candidates = None
    if reward is not None and len(fit) > 1:
        candidates = _Candidates(fit, np.asarray(reward, np.float64), pool.taken, draw)
        candidates.leave_alone([row for pair in pending for row in pair])
    chosen: list[Choice] = []
    while len(chosen) < n and pool.left:
        choice = _draw_one(pool, candidates if len(pool.taken) >= WARM_UP else None, draw)
        if choice is None:
            break
        pool.take(choice.left, choice.right)
        if candidates:
            candidates.leave_alone([choice.left, choice.right])
        chosen.append(choice)
    return chosen


def _draw_one(pool: "_Pool", candidates: "_Candidates | None", draw: np.random.Generator) -> Choice | None:
    """One pair: a rule, a pair by this rule, and sides; None where no rule has one."""
    odds = candidates.odds() if candidates else {}
    rules: list[How] = [*odds, "random"] if pool.may_draw else [*odds]
    if not rules:
        return None
    total = sum(SHARES[rule] for rule in rules)
    how = rules[draw.choice(len(rules), p=[SHARES[rule] / total for rule in rules])]
    probability = SHARES["random"] / total / pool.left if "random" in rules else 0.0
    if candidates and how != "random":
        pair = candidates.pairs[draw.choice(len(odds[how]), p=odds[how])]
    else:
        pair = pool.random(draw)
    number = candidates.find(pair) if candidates else None
    if number is not None:
        probability += sum(SHARES[rule] / total * odd[number] for rule, odd in odds.items())
    left, right = draw.permutation(pair).tolist()
    return Choice(left, right, how, float(probability))


def _pairs(pairs: Iterable[Sequence[int]] | Rows) -> Rows:
    """Pairs as an array (P, 2)."""
    return np.asarray(pairs if isinstance(pairs, np.ndarray) else list(pairs), np.int64).reshape(-1, 2)


def _codes(pairs: Rows) -> Rows:
    """One number (P,) for each pair of rows (P, 2), whatever its sides: sets of them are fast."""
    return (pairs.min(1) << 32) | pairs.max(1)


def _code(pair: Sequence[int]) -> int:
    a, b = map(int, pair)
    return (a << 32) | b if a < b else (b << 32) | a


class _Pool:
    """All pairs of the worlds that may be shown, less those that are taken."""

    def __init__(self, worlds: Rows, taken: Rows, drawn: Iterable[Sequence[int]] | None = None) -> None:
        self.worlds = worlds
        codes, first = np.unique(_codes(taken), return_index=True)
        self.taken = set(codes.tolist())
        self.drawn = None if drawn is None else [sorted(pair) for pair in drawn]
        present = np.isin(taken[first], worlds).all(1)
        self.left = len(worlds) * (len(worlds) - 1) // 2 - int(present.sum())

    def take(self, a: int, b: int) -> None:
        self.taken.add(_code((a, b)))
        self.left -= 1

    @property
    def may_draw(self) -> bool:
        """Whether there is a random pair."""
        return self.drawn is None or any(_code(pair) not in self.taken for pair in self.drawn)

    def random(self, draw: np.random.Generator) -> Sequence[int]:
        """One of the pairs that are left, each as likely as the others; the first of those drawn before."""
        if self.drawn is not None:
            return next(pair for pair in self.drawn if _code(pair) not in self.taken)
        for _ in range(100):
            pair = sorted(draw.choice(self.worlds, 2, replace=False).tolist())
            if _code(pair) not in self.taken:
                return pair
        free = [pair for pair in combinations(self.worlds.tolist(), 2) if _code(pair) not in self.taken]
        return free[draw.integers(len(free))]


class _Candidates:
    """The pairs of a few promising worlds, and what each rule thinks of them.

    Attributes:
        pairs: (P, 2) rows, the smaller first.
    """

    def __init__(self, worlds: Rows, reward: Array, taken: set[int], draw: np.random.Generator) -> None:
        self.rows = _candidates(worlds, reward[worlds].mean(1), draw)
        self.reward = reward[self.rows]  # (N, M)
        self.first, self.second = np.triu_indices(len(self.rows), 1)
        self.pairs = np.stack([self.rows[self.first], self.rows[self.second]], 1)
        self.new = np.array([code not in taken for code in _codes(self.pairs).tolist()])
        self.idle = np.ones(len(self.rows), dtype=bool)
        self.information = mutual_information(self.reward[self.first] - self.reward[self.second])

    def leave_alone(self, rows: Sequence[int]) -> None:
        """No longer offer these worlds."""
        self.idle &= ~np.isin(self.rows, rows)

    def find(self, pair: Sequence[int]) -> int | None:
        """The number of a pair, None if it is not one of candidates."""
        hit = np.flatnonzero((self.pairs == sorted(pair)).all(1))
        return int(hit[0]) if len(hit) else None

    def odds(self) -> dict[How, Array]:
        """For each rule that has something to offer, the chance (P,) with which it takes each pair."""
        free = self.new & self.idle[self.first] & self.idle[self.second]
        if not free.any():
            return {}
        odds: dict[How, Array] = {"learn": np.zeros(len(free))}
        odds["learn"][np.argmax(np.where(free, self.information, -np.inf))] = 1
        duel = self._duels() * free
        if duel.any():
            odds["duel"] = duel / duel.sum()
        return odds

    def _duels(self) -> Array:
        """How often (P,) two members have the two worlds as their favorites, the second among what the first left."""
        reward = np.where(self.idle[:, None], self.reward, -np.inf)
        order = np.argsort(-reward, axis=0)[:2]  # (2, M)
        table = np.zeros((len(self.rows), len(self.rows)))
        for favorite in order[0]:
            rival = np.where(order[0] == favorite, order[1], order[0])
            np.add.at(table, (favorite, rival), 1)
        return (table + table.T)[self.first, self.second]


def _candidates(worlds: Rows, mean: Array, draw: np.random.Generator) -> Rows:
    """Sorted rows (N,) of the best worlds, the newest, and a few others."""
    best = worlds[np.argsort(-mean, kind="stable")[:BEST]]
    chosen = np.union1d(best, worlds[-NEWEST:])
    rest = np.setdiff1d(worlds, chosen)
    others = draw.choice(rest, min(OTHERS, len(rest)), replace=False)
    return np.sort(np.concatenate([chosen, others]))


def mutual_information(difference: NDArray[np.floating]) -> Array:
    """Nats that an answer is expected to tell about which member is right, (P,).

    Args:
        difference: (P, M) of the rewards of two worlds.
    """
    p = expit(difference)
    return _entropy(p.mean(1)) - _entropy(p).mean(1)


def _entropy(p: Array) -> Array:
    return -xlogy(p, p) - xlogy(1 - p, 1 - p)
